"""The site's source: classes factored out of what guests share, then the guests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kvmc.adopt.guest import Adopted
from kvmc.adopt.host import Pool, RawSetting
from kvmc.adopt.words import REASON, Block, Network, RawCandidate, names, text_word
from kvmc.model.values import size_text
from kvmc.start.project import Platform
from kvmc.syntax.format import format_text

_OWN = ("vcpus", "memory")
"""What guests of one class may differ in."""


def site_text(
    host: str,
    platform: Platform,
    emulator: str,
    pool: Pool,
    guests: Sequence[Adopted],
    raws: Mapping[str, Sequence[RawCandidate]],
    host_raws: Sequence[RawSetting],
) -> str:
    """In canonical form. raws: those that each guest gets."""
    ends = Ends(_storages(guests), _networks(guests))
    lines = ["kvmt 1", f"site {host} {{", f'identity = "{host}.imported"', "}"]
    lines += [f"platform {platform.name} {{"]
    lines += [f'{key} = "{getattr(platform, key)}"' for key in ("kernel", "libvirt", "qemu", "tuned")]
    lines += [f"emulator = {text_word(emulator)}", "}"]
    lines += _pool(platform, pool, guests, host_raws)
    lines += [f"host {host} : imported {{", f'topology = "hosts/{host}.json"', "}"]
    for network, name in ends.networks.items():
        mode = [f"mode = {network.mode}"] if network.mode not in ("", "bridge") else []
        lines += [f"network {name} {{", f"{network.kind} = {_quoted(network.name)}", *mode, "}"]
    for (kind, template), name in ends.storages.items():
        lines += [f"storage {name} {{", f"type = {kind}", f"source = {text_word(template)}", "}"]
    groups: dict[tuple[object, ...], list[Adopted]] = {}
    for guest in guests:
        shape = tuple(sorted((k, v) for k, v in guest.settings.items() if k not in _OWN))
        groups.setdefault(shape, []).append(guest)
    taken = {guest.name for guest in guests}
    for members in groups.values():
        lines += _group(members, taken, ends, raws)
    made, bag = format_text("site.kvmt", "\n".join(lines) + "\n")
    if made is None:
        raise RuntimeError(f"the importer wrote what the language does not have: {bag.items[0].message}")
    return made


def _pool(platform: Platform, pool: Pool, guests: Sequence[Adopted], raws: Sequence[RawSetting]) -> list[str]:
    lines = ["pool imported {", f"platform = {platform.name}"]
    if pool.isolated:
        lines.append("isolation = boot")
    if pool.pages:
        counts = ", ".join(f"{count} * {size_text(size)}" for size, count in pool.pages)
        lines.append(f"pages = {counts}" if len(pool.pages) == 1 else f"pages = [{counts}]")
    lines += ["housekeeping {", f"cores = {pool.housekeeping}"]
    lines += [f"threads = {pool.threads}", "}"] if pool.threads != 16 else ["}"]
    if pool.shared:
        lines += ["shared {", f"cores = {pool.shared}", f"overcommit = {pool.overcommit}", "}"]
    lines += ["reserve {", f"memory = {size_text(pool.reserve_kib)}", "}"]
    devices = {name: address for guest in guests for name, address in guest.pools.items()}
    for name, address in sorted(devices.items()):
        lines += [f"devices {name} {{", f'addresses = ["{address}"]', "}"]
    for raw in raws:
        lines += [f"raw {raw.carrier} {_quoted(raw.key)} {{"]
        if raw.value is not None:
            lines.append(f"value = {text_word(raw.value)}")
        lines += [f"reason = {text_word(REASON)}", "}"]
    return [*lines, "}"]


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name) else f'"{name}"'


def _storages(guests: Sequence[Adopted]) -> dict[tuple[str, str], str]:
    """Names of the storages, by what each is: those that two guests are on first come by their folder's name."""
    found: dict[tuple[str, str], str] = {}
    for guest in guests:
        for key in guest.storages:
            if key not in found:
                folder = names(key[1].rpartition("/")[0].rpartition("/")[2], "disks")
                name, number = folder, 2
                while name in found.values():
                    name, number = f"{folder}-{number}", number + 1
                found[key] = name
    return found


