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
