"""06xx: artifacts on disk and locks. 0610 to 0649 are the locks'."""

from kvmc.diagnostics.model import Code, Severity

STALE = Code("KVMC0601", Severity.ERROR, "an artifact on disk is not what the site says")

LOCK_UNREADABLE = Code("KVMC0610", Severity.ERROR, "a lock file cannot be read")
LOCK_VERSION = Code("KVMC0611", Severity.ERROR, "a lock file is of another version")
LOCK_UNMERGED = Code("KVMC0612", Severity.ERROR, "a lock file holds an unresolved merge")
LOCK_OTHER_HOST = Code("KVMC0613", Severity.ERROR, "a lock file is that of another host")
LOCK_TOPOLOGY = Code("KVMC0614", Severity.ERROR, "a topology changed since it was locked")
LOCK_CONFLICT = Code("KVMC0615", Severity.ERROR, "two locked guests claim the same")
LOCK_OVERFULL = Code("KVMC0616", Severity.ERROR, "locked guests claim more than a node has")
LOCK_TWO_HOSTS = Code("KVMC0617", Severity.ERROR, "a guest is locked on two hosts")
LOCK_MISSING = Code("KVMC0618", Severity.ERROR, "a guest has no valid placement in the locks")
