"""What changes of the guests, between two trees: come, gone, moved, renamed, or changed where they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from kvmc.audit import xml
from kvmc.audit.domain import Domain
from kvmc.audit.hostfiles import HostFiles
from kvmc.diagnostics import Bag
from kvmc.model.values import size_text
from kvmc.verify import canonical
from kvmc.verify.canonical import Canonical, Parts
from kvmc.verify.change import Change
from kvmc.verify.difference import Effect
from kvmc.verify.guest_facts import Fact, facts

_DESCRIPTION = frozenset({"metadata", "title", "description", "genid"})
_PINS = frozenset({"vcpupin", "emulatorpin", "iothreadpin"})
_SHARES = frozenset(
    {
        "shares",
        "period",
        "quota",
        "global_period",
        "global_quota",
        "emulator_period",
        "emulator_quota",
        "iothread_period",
    }
)
"""What `virsh schedinfo` changes while the guest runs."""

_FIXED = frozenset({"numatune", "cpu", "<numatune>", "<cpu>"})
"""What the guest sees or is bound to: where it changes, new pins wait for the restart too."""

_NAMED = {
    "vcpusched": "the scheduler of vCPU",
    "numa": "cell ",
    "memnode": "the memory node of the cell",
    "hugepages": "the huge pages",
}
"""Elements of which the facts tell more than the element's text: what their names begin with."""


@dataclass(frozen=True, slots=True)
class Place:
    """A guest in a tree."""

    host: str
    domain: Domain
    parts: Parts


def places(tree: Mapping[str, HostFiles], bag: Bag, other: Mapping[str, Place] | None = None) -> dict[str, Place]:
    """Every guest of a tree by its name; of one that is there twice the last. other: the other tree's, most alike."""
    found: dict[str, Place] = {}
    for host, files in tree.items():
        for domain in files.domains:
            same = (other or {}).get(domain.name)
            if same is not None and same.host == host and same.domain.file == domain.file:
                found[domain.name] = same
                continue
            root = xml.parse(domain.file, bag)
            if root is not None:
                found[domain.name] = Place(host, domain, canonical.parts(root))
    return found


def changes(old: Mapping[str, Place], new: Mapping[str, Place]) -> Iterator[Change]:
    """By name."""
    gone = {name: place for name, place in old.items() if name not in new}
    identities = {place.domain.uuid.value: name for name, place in gone.items() if place.domain.uuid}
    renamed: dict[str, str] = {}
    for name, place in new.items():
        uuid = place.domain.uuid.value if place.domain.uuid else ""
        if name not in old and uuid in identities:
            renamed[name] = identities[uuid]
    for name in sorted(old.keys() | new.keys()):
        if name in renamed.values():
            continue
        if name not in new:
            note = "a guest that still runs goes on until it stops"
            yield Change(old[name].host, name, "removed", "", "", Effect.RESTART, (name,), note)
        elif name in old and old[name] is new[name]:
            continue
        elif name in old:
            yield from _both(name, old[name], new[name])
        elif name in renamed:
            was = renamed[name]
            yield Change(new[name].host, name, "renamed", was, name, Effect.RESTART, (was,))
            yield from _both(name, old[was], new[name])
        else:
            yield Change(new[name].host, name, "added", "", "", Effect.LIVE)


def _both(name: str, old: Place, new: Place) -> Iterator[Change]:
    keys = [*old.parts, *(key for key in new.parts if key not in old.parts)]
    differ = [key for key in keys if old.parts.get(key) != new.parts.get(key) and key != ("", "name")]
    moved = old.host != new.host
    fixed = any(key[0] in _FIXED or key in (("", "memory"), ("", "currentMemory")) for key in differ)
    fixed |= old.domain.count != new.domain.count
    if moved:
        differ = [key for key in differ if not _of_the_place(key, old, new)]
        yield _move(name, old, new, visible=bool(differ))
    seen: set[str] = set()
    left, right = facts(old.domain), facts(new.domain)
    for key in differ:
        for what, before, after, effect in _aspects(key, old, new, left, right):
            note = ""
            if effect is Effect.LIVE and _is_pin(key) and fixed:
                effect = Effect.RESTART
                note = "not live: the guest's memory or topology changes with it"
            if what not in seen:
                seen.add(what)
                guests = (name,) if effect is not Effect.LIVE else ()
                yield Change(new.host, name, what, before, after, effect, guests, note)


