"""Elements and attributes of libvirt's domain XML, options of its qemu.conf, and options and devices of QEMU.

The key of an element is its path below `<domain>`; `words` are the attributes that it has had as long as itself, an attribute that
came later has a row of its own, `path@attribute`.
"""

from __future__ import annotations

from functools import partial

from kvmc.knowledge.model import Kind, Knob, Status
from kvmc.model.values import Version

_DOC = "libvirt's formatdomain page"
_element = partial(Knob, "libvirt", kind=Kind.TEXT, effect="restart", tool="libvirt", source=_DOC)


def _at(key: str, since: str, attributes: str, use: str, harm: str = "none", status: Status = Status.EMITTED) -> Knob:
    """attributes: those that are as old as the element, between spaces."""
    version = Version(*map(int, since.split(".")[:2]))
    return _element(key, words=tuple(attributes.split()), use=use, harm=harm, since=version, status=status)


_known = partial(_at, status=Status.RAW)

_HYPERV = frozenset(
    {"frequencies", "ipi", "relaxed", "runtime", "spinlocks", "stimer", "synic", "tlbflush", "vapic", "vpindex"}
)
"""Those that `hyperv = true` asks for."""

_DOMAIN: tuple[Knob, ...] = (
    _at("name", "0.1", "", "the guest's name"),
    _at("uuid", "0.1", "", "its identity"),
    _at("title", "0.9", "", "a line for people"),
    _at("metadata", "0.10", "", "elements of other programs; kvmc's say which blocks the guest comes from"),
    _at("memory", "0.1", "unit dumpCore", "its memory"),
    _at("currentMemory", "0.1", "unit", "what the balloon leaves it"),
    _at("vcpu", "0.1", "placement cpuset current", "how many vCPUs, and where the others run"),
    _at("vcpus", "2.2", "", "vCPUs one by one, for those that are plugged in"),
    _at("vcpus/vcpu", "2.2", "id enabled hotpluggable order", "one of them"),
    _at("iothreads", "1.2", "", "how many I/O threads"),
    _known("iothreadids", "1.2", "", "I/O threads by number"),
    _known("iothreadids/iothread", "1.2", "id", "one of them"),
    _known("iothreadids/iothread@thread_pool_min", "8.5", "", "workers at least"),
    _known("iothreadids/iothread@thread_pool_max", "8.5", "", "workers at most"),
    _known("iothreadids/iothread/poll", "9.4", "max grow shrink", "how long it polls (ns)", "polling on CPUs that others need"),
    _known("iothreadids/iothread/poll@weight", "12.7", "", "how far one poll counts"),
    _known("defaultiothread", "8.5", "thread_pool_min thread_pool_max", "workers of the main loop"),
    _at("cputune", "0.9", "", "where and how threads run"),
    _at("cputune/vcpupin", "0.9", "vcpu cpuset", "where a vCPU runs", "two on one CPU, or siblings that the guest does not see"),
    _at("cputune/emulatorpin", "0.10", "cpuset", "where QEMU's main loop runs", "without it: on the vCPUs' CPUs"),
    _at("cputune/iothreadpin", "1.2", "iothread cpuset", "where an I/O thread runs", "on a vCPU's CPU"),
    _at("cputune/vcpusched", "1.2", "vcpus scheduler priority", "the policy of vCPU threads", "starves other threads of the CPU"),
    _known("cputune/iothreadsched", "1.2", "iothreads scheduler priority", "the policy of I/O threads", "as vcpusched"),
    _known("cputune/emulatorsched", "5.3", "scheduler priority", "the policy of QEMU's main loop", "as vcpusched"),
    _known("cputune/shares", "0.9", "", "a share of CPU time (1 to 10000 with cgroup v2)",
           "values of cgroup v1 mean ten times that"),
    _known("cputune/period", "0.9", "", "the period of a quota (us)", "stalls"),
    _known("cputune/quota", "0.9", "", "CPU time in a period (us)", "stalls: none on a guest with CPUs of its own"),
    _known("cputune/cachetune", "4.1", "vcpus", "ways of the L3 cache", "too few: misses"),
    _known("cputune/cachetune/cache", "4.1", "id level type size unit", "how much of which cache", "too few: misses"),
    _known("cputune/cachetune/monitor", "4.10", "level vcpus", "counts what is used"),
    _known("cputune/memorytune", "4.7", "vcpus", "memory bandwidth", "latency; the unit differs by vendor"),
    _known("cputune/memorytune/node", "4.7", "id bandwidth", "how much on which node", "latency"),
    _at("numatune", "0.9", "", "where memory comes from"),
    _at("numatune/memory", "0.9", "mode nodeset placement", "of the whole guest", "strict on a node that is too small: no start"),
    _at("numatune/memnode", "1.2", "cellid mode nodeset", "of one of its cells"),
    _at("memoryBacking", "0.6", "", "what memory is made of"),
    _at("memoryBacking/hugepages", "0.6", "", "huge pages"),
    _at("memoryBacking/hugepages/page", "1.2", "size unit nodeset", "their size, by cell"),
    _at("memoryBacking/nosharepages", "1.0", "", "no page merging"),
    _at("memoryBacking/locked", "1.0", "", "never swapped out", "lifts the limit of locked memory"),
    _at("memoryBacking/source", "1.2", "type", "file, anonymous or memfd (4.10)"),
    _at("memoryBacking/access", "1.2", "mode", "shared with other processes, for vhost-user"),
    _known("memoryBacking/allocation", "1.2", "mode", "immediate: all at the start"),
    _known("memoryBacking/allocation@threads", "8.2", "", "threads that touch it"),
    _known("memtune", "0.7", "", "limits of memory", "a guest beyond one is killed"),
    _known("memtune/hard_limit", "0.7", "unit", "memory at most", "a guest beyond it is killed"),
    _known("resource", "1.0", "", "where its cgroup is"),
    _known("resource/partition", "1.0", "", "an absolute path of a group that is there"),
    _known("blkiotune", "0.8", "", "shares of block devices"),
    _known("idmap", "1.1", "", "for containers"),
    _at("os", "0.1", "", "what is booted"),
    _at("os@firmware", "5.2", "", "firmware that libvirt looks for"),
    _at("os/type", "0.1", "arch machine", "the machine type"),
    _at("os/boot", "0.1", "dev", "the device that is booted"),
    _at("os/firmware", "7.2", "", "what the firmware is to have"),
    _at("os/firmware/feature", "7.2", "enabled name", "one of its features"),
    _known("os/loader", "0.1", "readonly type secure stateless", "the firmware's file"),
    _known("os/nvram", "1.2", "template", "the file of its variables"),
    _known("os/bootmenu", "0.8", "enable timeout", "a menu"),
    _known("os/smbios", "0.8", "mode", "what the guest reads of its machine"),
    _at("features", "0.1", "", "what the machine has"),
    _at("features/acpi", "0.1", "", "ACPI"),
    _at("features/apic", "0.1", "", "the interrupt controller"),
    _at("features/pmu", "1.2", "state", "performance counters"),
    _at("features/vmport", "1.2", "state", "VMware's port"),
    _at("features/ioapic", "3.4", "driver", "who has the I/O APIC"),
    _at("features/gic", "1.2", "version", "Arm's interrupt controller"),
    _known("features/hap", "1.1", "", "two-dimensional paging, on Xen"),
    _known("features/pvspinlock", "1.1", "state", "spinlocks that yield"),
    _at("features/kvm", "1.2", "", "what KVM tells the guest"),
    _at("features/kvm/hint-dedicated", "5.7", "state", "the guest spins on locks natively",
        "shared CPUs: it spins for a lock whose holder waits for the same CPU"),
    _known("features/kvm/hidden", "1.2", "state", "KVM hides itself", "no paravirtual clock; no GPU of a data centre needs it"),
    _known("features/kvm/poll-control", "6.10", "state", "the guest polls, the host does not", "burns its CPU"),
    _known("features/kvm/pv-ipi", "7.10", "state", "interrupts of many vCPUs by one exit"),
    _known("features/kvm/dirty-ring", "8.0", "state size", "dirty pages by ring, for migration"),
    _at("features/hyperv", "1.0", "mode", "Hyper-V's interfaces, for Windows", "of no use to Linux"),
    *(
        _at(
            f"features/hyperv/{name}",
            since,
            "state retries value",
            "one of Hyper-V's interfaces, for Windows",
            status=Status.EMITTED if name in _HYPERV else Status.RAW,
        )
        for name, since in (
            ("relaxed", "1.0"), ("vapic", "1.1"), ("spinlocks", "1.1"), ("vpindex", "1.3"), ("runtime", "1.3"), ("synic", "1.3"),
            ("stimer", "1.3"), ("reset", "1.3"), ("vendor_id", "1.3"), ("frequencies", "4.7"), ("reenlightenment", "4.7"),
            ("tlbflush", "4.7"), ("ipi", "4.10"), ("evmcs", "4.10"), ("avic", "8.10"), ("emsr_bitmap", "10.7"),
        )
    ),
    _at("features/hyperv/stimer/direct", "5.7", "state", "timers without a message"),
    _at("features/smm", "2.1", "state", "system management mode, for secure boot"),
)  # fmt: skip

