"""The registry of codes."""

from __future__ import annotations

import re

from kvmc.diagnostics.codes import PHASES, registry
from kvmc.diagnostics.model import Code


def test_no_number_stands_twice_and_each_is_of_its_phase() -> None:
    codes = [
        (phase.__name__.rpartition(".")[2], code)
        for phase in PHASES
        for code in vars(phase).values()
        if isinstance(code, Code)
    ]
    prefix = {
        "driver": "00",
        "syntax": "01",
        "schema": "02",
        "topology": "03",
        "placement": "04",
        "host": "05",
        "artifacts": "06",
        "audit": "07",
        "verify": "08",
        "adopt": "08",
    }
    assert len({code.id for _, code in codes}) == len(codes)
    assert len(registry()) == len(codes)
    for phase, code in codes:
        assert re.fullmatch(rf"KVMC{prefix[phase]}\d\d", code.id), code
        assert code.title and not code.title.endswith("."), code
