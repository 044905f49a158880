"""What units and drop-ins of systemd set: CPUs of services and interrupts, huge pages while the host runs."""

from __future__ import annotations

from kvmc.knowledge.model import Kind, Knob

SYSTEMD: tuple[Knob, ...] = (
    Knob(
        "systemd",
        "Manager.CPUAffinity",
        Kind.CPUS,
        "reboot",
        use="the host's services run on the housekeeping CPUs",
        harm="too few CPUs for the services",
        source="systemd-system.conf(5)",
    ),
    Knob(
        "systemd",
        "irqbalance.IRQBALANCE_BANNED_CPULIST",
        Kind.CPUS,
        "live",
        use="irqbalance puts no interrupt on dedicated and vswitch CPUs",
        harm="too few CPUs for the interrupt rate; an older irqbalance does not read it and leaves out isolated CPUs by itself",
        source="irqbalance(1)",
    ),
    Knob(
        "systemd",
        "place-irqs.*",
        Kind.CPUS,
        "live",
        use="interrupts go to housekeeping CPUs of their device's node, written to /proc/irq/N/smp_affinity_list every 30 seconds",
        harm="nothing follows the load, as irqbalance does; too few CPUs for the interrupt rate",
        source="Documentation/core-api/irq/irq-affinity.rst; kernel/irq/proc.c: EIO where the kernel keeps one (managed, per CPU)",
    ),
    Knob(
        "systemd",
        "irqbalance.ConditionPathExists",
        Kind.TEXT,
        "live",
        use="irqbalance does not start while kvmc places interrupts: two that write one file undo each other",
        harm="nothing follows the load",
        source="systemd.unit(5)",
    ),
    Knob(
        "systemd",
        "/sys/devices/system/node/node*/hugepages/hugepages-*kB/nr_hugepages",
        Kind.INTEGER,
        "live",
        use="pages by node where the kernel's command line has no node form (before 5.16)",
        harm="1 GiB pages may no longer be found whole, however early the unit runs",
        source="Documentation/admin-guide/mm/hugetlbpage.rst",
        low=1,
    ),
    Knob(
        "systemd",
        "/dev/hugepages*",
        Kind.PAGE_SIZE,
        "live",
        use="a hugetlbfs mount for a page size other than the default: without one libvirt can't start a guest on that size",
        harm="none",
        source="libvirt's search for mounts of type hugetlbfs; seen in a start that failed without",
    ),
)
