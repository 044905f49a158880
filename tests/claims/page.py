"""`docs/claims.md`, written from `claims.toml`; `python -m claims.page` (with `tests` on the path) writes it anew."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(__file__).with_name("claims.toml")
PAGE = ROOT / "docs" / "claims.md"

KINDS = {
    "real": "so it is",
    "garbled": "something real, not so",
    "absent": "no such thing",
    "number": "a number alone",
    "gap": "left out there",
}

_HEAD = """\
# What an article claims, and what kvmc does

kvmc began with an article on tuning KVM hosts that mixes real mechanisms with garbled ones and with names that never existed. This
is each of its claims in our words, what is true, and what kvmc does about it: the settings, a line of an example's generated tree,
the diagnostics, the names that `kvmc explain` knows, and the tests that show it. Of what is a number alone kvmc repeats nothing.

Written from `tests/claims/claims.toml`; a test keeps it so, and tells of a setting, code, name, line or test that is not there.
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A row. line: a file below an example's generated tree, as `example/host/path`, and what stands in it."""

    id: str
    kind: str
    claim: str
    truth: str
    does: str
    settings: tuple[str, ...]
    codes: tuple[str, ...]
    names: tuple[str, ...]
    line: tuple[str, ...]
    tests: tuple[str, ...]


def claims() -> list[Claim]:
    """All rows, in the order of the file. Raises TypeError for a row with another field."""
    lists = ("settings", "codes", "names", "line", "tests")
    rows = tomllib.loads(DATA.read_text(encoding="utf-8"))
    return [
        Claim(
            id,
            **(dict.fromkeys(lists, ()) | {key: tuple(value) if key in lists else value for key, value in row.items()}),
        )
        for id, row in rows.items()
    ]


def generated(line: tuple[str, ...]) -> Path:
    """The file of a row's line."""
    example, host, path = line[0].split("/", 2)
    return ROOT / "examples" / example / "generated" / host / path


def render(rows: list[Claim]) -> str:
    """The page."""
    counts = ", ".join(f"{sum(row.kind == kind for row in rows)} {words}" for kind, words in KINDS.items())
    lines = [
        _HEAD,
        f"{len(rows)} claims: {counts}.",
        "",
        "| | claim | truth | | kvmc | shown by |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = (
            row.id,
            row.claim,
            row.truth,
            KINDS[row.kind],
            _does(row),
            "<br>".join(f"`{test}`" for test in row.tests),
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _does(row: Claim) -> str:
    parts = [row.does]
    if row.settings:
        parts.append("set by " + ", ".join(f"`{one}`" for one in row.settings))
    if row.line:
        parts.append(f"`{row.line[1]}` in [{row.line[0]}](../{generated(row.line).relative_to(ROOT).as_posix()})")
    if row.codes:
        parts.append(", ".join(row.codes))
    if row.names:
        parts.append("explains " + ", ".join(f"`{one}`" for one in row.names))
    return "<br>".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render(claims()), encoding="utf-8")