_CPU: tuple[Knob, ...] = (
    _at("cpu", "0.7", "mode match", "the guest's CPU"),
    _at("cpu@check", "3.2", "", "whether QEMU gave what was asked for"),
    _at("cpu@migratable", "6.5", "", "off: features that do not migrate, too"),
    _at("cpu/model", "0.7", "fallback", "a model by name"),
    _at("cpu/topology", "0.7", "sockets cores threads", "what the guest sees", "siblings that are none"),
    _at("cpu/topology@dies", "6.1", "", "dies"),
    _at("cpu/topology@clusters", "10.1", "", "clusters"),
    _at("cpu/cache", "3.3", "mode level", "the caches that it sees", "a cache larger than what it shares"),
    _at("cpu/feature", "0.7", "policy name", "a feature required or off", "avx2 off: programs built for x86-64-v3 die"),
    _at("cpu/maxphysaddr", "8.7", "mode bits", "address bits, for large BARs"),
    _known("cpu/maxphysaddr@limit", "9.3", "", "address bits at most"),
    _at("cpu/numa", "0.9", "", "the guest's nodes"),
    _at("cpu/numa/cell", "0.9", "id cpus memory unit memAccess", "one of them"),
    _at("cpu/numa/cell/distances", "3.10", "", "how far the others are"),
    _at("cpu/numa/cell/distances/sibling", "3.10", "id value", "one of them"),
    _at("clock", "0.1", "offset", "what the clock starts from"),
    _at("clock/timer", "0.8", "name present tickpolicy mode frequency track", "a timer"),
    _at("on_poweroff", "0.1", "", "what follows"),
    _at("on_reboot", "0.1", "", "what follows"),
    _at("on_crash", "0.1", "", "what follows"),
    _at("pm", "0.10", "", "sleep states"),
    _at("pm/suspend-to-mem", "0.10", "enabled", "S3"),
    _at("pm/suspend-to-disk", "0.10", "enabled", "S4"),
    _at("launchSecurity", "4.5", "type", "a confidential guest (sev; sev-snp from 10.5; tdx from 11.6)",
           "speed; no passthrough of most devices, no migration"),
    _at("launchSecurity/policy", "4.5", "", "what its owner lets the host do"),
)  # fmt: skip

