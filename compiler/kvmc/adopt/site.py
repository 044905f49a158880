"""All domains and files of one host as a site: the draft, what may be raw in it, its locks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kvmc.adopt.guest import Adopted, adopt_guest
from kvmc.adopt.host import Pool, RawSetting, candidates, pool_of
from kvmc.adopt.text import site_text
from kvmc.adopt.words import REASON, RawCandidate, names
from kvmc.audit import xml
from kvmc.audit.hostfiles import HostFiles
from kvmc.audit.source import File
from kvmc.diagnostics import Bag, Label
from kvmc.diagnostics.codes import adopt as codes
from kvmc.diagnostics.text import visible
from kvmc.hostconfig.raw import check_raws
from kvmc.model.names import name_problem
from kvmc.model.origins import Origins
from kvmc.model.site import Raw, Site
from kvmc.resolver.locks import GuestLock, HostLock
from kvmc.start.project import Platform, platform_of
from kvmc.topology.fingerprint import fingerprint
from kvmc.topology.model import Topology
from kvmc.topology.summary import summary

if TYPE_CHECKING:
    from lxml.etree import _Element

_NO_RELEASE = 40
"""QEMU's versions of a far future are mistakes."""
_EMULATORS = {"x86_64": "/usr/bin/qemu-system-x86_64", "aarch64": "/usr/bin/qemu-system-aarch64"}


@dataclass(slots=True)
class Draft:
    """A site in the making. raws, host_raws: what is taken as raw. refused: (what, why) of what is not."""

    host: str
    topology: Topology
    platform: Platform
    emulator: str
    pool: Pool
    guests: list[Adopted]
    offered: list[RawSetting]
    raws: dict[str, list[RawCandidate]] = field(default_factory=dict)
    host_raws: list[RawSetting] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def text(self) -> str:
        """site.kvmt as it stands."""
        return site_text(self.host, self.platform, self.emulator, self.pool, self.guests, self.raws, self.host_raws)

    def lock(self) -> HostLock:
        """Identities and placements of the originals. One that does not hold is placed anew, with its identity."""
        guests = {
            guest.name: GuestLock(guest.placement, guest.identity, 1)
            for guest in sorted(self.guests, key=lambda one: one.name)
            if guest.placement is not None and guest.identity.uuid
        }
        return HostLock(self.host, fingerprint(self.topology), guests, {}, summary(self.topology))


def draft(host: str, domains: Iterable[File], files: HostFiles, topology: Topology) -> tuple[Draft | None, Bag]:
    """domains: files with one domain each. None where there is no domain."""
    bag = Bag()
    platform = platform_of(topology)
    guests: list[Adopted] = []
    uuids: dict[str, str] = {}
    refused: list[tuple[str, str]] = []
    read = [
        node for file in domains if (node := xml.parse(file, Bag())) is not None
    ]  # the audit tells what is wrong with others
    whole = {(node.element.findtext("name") or "").strip() for node in read}
    for node in read:
        file = node.file
        name = (node.element.findtext("name") or "").strip()
        uuid = (node.element.findtext("uuid") or "").strip().lower().replace("-", "")
        other = next((one for one in guests if one.original == name), None)
        if other is not None or (uuid and uuid in uuids):
            first = other.file if other is not None else uuids[uuid]  # the audit tells it at both places
            refused.append(
                (f"`{visible(file.name)}`", f"has the name or uuid of the domain in `{first}`, and is left out")
            )
            continue
        if node.element.get("type") not in ("kvm", "qemu"):
            bag.error(codes.NOT_KVM, f"`{visible(file.name)}` is a domain of type `{visible(node.get('type')[:40])}`, "
                      "kvmc builds `kvm` and `qemu`", Label(node.span))  # fmt: skip
            continue
        uuids[uuid] = file.name
        mine = _name(name, {one.name for one in guests}, whole)
        if mine != name:
            at = node.child("name")
            bag.error(codes.NAME_MAPPED, f"the domain's name `{visible(name[:60])}` is none of the language's: it becomes `{mine}`",
                      Label(at.text().span if at is not None else node.span))  # fmt: skip
        guests.append(adopt_guest(mine, file.name, node.element, topology, host, platform.qemu))
    if not guests:
        bag.error(codes.NOTHING_TO_IMPORT, "there is no domain of KVM's in what is named",
                  help=["name what `virsh dumpxml` prints"])  # fmt: skip
        return None, bag
    guests.sort(key=lambda one: one.name)
    platform = _newest(platform, guests)
    emulators = [(one.root.findtext("devices/emulator") or "").strip() for one in guests]
    known = [path for path in emulators if path.startswith("/") and path.rpartition("/")[2].startswith(("qemu", "kvm"))]
    emulator = max(sorted(set(known)), key=known.count, default=_EMULATORS.get(topology.arch, _EMULATORS["x86_64"]))
    pool = pool_of(files, guests, topology)
    for guest in guests:
        if "scheduler" not in guest.settings:
            continue
        if pool.isolated:
            guest.settings["isolation"] = "boot"
        else:  # beside others on a CPU such a thread keeps them from running, and the language has no word for that
            del guest.settings["scheduler"], guest.settings["priority"]
    return Draft(host, topology, platform, emulator, pool, guests, candidates(files), refused=refused), bag


