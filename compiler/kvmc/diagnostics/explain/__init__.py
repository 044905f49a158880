"""The pages of the codes: `KVMCnnnn.md` beside this file, one a code. `tests/diagnostics/test_explain.py` runs their examples."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from importlib.resources import files

from kvmc.diagnostics.codes import registry
from kvmc.diagnostics.model import Code

_NEAR = 4
_BASE = """
---
The examples stand in a small site that builds: platform `deb12`, pool `compute` with 16 pages of 1GiB and 4 VFs, its one host `a`
(two nodes of 6 cores and 32GiB), network `lan`, storage `disks`, guests `one` and `two` of class `db` and `web` of class `small`.
Blocks of the same name replace those of that site.
"""


def find(text: str) -> Code | None:
    """The code that a user means: `KVMC0205`, in any letter case, or its digits."""
    match = re.fullmatch(r"(?:KVMC)?([0-9]{1,4})", text.strip(), re.IGNORECASE | re.ASCII)
    return registry().get(f"KVMC{int(match[1]):04}") if match else None


def near(text: str) -> tuple[Code, ...]:
    """The codes that look most like a text, or whose titles have its words; nearest first."""
    wanted = text.casefold()[:80]
    digits = re.sub("[^0-9]", "", wanted)

    def likeness(code: Code) -> tuple[float, float]:
        words = sum(word in code.title.casefold() for word in wanted.split())
        same = SequenceMatcher(None, digits, code.id[4:]).ratio() if digits else 0.0
        return words + same, -abs(int(code.id[4:]) - int(digits)) if len(digits) in range(1, 9) else 0.0

    return tuple(sorted(registry().values(), key=likeness, reverse=True)[:_NEAR])


def page(code: Code) -> str:
    """The page of a code, in Markdown; with what its examples stand in, where it has some."""
    text = (files(__name__) / f"{code.id}.md").read_text(encoding="utf-8")
    return text + _BASE if "```" in text else text
