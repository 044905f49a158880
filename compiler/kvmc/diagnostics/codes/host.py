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