_ADDRESS = "type domain bus slot function multifunction controller target unit"
_DEVICES: tuple[Knob, ...] = (
    _at("devices", "0.1", "", "all devices"),
    _at("devices/emulator", "0.1", "", "QEMU's path"),
    _at("devices/disk", "0.1", "type device snapshot", "a disk"),
    _at("devices/disk/driver", "0.1", "name type cache io discard", "how QEMU does its I/O",
        "cache unsafe: loss; `queue_depth` is none of its attributes"),
    _at("devices/disk/driver@iothread", "1.2", "", "its I/O thread"),
    _at("devices/disk/driver@queues", "3.9", "", "its queues"),
    _at("devices/disk/driver@queue_size", "7.8", "", "entries of a queue"),
    _known("devices/disk/driver@detect_zeroes", "2.0", "", "zeroes become holes"),
    _known("devices/disk/driver@packed", "6.3", "", "packed queues"),
    _known("devices/disk/driver@event_idx", "0.9", "", "fewer notifications"),
    _at("devices/disk/driver/iothreads", "10.0", "", "queues over several I/O threads; QEMU 9.0"),
    _at("devices/disk/driver/iothreads/iothread", "10.0", "id", "one of them"),
    _at("devices/disk/driver/iothreads/iothread/queue", "10.0", "id", "a queue of it"),
    _known("devices/disk/iotune", "0.9", "", "limits of a disk"),
    _at("devices/disk/source", "0.1", "dev file", "where it lives"),
    _at("devices/disk/target", "0.1", "dev bus", "how the guest sees it"),
    _at("devices/disk/boot", "0.8", "order", "its place in the boot order"),
    _known("devices/disk/serial", "0.7", "", "its serial number"),
    _at("devices/disk/shareable", "0.3", "", "several guests have it", "a file system that is not made for it is lost"),
    _at("devices/disk/address", "0.8", _ADDRESS, "the guest's own address"),
    _at("devices/controller", "0.3", "type index model", "a controller"),
    _at("devices/controller@ports", "1.3", "", "ports of a USB controller"),
    _at("devices/controller/driver", "1.0", "queues", "of a virtio-scsi controller"),
    _at("devices/controller/driver@cmd_per_lun", "1.2", "", "requests a disk"),
    _at("devices/controller/driver@max_sectors", "1.2", "", "sectors a request"),
    _at("devices/controller/driver@iothread", "1.3", "", "its I/O thread"),
    _known("devices/controller/driver/iothreads", "11.2", "", "queues over several I/O threads; QEMU 10.0"),
    _at("devices/controller/model", "1.2", "name", "QEMU's device"),
    _at("devices/controller/target", "1.2", "chassis port", "of a PCIe port"),
    _at("devices/controller/target@busNr", "1.3", "", "the number of an expander bus in the guest"),
    _at("devices/controller/target/node", "1.3", "", "the node of an expander bus"),
    _at("devices/controller/address", "0.3", _ADDRESS, "the guest's own address"),
    _at("devices/interface", "0.1", "type managed", "a NIC"),
    _at("devices/interface/mac", "0.1", "address", "its address"),
    _at("devices/interface/source", "0.1", "bridge network dev mode type path", "what it is on"),
    _at("devices/interface/source/address", "0.9", _ADDRESS, "the host's function"),
    _at("devices/interface/model", "0.1", "type", "how the guest sees it"),
    _at("devices/interface/driver", "0.8", "name", "vhost, or vfio"),
    _at("devices/interface/driver@queues", "1.0", "", "its queues"),
    _at("devices/interface/driver@rx_queue_size", "2.3", "", "entries of a receive queue"),
    _at("devices/interface/driver@tx_queue_size", "3.7", "", "entries of a send queue"),
    _known("devices/interface/mtu", "3.1", "size", "its MTU"),
    _known("devices/interface/vlan", "0.10", "trunk", "its VLANs"),
    _known("devices/interface/bandwidth", "0.9", "", "limits of a NIC"),
    _known("devices/interface/link", "0.9", "state", "whether it is up"),
    _at("devices/interface/address", "0.8", _ADDRESS, "the guest's own address"),
    _at("devices/hostdev", "0.6", "mode type managed model", "a device of the host", "no live migration; all memory is pinned"),
    _at("devices/hostdev/driver", "1.0", "name", "vfio"),
    _at("devices/hostdev@display", "4.6", "", "whether a mediated device has a screen"),
    _known("devices/hostdev/driver@model", "10.0", "", "another VFIO driver"),
    _at("devices/hostdev/driver@iommufd", "12.1", "", "the newer interface of VFIO"),
    _at("devices/hostdev/source", "0.6", "", "which"),
    _at("devices/hostdev/source/address", "0.6", f"{_ADDRESS} uuid", "its address on the host"),
    _known("devices/hostdev/acpi", "8.4", "index nodeset", "cells that are its own (nodeset 11.8)"),
    _known("devices/hostdev/rom", "0.9", "bar file enabled", "its ROM"),
    _at("devices/hostdev/address", "0.8", _ADDRESS, "the guest's own address"),
    _at("devices/serial", "0.1", "type", "a serial line"),
    _at("devices/serial/target", "0.1", "port", "of which kind"),
    _at("devices/serial/target@type", "1.0", "", "of which kind"),
    _at("devices/serial/target/model", "3.10", "name", "QEMU's device"),
    _at("devices/console", "0.1", "type", "the console"),
    _at("devices/console/target", "0.1", "type port", "of which kind"),
    _known("devices/channel", "0.6", "type", "a channel, as the guest agent's"),
    _known("devices/channel/source", "0.6", "mode path", "its end on the host"),
    _known("devices/channel/target", "0.6", "type name", "its end in the guest"),
    _at("devices/input", "0.1", "type bus", "a mouse or a keyboard"),
    _at("devices/audio", "7.2", "id type", "a sound card's other end"),
    _known("devices/graphics", "0.1", "type port autoport listen", "a screen"),
    _known("devices/video", "0.6", "", "a graphics card"),
    _known("devices/video/model", "0.6", "type vram heads", "of which kind"),
    _at("devices/tpm", "1.0", "model", "a TPM"),
    _at("devices/tpm/backend", "1.0", "type version", "what is behind it"),
    _at("devices/watchdog", "0.7", "model action", "a watchdog (itco from 9.1)"),
    _at("devices/memballoon", "0.8", "model autodeflate freePageReporting", "the balloon"),
    _at("devices/memballoon/address", "0.8", _ADDRESS, "the guest's own address"),
    _at("devices/rng", "1.0", "model", "random numbers"),
    _at("devices/rng/backend", "1.0", "model", "from where"),
    _known("devices/rng/rate", "1.0", "period bytes", "how many"),
    _at("devices/rng/address", "1.0", _ADDRESS, "the guest's own address"),
    _known("devices/panic", "1.2", "model", "tells of a guest's panic"),
    _known("devices/vsock", "4.4", "model", "sockets between host and guest"),
    _known("devices/memory", "1.2", "model access", "memory that is plugged in"),
    _at("devices/iommu", "2.1", "model", "the guest's IOMMU (amd from 11.5)"),
    _at("devices/iommu/driver", "3.4", "intremap caching_mode eim iotlb aw_bits", "what it does"),
)  # fmt: skip

