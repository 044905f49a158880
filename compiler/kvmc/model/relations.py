"""Relations between guests (`place`) against each other and against their guests' own settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kvmc.diagnostics import Bag, Fix, Label, Span
from kvmc.diagnostics.codes import schema as codes
from kvmc.diagnostics.text import counted
from kvmc.model.nodes import Node, Tables
from kvmc.model.site import Domain, Pinning, Strength

_ORDER = tuple(Domain)
"""From the largest to the smallest: what is together in one is so in all before it, what differs in one does in all behind it."""
_SETTING = {"apart": "across", "together": "within"}


@dataclass(frozen=True, slots=True)
class _Place:
    """A relation whose settings could all be read. level: of its domain in `_ORDER`."""

    node: Node
    together: bool
    domain: Domain
    level: int
    vms: tuple[str, ...]

    @property
    def title(self) -> str:
        return f"place {self.node.word} {self.node.name}"

    @property
    def domain_text(self) -> str:
        return f"`{_SETTING[self.node.word]} = {self.domain}`"


def check_places(merged: Tables, bag: Bag) -> None:
    """Each misuse is one error. Preferred relations may contradict others: then they are not met."""
    for node in merged["place"].values():
        _words(node, bag)
    places = list(_readable(merged))
    for place in places:
        _guests(place, merged["vm"], bag)
    required = [one for one in places if one.node.get("strength") is Strength.REQUIRE]
    for place in required:
        if place.together:
            _tied_together(place, merged, bag)
        else:
            _tied_apart(place, merged, bag)
            _both(place, [one for one in required if one.together and one.level >= place.level], bag)


def _words(node: Node, bag: Bag) -> None:
    """The domain is set by the word that goes with the relation."""
    other = next((name for word, name in _SETTING.items() if word != node.word), "")
    if other in node.values:
        mine = _SETTING[node.word]
        span = node.values[other].span
        by = "by" if node.word == "apart" else "in"
        word = Span(span.file, span.start, span.start + len(other))
        bag.error(
            codes.RELATION_WORD,
            f"`{other}` in `place {node.word} {node.name}`: what guests are {node.word} {by} is `{mine}`",
            span,
            help=[f"write `{mine}`, or make it a `place {'together' if node.word == 'apart' else 'apart'}`"],
            fixes=[Fix(word, mine, f"write `{mine}`")] if mine not in node.values else [],
        )


def _readable(merged: Tables) -> Iterator[_Place]:
    for node in merged["place"].values():
        if node.word not in _SETTING:
            continue
        domain, vms = node.get(_SETTING[node.word]), node.get("vms")
        if isinstance(domain, Domain) and isinstance(vms, tuple) and isinstance(node.get("strength"), Strength):
            known = tuple(vm for vm in vms if vm in merged["vm"])
            yield _Place(node, node.word == "together", domain, _ORDER.index(domain), known)


def _where(place: _Place) -> Label:
    """The line that says the domain, else the block's header."""
    return place.node.place(_SETTING[place.node.word])


def _guests(place: _Place, vms: Mapping[str, Node], bag: Bag) -> None:
    """A guest of several nodes is in no one node or L3, and shared vCPUs in no L3."""
    for name in place.vms:
        vm = vms[name]
        nodes = vm.get("nodes")
        if place.domain is Domain.L3 and vm.get("pinning") is Pinning.SHARED:
            _against(
                place,
                vm,
                "pinning",
                f"`{name}` has `pinning = shared`: its vCPUs float over all L3 caches of their node",
                bag,
            )
        elif place.together and place.level >= _ORDER.index(Domain.NODE) and isinstance(nodes, int) and nodes > 1:
            _against(
                place,
                vm,
                "nodes",
                f"`{name}` has {counted(nodes, 'node')}, so it is never within one {place.domain.text}",
                bag,
            )


def _against(place: _Place, vm: Node, setting: str, text: str, bag: Bag) -> None:
    bag.error(
        codes.RELATION_GUEST,
        f"{place.domain_text} of `{place.title}` cannot hold: {text}",
        _where(place),
        secondary=[vm.place(setting, f"of `{vm.name}`" if setting in vm.values else f"`{vm.name}`")],
        help=[f"take `{vm.name}` out of `{place.title}`, or choose a larger domain"],
    )


