"""Ways in which a running host deviates, one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kvmc.verify.difference import Effect, Kind

Root = dict[str, str]


@dataclass(frozen=True)
class Deviation:
    """change: made to a root that matches. says: texts of the one message. line: what stands on the artifact's line that it
    points to; empty where no artifact says it. more: texts of the whole diagnostic, with notes and help."""

    name: str
    change: Callable[[Root], None]
    kind: Kind
    says: tuple[str, ...]
    line: str
    effect: Effect = Effect.LIVE
    more: tuple[str, ...] = ()
    host: tuple[str, str] = ("telco-edge", "edge-17a")
    running: bool = True
    pending: bool = False


def replace(path: str, old: str, new: str) -> Callable[[Root], None]:
    def change(root: Root) -> None:
        assert old in root[path], root[path]
        root[path] = root[path].replace(old, new, 1)

    return change


def put(path: str, text: str) -> Callable[[Root], None]:
    def change(root: Root) -> None:
        assert path not in root or root[path] != text
        root[path] = text

    return change


def drop(*paths: str) -> Callable[[Root], None]:
    def change(root: Root) -> None:
        for path in paths:
            del root[path]

    return change


def both(*changes: Callable[[Root], None]) -> Callable[[Root], None]:
    def change(root: Root) -> None:
        for one in changes:
            one(root)

    return change


def of_guest(name: str, which: str, old: str, new: str) -> Callable[[Root], None]:
    """Edit a domain as libvirt has it: `live`, `defined` or `both`."""

    def change(root: Root) -> None:
        paths = [path for path in root if path.endswith(".xml") and f"<name>{name}</name>" in root[path]]
        some = [path for path in paths if which == "both" or path.endswith(f".{which}.xml")]
        assert some
        for path in some:
            replace(path, old, new)(root)

    return change


def of_thread(pid: int, comm: str, file: str, old: str, new: str) -> Callable[[Root], None]:
    def change(root: Root) -> None:
        path = next(
            p for p in root if p.startswith(f"proc/{pid}/task/") and p.endswith("/comm") and root[p] == f"{comm}\n"
        )
        replace(path.removesuffix("comm") + file, old, new)(root)

    return change


def guest_files(root: Root, name: str) -> list[str]:
    first = next(path for path in root if path.endswith(".xml") and f"<name>{name}</name>" in root[path])
    return [path for path in root if path.startswith(first.partition(".")[0] + ".")]


def undefine(name: str) -> Callable[[Root], None]:
    return lambda root: drop(*guest_files(root, name))(root)


def transient(name: str) -> Callable[[Root], None]:
    return lambda root: drop(*(path for path in guest_files(root, name) if path.endswith(".defined.xml")))(root)


def foreign(root: Root) -> None:
    text = next(root[path] for path in root if path.endswith(".live.xml") and "<name>du-1</name>" in root[path])
    uuid = "11111111-2222-3333-4444-555555555555"
    old = text[text.index("<uuid>") + 6 : text.index("</uuid>")]
    root[f"kvmc/domains/{uuid}.live.xml"] = text.replace(old, uuid).replace("<name>du-1", "<name>debug")
    root[f"kvmc/domains/{uuid}.pid"] = "9999\n"


def of_memory(name: str, old: str, new: str) -> Callable[[Root], None]:
    def change(root: Root) -> None:
        path = next(path for path in guest_files(root, name) if path.endswith(".memory"))
        replace(path, old, new)(root)

    return change


def reboot_due(root: Root) -> None:
    """The file is installed and the boot entry written, and the kernel still runs with the former line."""
    replace("proc/cmdline", "skew_tick=1", "")(root)


def boot_menu_due(root: Root) -> None:
    replace("proc/cmdline", "skew_tick=1", "")(root)
    replace("kvmc/bootlines", "skew_tick=1", "")(root)


def not_installed(root: Root) -> None:
    boot_menu_due(root)
    del root["etc/default/grub.d/zz-kvmc.cfg"]


NODE1 = "sys/devices/system/node/node1/hugepages/hugepages-1048576kB"
UPF, DU, EMS = 4200, 4000, 4100  # processes of the guests, in the order of their names
DB = ("database-ceph", "db-a")
RICH = ("rich", "edge-17a")

DEVIATIONS = [
    Deviation(
        "boot word lacks, not rebooted",
        reboot_due,
        Kind.BOOT_LINE,
        ("`skew_tick`", "is not there", "1 was compiled"),
        "skew_tick=1",
        Effect.REBOOT,
        ("not rebooted since", "(pending)"),
        pending=True,
    ),
    Deviation(
        "boot word lacks, menu not written",
        boot_menu_due,
        Kind.BOOT_LINE,
        ("`skew_tick`",),
        "skew_tick=1",
        Effect.REBOOT,
        ("no boot entry has it", "grub-mkconfig"),
    ),
    Deviation(
        "boot file not installed",
        not_installed,
        Kind.BOOT_LINE,
        ("`skew_tick`",),
        "skew_tick=1",
        Effect.REBOOT,
        ("`/etc/default/grub.d/zz-kvmc.cfg` is not installed",),
    ),
    Deviation(
        "isolcpus of one CPU less",
        replace("proc/cmdline", "isolcpus=managed_irq,domain,4-31", "isolcpus=managed_irq,domain,5-31"),
        Kind.BOOT_LINE,
        ("`isolcpus`", "5-31", "4-31"),
        "isolcpus=",
        Effect.REBOOT,
        pending=True,
    ),
    Deviation(
        "isolcpus without a flag",
        replace("proc/cmdline", "isolcpus=managed_irq,domain,", "isolcpus=domain,"),
        Kind.BOOT_LINE,
        ("`isolcpus`", "managed_irq"),
        "isolcpus=",
        Effect.REBOOT,
        pending=True,
    ),
    Deviation(
        "isolcpus twice",
        replace("proc/cmdline", "root=", "isolcpus=2-3 root="),
        Kind.BOOT_LINE,
        ("`isolcpus`", "2-3 and"),
        "isolcpus=",
        Effect.REBOOT,
        pending=True,
    ),
    Deviation(
        "a word that kvmc would own",
        replace("proc/cmdline", "root=", "nohz_full=1-3 root="),
        Kind.BOOT_LINE,
        ("`nohz_full`", "1-3", "none was compiled"),
        "GRUB_CMDLINE",
        Effect.REBOOT,
        host=DB,
    ),
    Deviation(
        "pages of another number on the line",
        replace("proc/cmdline", "hugepages=0:96,1:96", "hugepages=0:96,1:90"),
        Kind.BOOT_LINE,
        ("`hugepages`", "90 * 1GiB on node 1", "96 * 1GiB on node 1"),
        "hugepages=",
        Effect.REBOOT,
        pending=True,
    ),
    Deviation(
        "iommu off",
        replace("proc/cmdline", "intel_iommu=on", "intel_iommu=off"),
        Kind.BOOT_LINE,
        ("`intel_iommu`", "off", "on"),
        "intel_iommu=on",
        Effect.REBOOT,
        pending=True,
    ),
    Deviation(
        "the kernel refused isolcpus",
        put("sys/devices/system/cpu/isolated", "\n"),
        Kind.CPU_SET,
        ("`isolated`", "empty"),
        "isolcpus=",
        Effect.REBOOT,
        ("kernel refused it",),
    ),
    Deviation(
        "the kernel refused nohz_full",
        put("sys/devices/system/cpu/nohz_full", "(null)\n"),
        Kind.CPU_SET,
        ("`nohz_full`", "empty"),
        "nohz_full=",
        Effect.REBOOT,
    ),
    Deviation(
        "a CPU is offline", put("sys/devices/system/cpu/online", "0-126\n"), Kind.CPU_OFFLINE, ("127",), "100-127"
    ),
    Deviation(
        "a node kept fewer pages",
        put(f"{NODE1}/nr_hugepages", "95\n"),
        Kind.PAGES,
        ("1GiB on node 1", "95", "96"),
        "hugepages=0:96,1:96",
        Effect.REBOOT,
    ),
    Deviation(
        "pages of a size that nobody compiled",
        put("sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "512\n"),
        Kind.PAGES,
        ("2MiB on node 0", "512", "0"),
        "",
        Effect.REBOOT,
    ),
    Deviation(
        "someone took free pages",
        put(f"{NODE1}/free_hugepages", "20\n"),
        Kind.PAGES_FREE,
        ("1GiB on node 1", "20", "24 for `du-1`"),
        '<page size="1048576"',
        running=False,
    ),
    Deviation(
        "swappiness by another file",
        both(put("proc/sys/vm/swappiness", "60\n"), put("etc/sysctl.d/99-local.conf", "vm.swappiness=60\n")),
        Kind.SYSCTL,
        ("`vm.swappiness`", "60", "10"),
        "vm.swappiness = 10",
        more=("/etc/sysctl.d/99-local.conf` sets it so", "sysctl -p"),
    ),
    Deviation(
        "throttling of realtime by hand",
        put("proc/sys/kernel/sched_rt_runtime_us", "950000\n"),
        Kind.SYSCTL,
        ("sched_rt_runtime_us", "950000", "-1"),
        "sched_rt_runtime_us = -1",
        more=("a program or a person",),
    ),
    Deviation(
        "a module with its default",
        put("sys/module/kvm/parameters/kvmclock_periodic_sync", "Y\n"),
        Kind.MODULE,
        ("`kvmclock_periodic_sync`", "Y", "N"),
        "kvmclock_periodic_sync=N",
        Effect.REBOOT,
        pending=True,
    ),
    Deviation(
        "another profile of tuned",
        both(put("etc/tuned/active_profile", "virtual-host\n"), put("sys/kernel/mm/ksm/run", "1\n")),
        Kind.TUNED_PROFILE,
        ("`virtual-host`", "`kvmc`"),
        "generated by kvmc",
        more=("/sys/kernel/mm/ksm/run", "tuned-adm profile kvmc"),
    ),
    Deviation(
        "huge pages for all",
        put("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n"),
        Kind.SETTING,
        ("transparent huge pages", "always", "never"),
        "transparent_hugepages=never",
    ),
    Deviation("page merging on", put("sys/kernel/mm/ksm/run", "1\n"), Kind.SETTING, ("ksm/run", "1", "2"), "ksm/run=2"),
    Deviation(
        "a governor",
        put("sys/devices/system/cpu/cpufreq/policy7/scaling_governor", "powersave\n"),
        Kind.SETTING,
        ("powersave on CPU 7", "performance"),
        "governor=performance",
    ),
    Deviation(
        "deep idle states",
        put("kvmc/cpu_dma_latency", "2000000000\n"),
        Kind.SETTING,
        ("2000000000", "3"),
        "force_latency=3",
    ),
    Deviation(
        "unbound work everywhere",
        put("sys/devices/virtual/workqueue/cpumask", "ffffffff,ffffffff,ffffffff,ffffffff\n"),
        Kind.SETTING,
        ("workqueues", "0-127", "0-3,32-35,64-67,96-99"),
        "cpumask=f,",
    ),
    Deviation(
        "an interrupt on a guest's CPU",
        put("proc/irq/3/effective_affinity_list", "40\n"),
        Kind.INTERRUPT,
        ("IRQ 3 (eth0-TxRx-0) on 40",),
        "irqaffinity=",
    ),
    Deviation(
        "the default affinity of interrupts",
        put("proc/irq/default_smp_affinity", "ffffffff,ffffffff,ffffffff,ffffffff\n"),
        Kind.INTERRUPT,
        ("default affinity", "0-127"),
        "irqaffinity=",
        Effect.REBOOT,
    ),
    Deviation(
        "services everywhere",
        replace("proc/1/status", "0-1,32-33,64-65,96-97", "0-127"),
        Kind.SERVICES,
        ("0-127", "0-1,32-33"),
        "CPUAffinity=",
        Effect.REBOOT,
        ("daemon-reexec",),
        pending=True,
    ),
    Deviation(
        "fewer virtual functions",
        put("sys/bus/pci/devices/0000:af:00.0/sriov_numvfs", "2\n"),
        Kind.VFS,
        ("0000:af:00.0", "2", "4"),
        "make_vfs 0000:af:00.0 4",
        more=("kvmc-vfs.service",),
    ),
    Deviation(
        "a file edited on the host",
        replace("etc/systemd/system/irqbalance.service.d/90-kvmc.conf", "4-31", "5-31"),
        Kind.FILE,
        ("irqbalance.service.d", "another text"),
        "generated by kvmc",
    ),
    Deviation(
        "a file of an earlier build",
        put("etc/systemd/system/kvmc-hugepages.service", "[Unit]\n"),
        Kind.FILE,
        ("kvmc-hugepages.service", "there"),
        "kvmc-hugepages.service",
    ),
    Deviation(
        "a guest is not defined",
        undefine("ems-1"),
        Kind.GUEST_UNDEFINED,
        ("`ems-1`", "not there"),
        "<name>ems-1</name>",
        more=("define --validate domains/ems-1.xml",),
    ),
    Deviation(
        "a guest is transient",
        transient("ems-1"),
        Kind.GUEST_UNDEFINED,
        ("persistent definition", "`ems-1`"),
        "<name>ems-1</name>",
    ),
    Deviation(
        "a guest of another kind",
        foreign,
        Kind.GUEST_FOREIGN,
        ("`debug`", "running"),
        "",
        Effect.RESTART,
        ("of `du-1`",),
    ),
    Deviation(
        "a vCPU moved by a program",
        of_thread(DU, "CPU 3/KVM", "status", "Cpus_allowed_list:\t39", "Cpus_allowed_list:\t36-63"),
        Kind.GUEST_PIN,
        ("vCPU 3", "`du-1`", "36-63", "39"),
        '<vcpupin vcpu="3"',
        more=("virsh vcpupin du-1 3 39 --live", "taskset"),
    ),
    Deviation(
        "QEMU moved by a program",
        of_thread(DU, f"vhost-{DU}", "status", "32-33", "40,32-33"),
        Kind.GUEST_PIN,
        (f"vhost-{DU}", "`du-1`"),
        "<emulatorpin",
        more=("virsh emulatorpin",),
    ),
    Deviation(
        "an I/O thread moved",
        of_thread(4300, "IO iothread1", "status", "Cpus_allowed_list:\t", "Cpus_allowed_list:\t9,"),
        Kind.GUEST_PIN,
        ("I/O thread 1", "`pg-3`"),
        '<iothreadpin iothread="1"',
        more=("virsh iothreadpin pg-3 1",),
        host=DB,
    ),
    Deviation(
        "a vCPU without FIFO",
        of_thread(UPF, "CPU 5/KVM", "stat", " 1 1 0", " 0 0 0"),
        Kind.GUEST_SCHEDULER,
        ("vCPU 5", "`upf-1`", "other", "fifo 1"),
        "<vcpusched",
        Effect.RESTART,
    ),
    Deviation(
        "a pin changed live",
        of_guest("du-1", "live", "<vcpupin vcpu='3' cpuset='39'/>", "<vcpupin vcpu='3' cpuset='38'/>"),
        Kind.GUEST_DEFINITION,
        ("the pin of vCPU 3", "38", "39"),
        '<vcpupin vcpu="3"',
        more=("--live",),
    ),
    Deviation(
        "a guest runs with less memory",
        of_guest("ems-1", "live", "<memory unit='KiB'>8388608", "<memory unit='KiB'>4194304"),
        Kind.GUEST_DEFINITION,
        ("the memory of guest `ems-1`", "4GiB", "8GiB"),
        "<memory",
        Effect.RESTART,
        ("(pending)",),
        pending=True,
    ),
    Deviation(
        "a guest is defined otherwise",
        of_guest("upf-1", "defined", "scheduler='fifo' priority='1'", "scheduler='fifo' priority='9'"),
        Kind.GUEST_DEFINITION,
        ("fifo 9", "fifo 1"),
        "<vcpusched",
        more=("the guest runs as compiled",),
    ),
    Deviation(
        "a disk of another source",
        of_guest("du-1", "both", "/dev/vg_guests/du-1-root", "/dev/vg_guests/old"),
        Kind.GUEST_DEFINITION,
        ("disk vda", "vg_guests/old", "du-1-root"),
        "du-1-root",
        Effect.RESTART,
        ("define --validate",),
    ),
    Deviation(
        "a guest has another function",
        of_guest("du-1", "both", "bus='0xaf' slot='0x01' function='0x0'", "bus='0xaf' slot='0x01' function='0x1'"),
        Kind.GUEST_DEFINITION,
        ("0000:af:01.1", "0000:af:01.0"),
        "<interface",
        Effect.RESTART,
    ),
    Deviation(
        "memory on another node",
        of_memory("du-1", "bind:1 1048576 1 24", "bind:1 1048576 1 20\nbind:1 1048576 0 4"),
        Kind.GUEST_MEMORY,
        ("`du-1`", "4194304 KiB on node 0", "node 1 alone"),
        '<memory mode="strict"',
        Effect.RESTART,
    ),
    Deviation(
        "a vCPU is gone",
        lambda root: drop(*(f"proc/{EMS}/task/{EMS + 23}/{name}" for name in ("comm", "status", "stat")))(root),
        Kind.GUEST_THREAD,
        ("`ems-1`", "vCPU 3"),
        "<vcpu",
        Effect.RESTART,
    ),
    # what a site may have beyond the example
    Deviation(
        "a raw sysctl by hand",
        put("proc/sys/net/core/rmem_max", "212992\n"),
        Kind.SYSCTL,
        ("`net.core.rmem_max`", "212992", "16777216"),
        "net.core.rmem_max = 16777216",
        more=("sysctl -p",),
        host=RICH,
    ),
    Deviation(
        "a raw sysctl of one interface",
        both(
            put("proc/sys/net/ipv4/conf/eth0/rp_filter", "2\n"),
            put("etc/sysctl.d/50-router.conf", "net.ipv4.conf.eth0.rp_filter=2\n"),
        ),
        Kind.SYSCTL,
        ("`net.ipv4.conf.*.rp_filter`", "2 in /proc/sys/net/ipv4/conf/eth0/rp_filter", "0 was compiled"),
        "rp_filter = 0",
        more=("/etc/sysctl.d/50-router.conf` sets it so",),
        host=RICH,
    ),
    Deviation(
        "a raw option of a module",
        put("sys/module/nvme/parameters/poll_queues", "0\n"),
        Kind.MODULE,
        ("`poll_queues` of module `nvme`", "0", "4"),
        "poll_queues=4",
        Effect.REBOOT,
        host=RICH,
        pending=True,
    ),
    Deviation(
        "a raw boot word lacks",
        replace("proc/cmdline", " threadirqs", ""),
        Kind.BOOT_LINE,
        ("`threadirqs`", "is not there"),
        "threadirqs",
        Effect.REBOOT,
        host=RICH,
        pending=True,
    ),
    Deviation(
        "another slice",
        put("sys/kernel/debug/sched/min_granularity_ns", "3000000\n"),
        Kind.SETTING,
        ("min_granularity_ns", "3000000", "4000000"),
        "min_granularity_ns=4000000",
        more=("tuned-adm profile kvmc",),
        host=RICH,
    ),
    Deviation(
        "a raw element is not in libvirt's definition",
        of_guest("ems-1", "both", "<vsock model='virtio'>\n      <cid auto='no' address='7'/>\n    </vsock>", ""),
        Kind.GUEST_DEFINITION,
        ("`devices/vsock` of guest `ems-1` is not there", "<cid auto='no' address='7'/>"),
        "<vsock",
        Effect.RESTART,
        ("define --validate domains/ems-1.xml",),
        host=RICH,
    ),
    Deviation(
        "a raw part of a disk lacks",
        of_guest("ems-1", "both", "<serial>EMS1</serial>", ""),
        Kind.GUEST_DEFINITION,
        ("`devices/disk/serial` vda of guest `ems-1` is not there; <serial>EMS1</serial> was compiled",),
        "<serial>",
        Effect.RESTART,
        host=RICH,
    ),
    Deviation(
        "a raw element runs otherwise",
        of_guest("ems-1", "live", "address='7'/>", "address='8'/>"),
        Kind.GUEST_DEFINITION,
        ("`devices/vsock`", "<cid auto='no' address='8'/>", "<cid auto='no' address='7'/>"),
        "<vsock",
        Effect.RESTART,
        host=RICH,
        pending=True,
    ),
    Deviation(
        "a guest runs without a TPM",
        of_guest("lop-1", "live", "<tpm model='tpm-crb'>", "<tpm model='tpm-tis'>"),
        Kind.GUEST_DEFINITION,
        ("`devices/tpm`", "tpm-tis", "tpm-crb"),
        "<tpm",
        Effect.RESTART,
        host=RICH,
        pending=True,
    ),
    Deviation(
        "an enlightenment less",
        of_guest("lop-1", "defined", "<vpindex state='on'/>", "<vpindex state='off'/>"),
        Kind.GUEST_DEFINITION,
        ("`features/hyperv`",),
        "<hyperv",
        more=("the guest runs as compiled",),
        host=RICH,
    ),
    Deviation(
        "a floating vCPU moved",
        of_thread(4300, "CPU 2/KVM", "status", "Cpus_allowed_list:\t", "Cpus_allowed_list:\t9,"),
        Kind.GUEST_PIN,
        ("vCPU 2", "`mix-1`", "9,"),
        '<vcpupin vcpu="2"',
        more=("virsh vcpupin mix-1 2",),
        host=RICH,
    ),
    Deviation(
        "an uneven node of another size",
        of_guest(
            "lop-1", "both", "<cell id='1' cpus='4-5' memory='4194304'", "<cell id='1' cpus='4-5' memory='8388608'"
        ),
        Kind.GUEST_DEFINITION,
        ("cell 1 of guest `lop-1` is 8GiB with vCPUs 4-5; 4GiB with vCPUs 4-5",),
        '<cell id="1"',
        Effect.RESTART,
        host=RICH,
    ),
    Deviation(
        "memory of an uneven node elsewhere",
        of_memory("lop-1", "bind:0 1048576 0 4", "bind:0 1048576 2 4"),
        Kind.GUEST_MEMORY,
        ("`lop-1`", "4194304 KiB on node 2"),
        '<memory mode="strict"',
        Effect.RESTART,
        host=RICH,
    ),
]
