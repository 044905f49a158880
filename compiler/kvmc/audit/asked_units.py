"""Units and drop-ins by what they must say: which sections, which keys, which words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kvmc.audit.settings import Entry, read_sections
from kvmc.audit.source import File
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import audit as codes

_FOLDER = "etc/systemd/system/"
_MOUNT = re.compile(r"etc/systemd/system/dev-hugepages([0-9]+[KMG])\.mount")
_ENVIRONMENT = re.compile(r"\"?IRQBALANCE_BANNED_CPU(?:LIST|S)=[^\"\s]+\"?")
_FREE = "*"
"""A value that another check judges, or that no program reads."""

Statement = Mapping[tuple[str, str], str]
"""Section and key to value. Words of `Before=` and such may come in any order."""

_ONESHOT = {("Service", "Type"): "oneshot", ("Service", "RemainAfterExit"): "yes"}
_STATEMENTS: Mapping[str, Statement] = {
    "etc/systemd/system.conf.d/90-kvmc.conf": {("Manager", "CPUAffinity"): _FREE},
    f"{_FOLDER}irqbalance.service.d/90-kvmc.conf": {("Service", "Environment"): _FREE},
    f"{_FOLDER}irqbalance.service.d/91-kvmc-irqs.conf": {("Unit", "ConditionPathExists"): "!/etc/kvmc/place-irqs"},
    f"{_FOLDER}kvmc-irqs.timer": {
        ("Unit", "Description"): _FREE,
        ("Timer", "OnActiveSec"): "1s",
        ("Timer", "OnUnitInactiveSec"): "30s",
        ("Timer", "AccuracySec"): "1s",
        ("Install", "WantedBy"): "timers.target",
    },
    f"{_FOLDER}kvmc-irqs.service": {
        ("Unit", "Description"): _FREE,
        ("Service", "Type"): "oneshot",
        ("Service", "ExecStart"): "/etc/kvmc/place-irqs",
        ("Service", "SyslogLevel"): "notice",
        ("Service", "LogLevelMax"): "notice",
    },
    f"{_FOLDER}kvmc-vfs.service": {
        ("Unit", "Description"): _FREE,
        ("Unit", "After"): "systemd-modules-load.service systemd-udev-trigger.service",
        ("Unit", "Wants"): "network-pre.target",
        ("Unit", "Before"): "network-pre.target libvirtd.service virtqemud.service",
        **_ONESHOT,
        ("Service", "ExecStart"): "/etc/kvmc/make-vfs",
        ("Service", "TimeoutStartSec"): "120",
        ("Install", "WantedBy"): "multi-user.target",
    },
    f"{_FOLDER}kvmc-hugepages.service": {
        ("Unit", "Description"): _FREE,
        ("Unit", "DefaultDependencies"): "no",
        ("Unit", "RequiresMountsFor"): "/etc",
        ("Unit", "Conflicts"): "shutdown.target",
        ("Unit", "Before"): "sysinit.target shutdown.target libvirtd.service virtqemud.service",
        **_ONESHOT,
        ("Service", "ExecStart"): "/etc/kvmc/reserve-hugepages",
        ("Install", "WantedBy"): "sysinit.target",
    },
    f"{_FOLDER}kvmc-vswitch.service": {
        ("Unit", "Description"): _FREE,
        ("Unit", "RequiresMountsFor"): "/etc",
        ("Unit", "Requires"): "ovsdb-server.service",
        ("Unit", "After"): "ovsdb-server.service",
        ("Unit", "Before"): "ovs-vswitchd.service",
        **_ONESHOT,
        ("Service", "ExecStart"): "/etc/kvmc/set-vswitch",
        ("Install", "WantedBy"): "multi-user.target ovs-vswitchd.service",
    },
    f"{_FOLDER}kvmc-resctrl.service": {
        ("Unit", "Description"): _FREE,
        ("Unit", "RequiresMountsFor"): "/etc",
        ("Unit", "After"): "local-fs.target",
        ("Unit", "Before"): "libvirtd.service virtqemud.service",
        **_ONESHOT,
        ("Service", "ExecStart"): "/etc/kvmc/share-resctrl",
        ("Install", "WantedBy"): "multi-user.target",
    },
}
_BOOL = {"yes": "yes", "true": "yes", "on": "yes", "1": "yes", "no": "no", "false": "no", "off": "no", "0": "no"}


def _mount(size: str) -> Statement:
    return {
        ("Unit", "Description"): _FREE,
        ("Unit", "DefaultDependencies"): "no",
        ("Unit", "Before"): "sysinit.target",
        ("Mount", "What"): "hugetlbfs",
        ("Mount", "Where"): f"/dev/hugepages{size}",
        ("Mount", "Type"): "hugetlbfs",
        ("Mount", "Options"): f"mode=0755,pagesize={size}",
        ("Install", "WantedBy"): "sysinit.target",
    }


def statement_of(path: str) -> Statement | None:
    """What the file must say; None for one that kvmc has no statement for."""
    match = _MOUNT.fullmatch(path)
    return _mount(match[1]) if match else _STATEMENTS.get(path)


def check(file: File, bag: Bag) -> None:
    """One unit against its statement."""
    statement = statement_of(file.path)
    if statement is None:
        return
    seen: dict[tuple[str, str], Entry] = {}
    for entry in read_sections(file, Bag()):
        key = (entry.section, entry.key)
        if not entry.value.value:
            continue  # takes back what stood before it; what stays is judged
        if entry.head is not None and entry.section not in {section for section, _ in statement}:
            bag.error(codes.UNIT_DIFFERS, f"`[{entry.section[:40]}]` has no place in `{file.path}`", entry.head)
            continue
        wanted = statement.get(key)
        if wanted is None:
            bag.error(
                codes.UNIT_DIFFERS,
                f"`[{entry.section[:40]}] {entry.key[:40]}` has no place in `{file.path}`",
                entry.span,
            )
        elif entry.key == "Environment" and _ENVIRONMENT.fullmatch(entry.value.value) is None:
            shown = entry.value.value[:60]
            bag.error(
                codes.UNIT_DIFFERS, f"`{shown}` in `{file.path}` is not the list that irqbalance reads", entry.span
            )
        elif key in seen and wanted != _FREE:
            bag.error(codes.REPEATED, f"`{entry.key}` in `{file.path}` is there twice", entry.span)
        elif wanted != _FREE and _words(entry.value.value) != _words(wanted):
            shown = entry.value.value[:80]
            bag.error(
                codes.UNIT_DIFFERS, f"`{entry.key}` in `{file.path}` is `{shown}`, and is to be `{wanted}`", entry.span
            )
        seen.setdefault(key, entry)
    for key, wanted in statement.items():
        if key not in seen and key[1] != "Description":
            beside = [entry.span for other, entry in seen.items() if other[0] == key[0]]
            what = f"`[{key[0]}] {key[1]}{'' if wanted == _FREE else '=' + wanted}`"
            bag.error(codes.UNIT_DIFFERS, f"`{file.path}` lacks {what}", beside[0] if beside else file.head)


def _words(text: str) -> list[str]:
    words = sorted(part for word in text.split() for part in word.split(","))
    return [_BOOL.get(words[0].lower(), words[0])] if len(words) == 1 else words
