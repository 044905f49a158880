"""A small host that is right: two nodes of six cores with two threads, four guests, and all that the host is told; by hand."""

from __future__ import annotations

from kvmc.audit.check import audit_host, audit_site
from kvmc.diagnostics import Diagnostic
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import (
    L3,
    Boot,
    DevicePool,
    Disk,
    Domain,
    Emulator,
    Host,
    Hostdev,
    Iothread,
    Isolation,
    Network,
    Nic,
    Pinning,
    Place,
    Platform,
    Profile,
    Scheduler,
    Site,
    Storage,
    Threads,
    Vm,
)
from kvmc.model.values import PageCount, PciAddress, Version, VersionRange
from kvmc.topology import Node, PciDevice, Sriov, Topology

GIB = 1024**2
HOST = "kvm-a"
HOUSEKEEPING, SHARED, ISOLATED = "0,6,12,18", "1,7,13,19", "2-5,8-11,14-17,20-23"
NIC = PciAddress.parse("0000:3b:00.0")
GPU = PciAddress.parse("0000:af:00.0")
CARD = PciAddress.parse("0000:3c:00.0")


def cpus(text: str) -> CpuSet:
    return CpuSet.parse(text)


def topology() -> Topology:
    return Topology(
        arch="x86_64",
        online=cpus("0-23"),
        nodes=(
            Node(0, cpus("0-5,12-17"), 32 * GIB, {0: 10, 1: 21}, (2048, GIB)),
            Node(1, cpus("6-11,18-23"), 32 * GIB, {0: 21, 1: 10}, (2048, GIB)),
        ),
        packages=(cpus("0-5,12-17"), cpus("6-11,18-23")),
        cores=tuple(CpuSet.of([core, core + 12]) for core in range(12)),
        l3=(cpus("0-2,12-14"), cpus("3-5,15-17"), cpus("6-8,18-20"), cpus("9-11,21-23")),
        pci={
            NIC: PciDevice(NIC, node=0, class_id=0x020000, sriov=Sriov(8, 16, 1)),
            CARD: PciDevice(CARD, node=0, class_id=0x020000),
            GPU: PciDevice(GPU, node=1, class_id=0x030200),
        },
    )


RT = """\
<domain type='kvm'>
  <name>rt-1</name>
  <uuid>3d5b1e1c-5f4e-5d0a-9d6c-000000000001</uuid>
  <memory unit='KiB'>8388608</memory>
  <vcpu placement='static'>4</vcpu>
  <iothreads>1</iothreads>
  <memoryBacking>
    <hugepages>
      <page size='1048576' unit='KiB'/>
    </hugepages>
    <locked/>
  </memoryBacking>
  <cputune>
    <vcpupin vcpu='0' cpuset='3'/>
    <vcpupin vcpu='1' cpuset='15'/>
    <vcpupin vcpu='2' cpuset='4'/>
    <vcpupin vcpu='3' cpuset='16'/>
    <emulatorpin cpuset='0,12'/>
    <iothreadpin iothread='1' cpuset='0,12'/>
    <vcpusched vcpus='0-3' scheduler='fifo' priority='1'/>
  </cputune>
  <numatune>
    <memory mode='strict' nodeset='0'/>
    <memnode cellid='0' mode='strict' nodeset='0'/>
  </numatune>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <features><acpi/><pmu state='off'/></features>
  <cpu mode='host-passthrough'>
    <topology sockets='1' dies='1' cores='2' threads='2'/>
    <numa><cell id='0' cpus='0-3' memory='8388608' unit='KiB'/></numa>
  </cpu>
  <devices>
    <emulator>/q</emulator>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='native' discard='unmap' iothread='1'/>
      <source dev='/dev/vg0/rt-1-root'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:00:00:01'/>
      <source bridge='br0'/>
      <model type='virtio'/>
    </interface>
    <interface type='hostdev' managed='yes'>
      <mac address='52:54:00:00:00:02'/>
      <source><address type='pci' domain='0x0000' bus='0x3b' slot='0x02' function='0x0'/></source>
    </interface>
  </devices>
</domain>
"""

