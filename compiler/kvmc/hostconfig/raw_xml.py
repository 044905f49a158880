"""Raw elements of guests: one sound XML element each, at a place that may have more, and nothing that kvmc puts there."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from kvmc.diagnostics import Bag, Code, Label
from kvmc.diagnostics.codes import host as codes
from kvmc.hostconfig.guest_io import needs_shared_memory
from kvmc.hostconfig.raw_places import device, lacks, told_by_settings, unsound
from kvmc.knowledge import describe
from kvmc.knowledge.harms import harm
from kvmc.knowledge.model import Knob, Status
from kvmc.knowledge.registry import folklore, rows
from kvmc.model.origins import Origins
from kvmc.model.site import Pinning, Platform, Raw, Site, Vm
from kvmc.model.values import VersionRange

QEMU = "http://libvirt.org/schemas/domain/qemu/1.0"
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9a-fA-F]{1,6});)")
_MOST_DEEP = 16
_SEVERAL = ("cpu/feature", "clock/timer", "os/boot", "seclabel")
"""Elements of which there may be several. Of some kvmc writes one: `topoext` on AMD."""


def parse(text: str, at: str = "") -> ET.Element | str:
    """The element, or what is wrong. No document type, no entities of its own, no comments, no instructions; not deep; of another
    program's namespace in `metadata` alone."""
    for sign, what in (("<!", "a document type, a comment or CDATA"), ("<?", "an instruction")):
        if sign in text:
            return f"has {what}"
    if _ENTITY.search(text):
        return "has an entity of its own"
    try:
        root = ET.fromstring(text)  # noqa: S314 - no document type and no entity is left in it, and it is short
    except ET.ParseError as problem:
        return f"is not well-formed: {str(problem).partition(':')[0]}"
    pending = [(root, 1)]
    while pending:
        node, depth = pending.pop()
        if depth > _MOST_DEEP:
            return f"is more than {_MOST_DEEP} elements deep"
        if node.tag.startswith("{") and not node.tag.startswith(f"{{{QEMU}}}") and at != "metadata":
            return "has a namespace that is not QEMU's of libvirt"
        if at == "metadata" and (not root.tag.startswith("{") or root.tag.startswith("{urn:kvmc:")):
            return "has no namespace of another program, which metadata has"
        if any(name.startswith("{") for name in node.attrib):
            return "has an attribute with a namespace"
        pending += [(child, depth + 1) for child in node]
    return root


def check_guest(site: Site, vm: Vm, origins: Origins, bag: Bag) -> None:
    """All raw elements of a guest, on the platforms of all hosts that it may go to."""
    tops: dict[str, Raw] = {}
    for raw in vm.raws.values():
        element = _sound(vm, raw, origins, bag)
        if element is None:
            continue
        top, once = _top(vm, raw, element)
        if _owned(vm, raw, element, top, tops.get(once), origins, bag):
            continue
        tops.setdefault(once, raw)
        if _folklore(vm, raw, element, origins, bag) or _lacks(vm, raw, element, origins, bag):
            continue
        _known(site, vm, raw, top, element, origins, bag)


def _top(vm: Vm, raw: Raw, element: ET.Element) -> tuple[str, str]:
    """Its path below `<domain>`, and that with the device that it is of, which may have one such."""
    at = raw.at or ""
    of = device(vm, at)
    if of is not None:
        tag = f"{'interface' if of[0] == 'nic' else of[0]}/{element.tag}"
        return f"devices/{tag}", f"{at}/{element.tag}"
    top = element.tag if at == "domain" else f"{at}/{element.tag}"
    return top, top


def _tell(
    code: Code, vm: Vm, raw: Raw, message: str, origins: Origins, bag: Bag, *, help: str = "", other: Label | None = None,
    notes: tuple[str, ...] = (),
) -> None:  # fmt: skip
    path = ("vm", vm.name, "raw", raw.name)
    label = origins.label((*path, "value"))
    bag.error(code, message, label, secondary=[other] if other else [], help=[help] if help else [], notes=notes)


