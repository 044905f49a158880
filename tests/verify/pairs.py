"""Pairs of trees: each an edit of the telco edge's site, which is built again, or of its tree, with what it means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kvmc.verify.difference import Effect

Tree = dict[str, dict[str, str]]
"""Host -> path -> text."""

A, B = "edge-17a", "edge-17b"
GUESTS_A = ("du-1", "ems-1", "upf-1")
GUESTS = tuple(sorted((*GUESTS_A, "du-2", "ems-2", "upf-2")))
GRUB = "etc/default/grub.d/zz-kvmc.cfg"
SYSCTL = "etc/sysctl.d/90-kvmc.conf"
TUNED = "etc/tuned/kvmc/tuned.conf"
MODPROBE = "etc/modprobe.d/kvmc.conf"
MANAGER = "etc/systemd/system.conf.d/90-kvmc.conf"
IRQBALANCE = "etc/systemd/system/irqbalance.service.d/90-kvmc.conf"
VFS = "etc/kvmc/make-vfs"
DU, UPF, EMS = "domains/du-1.xml", "domains/upf-1.xml", "domains/ems-1.xml"
MIX, LOP = "domains/mix-1.xml", "domains/lop-1.xml"
GUESTS_RICH = ("du-1", "ems-1", "lop-1", "mix-1", "upf-1")


@dataclass(frozen=True)
class Pair:
    """site: replacements in the site's text. tree: an edit of the built tree. effect: the label of all changes together, None for
    no change. guests: those it touches. says: texts that the listing holds. only: how many changes there are, where told."""

    name: str
    effect: Effect | None
    guests: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    site: tuple[tuple[str, str], ...] = ()
    tree: Callable[[Tree], None] | None = None
    only: int | None = None
    rich: bool = False


def edit(path: str, *replacements: tuple[str, str], host: str = A) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        text = tree[host][path]
        for old, new in replacements:
            assert old in text, (old, text)
            text = text.replace(old, new)
        tree[host][path] = text

    return change


def swap(path: str, pattern: str, arrange: Callable[[list[str]], list[str]]) -> Callable[[Tree], None]:
    """Put all matches in another order."""

    def change(tree: Tree) -> None:
        text = tree[A][path]
        found = re.findall(pattern, text)
        assert len(found) > 1
        new = iter(arrange(found))
        tree[A][path] = re.sub(pattern, lambda _: next(new), text)
        assert tree[A][path] != text

    return change


def drop(path: str, host: str = A) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        del tree[host][path]

    return change


def move(path: str, source: str, to: str, *replacements: tuple[str, str]) -> Callable[[Tree], None]:
    def change(tree: Tree) -> None:
        edit(path, *replacements, host=source)(tree)
        tree[to][path] = tree[source].pop(path)

    return change


def words_in_a_file(tree: Tree) -> None:
    """The boot line carried by another loader's file."""
    line = re.search(r'DEFAULT="\$GRUB_CMDLINE_LINUX_DEFAULT (.*)"', tree[A].pop(GRUB))
    assert line is not None
    tree[A]["etc/kvmc/cmdline"] = line[1] + "\n"


def drop_host(tree: Tree) -> None:
    del tree[B]


def far_pin(tree: Tree) -> None:
    edit(
        DU,
        ('vcpu="3" cpuset="39"', 'vcpu="3" cpuset="20"'),
        ('cellid="0" mode="strict" nodeset="1"', 'cellid="0" mode="strict" nodeset="0"'),
    )(tree)


LIVE, RESTART, MIGRATION, REBOOT = Effect.LIVE, Effect.RESTART, Effect.MIGRATION, Effect.REBOOT
FLAGS = "isolcpus=managed_irq,domain,4-31,36-63,68-95,100-127"
EMS2 = ("vm ems-2 : oam\n", ""), ("[ems-1, ems-2]", "[ems-1, upf-2]")