def _networks(guests: Sequence[Adopted]) -> dict[Network, str]:
    """Names of the networks, by what each is."""
    found: dict[Network, str] = {}
    for guest in guests:
        for network in guest.networks:
            if network not in found:
                base = names(network.name, "net")
                name, number = base, 2
                while name in found.values():
                    name, number = f"{base}-{number}", number + 1
                found[network] = name
    return found


@dataclass(frozen=True, slots=True)
class Ends:
    """The names of what disks and NICs are on."""

    storages: Mapping[tuple[str, str], str]
    networks: Mapping[Network, str]


def _group(
    members: Sequence[Adopted],
    taken: set[str],
    ends: Ends,
    raws: Mapping[str, Sequence[RawCandidate]],
) -> list[str]:
    """The guests of one shape; with a class where there are several."""
    bodies = {guest.name: _blocks(guest, ends, raws.get(guest.name, ())) for guest in members}
    first = members[0]
    if len(members) == 1:
        return [f"vm {first.name} {{", *_settings(first.settings), *(x for b in bodies[first.name] for x in b), "}"]
    same = {
        key: value
        for key, value in first.settings.items()
        if key not in _OWN or all(guest.settings[key] == value for guest in members)
    }
    shared = [block for block in bodies[first.name] if all(block in bodies[guest.name] for guest in members)]
    name = _class_name(members, taken)
    lines = [f"class {name} {{", *_settings(same), *(line for block in shared for line in block), "}"]
    for guest in members:
        own = {key: value for key, value in guest.settings.items() if key not in same}
        rest = [line for block in bodies[guest.name] if block not in shared for line in block]
        inner = [*_settings(own), *rest]
        lines += [f"vm {guest.name} : {name} {{", *inner, "}"] if inner else [f"vm {guest.name} : {name}"]
    return lines


def _class_name(members: Sequence[Adopted], taken: set[str]) -> str:
    """What the guests' names begin with, else their machine and CPU."""
    common = _common([guest.name for guest in members]).rstrip("0123456789").strip("-._")
    first = members[0].settings
    machine = "virt" if first["machine"].startswith("virt") else "q35"
    name = common if len(common) > 1 else f"{machine}-{first.get('cpu', 'passthrough')}"
    wanted, number = name, 2
    while wanted in taken:
        wanted, number = f"{name}-{number}", number + 1
    taken.add(wanted)
    return wanted


def _common(texts: Sequence[str]) -> str:
    """What all begin with."""
    low, high = min(texts), max(texts)
    return low[: next((at for at, one in enumerate(low) if at >= len(high) or high[at] != one), len(low))]


def _settings(settings: Mapping[str, str]) -> list[str]:
    return [f"{key} = {value}" for key, value in settings.items()]


def _blocks(guest: Adopted, ends: Ends, raws: Sequence[RawCandidate]) -> list[tuple[str, ...]]:
    found = [_block(block, ends) for block in guest.blocks]
    for raw in raws:
        inner = (
            f"at = {raw.at if ' ' not in raw.at else text_word(raw.at)}",
            f"value = {text_word(raw.text)}",
            f"reason = {text_word(REASON)}",
        )
        found.append((f"raw xml {raw.label} {{", *inner, "}"))
    return found


def _block(block: Block, ends: Ends) -> tuple[str, ...]:
    settings = dict(block.settings)
    if block.storage is not None:
        settings["storage"] = ends.storages[block.storage]
    if block.network is not None:
        settings = {"network": ends.networks[block.network], **settings}
    return (f"{block.kind} {block.label} {{", *_settings(settings), "}")