WIDE = """\
<domain type='kvm'>
  <name>wide-1</name>
  <uuid>3d5b1e1c-5f4e-5d0a-9d6c-000000000002</uuid>
  <memory unit='KiB'>8388608</memory>
  <vcpu placement='static'>4</vcpu>
  <memoryBacking>
    <hugepages>
      <page size='1048576' unit='KiB' nodeset='0-1'/>
    </hugepages>
  </memoryBacking>
  <cputune>
    <vcpupin vcpu='0' cpuset='2'/>
    <vcpupin vcpu='1' cpuset='14'/>
    <vcpupin vcpu='2' cpuset='8'/>
    <vcpupin vcpu='3' cpuset='20'/>
    <emulatorpin cpuset='0,6,12,18'/>
  </cputune>
  <numatune>
    <memory mode='strict' nodeset='0-1'/>
    <memnode cellid='0' mode='strict' nodeset='0'/>
    <memnode cellid='1' mode='strict' nodeset='1'/>
  </numatune>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <cpu mode='host-passthrough'>
    <topology sockets='2' dies='1' cores='1' threads='2'/>
    <numa>
      <cell id='0' cpus='0-1' memory='4194304' unit='KiB'/>
      <cell id='1' cpus='2-3' memory='4194304' unit='KiB'/>
    </numa>
  </cpu>
  <devices>
    <emulator>/q</emulator>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='native' discard='unmap'/>
      <source dev='/dev/vg0/wide-1-root'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
"""

DU = """\
<domain type='kvm'>
  <name>du-1</name>
  <uuid>3d5b1e1c-5f4e-5d0a-9d6c-000000000003</uuid>
  <memory unit='KiB'>2097152</memory>
  <vcpu placement='static'>2</vcpu>
  <memoryBacking><hugepages><page size='1048576' unit='KiB'/></hugepages></memoryBacking>
  <cputune>
    <vcpupin vcpu='0' cpuset='9'/>
    <vcpupin vcpu='1' cpuset='10'/>
    <emulatorpin cpuset='6,18'/>
  </cputune>
  <numatune><memory mode='strict' nodeset='1'/></numatune>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <cpu mode='host-passthrough'><topology sockets='1' dies='1' cores='2' threads='1'/></cpu>
  <devices>
    <emulator>/q</emulator>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='native' discard='unmap'/>
      <source dev='/dev/vg0/du-1-root'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <hostdev mode='subsystem' type='pci' managed='yes'>
      <source><address domain='0x0000' bus='0xaf' slot='0x00' function='0x0'/></source>
    </hostdev>
  </devices>
</domain>
"""

WEB = """\
<domain type='kvm'>
  <name>web-1</name>
  <uuid>3d5b1e1c-5f4e-5d0a-9d6c-000000000004</uuid>
  <memory unit='KiB'>2097152</memory>
  <vcpu placement='static'>2</vcpu>
  <cputune>
    <vcpupin vcpu='0' cpuset='1,13'/>
    <vcpupin vcpu='1' cpuset='1,13'/>
    <emulatorpin cpuset='0,12'/>
  </cputune>
  <numatune><memory mode='strict' nodeset='0'/></numatune>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <cpu mode='host-passthrough'><topology sockets='1' dies='1' cores='2' threads='1'/></cpu>
  <devices>
    <emulator>/q</emulator>
    <disk type='block' device='disk'>
      <driver name='qemu' type='raw' cache='none' io='native' discard='unmap'/>
      <source dev='/dev/vg0/web-1-root'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:00:00:03'/>
      <source bridge='br0'/>
      <model type='virtio'/>
    </interface>
  </devices>
</domain>
"""

