"""05xx: host settings, platforms and targets."""

from kvmc.diagnostics.model import Code, Severity

# 0501 to 0549: what a host is told.
NO_CARRIER = Code("KVMC0501", Severity.ERROR, "no chosen target carries a setting in use")
NOT_IN_RELEASE = Code("KVMC0502", Severity.ERROR, "a setting does not exist in every release of the platform")
VENDOR_UNKNOWN = Code(
    "KVMC0503", Severity.ERROR, "passthrough needs the CPU's vendor, which the topology does not tell"
)
REALTIME_NOT_ISOLATED = Code("KVMC0504", Severity.ERROR, "the realtime profile needs isolated CPUs")
REALTIME_KERNEL = Code("KVMC0505", Severity.WARNING, "the realtime profile on a kernel without PREEMPT_RT")
NOTHING_TO_ISOLATE = Code("KVMC0506", Severity.WARNING, "isolation without dedicated or vswitch CPUs")
NO_SUCH_PAGE_SIZE = Code("KVMC0507", Severity.ERROR, "a node has no huge pages of this size")
PAGES_AT_RUN_TIME = Code("KVMC0508", Severity.NOTE, "huge pages are reserved by a unit, not by the kernel at boot")
NO_SUCH_PARENT = Code(
    "KVMC0509", Severity.ERROR, "the parent of a device pool is not on the host or makes no virtual functions"
)
TOO_MANY_VFS = Code("KVMC0510", Severity.ERROR, "a device pool asks for more virtual functions than its parent has")

# 0550..0599: guests
UUID_TWICE = Code("KVMC0550", Severity.ERROR, "two guests have one uuid")
MAC_TWICE = Code("KVMC0551", Severity.ERROR, "two NICs have one MAC address")
UUID_CHANGED = Code("KVMC0552", Severity.NOTE, "a guest's uuid differs from the lock's")
ADDRESS_UNUSABLE = Code("KVMC0553", Severity.ERROR, "a locked guest PCI address cannot be used")
TOO_MANY_DEVICES = Code("KVMC0554", Severity.ERROR, "a guest has more devices than its controllers take")
MACHINE_UNSUPPORTED = Code("KVMC0555", Severity.ERROR, "a machine type is not a versioned q35")
MACHINE_TOO_NEW = Code("KVMC0556", Severity.ERROR, "a machine type is newer than the platform's QEMU")
MACHINE_UNCHECKED = Code("KVMC0557", Severity.NOTE, "a vendor's machine type is not checked against QEMU's version")
PLATFORM_LACKS = Code("KVMC0558", Severity.ERROR, "the platform is too old for a guest's setting")
CPU_NEEDS_KVM = Code("KVMC0559", Severity.ERROR, "an emulated guest cannot have the host's CPU")
WRONG_BUS = Code("KVMC0560", Severity.ERROR, "a disk's bus does not have a setting")
IO_NEEDS_DIRECT = Code("KVMC0561", Severity.ERROR, "native I/O needs a cache mode without the page cache")
BOOT_TWICE = Code("KVMC0562", Severity.ERROR, "two disks of a guest have one boot order")
QUEUES_OVER_VCPUS = Code("KVMC0563", Severity.WARNING, "a device has more queues than its guest has vCPUs")
TOPOLOGY_FLAT = Code("KVMC0564", Severity.NOTE, "a guest is not shown all that its vCPUs share")
NOT_XML = Code("KVMC0565", Severity.ERROR, "a text holds a character that XML cannot hold")
DEVICE_KEEPS = Code("KVMC0566", Severity.ERROR, "a NIC that is a PCI function of the host cannot take a setting")
TOO_MANY_VCPUS = Code("KVMC0567", Severity.ERROR, "a guest has more vCPUs than its machine type takes")
FOREIGN_ARCH = Code("KVMC0568", Severity.ERROR, "a host's architecture cannot run a guest's machine type")