def _sound(vm: Vm, raw: Raw, origins: Origins, bag: Bag) -> ET.Element | None:
    shown = f"`raw {raw.name}` of guest `{vm.name}`"
    if raw.value is None or raw.at is None:
        lacks = "value" if raw.value is None else "at"
        example = "write `at = devices`" if lacks == "at" else 'say the element, as in `value = "<vsock/>"`'
        _tell(codes.RAW_XML, vm, raw, f"{shown} has no `{lacks}`", origins, bag, help=example)
        return None
    if " " in raw.at and device(vm, raw.at) is None:
        help = 'name one that it has, as in `at = "disk root"`'
        _tell(
            codes.RAW_XML, vm, raw, f"{shown} is for `{raw.at}`, which the guest does not have", origins, bag, help=help
        )
        return None
    found = parse(raw.value, raw.at)
    problem = found if isinstance(found, str) else unsound(found) if raw.at == "devices" else ""
    if problem:
        _tell(codes.RAW_XML, vm, raw, f"{shown} {problem}", origins, bag)
    return None if problem or isinstance(found, str) else found


def _owned(vm: Vm, raw: Raw, element: ET.Element, top: str, other: Raw | None, origins: Origins, bag: Bag) -> bool:
    if _written(vm, top, raw, element):
        _tell(
            codes.RAW_OWNED,
            vm,
            raw,
            f"`<{top.rpartition('/')[2]}>` in `<{raw.at}>` of guest `{vm.name}` has two owners: `raw {raw.name}`, and kvmc",
            origins,
            bag,
            help="drop the raw element: kvmc writes such elements by the guest's settings",
        )
    elif other is not None and raw.at != "devices" and top not in _SEVERAL:
        label = origins.label(("vm", vm.name, "raw", other.name), "the other one")
        _tell(
            codes.RAW_OWNED,
            vm,
            raw,
            f"`<{top.rpartition('/')[2]}>` in `<{raw.at}>` of guest `{vm.name}` has two owners: `raw {raw.name}` and "
            f"`raw {other.name}`",
            origins,
            bag,
            help="drop one of them",
            other=label,
        )
    else:
        return False
    return True


def _written(vm: Vm, top: str, raw: Raw, element: ET.Element) -> bool:
    """Whether kvmc writes such an element for such a guest."""
    told = told_by_settings(vm, raw.at or "", element)
    if told is not None:
        return told
    if top == "features/kvm/hint-dedicated":
        return vm.pinning is Pinning.DEDICATED and vm.type == "kvm" and vm.cpu == "host-passthrough"
    if top in _SEVERAL:
        own = ("topoext", *vm.require, *vm.disable)
        return any(f"{quote}{name}{quote}" in (raw.value or "") for name in own for quote in "\"'")
    shared = needs_shared_memory(vm)
    on_demand = {
        "cpu/maxphysaddr": vm.maxphysaddr == "passthrough",
        "features/hyperv": vm.hyperv,
        "features/smm": vm.secure_boot,
        "features/gic": vm.machine.startswith("virt-"),
        "memoryBacking/source": shared,
        "memoryBacking/access": shared,
        "devices/tpm": vm.tpm,
    }
    if top in on_demand:
        return on_demand[top]
    return any(row.status is Status.EMITTED for row in rows("libvirt", top))


def _names(element: ET.Element) -> Iterator[tuple[str, str]]:
    """Every name in an element, with its value: tags, attributes, and what QEMU's own options and CPU features are called."""
    for node in element.iter():
        tag = node.tag.rpartition("}")[2]
        yield tag, (node.text or "").strip()
        for name, value in node.attrib.items():
            yield name, value
            if node.tag.startswith(f"{{{QEMU}}}") or (tag == "feature" and name == "name"):
                yield value, ""
                for word in re.split(r"[\s,]+", value):
                    key, _, given = word.partition("=")
                    yield key, given