GRUB = f"""\
# pool compute
#   isolcpus=managed_irq,domain,{ISOLATED}: no balancing
without() (
  set -f
  for word in $1; do
    case $word in
      isolcpus=*|nohz_full=*) ;;
      *) kept="${{kept:+$kept }}$word" ;;
    esac
  done
)
GRUB_CMDLINE_LINUX=$(without "${{GRUB_CMDLINE_LINUX-}}")
GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT isolcpus=managed_irq,domain,{ISOLATED} nohz_full={ISOLATED} \
rcu_nocbs={ISOLATED} irqaffinity=0-1,6-7,12-13,18-19 default_hugepagesz=1G hugepagesz=1G hugepages=0:16,1:16 skew_tick=1"
"""

SYSCTL = """\
# pool compute
kernel.numa_balancing = 0
vm.swappiness = 10
kernel.nmi_watchdog = 0
"""

TUNED = """\
[main]
summary=kvmc: host kvm-a

[cpu]
# no ramp-up of the clock
governor=performance

[vm]
transparent_hugepages=never

[sysfs]
/sys/devices/virtual/workqueue/cpumask=0c30c3
"""

MODPROBE = "options kvm kvmclock_periodic_sync=N\noptions kvm_intel ple_gap=0\n"
MANAGER = f"[Manager]\nCPUAffinity={HOUSEKEEPING}\n"
IRQBALANCE = f"[Service]\nEnvironment=IRQBALANCE_BANNED_CPULIST={ISOLATED}\n"
VFS_UNIT = "[Unit]\nDescription=VFs\n\n[Service]\nType=oneshot\nExecStart=/etc/kvmc/make-vfs\n"
VFS = """\
#!/bin/sh
make_vfs() {
  echo 0 > "/sys/bus/pci/devices/$1/sriov_numvfs"
  echo "$2" > "/sys/bus/pci/devices/$1/sriov_numvfs"
}
make_vfs 0000:3b:00.0 4
"""

_GRUB, _SYSCTL, _TUNED = "etc/default/grub.d/zz-kvmc.cfg", "etc/sysctl.d/90-kvmc.conf", "etc/tuned/kvmc/tuned.conf"


def tree() -> dict[str, str]:
    """All files of the host."""
    return {
        "apply.json": '{"steps": []}\n',
        "domains/rt-1.xml": RT,
        "domains/wide-1.xml": WIDE,
        "domains/du-1.xml": DU,
        "domains/web-1.xml": WEB,
        "etc/default/grub.d/zz-kvmc.cfg": GRUB,
        "etc/sysctl.d/90-kvmc.conf": SYSCTL,
        "etc/tuned/kvmc/tuned.conf": TUNED,
        "etc/modprobe.d/kvmc.conf": MODPROBE,
        "etc/systemd/system.conf.d/90-kvmc.conf": MANAGER,
        "etc/systemd/system/irqbalance.service.d/90-kvmc.conf": IRQBALANCE,
        "etc/systemd/system/kvmc-vfs.service": VFS_UNIT,
        "etc/kvmc/make-vfs": VFS,
    }


def _vm(name: str, **changes: object) -> Vm:
    values: dict[str, object] = {
        "name": name,
        "lineage": (),
        "uuid": None,
        "host": None,
        "pool": None,
        "type": "kvm",
        "vcpus": 2,
        "memory_kib": 2 * GIB,
        "pages_kib": GIB,
        "pinning": Pinning.DEDICATED,
        "threads": Threads.REQUIRE,
        "nodes": 1,
        "l3": L3.ANY,
        "isolation": Isolation.BOOT,
        "emulator": Emulator.HOUSEKEEPING,
        "scheduler": Scheduler.OTHER,
        "priority": 1,
        "machine": "pc-q35-7.2",
        "firmware": "bios",
        "cpu": "host-passthrough",
        "locked": False,
        "pmu": True,
        "disks": {"root": disk()},
        "nics": {},
        "hostdevs": {},
    }
    return Vm.model_validate(values | changes)


