"""The examples: what is committed is what is built, from nothing and from the locks, and the audit has nothing to say."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kvmc.driver.build import Options, build_site
from kvmc.driver.stages import check_site
from kvmc_targets import BUILTIN

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/site.kvmt"))


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below, by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_there_are_examples() -> None:
    assert {"telco-edge", "database-ceph", "tiny", "arm-edge"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("start", ["from nothing", "from its locks"])
def test_a_build_gives_what_is_committed(name: str, start: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(EXAMPLES / name, site)
    committed = tree(site)
    shutil.rmtree(site / "generated")
    if start == "from nothing":
        shutil.rmtree(site / "locks")
    outcome = build_site(site / "site.kvmt", BUILTIN)
    assert [item.message for item in outcome.bag] == []
    assert tree(site) == committed


@pytest.mark.parametrize("name", NAMES)
def test_a_build_changes_nothing_that_is_right(name: str) -> None:
    outcome = build_site(EXAMPLES / name / "site.kvmt", BUILTIN, Options(check=True, locked=True))
    assert [item.message for item in outcome.bag] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_check_has_nothing_to_say(name: str) -> None:
    assert [item.message for item in check_site(EXAMPLES / name / "site.kvmt").bag] == []