CHANGED = [
    # the site, built again
    Pair(
        "fewer pages",
        REBOOT,
        GUESTS,
        ("huge pages of 1GiB on node 0: 96 -> 95",),
        (("96 * 1GiB", "95 * 1GiB"),),
        only=4,
    ),
    Pair(
        "another profile",
        REBOOT,
        GUESTS,
        ("boot option `skew_tick`: 1 -> none", "sched_rt_runtime_us`: -1 -> none"),
        (("profile   = realtime", "profile = latency"),),
    ),
    Pair(
        "a later kernel", REBOOT, GUESTS, ("`rcutree.nohz_full_patience_delay`: none -> 1000",), (('"6.1"', '"6.12"'),)
    ),
    Pair(
        "more functions of a NIC in use",
        RESTART,
        ("upf-1", "upf-2"),
        ("virtual functions of 0000:3b:00.0: 8 -> 10",),
        (("vfs    = 8", "vfs = 10"),),
        only=2,
    ),
    Pair("another bridge", LIVE, (), ("source=br-oam -> ", "source=br-new"), (("br-oam", "br-new"),), only=6),
    Pair(
        "another volume group",
        RESTART,
        GUESTS,
        ("disk vda", "/dev/vg_new/du-1-root"),
        (("/dev/vg_guests", "/dev/vg_new"),),
        only=6,
    ),
    Pair(
        "fewer vCPUs", RESTART, ("upf-1", "upf-2"), ("the number of vCPUs: 16 -> 14",), (("vcpus  = 16", "vcpus = 14"),)
    ),
    Pair("less memory", RESTART, ("upf-1", "upf-2"), ("its memory: 32GiB -> 30GiB",), (("32GiB", "30GiB"),)),
    Pair(
        "another priority",
        RESTART,
        ("du-1", "du-2", "upf-1", "upf-2"),
        ("the scheduler of vCPU 0: fifo 1 -> fifo 2",),
        (("priority  = 1", "priority = 2"),),
    ),
    Pair(
        "the PMU on",
        RESTART,
        ("du-1", "du-2", "upf-1", "upf-2"),
        ("features/pmu",),
        (("pmu       = false", "pmu = true"),),
    ),
    Pair("another machine type", RESTART, GUESTS, ("os/type", "pc-q35-7.1"), (("pc-q35-7.2", "pc-q35-7.1"),)),
    Pair(
        "a guest more",
        LIVE,
        (),
        ("guest ems-3: added",),
        (("vm ems-2 : oam\n", "vm ems-2 : oam\nvm ems-3 : oam\n"),),
        only=1,
    ),
    Pair("a guest less", RESTART, ("ems-2",), ("guest ems-2: removed",), EMS2, only=1),
    Pair(
        "a guest with another name",
        RESTART,
        ("ems-2",),
        ("guest ems-2: removed", "guest ems-9: added"),
        (("ems-2", "ems-9"),),
        only=2,
    ),
    Pair(
        "a disk more",
        RESTART,
        ("ems-1", "ems-2"),
        ("disk vdb: none -> ",),
        (("class oam : cnf {\n", "class oam : cnf {\n  disk log {\n    storage = local\n  }\n"),),
    ),
    # the host's files
    Pair(
        "a sysctl",
        LIVE,
        (),
        ("sysctl `vm.swappiness`: 10 -> 20",),
        tree=edit(SYSCTL, ("swappiness = 10", "swappiness = 20")),
        only=1,
    ),
    Pair(
        "a sysctl less",
        REBOOT,
        GUESTS_A,
        ("sysctl `vm.stat_interval`: 10 -> none", "until the reboot"),
        tree=edit(SYSCTL, ("vm.stat_interval = 10\n", "")),
        only=1,
    ),
    Pair(
        "a sysctl more",
        LIVE,
        (),
        ("sysctl `vm.dirty_ratio`: none -> 5",),
        tree=edit(SYSCTL, ("vm.swappiness", "vm.dirty_ratio = 5\nvm.swappiness")),
        only=1,
    ),
    Pair(
        "a governor",
        LIVE,
        (),
        ("tuned `cpu.governor`: performance -> schedutil",),
        tree=edit(TUNED, ("governor=performance", "governor=schedutil")),
        only=1,
    ),
    Pair("no tuned", LIVE, (), ("tuned `cpu.governor`: performance -> none",), tree=drop(TUNED)),
    Pair(
        "a mask of work",
        LIVE,
        (),
        ("cpumask", "0-3,32-35,64-67,96-99 -> 0-2,"),
        tree=edit(TUNED, ("cpumask=f,", "cpumask=7,"), ("0000000f\n", "00000007\n")),
        only=1,
    ),
    Pair(
        "a module's parameter",
        REBOOT,
        GUESTS_A,
        ("`kvmclock_periodic_sync` of module `kvm`: N -> Y",),
        tree=edit(MODPROBE, ("sync=N", "sync=Y")),
        only=1,
    ),
    Pair("a module's file less", REBOOT, GUESTS_A, ("`nx_huge_pages_recovery_ratio`",), tree=drop(MODPROBE), only=2),
    Pair(
        "services elsewhere",
        REBOOT,
        GUESTS_A,
        ("`CPUAffinity`", "0-1,32-33,64-65,96-97 -> 0-1"),
        tree=edit(MANAGER, ("0-1,32-33,64-65,96-97", "0-1")),
        only=1,
    ),
    Pair(
        "interrupts elsewhere",
        LIVE,
        (),
        ("`Environment`", "4-31", "5-31"),
        tree=edit(IRQBALANCE, ("=4-31", "=5-31")),
        only=1,
    ),
    Pair(
        "one isolated CPU less",
        REBOOT,
        GUESTS_A,
        ("`isolcpus`",),
        tree=edit(GRUB, (FLAGS, FLAGS.replace("4-31", "5-31"))),
        only=1,
    ),
    Pair(
        "a flag of isolcpus less",
        REBOOT,
        GUESTS_A,
        ("`isolcpus`",),
        tree=edit(GRUB, ("managed_irq,domain,", "domain,")),
        only=1,
    ),
    Pair(
        "a boot word more",
        REBOOT,
        GUESTS_A,
        ("`mitigations`: none -> off",),
        tree=edit(GRUB, ('iommu=pt"', 'iommu=pt mitigations=off"')),
        only=1,
    ),
    Pair(
        "a boot word less",
        REBOOT,
        GUESTS_A,
        ("`nmi_watchdog`: 0 -> none",),
        tree=edit(GRUB, (" nmi_watchdog=0", "")),
        only=1,
    ),
    Pair("pages of one node", REBOOT, GUESTS_A, ("on node 1: 96 -> 64",), tree=edit(GRUB, ("1:96", "1:64")), only=1),
    Pair(
        "functions of one more NIC",
        LIVE,
        (),
        ("0000:5e:00.0: 0 -> 4",),
        tree=edit(VFS, ("make_vfs 0000:af:00.0 4", "make_vfs 0000:af:00.0 4\nmake_vfs 0000:5e:00.0 4")),
        only=1,
    ),
    Pair("another loader's file", LIVE, (), ("`/etc/kvmc/cmdline`: none -> a file",), tree=words_in_a_file, only=2),
    Pair(
        "a script that does more",
        REBOOT,
        GUESTS_A,
        ("`/etc/kvmc/make-vfs`",),
        tree=edit(VFS, ("set -u\n", "set -u\nsleep 5\n")),
        only=1,
    ),
    Pair(
        "a host less", REBOOT, ("du-2", "ems-2", "upf-2"), ("edge-17b: host reboot", "the host is gone"), tree=drop_host
    ),
    # guests
    Pair(
        "another pin", LIVE, (), ("guest du-1: the pin of vCPU 3: 39 -> 50",), tree=edit(DU, ('"39"', '"50"')), only=1
    ),
    Pair(
        "another pin of the emulator",
        LIVE,
        (),
        ("the pin of the emulator: 32-33,96-97 -> 32",),
        tree=edit(DU, ('"32-33,96-97"', '"32"')),
        only=1,
    ),
    Pair("a pin on another node", RESTART, ("du-1",), ("the pin of vCPU 3: 39 -> 20 (not live",), tree=far_pin, only=2),
    Pair(
        "a pin and another guest topology",
        RESTART,
        ("du-1",),
        ("the CPU topology", "(not live"),
        tree=edit(DU, ('"39"', '"50"'), ('cores="12" threads="1"', 'cores="6" threads="2"')),
        only=2,
    ),
    Pair(
        "another card",
        RESTART,
        ("ems-1",),
        ("NIC 52:54:00:7a:bd:21", "e1000e"),
        tree=edit(EMS, ('<model type="virtio"/>', '<model type="e1000e"/>')),
        only=1,
    ),
    Pair("another title", LIVE, (), ("its title",), tree=edit(EMS, ("<title>ems-1", "<title>EMS 1")), only=1),
    Pair(
        "another cache of a disk",
        RESTART,
        ("ems-1",),
        ("cache=writeback",),
        tree=edit(EMS, ('cache="none"', 'cache="writeback"')),
        only=1,
    ),
    Pair(
        "a passed function",
        RESTART,
        ("du-1",),
        ("device=0000:af:01.0 -> ", "0000:af:01.3"),
        tree=edit(DU, ('bus="0xaf" slot="0x01" function="0x0"', 'bus="0xaf" slot="0x01" function="0x3"')),
        only=1,
    ),
    Pair(
        "a guest with another name and its UUID",
        RESTART,
        ("ems-1",),
        ("renamed: ems-1 -> ems-0",),
        tree=edit(EMS, ("<name>ems-1", "<name>ems-0")),
        only=1,
    ),
    Pair(
        "a guest on another host",
        MIGRATION,
        ("ems-1",),
        ("edge-17b: migration", "moved: edge-17a -> edge-17b (live migration is possible"),
        tree=move(EMS, A, B, ('<emulatorpin cpuset="', '<emulatorpin cpuset="0,')),
        only=1,
    ),
    Pair(
        "a guest with a function on another host",
        MIGRATION,
        ("du-1",),
        ("(not live: it holds PCI functions",),
        tree=move(DU, A, B, ('bus="0xaf" slot="0x01" function="0x0"', 'bus="0xaf" slot="0x01" function="0x2"')),
        only=1,
    ),
    # what a site may have beyond the example
    Pair(
        "a raw sysctl",
        LIVE,
        (),
        ("`net.core.rmem_max`: 16777216 -> 1",),
        tree=edit(SYSCTL, ("= 16777216", "= 1")),
        only=1,
        rich=True,
    ),
    Pair(
        "another slice",
        LIVE,
        (),
        ("min_granularity_ns`: 4000000 -> 3000000",),
        tree=edit(TUNED, ("=4000000", "=3000000")),
        only=1,
        rich=True,
    ),
    Pair(
        "a raw option of a module",
        REBOOT,
        GUESTS_RICH,
        ("`poll_queues` of module `nvme`: 4 -> 8",),
        tree=edit(MODPROBE, ("poll_queues=4", "poll_queues=8")),
        only=1,
        rich=True,
    ),
    Pair(
        "a raw boot word less",
        REBOOT,
        GUESTS_RICH,
        ("`threadirqs`: set -> none",),
        tree=edit(GRUB, (" threadirqs", "")),
        only=1,
        rich=True,
    ),
    Pair(
        "a part of a raw element",
        RESTART,
        ("ems-1",),
        ("`devices/vsock`: model=virtio (cid address=7 auto=no) -> ", "address=9"),
        tree=edit(EMS, ('address="7"', 'address="9"')),
        only=1,
        rich=True,
    ),
    Pair(
        "the reason of a raw element",
        LIVE,
        (),
        ("guest ems-1: its metadata",),
        tree=edit(EMS, (">for the agent<", ">of late<")),
        only=1,
        rich=True,
    ),
    Pair(
        "an enlightenment less",
        RESTART,
        ("lop-1",),
        ("`features/hyperv`: mode=custom (vpindex state=on) -> mode=custom (vpindex state=off)",),
        tree=edit(LOP, ('<vpindex state="on"/>', '<vpindex state="off"/>')),
        only=1,
        rich=True,
    ),
    Pair(
        "another TPM",
        RESTART,
        ("lop-1",),
        ("`devices/tpm`: model=tpm-crb -> model=tpm-tis",),
        tree=edit(LOP, ("tpm-crb", "tpm-tis")),
        only=1,
        rich=True,
    ),
    Pair(
        "more memory in one of uneven nodes",
        RESTART,
        ("lop-1",),
        ("cell 1: 4GiB with vCPUs 4-5 -> 8GiB with vCPUs 4-5",),
        tree=edit(LOP, ('cpus="4-5" memory="4194304"', 'cpus="4-5" memory="8388608"')),
        only=1,
        rich=True,
    ),
    Pair(
        "a floating vCPU that gets a CPU of its own",
        LIVE,
        (),
        ("guest mix-1: the pin of vCPU 2: ", " -> 49"),
        tree=lambda tree: tree[A].update(
            {MIX: re.sub('vcpu="2" cpuset="[^"]*"', 'vcpu="2" cpuset="49"', tree[A][MIX])}
        ),
        only=1,
        rich=True,
    ),
    Pair(
        "a guest of mixed vCPUs less", RESTART, ("mix-1",), ("guest mix-1: removed",), tree=drop(MIX), only=1, rich=True
    ),
]