def disk(**changes: object) -> Disk:
    values: dict[str, object] = {
        "name": "root",
        "storage": "fast",
        "bus": "virtio",
        "format": "raw",
        "cache": "none",
        "io": "native",
        "discard": "unmap",
        "queues": None,
        "iothread": Iothread.NONE,
        "boot": 1,
    }
    return Disk.model_validate(values | changes)


def _nic(name: str, network: str | None, device: str | None) -> Nic:
    return Nic(name=name, network=network, device=device, mac=None, queues=None)


def site() -> Site:
    """What the tree was asked to be."""
    release = VersionRange(Version(6, 1), Version(6, 1))
    platform = Platform(
        name="deb",
        kernel=release,
        libvirt=release,
        qemu=release,
        tuned=release,
        boot=Boot.GRUB,
        realtime=True,
        emulator="/q",
    )
    host = Host(
        name=HOST,
        pool="compute",
        platform="deb",
        topology=("hosts/kvm-a.json",),
        rack="r1",
        isolation=Isolation.BOOT,
        profile=Profile.REALTIME,
        housekeeping_cores=1,
        housekeeping_threads=8,
        shared_cores=1,
        shared_overcommit=4,
        vswitch_cores=0,
        reserve_memory_kib=4 * GIB,
        reserve_pages=(PageCount(2, GIB),),
        pages=(PageCount(14, GIB),),
        devices={
            "n3": DevicePool(name="n3", parent=NIC, vfs=4, addresses=()),
            "gpu": DevicePool(name="gpu", parent=None, vfs=0, addresses=(GPU,)),
        },
    )
    vms = [
        _vm(
            "rt-1",
            vcpus=4,
            memory_kib=8 * GIB,
            l3=L3.REQUIRE,
            scheduler=Scheduler.FIFO,
            locked=True,
            pmu=False,
            disks={"root": disk(iothread=Iothread.OWN)},
            nics={"oam": _nic("oam", "core", None), "n3": _nic("n3", None, "n3")},
        ),
        _vm("wide-1", vcpus=4, memory_kib=8 * GIB, nodes=2),
        _vm("du-1", threads=Threads.ISOLATE, hostdevs={"gpu": Hostdev(name="gpu", device="gpu")}),
        _vm(
            "web-1",
            pages_kib=None,
            pinning=Pinning.SHARED,
            threads=Threads.PREFER,
            isolation=Isolation.ANY,
            nics={"oam": _nic("oam", "core", None)},
        ),
    ]
    return Site(
        name="s",
        identity="s.example.net",
        targets=("libvirt",),
        platforms={"deb": platform},
        hosts={HOST: host},
        networks={"core": Network(name="core", bridge="br0")},
        storages={"fast": Storage(name="fast", type="block", source="/dev/vg0/{vm}-{disk}")},
        vms={vm.name: vm for vm in vms},
        places={"apart": Place(name="apart", relation="apart", vms=("rt-1", "other"), across=Domain.HOST)},
    )


def findings(files: dict[str, str], *, with_site: bool = True) -> list[Diagnostic]:
    """The audit of one host, by itself or against the site with what only the whole site can tell."""
    if with_site:
        return list(audit_site({HOST: files}, {HOST: topology()}, site()))
    return list(audit_host(HOST, files, topology(), None))


def places(diagnostic: Diagnostic) -> list[str]:
    """The files that a finding points into, below the host's folder."""
    labels = [diagnostic.primary, *diagnostic.secondary]
    return [label.span.file.removeprefix(f"{HOST}/") for label in labels if label is not None]


def shown(diagnostics: list[Diagnostic], files: dict[str, str]) -> str:
    """For a failed assertion."""
    lines = []
    for item in diagnostics:
        words = [
            files.get(label.span.file.removeprefix(f"{HOST}/"), "")[label.span.start : label.span.end]
            for label in (item.primary, *item.secondary)
            if label is not None
        ]
        lines.append(f"{item.code.id} {item.message} {places(item)} {words}")
    return "\n".join(lines)
