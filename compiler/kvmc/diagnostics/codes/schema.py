"""02xx: blocks, settings, names and values."""

from kvmc.diagnostics.model import Code, Severity

UNKNOWN_SETTING = Code("KVMC0201", Severity.ERROR, "unknown setting")
UNKNOWN_BLOCK = Code("KVMC0202", Severity.ERROR, "unknown block")
MISPLACED = Code("KVMC0203", Severity.ERROR, "a block or a setting stands where it cannot")
SET_TWICE = Code("KVMC0204", Severity.ERROR, "a setting is set twice in one block")
MISSING = Code("KVMC0205", Severity.ERROR, "a required setting is missing")
BAD_NAME = Code("KVMC0206", Severity.ERROR, "a name has a form that is not allowed")
BAD_LABELS = Code("KVMC0207", Severity.ERROR, "a block has too few or too many labels")
DUPLICATE = Code("KVMC0208", Severity.ERROR, "a name or a block is defined twice")
LETTER_CASE = Code("KVMC0209", Severity.ERROR, "two names differ in letter case alone")
INHERITANCE_CYCLE = Code("KVMC0210", Severity.ERROR, "a block is its own ancestor")
UNKNOWN_NAME = Code("KVMC0211", Severity.ERROR, "a reference to a name that is not defined")
WRONG_PARENT = Code("KVMC0212", Severity.ERROR, "a parent of the wrong kind")
TOO_MANY_ANCESTORS = Code("KVMC0213", Severity.ERROR, "a chain of parents is too long")
NO_SITE = Code("KVMC0214", Severity.ERROR, "the source has no site block")

WRONG_SHAPE = Code("KVMC0220", Severity.ERROR, "a list, a count or a single value where another is needed")
BAD_WORD = Code("KVMC0221", Severity.ERROR, "a value that is none of the setting's words")
BAD_NUMBER = Code("KVMC0222", Severity.ERROR, "a number that is malformed or out of range")
BAD_SIZE = Code("KVMC0223", Severity.ERROR, "a size that is malformed or out of range")
BAD_PAGES = Code("KVMC0224", Severity.ERROR, "a page size or a count of pages that cannot be")
BAD_VERSION = Code("KVMC0225", Severity.ERROR, "a version that is malformed")
BAD_PCI = Code("KVMC0226", Severity.ERROR, "a PCI address that is malformed")
BAD_TEXT = Code("KVMC0227", Severity.ERROR, "a text or a path with a form that is not allowed")
BAD_MACHINE = Code("KVMC0228", Severity.ERROR, "a machine type that is not a versioned q35 machine")
BAD_MAC = Code("KVMC0229", Severity.ERROR, "a MAC address that is malformed or not a station's")
BAD_UUID = Code("KVMC0230", Severity.ERROR, "a UUID that is malformed")
REPEATED = Code("KVMC0231", Severity.ERROR, "a list has an item twice")
TOO_FEW = Code("KVMC0232", Severity.ERROR, "a list has too few items")

CONFLICT = Code("KVMC0240", Severity.ERROR, "two settings contradict each other")
NOT_DIVISIBLE = Code("KVMC0241", Severity.ERROR, "an amount that cannot be divided as asked")
ONE_OF = Code("KVMC0242", Severity.ERROR, "not exactly one of two settings is set")
SAME_IDENTITY = Code("KVMC0243", Severity.ERROR, "two guests or devices have one identity")
SAME_DEVICE = Code("KVMC0244", Severity.ERROR, "a host's device is in two pools")
SAME_DISK = Code("KVMC0245", Severity.ERROR, "two disks have one source")

# 0260..0269: CPU features, devices and protection of guests
BAD_FEATURE = Code("KVMC0260", Severity.ERROR, "a CPU feature that libvirt does not know")
NO_REASON = Code("KVMC0261", Severity.ERROR, "CPU features that a guest needs are hidden without a reason")
MDEV_ANYWHERE = Code("KVMC0262", Severity.ERROR, "a guest with a mediated device is tied to no host")
