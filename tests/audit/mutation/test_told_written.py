"""All that is told of small faults in trees that people wrote: a golden, to the word and the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit import golden
from audit.mutation.faults import Fault, Faults
from audit.test_written import HOSTS, WRITTEN
from kvmc.audit.check import audit_handwritten
from kvmc.audit.handwritten import Found, kind_of, read

GOLDEN = "written-faults"
STEP = 6
"""Of the faults so many-th is tried."""


def _trees() -> dict[str, dict[str, str]]:
    return {
        host: {str(Path(one.name).relative_to(WRITTEN / host)): one.text for one in read([WRITTEN / host])}
        for host in HOSTS
    }


def _all_faults(trees: dict[str, dict[str, str]]) -> dict[str, list[tuple[str, Fault]]]:
    faults = Faults()
    every = {
        host: [(path, fault) for path, text in files.items() for fault in faults.of_text(path, text)]
        for host, files in trees.items()
    }
    return {host: some[::STEP] for host, some in every.items()}


TREES = _trees()
FAULTS = _all_faults(TREES)


PART = 12


@pytest.mark.parametrize(
    ("host", "first"), [(host, first) for host, some in FAULTS.items() for first in range(0, len(some), PART)]
)
def test_what_is_told_of_each_fault(host: str, first: int, pytestconfig: pytest.Config) -> None:
    update = pytestconfig.getoption("--update")
    wanted = golden.sections(GOLDEN)
    if update and not first:
        wanted = {title: text for title, text in wanted.items() if not title.startswith(f"{host} ")}
    for path, fault in FAULTS[host][first : first + PART]:
        texts = {**TREES[host], path: fault.text}
        files = [Found(name, text, kind_of(name, text)) for name, text in texts.items()]
        text = golden.brief(audit_handwritten(host, files, HOSTS[host]), texts)
        title = f"{host} {path} {fault.title}"
        if update:
            wanted[title] = text
        assert wanted.get(title) == text, (title, text)
    if update:
        golden.write(GOLDEN, wanted)