_daemon = partial(Knob, "daemon", kind=Kind.TEXT, effect="restart", tool="libvirt", status=Status.KNOWN)
_DAEMON: tuple[Knob, ...] = (
    _daemon(
        "sched_core",
        source="libvirt's qemu.conf",
        since=Version(8, 9),
        use="no core is shared with another guest",
        harm="fewer guests; kernel 5.14",
    ),
    _daemon("hugetlbfs_mount", source="libvirt's qemu.conf", use="mounts of huge pages", harm="none"),
    _daemon(
        "cgroup_controllers",
        source="libvirt's qemu.conf",
        use="controllers that libvirt uses",
        harm="without cpuset memory is bound by a hint alone",
    ),
    _daemon("max_core", source="libvirt's qemu.conf", use="the size of a core dump", harm="none"),
)

_qemu = partial(
    Knob, "qemu", kind=Kind.TEXT, effect="restart", tool="qemu", status=Status.KNOWN, source="QEMU 7.2, 10.0, 11.1"
)
_QEMU: tuple[Knob, ...] = (
    _qemu("-cpu", use="the CPU model; libvirt's `<cpu>`", harm="none", by="cpu"),
    _qemu("-smp", use="vCPUs and what they share; libvirt's `<topology>`", harm="none"),
    _qemu("-m", use="memory; libvirt's `<memory>`", harm="none"),
    _qemu("-accel", use="KVM or emulation; libvirt's domain type", harm="none", by="type"),
    _qemu("-enable-kvm", use="KVM; libvirt's domain type", harm="none", by="type"),
    _qemu("-machine", use="the machine type; libvirt's `<type machine>`", harm="none", by="machine"),
    _qemu("-mem-prealloc", use="memory at the start; libvirt's `<allocation>`", harm="none"),
    _qemu("-mem-path", use="huge pages; libvirt's `<hugepages>`", harm="none", by="pages"),
    _qemu("-overcommit", use="cpu-pm=on: the guest rules idle states; mem-lock=on",
          harm="cpu-pm on a shared CPU: others wait for it to wake"),
    _qemu("-numa", use="the guest's nodes; libvirt's `<numa>`", harm="none", by="nodes"),
    _qemu("-object", use="memory, I/O threads, secrets; libvirt makes them", harm="none"),
    _qemu("-device", use="a device; libvirt makes it", harm="none"),
    _qemu("-drive", use="a disk; libvirt makes it", harm="none"),
    _qemu("-netdev", use="a NIC's other end; libvirt makes it", harm="none"),
    _qemu("iothread-vq-mapping", since=Version(9, 0), use="queues of virtio-blk over I/O threads", harm="none"),
    _qemu("smp-cache", since=Version(10, 0), use="caches by level, a property of the machine", harm="none"),
    _qemu("host-cache-info", use="the host's caches, a property of the CPU", harm="a cache larger than what is shared"),
    _qemu("l3-cache", use="an L3 for the guest, a property of the CPU", harm="none"),
    _qemu("tdx-guest", since=Version(10, 1), use="an object: a TDX guest", harm="speed"),
    _qemu("sev-snp-guest", since=Version(9, 1), use="an object: an SEV-SNP guest", harm="speed"),
    _qemu("iommufd", since=Version(9, 0), use="an object: the newer interface of VFIO", harm="none"),
    _qemu("acpi-generic-initiator", since=Version(9, 0), use="an object: nodes of a passed GPU", harm="none"),
)  # fmt: skip

GUEST_KNOWN: tuple[Knob, ...] = (*_DOMAIN, *_CPU, *_DEVICES, *_DAEMON, *_QEMU)
