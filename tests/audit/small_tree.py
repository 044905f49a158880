"""A small host that is right: two nodes of six cores with two threads, four guests, and all that the host is told; by hand."""

from __future__ import annotations

HOST = "kvm-a"
HOUSEKEEPING, SHARED, ISOLATED = "0,6,12,18", "1,7,13,19", "2-5,8-11,14-17,20-23"

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