EQUAL = [
    Pair(
        "boot words in another order",
        None,
        tree=edit(GRUB, (f"{FLAGS} nohz_full=", "nohz_full="), ('iommu=pt"', f'iommu=pt {FLAGS}"')),
    ),
    Pair(
        "flags of isolcpus in another order",
        None,
        tree=edit(GRUB, ("managed_irq,domain,4-31,36-63", "domain,managed_irq,36-63,4-20,21-31")),
    ),
    Pair("nodes of pages in another order", None, tree=edit(GRUB, ("0:96,1:96", "1:96,0:96"))),
    Pair("a number with a zero", None, tree=edit(GRUB, ("nmi_watchdog=0", "nmi_watchdog=00"))),
    Pair("dashes for underscores", None, tree=edit(GRUB, (" rcu_nocbs=", " rcu-nocbs="))),
    Pair(
        "a page size in MiB",
        None,
        tree=edit(GRUB, (" hugepagesz=1G", " hugepagesz=1024M"), ("default_hugepagesz=1G", "default_hugepagesz=1024M")),
    ),
    Pair("sysctls in another order", None, tree=swap(SYSCTL, r"(?m)^[a-z].*$", lambda lines: lines[::-1])),
    Pair("a sysctl with slashes", None, tree=edit(SYSCTL, ("vm.swappiness = 10", "vm/swappiness=10"))),
    Pair("comments of a sysctl file", None, tree=edit(SYSCTL, ("# page cache", "; page cache"))),
    Pair(
        "a sysctl said twice", None, tree=edit(SYSCTL, ("vm.swappiness = 10", "vm.swappiness = 60\nvm.swappiness = 10"))
    ),
    Pair(
        "options of a module on one line",
        None,
        tree=edit(MODPROBE, ("sync=N\n# no merging of split pages\noptions kvm ", "sync=N ")),
    ),
    Pair("a mask with zeros", None, tree=edit(TUNED, ("cpumask=f,", "cpumask=0000000f,"))),
    Pair(
        "sections of tuned in another order",
        None,
        tree=edit(TUNED, ("[main]\nsummary=kvmc: host edge-17a\n", ""), ("[vm]", "[main]\nsummary=x\n\n[vm]")),
    ),
    Pair("a list of services with spaces", None, tree=edit(MANAGER, ("0-1,32-33,64-65", "0 1 33 32 64-65"))),
    Pair("a list of irqbalance in parts", None, tree=edit(IRQBALANCE, ("=4-31,36-63", "=36-63,4,5-31"))),
    Pair("pins in another order", None, tree=swap(DU, r"<vcpupin [^>]*/>", lambda lines: lines[::-1])),
    Pair("memory in another unit", None, tree=edit(DU, ('<memory unit="KiB">25165824', '<memory unit="GiB">24'))),
    Pair(
        "a set with an exception",
        None,
        tree=edit(DU, ('<emulatorpin cpuset="32-33,96-97"', '<emulatorpin cpuset="32-34,96,97,^34"')),
    ),
    Pair(
        "attributes in another order",
        None,
        tree=edit(DU, ('<memory mode="strict" nodeset="1"/>', "<memory nodeset='1'\n    mode='strict' />")),
    ),
    Pair(
        "an UUID in capitals",
        None,
        tree=edit(DU, ("79600b67-8e62-5ec6-851a-d40e4e870bbd", "79600B67-8E62-5EC6-851A-D40E4E870BBD")),
    ),
    Pair(
        "a scheduler in two lines",
        None,
        tree=edit(
            DU,
            (
                '<vcpusched vcpus="0-11"',
                '<vcpusched vcpus="6-11" scheduler="fifo" priority="1"/><vcpusched vcpus="0-5"',
            ),
        ),
    ),
    Pair("an address in decimals", None, tree=edit(DU, ('bus="0xaf" slot="0x01"', 'bus="175" slot="1"'))),
    Pair(
        "a script with other comments",
        None,
        tree=edit(VFS, ("# pool edge", "# the pool edge"), ("  device=", "    device=")),
    ),
    Pair("the apply list on one line", None, tree=edit("apply.json", ("\n", " "))),
    Pair("a comment in the site", None, site=(("kvmt 1\n", "kvmt 1\n# another word\n"),)),
    Pair(
        "a raw element in another spelling",
        None,
        tree=edit(EMS, ('auto="no" address="7"', "address='7'   auto='no'")),
        rich=True,
    ),
    Pair(
        "a sysctl of a pattern with slashes",
        None,
        tree=edit(SYSCTL, ("net.ipv4.conf.*.rp_filter = 0", "net/ipv4/conf/*/rp_filter=00")),
        rich=True,
    ),
    Pair(
        "enlightenments in another order",
        None,
        tree=swap(LOP, r"<(?:relaxed|vapic) [^>]*/>", lambda lines: lines[::-1]),
        rich=True,
    ),
]