def _move(name: str, old: Place, new: Place, *, visible: bool) -> Change:
    note = "live migration is possible as far as the files tell"
    if old.domain.functions or new.domain.functions:
        note = "not live: it holds PCI functions of its host"
    elif why := _stays(old) or _stays(new):
        note = f"not live: {why}"
    elif visible:
        note = "not live: its definition changes with it"
    return Change(new.host, name, "moved", old.host, new.host, Effect.MIGRATION, (name,), note)


def _stays(place: Place) -> str:
    """What else of a guest cannot leave its host while it runs."""
    root = place.domain.root
    if root.child("launchSecurity") is not None:
        return "its memory is sealed to its host"
    if any(node.get("type") == "mdev" for node in root.all("devices", "hostdev")):
        return "it holds a mediated device of its host"
    cpu = root.child("cpu")
    if cpu is not None and cpu.get("migratable") == "off":
        return "its CPU has what cannot migrate"
    return ""


def _of_the_place(key: tuple[str, ...], old: Place, new: Place) -> bool:
    """Whether a part only says where the guest is on its host."""
    if _is_pin(key) or key[0] in ("numatune", "<numatune>"):
        return True
    if key == ("", "vcpu"):
        return old.domain.count == new.domain.count
    if key[:2] == ("devices", "hostdev"):
        return len(old.domain.hostdevs) == len(new.domain.hostdevs)
    if key[:2] == ("devices", "interface"):
        return [canonical.without(one, "source") for one in old.parts.get(key, [])] == [
            canonical.without(one, "source") for one in new.parts.get(key, [])
        ]
    return False


def _is_pin(key: tuple[str, ...]) -> bool:
    return key == ("", "vcpu") or (key[0] == "cputune" and key[1] in _PINS)


_Aspect = tuple[str, str, str, Effect]


def _aspects(
    key: tuple[str, ...], old: Place, new: Place, left: Mapping[str, Fact], right: Mapping[str, Fact]
) -> Iterator[_Aspect]:
    """What, the two values, and when it takes hold; the mask of `<vcpu>` only sums up the pins."""
    container, tag = key[0], key[1] if len(key) > 1 else ""
    if key == ("", "vcpu"):
        if old.domain.count != new.domain.count:
            yield "the number of vCPUs", str(old.domain.count), str(new.domain.count), Effect.RESTART
        elif not (old.domain.pins and new.domain.pins):
            masks = [str(one.domain.mask.value) if one.domain.mask else "" for one in (old, new)]
            yield "the mask of vCPUs", *masks, Effect.LIVE  # type: ignore[misc]
        elif old.domain.mask is None or new.domain.mask is None or _mask_alone(old, new):
            yield "the mask of threads without a pin", _mask(old), _mask(new), Effect.RESTART
    elif _is_pin(key):
        threads = {"vcpupin": "vCPU", "iothreadpin": "I/O thread"}
        name = f"the pin of {threads[tag]} {key[2]}" if tag in threads else "the pin of the emulator"
        before, after = left.get(name), right.get(name)
        added = before is None or after is None
        yield name, _shown(before), _shown(after), Effect.RESTART if added and tag != "emulatorpin" else Effect.LIVE
    elif container == "" and tag in _DESCRIPTION:
        yield f"its {tag}", "", "", Effect.LIVE
    elif container == "cputune" and tag in _SHARES:
        yield f"`{tag}`", *_texts(key, old, new), Effect.LIVE
    elif key in (("", "memory"), ("", "currentMemory")):
        yield "its memory", _memory(old), _memory(new), Effect.RESTART
    elif container == "devices" and tag == "interface":
        before_nic, after_nic = old.parts.get(key), new.parts.get(key)
        live = bool(before_nic and after_nic) and _source_alone(before_nic or [], after_nic or [], old, new)
        name = f"NIC {key[2]}"
        yield name, _shown(left.get(name)), _shown(right.get(name)), Effect.LIVE if live else Effect.RESTART
    elif tag in _NAMED:
        names = [name for name in dict.fromkeys([*left, *right]) if name.startswith(_NAMED[tag])]
        differ = [name for name in names if _value(left.get(name)) != _value(right.get(name))]
        for name in differ:
            yield name, _shown(left.get(name)), _shown(right.get(name)), Effect.RESTART
        if not differ and tag != "vcpusched":  # a scheduler's line may be written in parts
            yield f"`{container}/{tag}`", *_texts(key, old, new), Effect.RESTART
    else:
        name = {"disk": f"disk {key[-1]}", "topology": "the CPU topology"}.get(tag, "")
        if name in left or name in right:
            yield name, _shown(left.get(name)), _shown(right.get(name)), Effect.RESTART
            return
        label = "/".join(part for part in key if part)
        yield f"`{label}`", *_texts(key, old, new), Effect.RESTART