def _folklore(vm: Vm, raw: Raw, element: ET.Element, origins: Origins, bag: Bag) -> bool:
    for key, value in _names(element):
        told = folklore(key, value) if key else None
        if told is not None:
            verb = "is not so" if told.status is Status.GARBLED else "does not exist"
            _tell(
                codes.RAW_FOLKLORE,
                vm,
                raw,
                f"`{told.name}` {verb}: {told.real}",
                origins,
                bag,
                help=told.instead,
                notes=(f"meant: {told.meant}", told.source),
            )
            return True
    return False


def _lacks(vm: Vm, raw: Raw, element: ET.Element, origins: Origins, bag: Bag) -> bool:
    what, help = lacks(vm, element) if raw.at == "devices" else ("", "")
    if what:
        message = f"`<{element.tag}>` needs {what}, which guest `{vm.name}` does not have"
        _tell(codes.RAW_LACKS, vm, raw, message, origins, bag, help=f"set `{help}`")
    return bool(what)


def _known(site: Site, vm: Vm, raw: Raw, top: str, element: ET.Element, origins: Origins, bag: Bag) -> None:
    found = _rows(top, element)
    for platform in _platforms(site, vm):
        for row in found:
            if not row.exists_in(_versions(platform)):
                _tell(
                    codes.RAW_LACKS,
                    vm,
                    raw,
                    f"guest `{vm.name}` has no `{row.key}`: it is in {describe.releases(row)}, and platform "
                    f"`{platform.name}` has {platform.libvirt}",
                    origins,
                    bag,
                    other=origins.label(("platform", platform.name, "libvirt"), "the platform's version"),
                    notes=(row.source,),
                )
                return
    if raw.reason is not None:
        return
    shared = vm.pinning is Pinning.SHARED
    for key, value in _harm_keys(top, element):
        harms = harm("libvirt", key, value, shared=shared)
        if harms is not None:
            _tell(
                codes.RAW_HARMFUL,
                vm,
                raw,
                f"`{key}` of guest `{vm.name}` harms: {harms.why}",
                origins,
                bag,
                help='if it is meant, say why, as in `reason = "one tenant, behind a firewall"`',
            )
            return
    if not rows("libvirt", top):
        what = "options that libvirt passes on unseen" if top.startswith("{") else f"`<{top.rpartition('/')[2]}>` there"
        _tell(
            codes.RAW_UNKNOWN,
            vm,
            raw,
            f"kvmc does not know {what}, so it cannot tell whether the platform has it",
            origins,
            bag,
            help='say why it is there, as in `reason = "the vendor asks for it"`',
        )


def _rows(top: str, element: ET.Element) -> list[Knob]:
    found: list[Knob] = []
    pending = [(top, element)]
    while pending:
        path, node = pending.pop()
        for key in (path, *(f"{path}@{name}" for name in node.attrib)):
            found += rows("libvirt", key)
        pending += [(f"{path}/{child.tag}", child) for child in reversed(list(node))]
    return found


def _harm_keys(top: str, element: ET.Element) -> Iterator[tuple[str, str]]:
    pending = [(top, element)]
    while pending:
        path, node = pending.pop()
        yield path, node.get("state", "")
        yield from ((f"{path}@{name}", value) for name, value in node.attrib.items())
        if path == "cpu/feature":
            yield f"cpu/feature {node.get('name', '')}", node.get("policy", "")
        pending += [(f"{path}/{child.tag}", child) for child in reversed(list(node))]


def _platforms(site: Site, vm: Vm) -> list[Platform]:
    """Of the hosts that may have the guest."""
    names = [
        host.platform
        for host in site.hosts.values()
        if (vm.host is None or host.name == vm.host) and (vm.pool is None or host.pool == vm.pool)
    ]
    return [site.platforms[name] for name in dict.fromkeys(names)]


def _versions(platform: Platform) -> VersionRange:
    return platform.libvirt
