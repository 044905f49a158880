"""One change at a time to a tree that is right: the finding it must give, and where; or none, where the meaning stays."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from audit import support
from audit.golden import same, told
from audit.support import HOST, HOUSEKEEPING, ISOLATED, findings, places, shown, tree
from kvmc.diagnostics import Code
from kvmc.diagnostics.codes import audit as codes

RT, WIDE, DU, WEB = (f"domains/{name}.xml" for name in ("rt-1", "wide-1", "du-1", "web-1"))
GRUB, SYSCTL, TUNED = "etc/default/grub.d/zz-kvmc.cfg", "etc/sysctl.d/90-kvmc.conf", "etc/tuned/kvmc/tuned.conf"
MODPROBE, VFS = "etc/modprobe.d/kvmc.conf", "etc/kvmc/make-vfs"
MANAGER, IRQBALANCE = "etc/systemd/system.conf.d/90-kvmc.conf", "etc/systemd/system/irqbalance.service.d/90-kvmc.conf"


@dataclass(frozen=True)
class Mutation:
    """`old` is replaced by `new` in a file. Both empty: the file is taken away; `old` alone empty: added or written anew.

    at: the text that the finding points to, wherever one is told. site: whether it takes the site to see it. more: codes of other
    findings of the same change that are right as well.
    """

    name: str
    file: str
    old: str
    new: str
    code: Code
    at: str | None = None
    site: bool = False
    more: tuple[Code, ...] = ()


def pin(vcpu: int, cpu: str) -> str:
    return f"vcpupin vcpu='{vcpu}' cpuset='{cpu}'"


def moved(name: str, file: str, vcpu: int, old: str, new: str, code: Code, *, site: bool = False) -> Mutation:
    return Mutation(name, file, pin(vcpu, old), pin(vcpu, new), code, new, site)


MUTATIONS = [
    # CPUs owned twice, cores shared
    moved("pin on another guest's CPU", RT, 0, "3", "2", codes.CPU_OWNED_TWICE),
    moved("pin on another guest's CPU of the other node", RT, 0, "3", "8", codes.CPU_OWNED_TWICE),
    moved("two vCPUs of a guest on one CPU", RT, 1, "15", "3", codes.CPU_OWNED_TWICE),
    moved("pin on the idle sibling of an isolated guest", WIDE, 2, "8", "21", codes.CORE_SHARED),
    moved("pin on housekeeping", RT, 0, "3", "0", codes.GUEST_ON_HOUSEKEEPING),
    moved("pin on the shared pool", RT, 0, "3", "1", codes.GUEST_ON_HOUSEKEEPING),
    moved("pin on a CPU that is not there", RT, 0, "3", "99", codes.CPU_ABSENT),
    moved("pin on the other node", RT, 0, "3", "11", codes.FAR_FROM_MEMORY),
    Mutation("pin on a spare CPU without its sibling", RT, pin(0, "3"), pin(0, "5"), codes.GUEST_TOPOLOGY, "5"),
    moved("one core for two vCPUs of an isolated guest", DU, 1, "10", "21", codes.GUEST_DIFFERS, site=True),
    moved("pin widened to a spare CPU", RT, 0, "3", "3,5", codes.FLOATING_IN_ISOLATED),
    moved("shared vCPU on an owned CPU", WEB, 0, "1,13", "1,3", codes.FLOATING_IN_ISOLATED),
    moved("shared vCPU on housekeeping", WEB, 0, "1,13", "0,12", codes.GUEST_DIFFERS, site=True),
    moved("shared vCPU on the other node", WEB, 0, "1,13", "7,19", codes.FAR_FROM_MEMORY),
    Mutation("pin missing", RT, f"    <{pin(2, '4')}/>\n", "", codes.PIN_MISSING, "4"),
    Mutation("pin for no vCPU", RT, f"<{pin(3, '16')}/>", f"<{pin(3, '16')}/><{pin(4, '5')}/>", codes.STRAY, "5"),
    Mutation("pin twice", RT, f"<{pin(3, '16')}/>", f"<{pin(3, '16')}/><{pin(3, '5')}/>", codes.REPEATED, "5"),
    Mutation("pin unreadable", RT, pin(0, "3"), pin(0, "3-"), codes.VALUE_UNREADABLE, "3-", more=(codes.PIN_MISSING,)),
    Mutation("all pins gone", WEB, f"<{pin(0, '1,13')}/>\n    <{pin(1, '1,13')}/>", "", codes.PIN_MISSING, "2"),
    # the emulator and I/O threads
    Mutation(
        "emulator on isolated CPUs",
        RT,
        "emulatorpin cpuset='0,12'",
        "emulatorpin cpuset='0,5'",
        codes.FLOATING_IN_ISOLATED,
        "0,5",
    ),
    Mutation("emulator gone", RT, "<emulatorpin cpuset='0,12'/>", "", codes.HELPER_UNPINNED, "rt-1"),
    Mutation(
        "I/O thread on isolated CPUs",
        RT,
        "iothread='1' cpuset='0,12'",
        "iothread='1' cpuset='5'",
        codes.FLOATING_IN_ISOLATED,
        "5",
    ),
    Mutation("I/O thread's pin gone", RT, "<iothreadpin iothread='1' cpuset='0,12'/>", "", codes.HELPER_UNPINNED, "1"),
    Mutation(
        "I/O thread's pin for another",
        RT,
        "iothread='1' cpuset",
        "iothread='2' cpuset",
        codes.STRAY,
        "0,12",
        more=(codes.HELPER_UNPINNED,),
    ),
    Mutation(
        "disk wants another I/O thread",
        RT,
        "discard='unmap' iothread='1'",
        "discard='unmap' iothread='2'",
        codes.STRAY,
        "/dev/vg0/rt-1-root",
    ),
    Mutation("emulator off a node of the memory", WIDE, "'0,6,12,18'", "'0,12'", codes.EMULATOR_FAR, "0,12"),
    Mutation("emulator on the other node", DU, "'6,18'", "'0,12'", codes.EMULATOR_FAR, "0,12"),
    Mutation("emulator on shared CPUs", DU, "'6,18'", "'7,19'", codes.GUEST_DIFFERS, "7,19", site=True),
    Mutation("emulator on a CPU that is not there", DU, "'6,18'", "'6,24'", codes.CPU_ABSENT, "6,24"),
    # memory and nodes
    Mutation(
        "memnode moved",
        RT,
        "cellid='0' mode='strict' nodeset='0'",
        "cellid='0' mode='strict' nodeset='1'",
        codes.FAR_FROM_MEMORY,
        "0",
    ),
    Mutation(
        "node of the whole memory moved",
        DU,
        "mode='strict' nodeset='1'",
        "mode='strict' nodeset='0'",
        codes.FAR_FROM_MEMORY,
        "0",
    ),
    Mutation(
        "node that is not there", DU, "mode='strict' nodeset='1'", "mode='strict' nodeset='2'", codes.NODE_ABSENT, "2"
    ),
    Mutation(
        "nodeset widened",
        RT,
        "memory mode='strict' nodeset='0'",
        "memory mode='strict' nodeset='0-1'",
        codes.MEMORY_NOT_STRICT,
        "0-1",
    ),
    Mutation("memory preferred", DU, "<memory mode='strict'", "<memory mode='preferred'", codes.MEMORY_NOT_STRICT, "1"),
    Mutation(
        "memnode preferred", RT, "cellid='0' mode='strict'", "cellid='0' mode='preferred'", codes.MEMORY_NOT_STRICT, "0"
    ),
    Mutation(
        "numatune gone",
        DU,
        "<numatune><memory mode='strict' nodeset='1'/></numatune>",
        "",
        codes.MEMORY_NOT_STRICT,
        "du-1",
    ),
    Mutation("memnode gone", WIDE, "<memnode cellid='1' mode='strict' nodeset='1'/>", "", codes.MEMORY_NOT_STRICT),
    Mutation(
        "memnode for no cell", WIDE, "cellid='1'", "cellid='2'", codes.STRAY, "1", more=(codes.MEMORY_NOT_STRICT,)
    ),
    Mutation("pages for no cell", WIDE, "unit='KiB' nodeset='0-1'", "unit='KiB' nodeset='0-2'", codes.STRAY, "1048576"),
    Mutation("cells swapped", WIDE, "cpus='0-1' memory", "cpus='2' memory", codes.CELLS_WRONG),
    Mutation(
        "cell's memory changed",
        WIDE,
        "cpus='0-1' memory='4194304'",
        "cpus='0-1' memory='5242880'",
        codes.CELLS_WRONG,
        "8388608",
    ),
    Mutation("memory changed", DU, ">2097152<", ">3145728<", codes.GUEST_DIFFERS, "3145728", site=True),
    Mutation("memory changed beside cells", RT, "'KiB'>8388608<", "'KiB'>9437184<", codes.CELLS_WRONG, "9437184"),
    Mutation("memory no whole number of pages", DU, ">2097152<", ">2097000<", codes.PAGES_UNEVEN, "2097000"),
    Mutation("memory not locked", RT, "<locked/>", "", codes.GUEST_DIFFERS, "rt-1", site=True),
    # pages
    Mutation(
        "page size that is not there", RT, "page size='1048576'", "page size='4096'", codes.PAGE_SIZE_ABSENT, "4096"
    ),
    Mutation("page size that is not kept", RT, "page size='1048576'", "page size='2048'", codes.PAGES_SHORT, "2048"),
    Mutation(
        "huge pages gone",
        DU,
        "<memoryBacking><hugepages><page size='1048576' unit='KiB'/></hugepages></memoryBacking>",
        "",
        codes.GUEST_DIFFERS,
        "du-1",
        site=True,
    ),
    Mutation(
        "fewer pages on the line",
        GRUB,
        "hugepages=0:16,1:16",
        "hugepages=0:11,1:16",
        codes.PAGES_SHORT,
        "hugepages=0:11,1:16",
    ),
    Mutation(
        "fewer pages than offered",
        GRUB,
        "hugepages=0:16,1:16",
        "hugepages=0:16,1:15",
        codes.OFFER_BROKEN,
        "hugepages=0:16,1:15",
        site=True,
    ),
    Mutation(
        "more pages than offered",
        GRUB,
        "hugepages=0:16,1:16",
        "hugepages=0:17,1:16",
        codes.OFFER_BROKEN,
        "hugepages=0:17,1:16",
        site=True,
    ),
    Mutation("a node's pages gone", GRUB, "hugepages=0:16,1:16", "hugepages=0:16", codes.PAGES_SHORT),
    Mutation(
        "pages on a node that is not there",
        GRUB,
        "hugepages=0:16,1:16",
        "hugepages=0:16,1:16,2:16",
        codes.BOOT_NODE_ABSENT,
        "hugepages=0:16,1:16,2:16",
        more=(codes.PAGES_SHORT, codes.OFFER_BROKEN),
    ),
    Mutation(
        "pages of another size on the line",
        GRUB,
        " hugepagesz=1G",
        " hugepagesz=2M",
        codes.PAGES_SHORT,
        more=(codes.OFFER_BROKEN,),
    ),
    Mutation(
        "more pages than memory",
        GRUB,
        "hugepages=0:16,1:16",
        "hugepages=0:32,1:16",
        codes.MEMORY_SHORT,
        "hugepages=0:32,1:16",
    ),
    # devices and identities
    Mutation(
        "device twice",
        DU,
        "bus='0xaf' slot='0x00'",
        "bus='0x3b' slot='0x02'",
        codes.DEVICE_OWNED_TWICE,
        more=(codes.DEVICE_FAR, codes.GUEST_DIFFERS),
    ),
    Mutation(
        "device of another node",
        DU,
        "bus='0xaf' slot='0x00'",
        "bus='0x3c' slot='0x00'",
        codes.DEVICE_FAR,
        more=(codes.GUEST_DIFFERS,),
    ),
    Mutation(
        "device that is not there", DU, "bus='0xaf'", "bus='0xb0'", codes.DEVICE_ABSENT, more=(codes.GUEST_DIFFERS,)
    ),
    Mutation(
        "VF that is not made", RT, "slot='0x02' function='0x0'", "slot='0x02' function='0x5'", codes.DEVICE_ABSENT
    ),
    Mutation(
        "fewer VFs made",
        VFS,
        "make_vfs 0000:3b:00.0 4",
        "make_vfs 0000:3b:00.0 3",
        codes.OFFER_BROKEN,
        "make_vfs 0000:3b:00.0 3",
        site=True,
    ),
    Mutation("device gone", DU, "type='pci'", "type='usb'", codes.GUEST_DIFFERS, "du-1", site=True),
    Mutation(
        "whole card in place of the VF",
        RT,
        "bus='0x3b' slot='0x02'",
        "bus='0x3c' slot='0x00'",
        codes.GUEST_DIFFERS,
        site=True,
    ),
    Mutation("MAC twice", RT, "52:54:00:00:00:01", "52:54:00:00:00:03", codes.IDENTITY_TWICE, "52:54:00:00:00:03"),
    Mutation("uuid twice", DU, "000000000003", "000000000002", codes.IDENTITY_TWICE),
    Mutation("name twice", DU, ">du-1<", ">rt-1<", codes.GUEST_TWICE, "rt-1", more=(codes.GUEST_MISSING,)),
    Mutation(
        "disk twice",
        DU,
        "du-1-root",
        "rt-1-root",
        codes.DISK_OWNED_TWICE,
        "/dev/vg0/rt-1-root",
        more=(codes.GUEST_DIFFERS,),
    ),
    Mutation(
        "disk elsewhere",
        DU,
        "du-1-root",
        "du-2-root",
        codes.GUEST_DIFFERS,
        "/dev/vg0/du-2-root",
        site=True,
        more=(codes.GUEST_DIFFERS,),
    ),
    Mutation("NIC on another bridge", WEB, "bridge='br0'", "bridge='br1'", codes.GUEST_DIFFERS, site=True),
    # the guest itself
    Mutation(
        "vCPUs added",
        DU,
        ">2</vcpu>",
        ">3</vcpu>",
        codes.PIN_MISSING,
        "3",
        more=(codes.GUEST_TOPOLOGY, codes.GUEST_DIFFERS),
    ),
    Mutation(
        "vCPUs taken", DU, ">2</vcpu>", ">1</vcpu>", codes.STRAY, more=(codes.GUEST_TOPOLOGY, codes.GUEST_DIFFERS)
    ),
    Mutation(
        "threads that are no siblings", DU, "cores='2' threads='1'", "cores='1' threads='2'", codes.GUEST_TOPOLOGY
    ),
    Mutation("topology is no product", RT, "cores='2'", "cores='4'", codes.GUEST_TOPOLOGY),
    Mutation("no FIFO", RT, "scheduler='fifo'", "scheduler='batch'", codes.GUEST_DIFFERS, site=True),
    Mutation("another priority", RT, "priority='1'", "priority='50'", codes.GUEST_DIFFERS, site=True),
    Mutation("FIFO for some vCPUs", RT, "vcpus='0-3'", "vcpus='0-2'", codes.GUEST_DIFFERS, site=True),
    Mutation("FIFO for no vCPU", RT, "vcpus='0-3'", "vcpus='0-4'", codes.STRAY),
    Mutation("another machine", RT, "pc-q35-7.2", "pc-q35-7.1", codes.GUEST_DIFFERS, "pc-q35-7.1", site=True),
    Mutation("another CPU", RT, "host-passthrough", "host-model", codes.GUEST_DIFFERS, "host-model", site=True),
    Mutation("a PMU", RT, "<pmu state='off'/>", "", codes.GUEST_DIFFERS, "rt-1", site=True),
    Mutation("emulation", DU, "type='kvm'", "type='qemu'", codes.GUEST_DIFFERS, "du-1", site=True),
    Mutation("guest gone", DU, "", "", codes.GUEST_MISSING, site=True),
    Mutation(
        "guest that is not asked for",
        WEB,
        ">web-1<",
        ">web-2<",
        codes.GUEST_EXTRA,
        "web-2",
        site=True,
        more=(codes.GUEST_MISSING,),
    ),
    Mutation("a copy of a guest", "domains/copy.xml", "", support.RT, codes.GUEST_TWICE, "rt-1"),
    Mutation(
        "no uuid", DU, "<uuid>3d5b1e1c-5f4e-5d0a-9d6c-000000000003</uuid>", "", codes.GUEST_DIFFERS, "du-1", site=True
    ),
    Mutation("two uuids", DU, "<vcpu ", "<uuid>3d5b1e1c-5f4e-5d0a-9d6c-000000000009</uuid><vcpu ", codes.REPEATED),
    Mutation(
        "less memory at the start",
        DU,
        "<vcpu ",
        "<currentMemory>1048576</currentMemory><vcpu ",
        codes.GUEST_DIFFERS,
        "1048576",
        site=True,
    ),
    Mutation("another QEMU", DU, "<emulator>/q<", "<emulator>/r<", codes.GUEST_DIFFERS, "/r", site=True),
    Mutation(
        "no topology",
        DU,
        "<topology sockets='1' dies='1' cores='2' threads='1'/>",
        "",
        codes.GUEST_DIFFERS,
        "du-1",
        site=True,
    ),
    Mutation(
        "mask beside the pins",
        DU,
        "placement='static'",
        "placement='static' cpuset='9-11'",
        codes.GUEST_DIFFERS,
        "9-11",
        site=True,
    ),
    Mutation("emulator on half of its CPUs", DU, "'6,18'", "'6'", codes.GUEST_DIFFERS, "6", site=True),
    Mutation(
        "shared vCPU on half of its CPUs",
        WEB,
        "vcpu='0' cpuset='1,13'",
        "vcpu='0' cpuset='1'",
        codes.GUEST_DIFFERS,
        "1",
        site=True,
    ),
    Mutation(
        "emulator of a shared guest gone", WEB, "<emulatorpin cpuset='0,12'/>", "", codes.HELPER_UNPINNED, "web-1"
    ),
    Mutation(
        "nodes of a shared guest moved",
        WEB,
        "<memory mode='strict' nodeset='0'/>",
        "<memory mode='strict' nodeset='1'/>",
        codes.FAR_FROM_MEMORY,
    ),
    Mutation(
        "memory of a shared guest preferred",
        WEB,
        "mode='strict'",
        "mode='preferred'",
        codes.MEMORY_NOT_STRICT,
        site=True,
    ),
    Mutation(
        "memnode twice",
        RT,
        "  </numatune>",
        "<memnode cellid='0' mode='strict' nodeset='1'/></numatune>",
        codes.REPEATED,
    ),
    Mutation("cells gone", RT, "<numa><cell id='0' cpus='0-3' memory='8388608' unit='KiB'/></numa>", "", codes.STRAY),
    Mutation(
        "another cache", DU, "cache='none'", "cache='unsafe'", codes.GUEST_DIFFERS, "/dev/vg0/du-1-root", site=True
    ),
    Mutation("another bus", DU, "bus='virtio'", "bus='sata'", codes.GUEST_DIFFERS, "/dev/vg0/du-1-root", site=True),
    Mutation("another NIC model", WEB, "model type='virtio'", "model type='e1000e'", codes.GUEST_DIFFERS, site=True),
    Mutation("NIC without a MAC", WEB, "<mac address='52:54:00:00:00:03'/>", "", codes.GUEST_DIFFERS, site=True),
    Mutation(
        "disk target twice",
        DU,
        "    <hostdev",
        "<disk type='file'><source file='/x'/><target dev='vda'/></disk><hostdev",
        codes.REPEATED,
        more=(codes.GUEST_DIFFERS,),
    ),
    Mutation(
        "distance that is not the host's",
        WIDE,
        "<cell id='0' cpus='0-1' memory='4194304' unit='KiB'/>",
        "<cell id='0' cpus='0-1' memory='4194304'><distances><sibling id='1' value='31'/></distances></cell>",
        codes.GUEST_TOPOLOGY,
        "31",
    ),
    Mutation(
        "distance to no cell",
        WIDE,
        "<cell id='0' cpus='0-1' memory='4194304' unit='KiB'/>",
        "<cell id='0' cpus='0-1' memory='4194304'><distances><sibling id='2' value='21'/></distances></cell>",
        codes.STRAY,
        "21",
    ),
    # sets of the host half
    Mutation(
        "isolcpus shrunk",
        GRUB,
        f"isolcpus=managed_irq,domain,{ISOLATED}",
        "isolcpus=managed_irq,domain,2-5,8-11,14-17,20-22",
        codes.SETS_DISAGREE,
    ),
    Mutation(
        "isolcpus extended to the shared pool",
        GRUB,
        f"domain,{ISOLATED} n",
        f"domain,1,{ISOLATED} n",
        codes.SETS_DISAGREE,
    ),
    Mutation(
        "isolcpus extended to the boot CPU",
        GRUB,
        f"domain,{ISOLATED} n",
        f"domain,0,{ISOLATED} n",
        codes.BOOT_CPU_ISOLATED,
    ),
    Mutation(
        "isolcpus beyond the host", GRUB, f"domain,{ISOLATED} n", f"domain,{ISOLATED},24 n", codes.CPU_OUT_OF_RANGE
    ),
    Mutation("isolcpus without domain", GRUB, f"domain,{ISOLATED} n", f"{ISOLATED} n", codes.OFFER_BROKEN, site=True),
    Mutation("isolcpus gone", GRUB, f"isolcpus=managed_irq,domain,{ISOLATED} n", "n", codes.OFFER_BROKEN, site=True),
    Mutation(
        "nohz_full shrunk",
        GRUB,
        f" nohz_full={ISOLATED}",
        " nohz_full=2-5,8-11,14-17",
        codes.SETS_UNEQUAL,
        "nohz_full=2-5,8-11,14-17",
    ),
    Mutation("nohz_full extended", GRUB, f" nohz_full={ISOLATED}", f" nohz_full=1,{ISOLATED}", codes.SETS_DISAGREE),
    Mutation("rcu_nocbs shrunk", GRUB, f"rcu_nocbs={ISOLATED}", "rcu_nocbs=2-5", codes.SETS_UNEQUAL, "rcu_nocbs=2-5"),
    Mutation(
        "rcu_nocbs unreadable", GRUB, f"rcu_nocbs={ISOLATED}", "rcu_nocbs=2-x", codes.VALUE_UNREADABLE, "rcu_nocbs=2-x"
    ),
    Mutation("irqaffinity on isolated CPUs", GRUB, "irqaffinity=0-1", "irqaffinity=0-2", codes.SETS_DISAGREE),
    Mutation("irqaffinity shrunk", GRUB, "irqaffinity=0-1,", "irqaffinity=0,", codes.SETS_UNEQUAL, site=True),
    Mutation(
        "services on isolated CPUs",
        MANAGER,
        HOUSEKEEPING,
        f"2,{HOUSEKEEPING}",
        codes.SETS_DISAGREE,
        f"2,{HOUSEKEEPING}",
    ),
    Mutation(
        "services on a CPU that is not there", MANAGER, HOUSEKEEPING, f"{HOUSEKEEPING},30", codes.CPU_OUT_OF_RANGE
    ),
    Mutation(
        "services elsewhere",
        MANAGER,
        HOUSEKEEPING,
        "1,7,13,19",
        codes.OFFER_BROKEN,
        "1,7,13,19",
        site=True,
    ),
    Mutation("ban shrunk", IRQBALANCE, ISOLATED, "2-5,8-11,14-17", codes.SETS_DISAGREE, "2-5,8-11,14-17"),
    Mutation("ban on housekeeping", IRQBALANCE, ISOLATED, f"0,{ISOLATED}", codes.SETS_DISAGREE, f"0,{ISOLATED}"),
    Mutation("workqueues on isolated CPUs", TUNED, "=0c30c3", "=0c30c7", codes.SETS_DISAGREE, "0c30c7"),
    # two owners
    Mutation(
        "sysctl in two files",
        "etc/sysctl.d/99-more.conf",
        "",
        "vm.swappiness=10\n",
        codes.KNOB_TWICE,
        "vm.swappiness=10",
    ),
    Mutation(
        "sysctl twice in a file",
        SYSCTL,
        "vm.swappiness = 10\n",
        "vm.swappiness = 10\nvm/swappiness = 1\n",
        codes.KNOB_TWICE,
        "vm/swappiness = 1",
    ),
    Mutation(
        "sysctl in tuned", TUNED, "[sysfs]", "[sysctl]\nvm.swappiness=1\n[sysfs]", codes.KNOB_TWICE, "vm.swappiness=1"
    ),
    Mutation(
        "sysctl on the line", GRUB, "skew_tick=1", "numa_balancing=disable", codes.KNOB_TWICE, "numa_balancing=disable"
    ),
    Mutation("NMI watchdog on the line", GRUB, "skew_tick=1", "nmi_watchdog=0", codes.KNOB_TWICE, "nmi_watchdog=0"),
    Mutation(
        "THP on the line",
        GRUB,
        "skew_tick=1",
        "transparent_hugepage=never",
        codes.KNOB_TWICE,
        "transparent_hugepage=never",
    ),
    Mutation(
        "THP twice in tuned",
        TUNED,
        "[sysfs]",
        "[sysfs]\n/sys/kernel/mm/transparent_hugepage/enabled=always",
        codes.KNOB_TWICE,
    ),
    Mutation(
        "module option on the line", GRUB, "skew_tick=1", "kvm-intel.ple_gap=0", codes.KNOB_TWICE, "kvm-intel.ple_gap=0"
    ),
    Mutation(
        "module option in two files",
        "etc/modprobe.d/other.conf",
        "",
        "options kvm-intel ple_gap=1\n",
        codes.KNOB_TWICE,
        "ple_gap=1",
    ),
    Mutation(
        "module option in tuned", TUNED, "[sysfs]", "[modules]\nkvm_intel=+r ple_gap=0\n[sysfs]", codes.KNOB_TWICE
    ),
    Mutation(
        "boot line in tuned", TUNED, "[sysfs]", "[bootloader]\ncmdline_kvmc=+nohz_full=2-5\n[sysfs]", codes.KNOB_TWICE
    ),
    Mutation("key twice on the line", GRUB, "skew_tick=1", "skew_tick=1 skew_tick=0", codes.KNOB_TWICE, "skew_tick=0"),
    Mutation(
        "pages on the line and in a unit",
        VFS,
        "#!/bin/sh\n",
        "#!/bin/sh\necho 16 > /sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages\n",
        codes.KNOB_TWICE,
        more=(codes.OFFER_BROKEN, codes.MEMORY_SHORT),
    ),
    Mutation(
        "irqbalance's ban in two files",
        "etc/default/irqbalance",
        "",
        f'IRQBALANCE_BANNED_CPULIST="{ISOLATED}"\n',
        codes.KNOB_TWICE,
    ),
    # files
    Mutation("GRUB drop-in gone", GRUB, "", "", codes.PAGES_SHORT, more=(codes.OFFER_BROKEN,)),
    Mutation(
        "GRUB quote open",
        GRUB,
        'skew_tick=1"',
        "skew_tick=1",
        codes.FILE_UNREADABLE,
        more=(codes.PAGES_SHORT, codes.OFFER_BROKEN),
    ),
    Mutation(
        "GRUB runs a command",
        GRUB,
        "skew_tick=1",
        "$(id)",
        codes.NOT_JUDGED,
        more=(codes.PAGES_SHORT, codes.OFFER_BROKEN),
    ),
    Mutation("file that nobody knows", "etc/cron.d/x", "", "* * * * * root true\n", codes.FILE_UNKNOWN),
    Mutation("domain empty", DU, support.DU, "\n", codes.FILE_UNREADABLE, more=(codes.GUEST_MISSING,)),
    Mutation("domain cut off", DU, "</devices>\n</domain>\n", "", codes.FILE_UNREADABLE, more=(codes.GUEST_MISSING,)),
    Mutation(
        "domain with a document type",
        DU,
        "<domain type",
        "<!DOCTYPE d [<!ENTITY a 'b'>]><domain type",
        codes.FILE_UNREADABLE,
        more=(codes.GUEST_MISSING,),
    ),
    Mutation("domain of another kind", DU, "domain", "network", codes.FILE_UNREADABLE, more=(codes.GUEST_MISSING,)),
    Mutation("domain without a name", DU, "<name>du-1</name>", "", codes.FILE_UNREADABLE, more=(codes.GUEST_MISSING,)),
    Mutation("domain without memory", DU, "<memory unit='KiB'>2097152</memory>", "", codes.FILE_UNREADABLE),
    Mutation(
        "a number that is none", DU, ">2097152<", ">2²<", codes.VALUE_UNREADABLE, "2²", more=(codes.FILE_UNREADABLE,)
    ),
    Mutation(
        "sysctl without a value", SYSCTL, "vm.swappiness = 10", "vm.swappiness", codes.VALUE_UNREADABLE, "vm.swappiness"
    ),
    Mutation(
        "settings cut off", SYSCTL, "watchdog = 0\n", "watchdog = 0", codes.FILE_CUT_OFF, "kernel.nmi_watchdog = 0"
    ),
]


def apply(mutation: Mutation) -> dict[str, str]:
    files = tree()
    if not mutation.old and not mutation.new:
        del files[mutation.file]
    elif not mutation.old:
        files[mutation.file] = mutation.new
    else:
        assert mutation.old in files[mutation.file]
        files[mutation.file] = files[mutation.file].replace(mutation.old, mutation.new)
    return files


@pytest.mark.parametrize("site", [False, True], ids=["files", "site"])
def test_the_tree_is_right(site: bool) -> None:
    assert not shown(findings(tree(), with_site=site), tree())


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_finds(mutation: Mutation, pytestconfig: pytest.Config) -> None:
    files = apply(mutation)
    alone = findings(files, with_site=False)
    found = findings(files) if mutation.site else alone
    mine = [item for item in found if item.code is mutation.code]
    assert mine, f"{mutation.code} is not among\n{shown(found, files)}"
    if mutation.old or mutation.new:
        assert any(mutation.file in places(item) for item in mine), shown(mine, files)
    if mutation.at is not None:
        labels = [label for item in mine for label in (item.primary, *item.secondary) if label is not None]
        words = [files[span.file.split("/", 1)[1]][span.start : span.end] for span in (label.span for label in labels)]
        assert mutation.at in words, words
    if mutation.site:
        assert not [item for item in alone if item.code is mutation.code], "the files tell it alone"
    every = findings(files)
    other = [item for item in every if item.code is not mutation.code and item.code not in mutation.more]
    assert not other, shown(other, files)
    texts = {f"{HOST}/{path}": text for path, text in files.items()}
    text = f"{told(alone, texts)}\nwith the site:\n{told(every, texts)}"
    assert same("planted", mutation.name, text, update=pytestconfig.getoption("--update")), text


SAME = [
    (
        "the host's own distances",
        WIDE,
        "<cell id='0' cpus='0-1' memory='4194304' unit='KiB'/>",
        "<cell id='0' cpus='0-1' memory='4194304'><distances><sibling id='1' value='21'/></distances></cell>",
    ),
    ("a mask in another spelling", WIDE, "'0,6,12,18'", "'0,6,12-12,18'"),
    ("a mask with an exception", WIDE, "'0,6,12,18'", "'0,6,12-18,^13-17'"),
    ("a mask with spaces", RT, "emulatorpin cpuset='0,12'", "emulatorpin cpuset=' 0, 12 '"),
    ("a list for a range", RT, "vcpus='0-3'", "vcpus='3,0-1,2'"),
    ("attributes in another order", RT, pin(0, "3"), "vcpupin cpuset='3' vcpu='0'"),
    ("pins in another order", RT, f"<{pin(0, '3')}/>\n    <{pin(1, '15')}/>", f"<{pin(1, '15')}/><{pin(0, '3')}/>"),
    ("double quotes", RT, "cpuset='3'", 'cpuset="3"'),
    ("space in a tag", RT, "cpuset='3'/>", "cpuset = '3'\n  />"),
    ("space in a text", DU, ">2097152<", "> 2097152\n<"),
    ("an element with an end tag", RT, "<locked/>", "<locked></locked>"),
    ("a comment", RT, "<cputune>", "<!-- <vcpupin vcpu='9' cpuset='99'/> --><cputune>"),
    ("a CDATA section", DU, "<name>du-1<", "<name><![CDATA[du-1]]><"),
    ("a character reference", DU, "<name>du-1<", "<name>du&#45;1<"),
    ("a declaration", DU, "<domain type", "<?xml version='1.0' encoding='utf-8'?>\n<domain type"),
    ("another unit", DU, "unit='KiB'>2097152<", "unit='GiB'>2<"),
    ("libvirt's short unit", DU, "size='1048576' unit='KiB'", "size='1' unit='G'"),
    ("the unit left out", DU, "<memory unit='KiB'>", "<memory>"),
    ("a uuid in upper case", DU, "3d5b1e1c", "3D5B1E1C"),
    ("a PCI address in decimal", DU, "bus='0xaf'", "bus='175'"),
    (
        "iothreadids",
        RT,
        "<iothreads>1</iothreads>",
        "<iothreads>1</iothreads><iothreadids><iothread id='1'/></iothreadids>",
    ),
    ("isolcpus as a list", GRUB, f"domain,{ISOLATED} n", "domain,2,3,4,5,8-11,14-17,20-N n"),
    ("a kernel stride", GRUB, "irqaffinity=0-1,6-7,12-13,18-19", "irqaffinity=0-19:2/6"),
    (
        "options in another order",
        GRUB,
        "default_hugepagesz=1G hugepagesz=1G hugepages=0:16,1:16 skew_tick=1",
        "skew_tick=1 default_hugepagesz=1G hugepagesz=1G hugepages=1:16,0:16",
    ),
    ("pages after the default size", GRUB, " hugepagesz=1G", ""),
    ("space in the line", GRUB, " skew_tick=1", "   skew_tick=1  "),
    ("another form of appending", GRUB, 'DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT ', 'DEFAULT+="'),
    ("single quotes in the shell", GRUB, 'skew_tick=1"', "\"'skew_tick=1'"),
    ("an export", GRUB, "GRUB_CMDLINE_LINUX_DEFAULT=", "export GRUB_CMDLINE_LINUX_DEFAULT="),
    ("a sysctl with slashes", SYSCTL, "vm.swappiness", "vm/swappiness"),
    ("a sysctl without spaces", SYSCTL, "vm.swappiness = 10", "vm.swappiness=10"),
    ("a comment in sysctl", SYSCTL, "vm.swappiness", "; vm.swappiness = 9\nvm.swappiness"),
    ("services in ranges", MANAGER, HOUSEKEEPING, "0 6 12 18"),
    ("services in two lines", MANAGER, f"CPUAffinity={HOUSEKEEPING}", f"CPUAffinity=\nCPUAffinity={HOUSEKEEPING}"),
    (
        "a quoted environment",
        IRQBALANCE,
        f"IRQBALANCE_BANNED_CPULIST={ISOLATED}",
        f'"IRQBALANCE_BANNED_CPULIST={ISOLATED}"',
    ),
    ("a dash in a module", MODPROBE, "kvm_intel", "kvm-intel"),
    ("options on one line", MODPROBE, "options kvm kvmclock", "options kvm \\\n  kvmclock"),
    ("a mask with 0x", TUNED, "=0c30c3", "=0x0c30c3"),
]


@pytest.mark.parametrize(("file", "old", "new"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_says_nothing_where_the_meaning_stays(file: str, old: str, new: str) -> None:
    files = tree()
    assert old in files[file]
    files[file] = files[file].replace(old, new)
    assert not shown(findings(files), files)
