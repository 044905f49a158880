"""Two trees by meaning: the label and the blast radius of each change, and nothing where only the spelling differs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from kvmc.diagnostics import Bag
from kvmc.verify.change import listing, strongest, touched
from kvmc.verify.compare import compare
from kvmc.verify.difference import Effect
from kvmc.verify.trees import read
from verify.pairs import CHANGED, EQUAL, Pair
from verify.rich import build_rich
from verify.simulate import Built, build_example, built


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_example("telco-edge", tmp_path_factory.mktemp("edge"))


@pytest.fixture(scope="module")
def rich(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_rich(tmp_path_factory.mktemp("rich"))


def changed(pair: Pair, edge: Built, folder: Path) -> Mapping[str, Mapping[str, str]]:
    """The new tree of the pair. The locks go along, as in a repository."""
    if pair.site:
        shutil.copytree(edge.folder, folder / "site")
        site = folder / "site" / "site.kvmt"
        text = site.read_text()
        for old, new in pair.site:
            assert old in text
            text = text.replace(old, new)
        site.write_text(text)
        return built(folder / "site").trees
    tree = {host: dict(texts) for host, texts in edge.trees.items()}
    assert pair.tree is not None
    pair.tree(tree)
    assert tree != edge.trees
    return tree


@pytest.mark.parametrize("pair", [*CHANGED, *EQUAL], ids=lambda one: one.name.replace(" ", "-"))
def test_a_pair_has_its_label(pair: Pair, edge: Built, rich: Built, tmp_path: Path) -> None:
    old = rich if pair.rich else edge
    changes, bag = compare(old.trees, changed(pair, old, tmp_path))
    text = listing(changes)
    assert not bag.items
    assert strongest(changes) == pair.effect, text
    assert touched(changes) == pair.guests, text
    assert all(one in text for one in pair.says), text
    if pair.only is not None:
        assert len(changes) == pair.only, text
    if pair.effect is None:
        assert text == ""


def test_there_are_as_many_pairs_as_there_must_be() -> None:
    assert len(CHANGED) + len(EQUAL) >= 60
    assert len(EQUAL) >= 20
    assert len({pair.name for pair in [*CHANGED, *EQUAL]}) == len(CHANGED) + len(EQUAL)
    assert {pair.effect for pair in CHANGED} == set(Effect)


@pytest.mark.parametrize("pair", CHANGED[15:], ids=lambda one: one.name.replace(" ", "-"))
def test_the_way_back_is_a_change_too(pair: Pair, edge: Built, rich: Built, tmp_path: Path) -> None:
    old = rich if pair.rich else edge
    changes, _ = compare(changed(pair, old, tmp_path), old.trees)
    assert changes


def test_a_revision_is_read_as_the_folder_was(edge: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(edge.folder, tmp_path / "site")
    monkeypatch.chdir(tmp_path / "site")

    def git(*words: str) -> None:
        who = ("-c", "user.name=t", "-c", "user.email=t@example.net")
        subprocess.run(["git", *who, *words], check=True, capture_output=True)

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "one")
    sysctl = Path("generated/edge-17a/etc/sysctl.d/90-kvmc.conf")
    sysctl.write_text(sysctl.read_text().replace("swappiness = 10", "swappiness = 20"))
    git("commit", "-q", "-a", "-m", "two")
    bag = Bag()
    old = read("HEAD~1", bag, git=True)
    assert old == edge.trees
    assert read("HEAD~1:generated", bag) == edge.trees
    assert read("HEAD~1:./generated", bag, git=True) == edge.trees
    changes, _ = compare(old, read("HEAD", bag, git=True))
    assert [one.what for one in changes] == ["sysctl `vm.swappiness`"]
    assert compare(read("HEAD", bag, git=True), read("generated", bag))[0] == ()
    assert not bag.items


@pytest.mark.parametrize("name", ["nowhere", "HEAD:nowhere", "--output=x:y", "HEAD:generated/../..", "\udc80:x"])
def test_what_is_no_tree_is_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bag = Bag()
    assert read(name, bag) == {}
    assert [item.code.id for item in bag] == ["KVMC0840"]


def test_an_artifact_that_cannot_be_read_is_no_change_in_silence(edge: Built) -> None:
    tree = {host: dict(texts) for host, texts in edge.trees.items()}
    tree["edge-17a"]["domains/du-1.xml"] = "<domain"
    _, bag = compare(edge.trees, tree)
    assert any("edge-17a/domains/du-1.xml" in item.message and item.code.id == "KVMC0840" for item in bag)
