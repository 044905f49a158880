"""04xx: what does not fit. Retired: 0415, now 0240 and 0241."""

from kvmc.diagnostics.model import Code, Severity

NOT_PLACED = Code("KVMC0401", Severity.ERROR, "no placement found for a guest")
TOO_LARGE = Code("KVMC0402", Severity.ERROR, "a guest is larger than every host")
INTENT = Code("KVMC0403", Severity.ERROR, "no host can give what a guest's setting asks for")
POOLS_EXCEED_NODE = Code("KVMC0404", Severity.ERROR, "a node has too few cores for its pools")
TOPOLOGY_LACKS = Code("KVMC0405", Severity.ERROR, "a topology does not tell what placement needs")
MEMORY_EXCEEDED = Code("KVMC0406", Severity.ERROR, "pages and reserve exceed a node's memory")
PAGE_SIZE_ABSENT = Code("KVMC0407", Severity.ERROR, "a node has no huge pages of this size")
DEVICE_ABSENT = Code("KVMC0408", Severity.ERROR, "a host has no such PCI device")
NOT_SRIOV = Code("KVMC0409", Severity.ERROR, "a PCI device makes no virtual functions")
TOO_MANY_VFS = Code("KVMC0410", Severity.ERROR, "more virtual functions than the device makes")
DEVICE_TWICE = Code("KVMC0411", Severity.ERROR, "a PCI device is offered twice")
IOMMU_GROUP_SPLIT = Code("KVMC0412", Severity.ERROR, "an IOMMU group is given only in part")
RACK_UNKNOWN = Code("KVMC0413", Severity.ERROR, "a host has no rack where guests are kept apart by rack")
APART_TOO_MANY = Code("KVMC0414", Severity.ERROR, "more guests to keep apart than places")
HOUSEKEEPING_BUDGET = Code("KVMC0416", Severity.WARNING, "more threads on the housekeeping CPUs than their budget")
MEMORY_FAR = Code("KVMC0420", Severity.WARNING, "memory that a guest prefers on its node is planned on another")
OPTIONAL_UNPLACED = Code("KVMC0417", Severity.WARNING, "an optional guest has no place")
TOGETHER_NOWHERE = Code("KVMC0430", Severity.ERROR, "no host can have all guests that are to be together")
DRAINED = Code("KVMC0432", Severity.NOTE, "a drained host still has guests")
HOST_FAILURE = Code("KVMC0433", Severity.ERROR, "guests have no place without one host")
PREFERENCE_UNMET = Code("KVMC0431", Severity.NOTE, "a preferred relation of guests is not met")

# 0440..0449: parts of L3 caches, memory bandwidth, vswitch cores
RESCTRL_UNTOLD = Code("KVMC0440", Severity.ERROR, "a topology does not tell what resctrl of the host can do")
RESCTRL_EXCEEDED = Code("KVMC0441", Severity.ERROR, "a host cannot offer so much of its L3 caches")
BANDWIDTH_UNIT = Code("KVMC0442", Severity.ERROR, "memory bandwidth in percent on a CPU that counts it otherwise")
WAYS_SCATTER = Code(
    "KVMC0443", Severity.WARNING, "parts of an L3 cache may not fit once guests have stopped and started"
)
OVERCOMMIT_NODES = Code("KVMC0444", Severity.ERROR, "not one ratio of shared vCPUs for each node")
