"""All that is told of each small fault in each file of the rigs: goldens, to the word and the place."""

from __future__ import annotations

import re

import pytest

from audit import golden
from audit.mutation.faults import Fault, Faults
from audit.mutation.rigs import MACHINES, rig
from audit.mutation.trees import Built
from kvmc.diagnostics import Diagnostic

# Built when this file is imported: what each test needs is then there, and no test pays for another's.
RIGS = {name: rig(name) for name in MACHINES}


def _host(built: Built) -> str:
    (host,) = built.trees
    return host


PINNED = {
    ("intel", "rt"): 2,
    ("intel", "mix"): 1,
    ("intel", "web"): 2,
    ("amd", "wide"): 3,
    ("parts", "wide"): 4,
    ("hybrid", "fast"): 1,
}
"""Guests whose masks are tried, each so many-th fault."""


def _masks(built: Built) -> list[str]:
    """Each mask of CPUs of the rig's guests, a part and more of some, and CPUs that no guest has."""
    files = built.trees[_host(built)]
    found = {mask: None for path, text in files.items() for mask in re.findall(r'cpuset="([^"]+)"', text)}
    return [*found, "0", "1", "5", "4-5", "99"]


def _all_faults() -> dict[tuple[str, str], list[Fault]]:
    faults = Faults()
    return {
        (name, path): found
        for name, built in RIGS.items()
        for path, text in built.trees[_host(built)].items()
        if (found := faults.of_text(path, text))
    }


def _chosen(faults: list[Fault]) -> list[Fault]:
    """Two of five: so many as can be tried whenever tests are run."""
    return [fault for number, fault in enumerate(faults) if number % 5 in (0, 2)]


FAULTS = _all_faults()
for (name, guest), step in PINNED.items():
    path = f"domains/{guest}.xml"
    text = RIGS[name].trees[_host(RIGS[name])][path]
    FAULTS.setdefault((name, path), []).extend([*Faults().of_pins(text, _masks(RIGS[name]))][::step])


def _audit(built: Built, path: str, fault: Fault) -> tuple[list[Diagnostic], dict[str, str]]:
    host = _host(built)
    files = {**built.trees[host], path: fault.text}
    return built.audit({host: files}), {f"{host}/{name}": text for name, text in files.items()}


@pytest.mark.parametrize("name", RIGS)
def test_the_rigs_are_right(name: str) -> None:
    assert [item.message for item in RIGS[name].audit(RIGS[name].trees)] == []


PART = 20
PARTS = [(name, path, first) for (name, path), some in FAULTS.items() for first in range(0, len(_chosen(some)), PART)]


@pytest.mark.parametrize(("name", "path", "first"), PARTS)
def test_what_is_told_of_each_fault(name: str, path: str, first: int, pytestconfig: pytest.Config) -> None:
    built = RIGS[name]
    update = pytestconfig.getoption("--update")
    wanted = golden.sections(name)
    if update and not first:
        wanted = {title: text for title, text in wanted.items() if not title.startswith(f"{path} ")}
    for fault in _chosen(FAULTS[name, path])[first : first + PART]:
        title = f"{path} {fault.title}"
        text = golden.brief(*_audit(built, path, fault))
        if update:
            wanted[title] = text
        assert wanted.get(title) == text, (title, text)
    if update:
        golden.write(name, wanted)
