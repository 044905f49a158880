"""03xx: topology files and what a host has."""

from kvmc.diagnostics.model import Code, Severity

TOPOLOGY_UNREADABLE = Code("KVMC0301", Severity.ERROR, "a topology file cannot be read")
TOPOLOGY_KIND = Code("KVMC0302", Severity.ERROR, "a file is no topology that kvmc reads")
TOPOLOGY_DAMAGED = Code("KVMC0303", Severity.ERROR, "a topology file is truncated or damaged")
TOPOLOGY_TOO_LARGE = Code("KVMC0304", Severity.ERROR, "a topology file is larger than any host's")
TOPOLOGY_UNSAFE = Code("KVMC0305", Severity.ERROR, "a topology file holds what kvmc does not open")
TOPOLOGY_INCOMPLETE = Code("KVMC0306", Severity.ERROR, "a topology lacks what every host has")
TOPOLOGY_VALUE = Code("KVMC0307", Severity.ERROR, "a value in a topology file is none that its place can hold")
TOPOLOGY_UNKNOWN_KEY = Code("KVMC0308", Severity.ERROR, "a topology snapshot has a key that kvmc does not know")
CPU_IN_TWO_GROUPS = Code("KVMC0309", Severity.ERROR, "a CPU is in two cores, packages, dies, clusters or L3 caches")
CPU_IN_TWO_NODES = Code("KVMC0310", Severity.ERROR, "a CPU is in two NUMA nodes")
GROUP_SPLIT = Code("KVMC0311", Severity.ERROR, "a core or die is split over larger parts of the host")
TOPOLOGY_ODD = Code("KVMC0312", Severity.WARNING, "a topology is possible but unlike any known host")
DISTANCES_UNUSABLE = Code("KVMC0313", Severity.WARNING, "the NUMA distances do not fit the nodes")
SOURCES_CONTRADICT = Code("KVMC0314", Severity.ERROR, "two inputs of one host contradict each other")
POOL_UNLIKE = Code("KVMC0315", Severity.WARNING, "hosts of one pool differ in their shape")
CPU_IMPOSSIBLE = Code("KVMC0316", Severity.WARNING, "a CPU of that model cannot have what the topology tells")
