"""What a domain asks for beyond the facts, element by element: libvirt's definition holds each, with what libvirt adds to it.

That is the firmware of a TPM, Hyper-V's enlightenments, CPU features, what seals memory, mediated devices, and every raw element.
"""

from __future__ import annotations

from kvmc.audit import xml
from kvmc.audit.domain import Domain
from kvmc.verify.canonical import Holds, element, key_of
from kvmc.verify.guest_facts import Fact

_WHOLE = frozenset({"features", "clock", "cpu", "cputune", "devices", "memoryBacking", "numatune", "pm"})
"""What is compared child by child."""

_TOLD = frozenset(
    {
        "name", "uuid", "title", "description", "metadata", "memory", "currentMemory", "vcpu", "vcpus", "iothreads", "iothreadids",
        "os", "numatune", "cpu/model", "cpu/topology", "cpu/numa", "cputune/vcpupin", "cputune/emulatorpin", "cputune/iothreadpin",
        "cputune/vcpusched", "devices/disk", "devices/interface", "features/pmu", "memoryBacking/hugepages", "memoryBacking/locked",
    }
)  # fmt: skip
"""What the facts tell, and what only describes a guest."""


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
            if path not in _TOLD and not (path == "devices/hostdev" and inner.get("type") == "pci"):
                name = " ".join((f"`{path}`", *(part for part in key_of(inner) if part)))
                found.setdefault(name, []).append(inner)
    for name, nodes in found.items():
        facts[name] = Fact(Holds(tuple(map(element, nodes))), _text(nodes[0]), nodes[0].span, loose=True)
    return facts


def _head(node: xml.Node) -> str:
    return " ".join(["<" + node.tag, *(f"{name}='{value}'" for name, value in node.element.attrib.items())]) + ">"


def _text(node: xml.Node) -> str:
    """The whole element, on one line and without the space between its parts."""
    inner = (node.element.text or "").strip() + "".join(map(_text, node.elements()))
    head = _head(node)
    return f"{head}{inner}</{node.tag}>" if inner else f"{head[:-1]}/>"
