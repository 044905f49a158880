"""07xx: what the audit found in the artifacts."""

from kvmc.diagnostics.model import Code, Severity

CPU_OWNED_TWICE = Code("KVMC0701", Severity.ERROR, "a CPU is owned twice")
CORE_SHARED = Code("KVMC0702", Severity.ERROR, "a core of a guest is shared with another")
GUEST_ON_HOUSEKEEPING = Code("KVMC0703", Severity.ERROR, "a guest's CPU is left to the host's own work")
HELPER_ON_GUEST = Code("KVMC0704", Severity.ERROR, "a floating thread may run on a guest's own CPU")
DEVICE_OWNED_TWICE = Code("KVMC0705", Severity.ERROR, "a PCI function is given twice")
DISK_OWNED_TWICE = Code("KVMC0706", Severity.ERROR, "a disk is given twice")
IDENTITY_TWICE = Code("KVMC0707", Severity.ERROR, "two guests have one identity")

OUTSIDE_POOL = Code("KVMC0710", Severity.ERROR, "a guest's CPU is outside the dedicated pool")
FLOATING_IN_ISOLATED = Code("KVMC0711", Severity.ERROR, "a floating thread is confined to isolated CPUs")
PIN_MISSING = Code("KVMC0712", Severity.ERROR, "a vCPU has no pin")
STRAY = Code("KVMC0713", Severity.ERROR, "a setting is for a vCPU, thread or cell that is not there")
CPU_ABSENT = Code("KVMC0714", Severity.ERROR, "a guest is put on a CPU that the host does not have")
REPEATED = Code("KVMC0715", Severity.ERROR, "a thing is said twice")
HELPER_UNPINNED = Code("KVMC0716", Severity.ERROR, "QEMU's own threads have no pin")

HOUSEKEEPING_FULL = Code("KVMC0717", Severity.WARNING, "guests run more threads on housekeeping CPUs than their budget")

FAR_FROM_MEMORY = Code("KVMC0720", Severity.ERROR, "vCPUs are not beside their memory")
MEMORY_NOT_STRICT = Code("KVMC0721", Severity.ERROR, "a guest's memory may leave its node")
EMULATOR_FAR = Code("KVMC0722", Severity.ERROR, "the emulator has no CPU on a node of the guest's memory")
DEVICE_FAR = Code("KVMC0723", Severity.ERROR, "a device is on another node than its guest")
NODE_ABSENT = Code("KVMC0724", Severity.ERROR, "a guest is put on a node that the host does not have")
DEVICE_ABSENT = Code("KVMC0725", Severity.ERROR, "a guest is given a device that the host does not have")
CELLS_WRONG = Code("KVMC0726", Severity.ERROR, "the guest's cells do not add up")
GUEST_TOPOLOGY = Code("KVMC0727", Severity.ERROR, "the guest sees a topology that it does not have")
GROUP_SPLIT = Code("KVMC0728", Severity.ERROR, "a guest is given a part of an IOMMU group")

TOLD_ELSEWHERE = Code("KVMC0729", Severity.NOTE, "what a line sets is told elsewhere")

PAGES_SHORT = Code("KVMC0730", Severity.ERROR, "guests take more huge pages than the host keeps")
PAGE_SIZE_ABSENT = Code("KVMC0731", Severity.ERROR, "a size of huge pages that the host does not have")
MEMORY_SHORT = Code("KVMC0732", Severity.ERROR, "a node has less memory than it must give")
PAGES_UNEVEN = Code("KVMC0733", Severity.ERROR, "a guest's memory is no whole number of its pages")

SETS_DISAGREE = Code("KVMC0740", Severity.ERROR, "sets of CPUs contradict each other")
SETS_UNEQUAL = Code("KVMC0741", Severity.WARNING, "sets of CPUs that go together differ")
KNOB_TWICE = Code("KVMC0742", Severity.ERROR, "a knob has two owners")
CPU_OUT_OF_RANGE = Code("KVMC0743", Severity.ERROR, "a list names a CPU that the host does not have")
BOOT_NODE_ABSENT = Code("KVMC0744", Severity.ERROR, "huge pages are asked of a node that the host does not have")
BOOT_CPU_ISOLATED = Code("KVMC0745", Severity.ERROR, "the boot CPU is isolated")

