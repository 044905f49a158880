"""What the words of the boot line mean: sets of CPUs, huge pages, knobs (Documentation/admin-guide/kernel-parameters.txt)."""

from __future__ import annotations

import re

from kvmc.audit import bootline, cpulists, knobs
from kvmc.audit.hostfiles import HostFiles, Knob, PageSupply, Role, RoleSet
from kvmc.audit.source import At, integer, unreadable
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import audit as codes
from kvmc.topology import Topology

_SIZE = re.compile(r"([0-9]{1,12})([KkMmGgTt]?)(?:i?[Bb])?")
_SHIFT = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}
_ROLES = {
    "nohz_full": Role.NOHZ_FULL,
    "rcu_nocbs": Role.RCU_NOCBS,
    "irqaffinity": Role.IRQ,
    "workqueue.unbound_cpus": Role.WORKQUEUE,
    "kthread_cpus": Role.OTHER,
}
_FLAGS = frozenset({"domain", "nohz", "managed_irq"})


def possible(topology: Topology) -> int:
    """The highest CPU that the host has, online or not."""
    return max((topology.online | (topology.offline or topology.online)), default=0)


def size_kib(text: str) -> int | None:
    """A size as the kernel takes it (memparse): bytes, or with a letter, behind which it reads
    nothing (`1GB` is known from guides); None for no whole number of KiB."""
    match = _SIZE.fullmatch(text)
    if match is None:
        return None
    size = int(match[1]) << _SHIFT[match[2].lower()]
    return size // 1024 if size and size % 1024 == 0 else None


def _roles(option: bootline.Option, value: str) -> tuple[tuple[Role, ...], str] | None:
    """The roles that an option gives to CPUs, and the list; None for an option that gives none."""
    if option.key != "isolcpus":
        role = _ROLES.get(option.key)
        return ((role,), value) if role else None
    flags: list[str] = []
    rest = value
    while (first := rest.split(",", 1)[0]) in _FLAGS:
        flags.append(first)
        rest = rest[len(first) + 1 :]
    roles = {"domain": Role.ISOLATED, "nohz": Role.NOHZ_FULL, "managed_irq": Role.MANAGED_IRQ}
    return tuple(roles[flag] for flag in flags) or (Role.ISOLATED,), rest


def add_sets(word: At[bootline.Option], host: HostFiles, bag: Bag) -> bool:
    """Add the sets of CPUs that an option tells; whether it is one that tells any."""
    key, value = word.value.key, word.value.value
    roles = _roles(word.value, value or "")
    if roles is None or value is None:
        return False
    try:
        cpus = cpulists.kernel_list(roles[1], possible(host.topology))
    except ValueError as problem:
        bag.error(codes.VALUE_UNREADABLE, f"`{key}` cannot be read, and the kernel drops it: {problem}", word.span)
        return True
    host.sets += [RoleSet(role, key, cpus, word.span) for role in roles[0]]
    return True


def interpret(words: list[At[str]], owner: str, host: HostFiles, bag: Bag) -> None:
    """Add what the words mean to the host's values."""
    default = next((w for w in map(bootline.option, words) if w.value.key == "default_hugepagesz"), None)
    if default is not None:
        host.default_page_kib = size_kib(default.value.value or "") or host.default_page_kib
    size: At[int] | None = None
    for word in map(bootline.option, words):
        host.options.append(word)
        key, value = word.value.key, word.value.value or ""
        if key not in knobs.REPEATABLE and not key.startswith("rd.") and word.value.value is not None:
            host.knobs.append(Knob(knobs.boot(key), key, owner, value, word.span))
        elif word.value.value is None and knobs.boot(key) != f"boot:{key}":
            host.knobs.append(Knob(knobs.boot(key), key, owner, "", word.span))
        if add_sets(word, host, bag):
            continue
        if key in ("hugepagesz", "default_hugepagesz"):
            kib = size_kib(value)
            if kib is None:
                unreadable(bag, word.span, "a size of pages", value)
            size = At(kib or 0, word.span)
        elif key == "hugepages":
            _pages(At(value, word.span), owner, size.value if size else host.default_page_kib, host, bag)


def _pages(word: At[str], owner: str, size: int, host: HostFiles, bag: Bag) -> None:
    """`96` or `0:96,1:96`, of the size that stands before it."""
    nodes = [node.id for node in host.topology.nodes if node.memory_kib != 0]
    if not size:
        return
    found: dict[int | None, PageSupply] = {}
    for part in word.value.split(","):
        left, colon, right = part.partition(":")
        node = integer(left) if colon else None
        count = integer(right if colon else left)
        if count is None or (colon and node is None) or (not colon and "," in word.value):
            unreadable(bag, word.span, "a number of pages, or `node:number,...`", word.value)
            return
        if colon and host.topology.node(node if node is not None else -1) is None:
            bag.error(
                codes.BOOT_NODE_ABSENT,
                f"`hugepages={word.value[:100]}` asks node {node} for pages; the host has nodes {_ids(host.topology)}",
                word.span,
                notes=["the kernel drops the whole list for one entry that it cannot use"],
            )
            return
        if node in found:
            bag.error(codes.REPEATED, f"`hugepages={word.value[:40]}` names node {node} twice", word.span)
            return
        found[node] = PageSupply(node, size, count, word.span)
    for supply in found.values():
        host.pages.append(supply)
        for one in nodes if supply.node is None else [supply.node]:
            host.knobs.append(Knob(knobs.pages(size, one), "hugepages", owner, str(supply.count), word.span))


def _ids(topology: Topology) -> str:
    return ", ".join(str(node.id) for node in topology.nodes)
