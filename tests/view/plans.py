"""Plans to draw: the examples, as they are committed and with guests added, moved and removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from kvmc.driver.outcome import Outcome
from kvmc.driver.stages import plan_site

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def example(name: str, folder: Path, **replaced: str) -> Outcome:
    """The plan of a copy of the example, with texts of its site replaced (`old` to `new`)."""
    copy = folder / name
    shutil.copytree(EXAMPLES / name, copy, ignore=shutil.ignore_patterns("generated"))
    site = copy / "site.kvmt"
    text = site.read_text()
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    site.write_text(text)
    outcome = plan_site(site)
    assert outcome.ok, [item.message for item in outcome.bag]
    return outcome


def changed(folder: Path) -> Outcome:
    """The database cluster with two guests more and one less than its locks hold."""
    return example(
        "database-ceph",
        folder,
        **{"vm osd-3 : osd\n": "vm pg-4 : pg\nvm pg-5 : pg\n", "[osd-1, osd-2, osd-3]": "[osd-1, osd-2]"},
    )
