"""06xx: artifacts on disk and locks."""

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
LEFT_BEHIND = Code("KVMC0650", Severity.NOTE, "files that kvmc did not write stay in the folder of a host that is gone")
JOURNAL_UNREADABLE = Code("KVMC0651", Severity.ERROR, "the journal of an interrupted build cannot be read")
TREE_UNREADABLE = Code("KVMC0652", Severity.ERROR, "a generated file or its folder cannot be read")