def _value(fact: Fact | None) -> object:
    return fact.value if fact is not None else None


def _mask_alone(old: Place, new: Place) -> bool:
    """Whether the mask changed and no pin did, so that it says something of its own."""
    pins = [{vcpu: pin.value for vcpu, pin in one.domain.pins.items()} for one in (old, new)]
    return pins[0] == pins[1]


def _mask(place: Place) -> str:
    return str(place.domain.mask.value) if place.domain.mask else ""


def _source_alone(old: list[Canonical], new: list[Canonical], before: Place, after: Place) -> bool:
    """Whether a NIC goes to another bridge and nothing else changes (`virsh update-device --live`)."""
    kinds = {nic.value.kind for place in (before, after) for nic in place.domain.nics}
    same = [canonical.without(one, "source", "link", "bandwidth") for one in old] == [
        canonical.without(one, "source", "link", "bandwidth") for one in new
    ]
    return same and _kind(old) in ("bridge", "network") and bool(kinds)


def _kind(meanings: list[Canonical]) -> str:
    attributes = meanings[0][1] if meanings else ()
    assert isinstance(attributes, tuple)
    return str(dict(attributes).get("type", ""))


def _shown(fact: Fact | None) -> str:
    return fact.text if fact is not None else ""


def _memory(place: Place) -> str:
    return size_text(place.domain.memory.value) if place.domain.memory else ""


def _texts(key: tuple[str, ...], old: Place, new: Place) -> tuple[str, str]:
    """What both have, in short; where they differ inside alone, with the elements there that the other has not."""
    left, right = old.parts.get(key, []), new.parts.get(key, [])
    before, after = ("; ".join(map(_text, some)) for some in (left, right))
    if before != after:
        return before, after
    inside = {child for one in left for child in _children(one)} & {child for one in right for child in _children(one)}
    before, after = ("; ".join(_whole(one, inside) for one in some) for some in (left, right))
    return before, after


def _text(meaning: Canonical) -> str:
    """An element's attributes and its text."""
    attributes = meaning[1] if isinstance(meaning[1], tuple) else ()
    words = [f"{name}={value}" for name, value in attributes]
    text = meaning[2] if len(meaning) > 2 else ""
    return " ".join([*words, *([str(text)] if text not in ("", None) else [])]) or "set"


def _children(meaning: Canonical) -> tuple[Canonical, ...]:
    return meaning[3] if len(meaning) > 3 and isinstance(meaning[3], tuple) else ()


def _whole(meaning: Canonical, but: Set[Canonical] = frozenset()) -> str:
    """With its children, each in brackets with its name."""
    children = [f"({child[0]} {_whole(child)})" for child in _children(meaning) if child not in but]
    return " ".join([_text(meaning), *children])