MEASURE_WRONG = Code("KVMC0746", Severity.ERROR, "a plan of measurement is not that of its host and guests")
MEASURE_WRITES = Code("KVMC0747", Severity.ERROR, "a job of a plan of measurement writes to a disk")

GUEST_MISSING = Code("KVMC0750", Severity.ERROR, "a guest of the site is on no host")
GUEST_EXTRA = Code("KVMC0751", Severity.ERROR, "a guest is not of the site")
GUEST_DIFFERS = Code("KVMC0752", Severity.ERROR, "a guest is not what the site asks for")
GUEST_TWICE = Code("KVMC0753", Severity.ERROR, "a guest is there twice")
NOT_APART = Code("KVMC0754", Severity.ERROR, "guests that are to be apart are together")
OFFER_BROKEN = Code("KVMC0755", Severity.ERROR, "a host does not keep what the site says that it offers")
HOST_MISSING = Code("KVMC0756", Severity.ERROR, "a host of the site has no artifacts")
HOST_EXTRA = Code("KVMC0757", Severity.ERROR, "a host is not of the site")
KNOB_DIFFERS = Code("KVMC0758", Severity.ERROR, "a knob is not what the site asks for")
UNIT_DIFFERS = Code("KVMC0759", Severity.ERROR, "a unit does not do what its file is for")

FILE_UNREADABLE = Code("KVMC0760", Severity.ERROR, "an artifact cannot be read")
VALUE_UNREADABLE = Code("KVMC0761", Severity.ERROR, "a value in an artifact cannot be read")
FILE_UNKNOWN = Code("KVMC0762", Severity.NOTE, "a file is none that the audit knows")
FILE_CUT_OFF = Code("KVMC0763", Severity.WARNING, "a file does not end with a newline")
NOT_JUDGED = Code("KVMC0764", Severity.WARNING, "a line is not judged")
SCRIPT_DIFFERS = Code("KVMC0765", Severity.ERROR, "a script does not do what its file is for")
APPLY_WRONG = Code("KVMC0766", Severity.ERROR, "the list of steps does not apply the tree")
FILE_UNLISTED = Code("KVMC0767", Severity.ERROR, "a file is in the tree and not of the site")
BOOT_LINE_ELSE = Code("KVMC0768", Severity.NOTE, "a file is not taken for the boot line")

FOLKLORE = Code("KVMC0770", Severity.ERROR, "a name that does not exist, or not so")
KNOB_GONE = Code("KVMC0771", Severity.ERROR, "a knob that the host's kernel does not have")
KNOB_AGED = Code("KVMC0772", Severity.WARNING, "a knob of older kernels, on a kernel that is not known")
HARMFUL = Code("KVMC0773", Severity.WARNING, "a value that costs more than it gives")
STOCK_SETS = Code("KVMC0774", Severity.WARNING, "a stock profile of tuned brings what another file has")
IRQS_DIFFER = Code("KVMC0775", Severity.ERROR, "interrupts are not put where the host and its guests ask for them")
NOT_TOGETHER = Code("KVMC0790", Severity.ERROR, "guests that are to be together are apart")

# 0784..0789: parts of L3 caches, vswitch cores
TUNE_OVERLAPS = Code("KVMC0784", Severity.ERROR, "vCPUs are in two parts of a cache or limits of bandwidth")
TUNE_ELSEWHERE = Code("KVMC0785", Severity.ERROR, "a guest has a part of a cache that it does not run on")
TUNE_SIZE = Code("KVMC0786", Severity.ERROR, "a part of a cache or a limit of bandwidth that cannot be")
TUNE_TOO_MUCH = Code("KVMC0787", Severity.ERROR, "guests take more of a cache than the host has")
PMD_SHARED = Code("KVMC0788", Severity.ERROR, "a core where a switch polls is another's too")
