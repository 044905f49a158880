"""08xx: what runs on a host and is not what was compiled, and trees that can't be compared."""

from kvmc.diagnostics.model import Code, Severity

BOOT_LINE = Code("KVMC0801", Severity.ERROR, "the kernel runs with another command line")
CPU_SET = Code("KVMC0802", Severity.ERROR, "the kernel did not take a set of CPUs")
CPU_OFFLINE = Code("KVMC0803", Severity.ERROR, "a CPU that was planned with is offline or absent")
PAGES = Code("KVMC0804", Severity.ERROR, "the host keeps another number of huge pages")
PAGES_TAKEN = Code("KVMC0805", Severity.ERROR, "too few huge pages are free for the guests that do not run")
SYSCTL = Code("KVMC0806", Severity.ERROR, "a sysctl has another value")
MODULE = Code("KVMC0807", Severity.ERROR, "a module parameter has another value")
TUNED_PROFILE = Code("KVMC0808", Severity.ERROR, "another tuned profile is active")
SETTING = Code("KVMC0809", Severity.ERROR, "a setting of the host has another value")
INTERRUPT = Code("KVMC0810", Severity.ERROR, "interrupts go to CPUs that are kept free of them")
SERVICES = Code("KVMC0811", Severity.ERROR, "the system's services run on other CPUs")
VFS = Code("KVMC0812", Severity.ERROR, "a device has another number of virtual functions")
FILE = Code("KVMC0813", Severity.ERROR, "a file of the host is not the compiled one")
INTERRUPT_MANAGED = Code("KVMC0814", Severity.NOTE, "interrupts of queues that nobody can move")

GUEST_UNDEFINED = Code("KVMC0820", Severity.ERROR, "a guest is not defined on its host")
GUEST_FOREIGN = Code("KVMC0821", Severity.ERROR, "a guest runs that was not compiled for this host")
GUEST_DEFINITION = Code("KVMC0822", Severity.ERROR, "a guest is defined or runs otherwise")
GUEST_PIN = Code("KVMC0823", Severity.ERROR, "a guest's thread runs on other CPUs")
GUEST_SCHEDULER = Code("KVMC0824", Severity.ERROR, "a vCPU has another scheduler")
GUEST_MEMORY = Code("KVMC0825", Severity.ERROR, "a guest's memory lies on other nodes")
GUEST_THREAD_MISSING = Code("KVMC0826", Severity.ERROR, "a thread of a running guest is not there")
GUEST_OFF = Code("KVMC0827", Severity.NOTE, "a guest does not run")

NOT_CAPTURED = Code("KVMC0830", Severity.ERROR, "what runs cannot be told")
UNREADABLE = Code("KVMC0831", Severity.ERROR, "what runs cannot be read")
NOTHING_COMPILED = Code("KVMC0832", Severity.ERROR, "there is nothing to verify by")

TREE_UNREADABLE = Code("KVMC0840", Severity.ERROR, "a tree cannot be read")
