"""libvirtd inside a booted machine: domains are created paused there, and the kernel of that machine tells where they are.

The machine has the shape of the host and the boot line of the host; libvirt manages cpuset cgroups in it, mounts of huge
pages are those that systemd makes and those of the host's units, bridges and block devices are real ones with the names of the XML.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lab.guests import parse
from lab.initramfs import Payload
from lab.threads import Memory, Thread, by_name, parse_memory, parse_thread

_LIB = "/usr/lib/x86_64-linux-gnu"

_CONF = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
dynamic_ownership = 0
stdio_handler = "file"
"""

PAYLOAD = Payload(
    files={
        "/etc/libvirt/qemu.conf": _CONF,
        "/etc/libvirt/libvirtd.conf": 'auth_unix_rw = "none"\n',
        "/etc/passwd": "root:x:0:0::/root:/bin/sh\nlibvirt-qemu:x:64055:107::/var/lib/libvirt:/bin/false\n",
        "/etc/group": "root:x:0:\nkvm:x:107:\nlibvirt-qemu:x:64055:\ntty:x:5:\n",
        "/etc/nsswitch.conf": "passwd: files\ngroup: files\n",
    },
    programs=("libvirtd", "virsh", "qemu-system-x86_64"),
    trees=(
        f"{_LIB}/libvirt/connection-driver/libvirt_driver_qemu.so",
        f"{_LIB}/qemu/accel-tcg-x86_64.so",
        "/usr/share/libvirt/cpu_map",
        "/usr/share/seabios/bios-256k.bin",
        "/usr/share/qemu/kvmvapic.bin",
        "/usr/share/qemu/firmware/60-edk2-x86_64.json",
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
        "/usr/lib/ipxe/qemu/efi-virtio.rom",
    ),
    modules=("llc", "stp", "bridge", "tun", "loop"),
)

# PID 1 is a shell that waits for this script, so orphans are reaped: else each failed start costs 40 s.
_SCRIPT = r"""#!/bin/sh
step() { echo "start: $*" >/dev/console; }
step mounts
mkdir -p /dev/pts /dev/shm /run/libvirt /var/log/libvirt/qemu /var/lib/libvirt/qemu /var/cache/libvirt/qemu /root
ln -sf /run /var/run
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/hugepages && mount -t hugetlbfs hugetlbfs /dev/hugepages
for module in /lab/modules/*.ko; do insmod "$module"; done
ip link set lo up
. /lab/prepare
step libvirtd
export LC_ALL=C HOME=/root
libvirtd >/lab/libvirtd.log 2>&1 &
daemon=$!
tries=0
until virsh -q -c qemu:///system version >/lab/version 2>&1; do
    tries=$((tries + 1))
    step "no answer yet $tries"
    if [ "$tries" = 150 ] || ! kill -0 $daemon; then cat /lab/version /lab/libvirtd.log; exit 1; fi
    sleep 0.3
done
read_guest() {
    pid=$(cat "/run/libvirt/qemu/$1.pid")
    for task in /proc/$pid/task/*; do
        # A worker that ends while it is read is no thread of the guest's any more.
        text=$(cat "$task/comm" "$task/status" "$task/stat" 2>/dev/null) || continue
        echo "==thread ${task##*/} $pid"
        echo "$text"
    done
    echo "==memory"
    grep -E ' bind|huge' "/proc/$pid/numa_maps"
}
create() {
    step "create $1"
    echo "==attempt $1"
    if virsh -q -c qemu:///system create --paused "/lab/domains/$1.xml" >/lab/said 2>&1; then
        echo "==created"
        read_guest "$2"
    else
        echo "==refused"
        cat /lab/said
    fi
}
destroy() {
    step "destroy $1"
    virsh -q -c qemu:///system destroy "$1"
}
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Create a domain and read it back. label: unique, of letters, digits and dashes. keep: leave it for the next."""

    label: str
    name: str
    xml: str
    keep: bool = True


@dataclass(frozen=True, slots=True)
class Started:
    """refused: why it did not start; then there is nothing else."""

    refused: str | None
    threads: Mapping[str, Thread]
    memory: Memory


def _mounts(files: Mapping[str, str]) -> list[str]:
    """Commands for the mount units of a host (absolute path to text)."""
    made: list[str] = []
    for path, text in sorted(files.items()):
        if path.endswith(".mount"):
            unit = configparser.ConfigParser(interpolation=None)
            unit.optionxform = str  # type: ignore[assignment,method-assign]
            unit.read_string(text)
            mount = unit["Mount"]
            made += [
                f"mkdir -p {mount['Where']}",
                f"mount -t {mount['Type']} -o {mount['Options']} {mount['What']} {mount['Where']}",
            ]
    return made


def _devices(attempts: Sequence[Attempt]) -> list[str]:
    """Commands for the bridges and disks that the domains name."""
    bridges: set[str] = set()
    disks: set[tuple[str, bool]] = set()
    for attempt in attempts:
        for source in parse(attempt.xml).iterfind("devices//source"):
            if bridge := source.get("bridge"):
                bridges.add(bridge)
            for kind in ("file", "dev"):
                if path := source.get(kind):
                    disks.add((path, kind == "dev"))
    made = [f"ip link add {name} type bridge; ip link set {name} up" for name in sorted(bridges)]
    for number, (path, block) in enumerate(sorted(disks)):
        made.append(f"mkdir -p {path.rpartition('/')[0]}")
        if not block:
            made.append(f"truncate -s 16M {path}")
            continue
        made += [
            f"truncate -s 16M /tmp/disk{number}",
            f"[ -b /dev/loop{number} ] || mknod /dev/loop{number} b 7 {number}",
            f"losetup /dev/loop{number} /tmp/disk{number}",
            f"ln -s /dev/loop{number} {path}",
        ]
    return made


def prepare(attempts: Sequence[Attempt], files: Mapping[str, str]) -> tuple[str, Payload]:
    """The script and the payload for `machine.boot`. files: the host's, as installed (absolute path to text)."""
    steps: list[str] = []
    for attempt in attempts:
        steps.append(f"create {attempt.label} {attempt.name}")
        if not attempt.keep:
            steps.append(f"destroy {attempt.name}")
    own = {f"/lab/domains/{attempt.label}.xml": attempt.xml for attempt in attempts}
    own["/lab/prepare"] = "\n".join([*_mounts(files), *_devices(attempts)]) + "\n"
    payload = Payload({**PAYLOAD.files, **own}, PAYLOAD.programs, PAYLOAD.trees, PAYLOAD.modules)
    return _SCRIPT + "\n".join(steps) + "\n", payload


def started(said: str) -> dict[str, Started]:
    """What the script wrote, by the attempt's label."""
    found: dict[str, Started] = {}
    for chunk in re.split(r"^==attempt ", said, flags=re.M)[1:]:
        label, _, rest = chunk.partition("\n")
        outcome, _, body = rest.partition("\n")
        if outcome != "==created":
            found[label] = Started(body.strip() or "refused without a word", {}, Memory({}, frozenset()))
            continue
        tasks, _, numa_maps = body.partition("==memory\n")
        threads: list[tuple[str, Thread]] = []
        for task in re.split(r"^==thread ", tasks, flags=re.M)[1:]:
            head, _, text = task.partition("\n")
            comm, _, text = text.partition("\n")
            status, _, stat = text.rstrip("\n").rpartition("\n")
            tid, pid = head.split()
            threads.append(("emulator" if tid == pid else comm, parse_thread(status, stat)))
        found[label] = Started(None, by_name(threads), parse_memory(numa_maps))
    return found
