"""06xx: artifacts on disk and locks. 0610 to 0649 are the locks'."""

from kvmc.diagnostics.model import Code, Severity

STALE = Code("KVMC0601", Severity.ERROR, "files on disk are not what the site says")
HAND_EDITED = Code("KVMC0602", Severity.ERROR, "a generated file was edited by hand")
IN_THE_WAY = Code("KVMC0603", Severity.ERROR, "something that kvmc did not write stands where a generated file belongs")
SYMLINK = Code("KVMC0604", Severity.ERROR, "a symbolic link stands where a generated file or its folder belongs")
INTERRUPTED = Code("KVMC0605", Severity.ERROR, "a build was interrupted")
RECOVERED = Code("KVMC0606", Severity.NOTE, "an interrupted build was finished or undone")
BUSY = Code("KVMC0607", Severity.ERROR, "another build of this site is running")
WRITE_FAILED = Code("KVMC0608", Severity.ERROR, "the generated files could not be written")
LOCKS_CHANGE = Code("KVMC0609", Severity.ERROR, "the locks would change, and `--locked` forbids it")

LOCK_UNREADABLE = Code("KVMC0610", Severity.ERROR, "a lock file cannot be read")
LOCK_VERSION = Code("KVMC0611", Severity.ERROR, "a lock file is of another version")
LOCK_UNMERGED = Code("KVMC0612", Severity.ERROR, "a lock file holds an unresolved merge")
LOCK_OTHER_HOST = Code("KVMC0613", Severity.ERROR, "a lock file is that of another host")
LOCK_TOPOLOGY = Code("KVMC0614", Severity.ERROR, "a topology changed since it was locked")
LOCK_CONFLICT = Code("KVMC0615", Severity.ERROR, "two locked guests claim the same")
LOCK_OVERFULL = Code("KVMC0616", Severity.ERROR, "locked guests claim more than a node has")
LOCK_TWO_HOSTS = Code("KVMC0617", Severity.ERROR, "a guest is locked on two hosts")
LOCK_MISSING = Code("KVMC0618", Severity.ERROR, "a guest has no valid placement in the locks")
PLACED_ANEW = Code("KVMC0619", Severity.NOTE, "a guest's locked placement no longer holds")

LEFT_BEHIND = Code("KVMC0650", Severity.NOTE, "files that kvmc did not write stay in the folder of a host that is gone")
JOURNAL_UNREADABLE = Code("KVMC0651", Severity.ERROR, "the journal of an interrupted build cannot be read")
TREE_UNREADABLE = Code("KVMC0652", Severity.ERROR, "a generated file or its folder cannot be read")

FOLDER_TAKEN = Code("KVMC0660", Severity.ERROR, "a folder holds files that are somebody else's")
FOLDER_UNWRITABLE = Code("KVMC0661", Severity.ERROR, "a folder cannot be written")
