"""A machine of a host's shape, booted, and what the kernel made of a command line and sysctls.

QEMU on TCG has the topology's CPUs, nodes and memory; the kernel is the distribution's.

What is not proven: siblings and L3s. Each CPU is a package of its own, since QEMU numbers siblings side by side and most machines
do not; so CPU n is in the right node, which is what the settings name. Nodes are numbered from 0 without holes, as QEMU does.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kvmc.model.cpuset import CpuSet, union
from kvmc.topology.model import Topology
from lab import initramfs, kernel
from lab.initramfs import InitramfsError, Payload

MEMORY_LIMIT_KIB = 96 << 20
"""Above this the page tables of a guest alone make this machine swap: a test that needs more says so itself."""


# lpj spares each CPU a calibration that a loaded machine makes long and wrong. tsc=reliable would spare more, but
# hung 2 of about 12 boots: a clock that was measured under load is then believed. no_timer_check: under load the timer's
# interrupt comes too late for the kernel's check of its wiring, which ends in a panic.
_OURS = "console=ttyS0 rdinit=/init panic=-1 lpj=4000000 no_timer_check rodata=off cryptomgr.notests"


class BootError(Exception):
    """The machine did not come up, or can't be made. The text ends with the last of its console."""


class SilentError(BootError):
    """The machine gave no sign of life, or was killed at its limit."""


@dataclass(frozen=True, slots=True)
class NodeShape:
    cpus: CpuSet
    memory_kib: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What QEMU is told. nodes: the index is the node's id in the machine. offline: taken down before anything is read."""

    nodes: tuple[NodeShape, ...]
    offline: CpuSet = field(default_factory=CpuSet)
    node_ids: tuple[int, ...] = ()
    """The ids in the topology, where they differ from the machine's."""
    intel: bool = False
    """With Intel's IOMMU, so that its words have something to set. The lab's kernel has no driver for AMD's."""

    @property
    def cpus(self) -> int:
        return len(union(node.cpus for node in self.nodes))

    @property
    def memory_kib(self) -> int:
        return sum(node.memory_kib for node in self.nodes)