def _tied_together(place: _Place, merged: Tables, bag: Bag) -> None:
    """Guests that are to be together and are tied to different hosts, racks or pools."""
    tied = [vm for vm in (merged["vm"][name] for name in place.vms) if isinstance(vm.get("host"), str)]
    hosts = merged["host"]
    for vm in tied[1:]:
        first, other = str(tied[0].get("host")), str(vm.get("host"))
        if first == other or (place.domain is Domain.RACK and not _racks_differ(hosts, first, other)):
            continue
        text = f"`{tied[0].name}` is tied to host `{first}`, `{vm.name}` to host `{other}`"
        _tie(place, tied[0], vm, "host", text, bag)
        return
    if place.domain is Domain.RACK:
        return
    pooled = [vm for vm in (merged["vm"][name] for name in place.vms) if isinstance(vm.get("pool"), str)]
    for vm in pooled[1:]:
        if vm.get("pool") != pooled[0].get("pool"):
            text = (
                f"`{pooled[0].name}` is tied to pool `{pooled[0].get('pool')}`, `{vm.name}` to pool `{vm.get('pool')}`"
            )
            _tie(place, pooled[0], vm, "pool", text, bag)
            return


def _tied_apart(place: _Place, merged: Tables, bag: Bag) -> None:
    """Guests that are to be on different hosts or in different racks and are tied to one."""
    if place.level > _ORDER.index(Domain.HOST):
        return
    seen: dict[str, Node] = {}
    for vm in (merged["vm"][name] for name in place.vms):
        host = merged["host"].get(str(vm.get("host")))
        rack = host.get("rack") if host is not None else None
        if host is None:
            continue
        key = f"rack `{rack}`" if place.domain is Domain.RACK and rack is not None else f"host `{host.name}`"
        other = seen.setdefault(key, vm)
        if other is not vm:
            _tie(place, other, vm, "host", f"`{other.name}` and `{vm.name}` are both tied to {key}", bag)
            return


def _racks_differ(hosts: Mapping[str, Node], first: str, second: str) -> bool:
    racks = [hosts[name].get("rack") if name in hosts else None for name in (first, second)]
    return None not in racks and racks[0] != racks[1]


def _tie(place: _Place, first: Node, second: Node, setting: str, text: str, bag: Bag) -> None:
    """Tied by two settings, or by one that both inherit."""
    labels = list(dict.fromkeys(vm.values[setting].span for vm in (first, second)))
    bag.error(
        codes.RELATION_GUEST,
        f"`{place.title}` cannot hold: {text}",
        _where(place),
        secondary=[Label(span) for span in labels],
        help=[f"drop one `{setting}`, or take one of the two out of `{place.title}`"],
    )


def _both(apart: _Place, together: list[_Place], bag: Bag) -> None:
    """Two guests that are to be apart, and that other relations hold together, each by itself or several in a chain."""
    groups: dict[str, tuple[str, ...]] = {}
    for place in together:
        merged = tuple(dict.fromkeys(one for vm in place.vms for one in groups.get(vm, (vm,))))
        groups |= dict.fromkeys(merged, merged)
    for index, first in enumerate(apart.vms):
        second = next((vm for vm in apart.vms[index + 1 :] if vm in groups.get(first, ())), None)
        if second is None:
            continue
        chain = [one for one in together if set(one.vms) <= set(groups[first])]
        direct = [one for one in chain if first in one.vms and second in one.vms][:1]
        held = direct or chain
        titles = " and ".join(f"`{one.title}`" for one in held[:3])
        bag.error(
            codes.RELATIONS_CONTRADICT,
            f"`{apart.title}` keeps `{first}` and `{second}` in different {apart.domain.text}s, {titles} in one "
            f"{max(held, key=lambda one: -one.level).domain.text}",
            _where(apart),
            secondary=[_label(one) for one in held[:3]],
            help=["drop one of them, or make it `strength = prefer`"],
        )
        return


def _label(place: _Place) -> Label:
    where = _where(place)
    return Label(where.span, "holds them together")
