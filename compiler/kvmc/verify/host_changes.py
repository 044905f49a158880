"""What changes of a host itself, between two of its folders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kvmc.audit.bootline import Option
from kvmc.audit.hostfiles import HostFiles
from kvmc.audit.irq_places import ASKED, SCRIPT
from kvmc.audit.reading import kind_of
from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress, size_text
from kvmc.verify import meaning
from kvmc.verify.case import APPLY, ApplyList
from kvmc.verify.change import Change
from kvmc.verify.difference import Effect

_BOOT = ("grub", "words", "bootc")
_REMOVED = "it keeps its value until the reboot"
Texts = Mapping[str, str]


def changes(host: str, old: HostFiles, new: HostFiles, old_texts: Texts, new_texts: Texts) -> Iterator[Change]:
    """In the order in which a host comes up."""
    guests = tuple(domain.name for domain in old.domains)
    yield from _boot(host, old, new, guests)
    yield from _pages(host, old, new, guests)
    apply = ApplyList(new_texts.get(APPLY, ""))
    for path in sorted(old_texts.keys() | new_texts.keys()):
        kind = kind_of(path)
        if kind in ("domain", "measure", *_BOOT) or path == APPLY:
            continue
        before, after = old_texts.get(path), new_texts.get(path)
        if before == after or path == ASKED:
            continue
        left = meaning.facts(path, before) if before is not None else {}
        right = meaning.facts(path, after) if after is not None else {}
        if left is None or right is None:
            left_body = _script(path, before, old)
            right_body = _script(path, after, new)
            if left_body != right_body:
                effect = apply.effect(path) if after is not None else Effect.REBOOT
                effect = Effect.LIVE if path == SCRIPT else effect  # its timer runs it within seconds
                yield _change(host, f"`/{path}`", _there(before), _there(after), effect, guests)
            continue
        yield from _facts(host, path, kind or "", left, right, apply, guests)
    yield from _irqs(host, old, new)
    yield from _carriers(host, old_texts, new_texts)
    yield from _vfs(host, old, new)
    yield from _shares(host, old, new)


def _change(
    host: str, what: str, old: str, new: str, effect: Effect, guests: tuple[str, ...], note: str = ""
) -> Change:
    return Change(host, None, what, old, new, effect, guests if effect is Effect.REBOOT else (), note)


def _there(text: str | None) -> str:
    return "a file" if text is not None else ""


def _boot(host: str, old: HostFiles, new: HostFiles, guests: tuple[str, ...]) -> Iterator[Change]:
    before, after = _words(old), _words(new)
    for key in [*before, *(key for key in after if key not in before)]:
        left, right = before.get(key, []), after.get(key, [])
        if {meaning.option(one) for one in left} != {meaning.option(one) for one in right}:
            yield _change(host, f"boot option `{key}`", _text(left), _text(right), Effect.REBOOT, guests)


def _words(files: HostFiles) -> dict[str, list[Option]]:
    found: dict[str, list[Option]] = {}
    for word in files.options:
        if word.value.key not in meaning.PAGE_OPTIONS:
            found.setdefault(word.value.key, []).append(word.value)
    return found


def _text(options: list[Option]) -> str:
    return " ".join(one.value if one.value is not None else "set" for one in options)


def _pages(host: str, old: HostFiles, new: HostFiles, guests: tuple[str, ...]) -> Iterator[Change]:
    before, after = meaning.pages_of(old), meaning.pages_of(new)
    from_boot = {
        (one.node, one.size_kib)
        for files in (old, new)
        for one in files.pages
        if kind_of(_path(one.span.file)) in _BOOT
    }
    for key in sorted(before.keys() | after.keys(), key=lambda key: (-1 if key[0] is None else key[0], key[1])):
        if before.get(key, 0) != after.get(key, 0):
            where = "over all nodes" if key[0] is None else f"on node {key[0]}"
            effect = Effect.REBOOT if key in from_boot else Effect.LIVE
            what = f"huge pages of {size_text(key[1])} {where}"
            yield _change(host, what, str(before.get(key, 0)), str(after.get(key, 0)), effect, guests)


def _path(file: str) -> str:
    return file.partition("/")[2]


def _script(path: str, text: str | None, files: HostFiles) -> str | None:
    """A script without what is compared by itself: its numbers of pages and functions."""
    if text is None:
        return None
    spans = [one.span for one in files.vfs] + [one.span for one in files.pages] + [one.span for one in files.shares]
    spans += [one.span for one in files.irqs.all()] if files.irqs is not None else []
    told = [span for span in spans if _path(span.file) == path]
    for span in sorted(told, reverse=True):
        text = text[: span.start] + text[span.end :]
    return meaning.body(text)


def _facts(
    host: str,
    path: str,
    kind: str,
    left: meaning.Facts,
    right: meaning.Facts,
    apply: ApplyList,
    guests: tuple[str, ...],
) -> Iterator[Change]:
    """Settings of one file, one by one."""
    for key in [*left, *(key for key in right if key not in left)]:
        if left.get(key) == right.get(key):
            continue
        removed = key not in right
        note = ""
        if kind == "sysctl":
            effect, what = (Effect.REBOOT if removed else Effect.LIVE), f"sysctl `{key[1]}`"
            note = _REMOVED if removed else ""
        elif kind == "tuned":
            effect, what = Effect.LIVE, f"tuned `{key[0]}.{key[1]}`"
        elif kind == "modprobe":
            effect, what = Effect.REBOOT, f"parameter `{key[1]}` of module `{key[0]}`"
        else:
            effect, what = _unit(path, key[1], apply), f"`{key[1]}` of `/{path}`"
        yield _change(host, what, _value(left.get(key)), _value(right.get(key)), effect, guests, note)


def _unit(path: str, key: str, apply: ApplyList) -> Effect:
    if "/irqbalance.service" in path or "/kvmc-irqs." in path:
        return Effect.LIVE
    return Effect.REBOOT if key == "CPUAffinity" else apply.effect(path)


def _value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(_value(one) for one in value)
    return str(value) or ("empty" if isinstance(value, CpuSet) else "''")


def _irqs(host: str, old: HostFiles, new: HostFiles) -> Iterator[Change]:
    """Where interrupts are put; without the script they stay where they are until something sets them up anew."""
    before, after = _places(old), _places(new)
    for what in [*before, *(what for what in after if what not in before)]:
        if before.get(what) != after.get(what):
            yield Change(host, None, what, str(before.get(what, "")), str(after.get(what, "")), Effect.LIVE)


def _places(files: HostFiles) -> dict[str, CpuSet]:
    places = files.irqs
    if places is None:
        return {}
    found = {f"interrupts of devices of node {node}": cpus.value for node, cpus in sorted(places.nodes.items())}
    found |= {f"interrupts of {address}": cpus.value for address, cpus in sorted(places.devices.items())}
    for what, one in (("all other interrupts", places.rest), ("new interrupts", places.default)):
        found |= {what: one.value} if one is not None else {}
    return found


def _carriers(host: str, old: Texts, new: Texts) -> Iterator[Change]:
    """Files that hold the boot line: words that only moved from one to another change nothing that runs."""
    before = {path for path in old if kind_of(path) in _BOOT}
    after = {path for path in new if kind_of(path) in _BOOT}
    if before and after:
        for path in sorted(before ^ after):
            yield _change(host, f"`/{path}`", _there(old.get(path)), _there(new.get(path)), Effect.LIVE, ())


def _vfs(host: str, old: HostFiles, new: HostFiles) -> Iterator[Change]:
    before = {one.parent: one.count for one in old.vfs}
    after = {one.parent: one.count for one in new.vfs}
    for parent in sorted(before.keys() | after.keys()):
        if before.get(parent) == after.get(parent):
            continue
        left, right = before.get(parent), after.get(parent)
        holders = _holders(old, parent) if left else ()
        what = f"virtual functions of {parent}"
        if holders:
            note = "the number changes only while no guest holds one"
            yield Change(host, None, what, str(left), str(right or 0), Effect.RESTART, holders, note)
        else:
            yield Change(host, None, what, str(left or 0), str(right or 0), Effect.LIVE)


def _shares(host: str, old: HostFiles, new: HostFiles) -> Iterator[Change]:
    """Guests that run keep the parts that they have; those that start find what is free then."""
    before = {(one.resource, one.id): one.mask for one in old.shares}
    after = {(one.resource, one.id): one.mask for one in new.shares}
    for resource, id in sorted(before.keys() | after.keys()):
        left, right = before.get((resource, id)), after.get((resource, id))
        if left != right:
            was, now = ("" if mask is None else f"{mask:x}" for mask in (left, right))
            what = f"the default group's part of {resource} {id}"
            yield _change(host, what, was, now, Effect.LIVE if right is not None else Effect.REBOOT, ())


def _holders(files: HostFiles, parent: PciAddress) -> tuple[str, ...]:
    """Guests with a function that may be one of the parent's virtual ones: on its bus or the next, where firmware puts them."""
    buses = (parent.bus, parent.bus + 1)
    return tuple(
        domain.name
        for domain in files.domains
        if any(at.value.domain == parent.domain and at.value.bus in buses for at in domain.functions)
    )
