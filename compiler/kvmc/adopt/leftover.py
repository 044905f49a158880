"""What no setting says of a domain: the elements that may become raw, each where it may stand.

Whether one may is asked of the same check that a build makes (site.py). What kvmc writes anyway, and what is only the state of a
guest that ran, is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING

from kvmc.adopt.compare import secret, serial
from kvmc.adopt.words import RawCandidate
from kvmc.hostconfig.raw_places import OWN, WHOLE

if TYPE_CHECKING:
    from lxml.etree import _Element

_PLACES = (
    *("domain", "metadata", "devices", "features", "features/kvm", "features/hyperv", "cputune", "memoryBacking"),
    *("clock", "os"),
)
_CONTAINERS = frozenset(
    f"domain/{tag}"
    for tag in ("devices", "features", "cputune", "memoryBacking", "clock", "os", "cpu", "numatune", "metadata")
) | {"features/kvm", "features/hyperv"}
_MOST_RAW = 4096
_STATE = frozenset(("alias", "backingStore", "mirror"))
_TAPS = ("vnet", "macvtap", "macvlan", "vnic")
"""What libvirt's own names of a NIC's other end begin with: it makes them anew."""
_HABITS = frozenset(
    (
        *("<on_poweroff>destroy</on_poweroff>", "<on_reboot>restart</on_reboot>", "<on_crash>destroy</on_crash>"),
        "<pm><suspend-to-mem enabled='no'/><suspend-to-disk enabled='no'/></pm>",
        *("<apic/>", "<vmport state='off'/>", "<boot dev='hd'/>", "<audio id='1' type='none'/>"),
        *("<timer name='rtc' tickpolicy='catchup'/>", "<timer name='pit' tickpolicy='delay'/>"),
        *(
            "<timer name='hpet' present='no'/>",
            "<memballoon model='virtio'/>",
            "<watchdog model='itco' action='reset'/>",
        ),
        "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>",
        *("<serial type='pty'/>", "<serial type='pty'><target port='0'/></serial>"),
        "<serial type='pty'><target type='isa-serial' port='0'/></serial>",
        "<serial type='pty'><target type='isa-serial' port='0'><model name='isa-serial'/></target></serial>",
        *("<console type='pty'/>", "<console type='pty'><target type='serial' port='0'/></console>"),
    )
)
"""What kvmc writes of what no setting says, in the ways that libvirt writes it."""
_LINES = ("devices/serial", "devices/console")
_TOGETHER = (*_LINES, "os/boot", "devices/watchdog")
"""Of these all are raw or none: a raw one takes the place of all that kvmc has."""


def leftover(root: _Element, modelled: Mapping[_Element, str]) -> list[RawCandidate]:
    """modelled: the devices that became blocks, by kind and label (`disk root`)."""
    used: dict[str, int] = {}
    found: list[RawCandidate] = []
    for at, element in _elements(root, modelled):
        text = serial(element)
        if len(text) > _MOST_RAW or not text.isprintable() or secret(text):
            continue
        tag = str(element.tag).rpartition("}")[2]
        local = re.sub(r"[^a-z0-9]+", "-", tag.lower()).strip("-") or "element"
        used[local] = used.get(local, 0) + 1
        found.append(RawCandidate(at, local if used[local] == 1 else f"{local}-{used[local]}", text))
    return found


def _elements(root: _Element, modelled: Mapping[_Element, str]) -> Iterator[tuple[str, _Element]]:
    targets = _Targets(root, modelled)
    habits = _habits(root)
    for at in _PLACES:
        parent = root if at == "domain" else root.find(at)
        for child in parent.iterchildren("*") if parent is not None else ():
            tag = str(child.tag)
            if child in modelled:
                yield from ((modelled[child], one) for one in _below(child, modelled[child]))
            elif (
                f"{at}/{tag}" in _CONTAINERS
                or f"{at}/{tag}" in habits
                or (at == "domain" and _own_or_state(child))
                or (at == "os" and (tag == "loader" or (tag == "nvram" and bool(child.attrib or len(child)))))
            ):
                continue
            else:
                one = _bare(child)
                if at == "devices" and tag == "disk":
                    targets.put_on_sata(one)
                if f"{at}/{tag}" in _TOGETHER or serial(one) not in _HABITS:
                    yield at, one


def _habits(root: _Element) -> set[str]:
    """Of what is raw as a whole or not at all, that which is as kvmc has it."""
    found = {path for path in _TOGETHER if all(serial(_bare(one)) in _HABITS for one in root.iterfind(path))}
    if not found.issuperset(_LINES):  # a console is the other face of the first serial line
        found -= set(_LINES)
    if len(root.findall("devices/serial")) > 1:
        found -= set(_LINES)
    if root.find("devices/*/boot") is not None:
        found.add("os/boot")
    return found


def _own_or_state(element: _Element) -> bool:
    """Of the domain's own elements: its name, and what libvirt makes anew or by default."""
    tag = str(element.tag)
    if tag == "seclabel":
        return element.get("type", "dynamic") == "dynamic" and not len(element.findall("baselabel"))
    if tag == "resource":
        return (element.findtext("partition") or "").strip() in ("/machine", "")
    return tag in ("name", "uuid")


