"""What an earlier release built is built again: the same places and identities, the same meaning but for what is listed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kvmc.audit.tree import read_tree
from kvmc.driver.build import Options, build_site
from kvmc.resolver.locks import loads
from kvmc.verify.change import listing
from kvmc.verify.compare import compare
from kvmc_targets import BUILTIN

HERE = Path(__file__).parent
SITES = sorted(path.parent for path in HERE.glob("*/*/site.kvmt"))
IDS = [str(path.relative_to(HERE)) for path in SITES]


def test_every_release_is_here() -> None:
    releases = {path.name for path in HERE.iterdir() if path.is_dir() and path.name[0].isdigit()}
    assert "0.1.0" in releases
    assert {path.parent.name for path in SITES} == releases
    assert all((HERE / release / "differences.txt").is_file() for release in releases)


@pytest.mark.parametrize("site", SITES, ids=IDS)
def test_a_release_is_built_again(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    shutil.rmtree(copy / "generated")
    outcome = build_site(copy / "site.kvmt", BUILTIN)
    assert outcome.ok, [item.message for item in outcome.bag]
    for path in sorted((site / "locks").iterdir()):
        old, bag = loads(path.read_text(), path.name)
        assert old is not None and not bag.has_errors
        new, _ = loads((copy / "locks" / path.name).read_text(), path.name)
        assert new == old
    changes, bag = compare(read_tree(site / "generated"), read_tree(copy / "generated"))
    assert not bag.items
    assert listing(changes) == (site.parent / "differences.txt").read_text()


@pytest.mark.parametrize("site", SITES, ids=IDS)
def test_its_locks_are_taken_without_a_search(site: Path, tmp_path: Path) -> None:
    copy = tmp_path / "site"
    shutil.copytree(site, copy)
    outcome = build_site(copy / "site.kvmt", BUILTIN, Options(locked=True))
    assert outcome.ok, [item.message for item in outcome.bag]


def test_a_change_of_meaning_would_be_seen(tmp_path: Path) -> None:
    site = SITES[0]
    copy = tmp_path / "generated"
    shutil.copytree(site / "generated", copy)
    domain = next(copy.glob("*/domains/upf-1.xml"))
    domain.write_text(domain.read_text().replace('priority="1"', 'priority="2"'))
    changes, _ = compare(read_tree(site / "generated"), read_tree(copy))
    assert listing(changes) != (site.parent / "differences.txt").read_text()
