"""05xx: host settings, platforms and targets. Retired: 0504, 0505, 0507, 0555, 0559 to 0562 and 0565: earlier passes tell it."""

from kvmc.diagnostics.model import Code, Severity

# 0501 to 0549: what a host is told.
NO_CARRIER = Code("KVMC0501", Severity.ERROR, "no chosen target carries a setting in use")
NOT_IN_RELEASE = Code("KVMC0502", Severity.ERROR, "a setting does not exist in every release of the platform")
VENDOR_UNKNOWN = Code(
    "KVMC0503", Severity.ERROR, "passthrough needs the CPU's vendor, which the topology does not tell"
)
NOTHING_TO_ISOLATE = Code("KVMC0506", Severity.WARNING, "isolation without dedicated or vswitch CPUs")
PAGES_AT_RUN_TIME = Code("KVMC0508", Severity.NOTE, "huge pages are reserved by a unit, not by the kernel at boot")

# 0510 to 0519: measured values
MEASURE_UNREADABLE = Code("KVMC0510", Severity.ERROR, "a form of measurement cannot be read")
MEASURE_NO_RESULT = Code("KVMC0511", Severity.WARNING, "a measure has no result")
MEASURE_OTHER = Code("KVMC0512", Severity.ERROR, "a baseline and a result are not of one host")
MEASURE_MOVED = Code("KVMC0513", Severity.WARNING, "a guest had another placement when its baseline was measured")
MEASURE_WORSE = Code("KVMC0514", Severity.ERROR, "a measured value is worse than its baseline")

CONTROLLER_ABSENT = Code("KVMC0545", Severity.ERROR, "a host has no such controller of a storage")

# 0550..0599: guests
UUID_TWICE = Code("KVMC0550", Severity.ERROR, "a guest's uuid is another's in the locks")
MAC_TWICE = Code("KVMC0551", Severity.ERROR, "a NIC's MAC address is another's in the locks")
UUID_CHANGED = Code("KVMC0552", Severity.NOTE, "a guest's uuid differs from the lock's")
ADDRESS_UNUSABLE = Code("KVMC0553", Severity.ERROR, "a locked guest PCI address cannot be used")
TOO_MANY_DEVICES = Code("KVMC0554", Severity.ERROR, "a guest has more devices than its controllers take")
MACHINE_TOO_NEW = Code("KVMC0556", Severity.ERROR, "a machine type is newer than the platform's QEMU")
MACHINE_UNCHECKED = Code("KVMC0557", Severity.NOTE, "a vendor's machine type is not checked against QEMU's version")
PLATFORM_LACKS = Code("KVMC0558", Severity.ERROR, "the platform is too old for a guest's setting")
QUEUES_OVER_VCPUS = Code("KVMC0563", Severity.WARNING, "a device has more queues than its guest has vCPUs")
TOPOLOGY_FLAT = Code("KVMC0564", Severity.NOTE, "a guest is not shown all that its vCPUs share")
DEVICE_KEEPS = Code("KVMC0566", Severity.ERROR, "a NIC that is a whole device of the host cannot take a MAC address")
TOO_MANY_VCPUS = Code("KVMC0567", Severity.ERROR, "a guest has more vCPUs than its machine type takes")
FOREIGN_ARCH = Code("KVMC0568", Severity.ERROR, "a host's architecture cannot run a guest's machine type")

# 0520..0539: guests' CPUs over all hosts, I/O and protection
FEATURE_LACKING = Code("KVMC0520", Severity.ERROR, "a host that a guest may go to lacks a CPU feature that it requires")
FEATURES_UNKNOWN = Code("KVMC0521", Severity.ERROR, "a topology does not tell the CPU features that a guest requires")
NO_BASELINE = Code("KVMC0522", Severity.ERROR, "hosts have no CPU in common that a guest could be given")
MODEL_LACKING = Code("KVMC0523", Severity.ERROR, "a host that a guest may go to cannot give it its CPU model")
FEATURE_TELLS = Code("KVMC0524", Severity.NOTE, "a required CPU feature has consequences beside speed")
NO_PROTECTION = Code("KVMC0525", Severity.ERROR, "a host that a guest may go to cannot keep its memory from the host")
IOTHREADS_ONE = Code("KVMC0526", Severity.NOTE, "a disk has one I/O thread where the platform cannot spread its queues")
# 0570..0589: raw settings
RAW_FOLKLORE = Code("KVMC0570", Severity.ERROR, "a raw setting that does not exist, or not so")
RAW_FORM = Code("KVMC0571", Severity.ERROR, "a raw setting that cannot be written so")
RAW_REFUSED = Code("KVMC0572", Severity.ERROR, "a raw setting that goes another way")
RAW_OWNED = Code("KVMC0573", Severity.ERROR, "a knob has two owners")
RAW_LACKS = Code("KVMC0574", Severity.ERROR, "a raw setting that the platform does not have")
RAW_VALUE = Code("KVMC0575", Severity.ERROR, "a value that the knob does not take")
RAW_HARMFUL = Code("KVMC0576", Severity.ERROR, "a raw setting that harms, without a reason")
RAW_UNKNOWN = Code("KVMC0577", Severity.ERROR, "a raw setting that is not known, without a reason")
RAW_XML = Code("KVMC0578", Severity.ERROR, "a raw element that is not one sound XML element")
FACTS_CONTRADICT = Code("KVMC0580", Severity.ERROR, "a platform says what its facts refute")
NO_FACTS = Code("KVMC0581", Severity.ERROR, "a facts file tells nothing of the host's software")
IRQ_NODE_BARE = Code("KVMC0583", Severity.WARNING, "a device's node has no housekeeping CPU for its interrupts")
IRQ_NOT_PLACED = Code("KVMC0584", Severity.ERROR, "a guest says where interrupts go on a host that leaves them alone")
NOT_ITS_ARCH = Code("KVMC0585", Severity.ERROR, "a setting of another architecture than the host's")
NO_MECHANISM = Code("KVMC0582", Severity.ERROR, "no mechanism of the platform does what is asked")