def _bare(element: _Element) -> _Element:
    """A copy without what a running guest has, and without the guest's own PCI address, which has to fit kvmc's buses."""
    made = deepcopy(element)
    made.tail = None
    for child in list(made):
        own = child.tag == "address" and child.get("type") in ("pci", "usb", "ccid")
        if child.tag in _STATE or own or (child.tag == "target" and child.get("dev", "").startswith(_TAPS)):
            made.remove(child)
    source = made.find("source")
    if source is not None and made.tag == "disk":
        source.attrib.pop("index", None)
    if made.tag in ("console", "serial") and made.get("type") == "pty":
        made.attrib.pop("tty", None)
        if source is not None:
            made.remove(source)
    if made.tag == "graphics" and made.get("autoport") == "yes":
        made.attrib.update({name: "-1" for name in ("port", "tlsPort") if name in made.attrib})
    return made


def _below(device: _Element, at: str) -> Iterator[_Element]:
    """What a device says beside its settings: elements, and attributes of elements that kvmc writes too."""
    from lxml import etree

    kind = at.partition(" ")[0]
    for child in device.iterchildren("*"):
        path = f"{kind}/" + str(child.tag)
        tap = child.tag == "target" and child.get("dev", "").startswith(_TAPS)
        if child.tag in _STATE or path in WHOLE or tap or kind == "mdev":
            continue
        if path not in OWN:
            yield _bare(child)
            continue
        rest = {str(name): str(value) for name, value in child.attrib.items() if name not in OWN[path]}
        for name in ("index", "portid", "tty"):
            rest.pop(name, None)
        inner = [one for one in child.iterchildren("*") if path == "disk/source" or one.tag in ("host", "guest")]
        if rest or inner:
            made = etree.Element(str(child.tag), rest)
            made.extend(deepcopy(inner))
            yield made


class _Targets:
    """Names of disks that q35 has: it has no IDE, so what was on IDE comes to SATA."""

    def __init__(self, root: _Element, modelled: Mapping[_Element, str]) -> None:
        self.taken = {
            str(one.get("dev")) if one.get("bus") != "ide" or disk not in modelled else on_sata(str(one.get("dev")))
            for disk in root.iterfind("devices/disk")
            for one in disk.iterfind("target")
            if one.get("bus") != "ide" or disk in modelled
        }

    def put_on_sata(self, disk: _Element) -> None:
        target = disk.find("target")
        if target is None or target.get("bus") != "ide":
            return
        wanted = on_sata(target.get("dev", "hda"))
        free = (wanted, *(f"sd{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"))
        name = next((one for one in free if one not in self.taken), wanted)
        self.taken.add(name)
        target.set("dev", name)
        target.set("bus", "sata")
        for address in disk.findall("address"):
            disk.remove(address)


def on_sata(name: str) -> str:
    """`hdc` as `sdc`."""
    return f"sd{name[2:]}" if re.fullmatch(r"hd[a-z]", name) else name
