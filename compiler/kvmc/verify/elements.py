"""What a domain asks for beyond the facts, element by element: libvirt's definition holds each, with what libvirt adds to it.

That is the firmware of a TPM, Hyper-V's enlightenments, CPU features, what seals memory, mediated devices, and every raw element.
"""

from __future__ import annotations

from kvmc.audit import xml
from kvmc.audit.domain import Domain
from kvmc.verify.canonical import Canonical, Holds, element, key_of
from kvmc.verify.guest_facts import Fact

_WHOLE = frozenset({"features", "clock", "cpu", "cputune", "devices", "memoryBacking", "numatune", "pm"})
"""What is compared child by child."""

_TOLD = frozenset(
    {
        "name", "uuid", "title", "description", "metadata", "sysinfo",
        "memory", "currentMemory", "vcpu", "vcpus", "iothreads", "iothreadids",
        "os", "numatune", "cpu/model", "cpu/topology", "cpu/numa", "cputune/vcpupin", "cputune/emulatorpin", "cputune/iothreadpin",
        "cputune/vcpusched", "features/pmu", "memoryBacking/hugepages", "memoryBacking/locked",
    }
)  # fmt: skip
"""What the facts tell, what only describes a guest, and what a capture leaves out since it may hold a secret."""

_PARTS_TOLD = frozenset({"address", "driver", "mac", "model", "source", "target"})
"""Of disks, NICs and passed functions."""


def elements(domain: Domain, *, live: bool = False) -> dict[str, Fact]:
    """By what they are called in a message. live: of a running guest, whose `host-model` has become another."""
    found: dict[str, list[xml.Node]] = {}
    facts: dict[str, Fact] = {}
    for node in domain.root.elements():
        became = live and node.tag == "cpu" and domain.cpu is not None and domain.cpu.value == "host-model"
        if became or node.tag in _TOLD:
            continue
        if node.tag not in _WHOLE:
            found.setdefault(f"`{node.tag}`", []).append(node)
            continue
        tag, attributes, _, _ = element(node)
        if attributes:
            facts[f"`{node.tag}`"] = Fact(Holds(((tag, attributes, "", ()),)), _head(node), node.span, loose=True)
        for inner in node.elements():
            path = f"{node.tag}/{inner.tag}"
            key = " ".join(part for part in key_of(inner) if part)
            passed = path == "devices/hostdev" and inner.get("type") == "pci"
            if passed or path in ("devices/disk", "devices/interface"):
                for part in inner.elements():
                    if part.tag not in _PARTS_TOLD:
                        found.setdefault(f"`{path}/{part.tag}` {key}", []).append(part)
            elif path not in _TOLD:
                found.setdefault(f"`{path}` {key}".rstrip(), []).append(inner)
    for name, nodes in found.items():
        facts[name] = Fact(
            Holds(tuple(_open(element(node)) for node in nodes)), _text(nodes[0]), nodes[0].span, loose=True
        )
    return facts


def _open(meaning: Canonical) -> Canonical:
    """Without what a capture leaves out: QEMU's environment, and passwords."""
    tag, attributes, text, children = meaning
    assert isinstance(attributes, tuple) and isinstance(children, tuple)
    inner = tuple(_open(child) for child in children if not child[0].endswith("}env"))
    return tag, tuple(pair for pair in attributes if pair[0] != "passwd"), text, inner


def _head(node: xml.Node) -> str:
    return " ".join(["<" + node.tag, *(f"{name}='{value}'" for name, value in node.element.attrib.items())]) + ">"


def _text(node: xml.Node) -> str:
    """The whole element, on one line and without the space between its parts."""
    inner = (node.element.text or "").strip() + "".join(map(_text, node.elements()))
    head = _head(node)
    return f"{head}{inner}</{node.tag}>" if inner else f"{head[:-1]}/>"