def _newest(platform: Platform, guests: Sequence[Adopted]) -> Platform:
    """The platform, with a QEMU that has the machines of all guests: they ran there, whatever is known of the host."""
    found = [
        re.fullmatch(r"(?:pc-q35|virt)-([0-9]+)\.([0-9]+)(?:\.[0-9]+)?", one.settings["machine"]) for one in guests
    ]
    releases = [(int(one[1]), int(one[2])) for one in found if one is not None]
    major, _, minor = platform.qemu.partition(".")
    newest = max(((major, minor) for major, minor in releases if major < _NO_RELEASE), default=(0, 0))
    known = (int(major), int(minor or 0)) if major.isdecimal() and (minor or "0").isdecimal() else newest
    return replace(platform, qemu=f"{newest[0]}.{newest[1]}") if newest > known else platform


def _name(name: str, taken: set[str], others: set[str]) -> str:
    """The name where the language has it, else one that is made of it, and of its digest where another has that."""
    made = name if name_problem(name) is None else names(name, "guest")
    if made in taken or (made != name and made in others) or name_problem(made) is not None:
        made = f"{made[:48]}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    return made


def take_raws(draft: Draft, site: Site, bag: Bag) -> None:
    """Ask of each candidate the check that a build makes. site: the draft without them."""
    for guest in draft.guests:
        vm = site.vms[guest.name]
        beside: dict[str, dict[str, Raw]] = {}
        for one in guest.raws:
            raw = Raw(name=f"xml {one.label}", value=one.text, reason=REASON, at=one.at)
            # those of other places say nothing of this one, nor does one device of another
            others = beside.setdefault(one.at, {}) if one.at != "devices" else {}
            with_it = vm.model_copy(update={"raws": {**others, raw.name: raw}})
            told = check_raws(site.model_copy(update={"vms": {vm.name: with_it}}), {}, Origins({}))
            if not told.has_errors:
                others[raw.name] = raw
                draft.raws.setdefault(guest.name, []).append(one)
            elif "has two owners" not in told.items[0].message:
                draft.refused.append((f"`{guest.name}`: {one.at}/{one.label}", told.items[0].message))
    host = site.hosts[draft.host]
    kept: dict[str, Raw] = {}
    for setting in draft.offered:
        raw = Raw(name=setting.name, value=setting.value, reason=REASON, at=None)
        host_with = host.model_copy(update={"raws": {**kept, raw.name: raw}})
        told = check_raws(
            site.model_copy(update={"hosts": {host.name: host_with}, "vms": {}}),
            {host.name: draft.topology},
            Origins({}),
        )
        if not told.has_errors:
            kept[raw.name] = raw
            draft.host_raws.append(setting)
            continue
        why = told.items[0]
        value = f"={setting.value}" if setting.value is not None else ""
        bag.error(
            codes.SETTING_NOT_TAKEN,
            f"`{visible(setting.key[:60] + value[:60])}` is not taken over: {why.message}",
            Label(setting.span),
            help=why.help,
        )
        draft.refused.append((f"{setting.carrier} `{setting.key}{value}`", why.message))


def parsed(text: str) -> _Element:
    """A domain that kvmc built."""
    node = xml.parse(File("domain", "domain.xml", text), Bag())
    assert node is not None
    return node.element


def moved(draft: Draft, pins: Sequence[tuple[str, str]]) -> list[tuple[Adopted, str]]:
    """Guests whose vCPUs are not where they were, with the reason as far as it is the original's. pins: guest and its pins now."""
    now = dict(pins)
    found: list[tuple[Adopted, str]] = []
    for guest in draft.guests:
        if guest.placement is None or not guest.dedicated:
            continue
        before = " ".join(str(pin) for cell in guest.placement.cells for pin in cell.pins)
        if now.get(guest.name) != before:
            found.append((guest, guest.why))
    return found