def shape_of(topology: Topology, *, default_node_kib: int | None = None) -> Shape:
    """The machine for a topology. CPU numbers that are not online are made, in the first node, and taken offline.

    default_node_kib: memory of a node whose topology does not tell. Raises BootError where there is none.
    """
    highest = max(topology.online, default=0)
    holes = CpuSet.of(range(highest + 1)) - topology.online
    nodes: list[NodeShape] = []
    for node in topology.nodes:
        memory = node.memory_kib if node.memory_kib is not None else default_node_kib
        if memory is None:
            raise BootError(f"the topology does not tell the memory of node {node.id}")
        # QEMU wants whole pages; hosts report what is left after the firmware took its part.
        nodes.append(NodeShape(node.cpus if nodes else node.cpus | holes, -(-memory // 2048) * 2048))
    ids = tuple(node.id for node in topology.nodes)
    return Shape(
        tuple(nodes),
        holes,
        ids if ids != tuple(range(len(ids))) else (),
        topology.cpu is not None and topology.cpu.vendor == "GenuineIntel",
    )


def scaled(shape: Shape, words: Sequence[str], factor: int) -> tuple[Shape, tuple[str, ...]]:
    """The machine with its memory divided, and the line with its huge pages divided alike (rounded down), no more."""
    nodes = tuple(NodeShape(node.cpus, node.memory_kib // factor // 2048 * 2048) for node in shape.nodes)
    line: list[str] = []
    for word in words:
        key, _, value = word.partition("=")
        if key == "hugepages":
            value = re.sub(r"(\d+:)?(\d+)", lambda match: f"{match[1] or ''}{int(match[2]) // factor}", value)
            word = f"hugepages={value}"
        line.append(word)
    return replace(shape, nodes=nodes), tuple(line)


@dataclass(frozen=True, slots=True)
class Booted:
    """The machine's own words. rcu_nocbs: CPUs whose RCU callbacks others run. pages: huge pages by (node, size in KiB).
    default_page_kib: the huge page size that is meant where none is named. sysctls: each key asked for, by its value, blanks as
    one space; None where the kernel has no such key. unknown: words that the kernel took for nobody's. iommu: the kinds of DMA
    domain in use (`identity`, `DMA-FQ`), none without an IOMMU. script: what the script wrote, then how it ended. retried: why
    a first boot was given up, None where it wasn't; its time is not in `seconds`."""

    cmdline: str
    online: CpuSet
    isolated: CpuSet
    nohz_full: CpuSet
    rcu_nocbs: CpuSet
    irq_affinity: CpuSet
    thp: str
    pages: Mapping[tuple[int, int], int]
    default_page_kib: int
    node_cpus: Mapping[int, CpuSet]
    sysctls: Mapping[str, str | None]
    unknown: tuple[str, ...]
    iommu: frozenset[str]
    release: str
    seconds: float
    script: str
    dmesg: str
    retried: str | None = None


_INIT = r"""#!/bin/busybox sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
/bin/busybox --install -s /bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
dmesg -n 1
out=/dev/ttyS1
stty -F $out raw
part() { echo "reading $1" >/dev/console; echo "@@ $1"; shift; "$@"; echo; }
for cpu in $(cat /lab/offline); do echo 0 >/sys/devices/system/cpu/cpu$cpu/online; done
/lab/sysctl -p /lab/sysctl.conf >/lab/sysctl.log 2>&1
if [ -x /lab/script ]; then /lab/script >/lab/script.log 2>&1; echo "ended with $?" >>/lab/script.log; fi
{
part release uname -r
part cmdline cat /proc/cmdline
part online cat /sys/devices/system/cpu/online
part isolated cat /sys/devices/system/cpu/isolated
part nohz_full cat /sys/devices/system/cpu/nohz_full
part irq cat /proc/irq/default_smp_affinity
part meminfo grep Hugepagesize /proc/meminfo
part iommu sh -c 'cat /sys/kernel/iommu_groups/*/type 2>/dev/null'
part thp cat /sys/kernel/mm/transparent_hugepage/enabled
part nodes grep -H '' /sys/devices/system/node/node*/cpulist
part pages grep -H '' /sys/devices/system/node/node*/hugepages/*/nr_hugepages
echo "@@ sysctls"
while read -r key; do
    file=/proc/sys/$key
    if [ -r "$file" ]; then echo "$key = $(tr '\n\t' '  ' <"$file")"; else echo "$key : none"; fi
done </lab/keys
[ -e /lab/script.log ] && part script cat /lab/script.log
part dmesg dmesg
echo "@@ end"
} >$out 2>&1
poweroff -f
"""


def _key_path(key: str) -> str:
    """sysctl.d's spelling of a key below /proc/sys: the first of `.` and `/` is the separator (sysctl.d(5))."""
    if "/" in key.partition(".")[0]:
        return key
    return key.translate(str.maketrans("./", "/."))


def sysctl_lines(text: str) -> dict[str, str]:
    """Keys and values of a sysctl.d file, as sysctl.d(5) reads them; a leading `-` is no part of the key."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.lstrip()[0] in "#;":
            continue
        key, equals, value = line.partition("=")
        if equals:
            found[key.strip().removeprefix("-")] = " ".join(value.split())
    return found


def _payload(shape: Shape, sysctl_text: str, script_text: str, payload: Payload) -> Payload:
    """The payload with the harness's own files."""
    own = {
        "/init": _INIT,
        "/lab/sysctl.conf": sysctl_text,
        "/lab/keys": "".join(_key_path(key) + "\n" for key in sysctl_lines(sysctl_text)),
        "/lab/offline": " ".join(str(cpu) for cpu in shape.offline) + "\n",
    }
    if script_text:
        own["/lab/script"] = script_text
    return replace(payload, files={**payload.files, **own})


def _argv(shape: Shape, folder: Path, image: Path, archive: Path, cmdline: str) -> list[str]:
    # setpriv: QEMU dies with us, however we die.
    argv = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "--",
        "qemu-system-x86_64",
        "-machine",
        "q35",
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max,la57=off",
    ]
    argv += ["-smp", f"{shape.cpus},sockets={shape.cpus},cores=1,threads=1", "-m", f"{shape.memory_kib}K"]
    for index, node in enumerate(shape.nodes):
        memory = f",memdev=ram{index}" if node.memory_kib else ""
        if node.memory_kib:
            argv += ["-object", f"memory-backend-ram,id=ram{index},size={node.memory_kib}K,reserve=off"]
        argv += ["-numa", f"node,nodeid={index}{memory}"]
    for index, node in enumerate(shape.nodes):
        for cpu in node.cpus:
            argv += ["-numa", f"cpu,node-id={index},socket-id={cpu}"]
    argv += ["-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-monitor", "none"]
    argv += ["-serial", f"file:{folder / 'console'}", "-serial", f"file:{folder / 'report'}"]
    if shape.intel:
        argv += ["-device", "intel-iommu"]
    return [*argv, "-kernel", str(image), "-initrd", str(archive), "-append", cmdline]


_NO_PAYLOAD = Payload()


def boot(
    shape: Shape,
    cmdline: str | Sequence[str],
    sysctl_text: str = "",
    *,
    script_text: str = "",
    payload: Payload = _NO_PAYLOAD,
    limit: float = 180,
    silence: float | None = None,
    memory_limit_kib: int = MEMORY_LIMIT_KIB,
) -> Booted:
    """Boot, apply the sysctls, run the script (`#!/bin/sh`, busybox) with the payload at hand, read back.

    cmdline: the words under test; the harness puts its own behind. silence: seconds without a line on the console after which
    the machine is given up and booted once more; by its size where None. `limit` holds for each boot.

    Raises BootError after the second such boot, on a panic, or where the machine is too large for this one.
    """
    image = kernel.image()
    if image is None:
        raise BootError("no kernel image; tests/lab/install.sh fetches it")
    numbers = union(node.cpus for node in shape.nodes)
    if numbers != CpuSet.of(range(shape.cpus)):
        raise BootError(f"the nodes have the CPUs {numbers}; QEMU numbers them from 0 without holes")
    if shape.memory_kib > memory_limit_kib:
        raise BootError(
            f"the machine needs {shape.memory_kib >> 20} GiB, above the limit of {memory_limit_kib >> 20} GiB"
        )
    if silence is None:
        # Each node's CPUs come up, and each node's memory is laid out, without a word.
        silence = 30 + shape.cpus / 2 + (shape.memory_kib >> 20) / 8
    words = cmdline if isinstance(cmdline, str) else " ".join(cmdline)
    with tempfile.TemporaryDirectory(prefix="kvmc-boot-") as name:
        folder = Path(name)
        try:
            archive = initramfs.build(folder, _payload(shape, sysctl_text, script_text, payload))
        except (InitramfsError, FileNotFoundError) as error:
            raise BootError(str(error)) from error
        argv = _argv(shape, folder, image, archive, f"{words} {_OURS}".strip())
        report, seconds, retried = _run_again(argv, folder, limit, silence)
        return replace(_read(report, seconds), retried=retried)


def _run_again(argv: Sequence[str], folder: Path, limit: float, silence: float) -> tuple[str, float, str | None]:
    """The report, the seconds it took, and why a first machine was given up."""
    retried = None
    started = time.monotonic()
    try:
        report = _run(argv, folder, limit, silence)
    except SilentError as error:
        retried = str(error).splitlines()[0]
        started = time.monotonic()
        report = _run(argv, folder, limit, silence)
    return report, time.monotonic() - started, retried


def _run(argv: Sequence[str], folder: Path, limit: float, silence: float) -> str:
    console, report, said = (folder / name for name in ("console", "report", "said"))
    for path in (console, report):
        path.write_bytes(b"")
    gone = None
    with (
        said.open("wb") as out,
        subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, process_group=0) as qemu,
    ):
        try:
            started = heard = time.monotonic()
            seen = 0
            while qemu.poll() is None and gone is None:
                time.sleep(0.05)
                now, size = time.monotonic(), console.stat().st_size + report.stat().st_size
                if size != seen:
                    seen, heard = size, now
                if now - started > limit:
                    gone = f"no report within {limit:.0f} s"
                elif now - heard > silence:
                    gone = f"silent for {silence:.0f} s, {heard - started:.0f} s after the start"
        finally:
            if qemu.poll() is None:
                os.killpg(qemu.pid, signal.SIGKILL)
    text = report.read_text(errors="replace")
    if "@@ end" in text:
        return text.replace("\r", "")
    why = gone or f"QEMU ended with {qemu.returncode}"
    log = "\n".join(
        (why, said.read_text(errors="replace")[-1000:], text[-500:], console.read_text(errors="replace")[-3000:])
    )
    raise (SilentError if gone else BootError)(log)


def _read(report: str, seconds: float) -> Booted:
    parts: dict[str, str] = {}
    for chunk in re.split(r"^@@ ", report, flags=re.M)[1:]:
        name, _, body = chunk.partition("\n")
        parts[name] = body.strip()
    pages = {
        (int(node), int(size)): int(count)
        for node, size, count in re.findall(r"/node(\d+)/hugepages/hugepages-(\d+)kB/\w+:(\d+)", parts["pages"])
    }
    sysctls: dict[str, str | None] = {}
    for line in parts["sysctls"].splitlines():
        key, equals, value = line.partition(" = ")
        sysctls[key if equals else line.partition(" : ")[0]] = " ".join(value.split()) if equals else None
    unknown = re.search(r'Unknown kernel command line parameters "([^"]*)"', parts["dmesg"])
    chosen = re.search(r"\[(\w+)\]", parts["thp"])
    nocbs = re.search(r"Offload RCU callbacks from CPUs: (\S+?)\.?$", parts["dmesg"], re.M)
    default = re.search(r"Hugepagesize:\s+(\d+) kB", parts["meminfo"])
    return Booted(
        cmdline=parts["cmdline"],
        online=CpuSet.parse(parts["online"]),
        isolated=CpuSet.parse(parts["isolated"]),
        nohz_full=CpuSet() if "null" in parts["nohz_full"] else CpuSet.parse(parts["nohz_full"]),
        rcu_nocbs=CpuSet.parse(nocbs[1]) if nocbs and nocbs[1] != "(none)" else CpuSet(),
        irq_affinity=CpuSet(int(parts["irq"].replace(",", ""), 16)),
        thp=chosen[1] if chosen else "",
        pages=pages,
        default_page_kib=int(default[1]) if default else 0,
        node_cpus={
            int(node): CpuSet.parse(cpus) for node, cpus in re.findall(r"/node(\d+)/cpulist:(\S*)", parts["nodes"])
        },
        sysctls=sysctls,
        unknown=tuple(unknown[1].split()) if unknown else (),
        iommu=frozenset(parts["iommu"].split()),
        release=parts["release"],
        seconds=seconds,
        script=parts.get("script", ""),
        dmesg=parts["dmesg"],
    )
