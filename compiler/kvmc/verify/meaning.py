"""What values mean, whoever spells them: `00` and `0`, `0-3` and `0,1,2,3`, `0xf` and `0000000f`, `1G` and `1048576K`."""

from __future__ import annotations

import re
from collections.abc import Callable

from kvmc.audit import cpulists, settings
from kvmc.audit.boot import interpret
from kvmc.audit.bootline import Option
from kvmc.audit.hostfiles import HostFiles
from kvmc.audit.reading import kind_of
from kvmc.audit.source import At, File
from kvmc.diagnostics import Bag
from kvmc.model.cpuset import MAX_CPU, CpuSet
from kvmc.topology.model import Node, Topology

MAX_NODE = 1023
"""The kernel's largest number of nodes is 1024 (CONFIG_NODES_SHIFT 10)."""

ANY_HOST = Topology(
    "unknown", CpuSet.of([MAX_CPU]), tuple(Node(id, CpuSet()) for id in range(MAX_NODE + 1)), None, None, None
)
"""A host with all that a kernel can have: artifacts are read for what they say, not judged by a machine. Of its CPUs
the readers ask for the highest alone."""

PAGE_OPTIONS = frozenset({"hugepages", "hugepagesz"})
"""Options that mean something together only: `pages_of`."""

_CPU_OPTIONS = frozenset({"nohz_full", "rcu_nocbs", "irqaffinity", "kthread_cpus"})
_FLAGS = frozenset({"domain", "nohz", "managed_irq"})
_SIZE = re.compile(r"([0-9]{1,12})([KkMmGgTt])")
_BAN = re.compile(r"\"?(IRQBALANCE_BANNED_CPU(?:LIST|S))=([^\"\s]*)\"?")
_SYSTEMD_LISTS = frozenset({"CPUAffinity", "AllowedCPUs", "AllowedMemoryNodes", "NUMAMask"})
_LISTS = frozenset({"isolated_cores", "banned_cpus", "cpu_affinity", "IRQBALANCE_BANNED_CPULIST"})
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def plain(text: str) -> object:
    """A whole number where it is one, else the words."""
    text = " ".join(text.split())
    return int(text) if _INTEGER.fullmatch(text) else text


def switch(text: str) -> object:
    """As `plain`, and a module's booleans alike (kernel/params.c, param_get_bool: `Y`, `N`)."""
    return {"Y": 1, "y": 1, "N": 0, "n": 0, "on": 1, "off": 0}.get(text.strip(), plain(text))


def option(one: Option) -> object:
    """That of a word of the boot line, but of `PAGE_OPTIONS`."""
    value = one.value
    if value is None:
        return None
    if one.key == "isolcpus":
        parts = value.split(",")
        flags = frozenset(part for part in parts if part in _FLAGS) or frozenset({"domain"})
        return flags, _cpus(",".join(part for part in parts if part not in _FLAGS))
    if one.key in _CPU_OPTIONS or one.key == "workqueue.unbound_cpus":
        return _cpus(value)
    match = _SIZE.fullmatch(value) if one.key == "default_hugepagesz" else None
    if match is not None:
        return int(match[1]) << {"k": 0, "m": 10, "g": 20, "t": 30}[match[2].lower()]
    return plain(value)


def _cpus(text: str) -> object:
    try:
        return cpulists.kernel_list(text, MAX_CPU)
    except ValueError:
        return text


def setting(key: str, value: str) -> object:
    """That of a value in sysctl.d, modprobe.d, tuned or systemd, by its key."""
    ban = _BAN.fullmatch(value) if key == "Environment" else None
    if ban is not None:
        return ban[1], setting(ban[1], ban[2])
    parse: Callable[[str], CpuSet] | None = None
    if key in _SYSTEMD_LISTS:
        parse = cpulists.systemd_list
    elif key in _LISTS:
        parse = cpulists.any_list
    elif key.endswith(("cpumask", "smp_affinity", "IRQBALANCE_BANNED_CPUS")):
        parse = cpulists.hex_mask
    try:
        return parse(value) if parse else plain(value)
    except ValueError:
        return plain(value)


def pages_of(host: HostFiles) -> dict[tuple[int | None, int], int]:
    """Huge pages that a host is told to keep: (node, size in KiB) -> number; node None is 'spread over all'."""
    found: dict[tuple[int | None, int], int] = {}
    for supply in host.pages:
        key = (supply.node, supply.size_kib)
        found[key] = found.get(key, 0) + supply.count
    return found


def boot_words(words: list[At[str]]) -> HostFiles:
    """What the words of a running kernel mean; what can't be read is left out."""
    host = HostFiles("", ANY_HOST)
    interpret(words, "", host, Bag())
    return host


Facts = dict[tuple[str, ...], object]


def facts(path: str, text: str) -> Facts | None:
    """What one file of settings says, by section and key; a key that stands several times has a tuple of its values.

    None for a file that has no such form (a script, a boot line), which is compared as text or as a line.
    """
    file = File(path, path, text)
    bag = Bag()
    kind = kind_of(path)
    if kind == "sysctl":
        entries = settings.read_sysctl(file, bag)
    elif kind == "modprobe":
        entries = settings.read_modprobe(file, bag)
    elif kind in ("tuned", "unit"):
        entries = settings.read_sections(file, bag)
    else:
        return None
    found: dict[tuple[str, ...], list[object]] = {}
    for entry in entries:
        if entry.key not in ("summary", "description", "Description", "Documentation"):
            found.setdefault((entry.section, entry.key), []).append(setting(entry.key, entry.value.value))
    last_wins = kind in ("sysctl", "tuned")
    return {key: values[-1] if last_wins or len(values) == 1 else tuple(values) for key, values in found.items()}


def body(text: str) -> str:
    """A script without comments, empty lines and space around its lines."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not (line.startswith("#") and not line.startswith("#!")))


def same_file(path: str, one: str, other: str) -> bool:
    """Whether two texts of one file mean the same."""
    if one == other:
        return True
    left, right = facts(path, one), facts(path, other)
    return left == right if left is not None and right is not None else body(one) == body(other)
