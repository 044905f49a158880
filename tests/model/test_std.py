"""The standard library: how sources take it in, and what its files must be."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kvmc import std
from kvmc.driver.format import format_files
from kvmc.driver.show import show_block
from kvmc.model.load import load_site
from kvmc.syntax.format import format_text
from kvmc.syntax.parser import parse
from kvmc.syntax.tree import Block
from model.support import BASE, good, one, spanned

IMPORT = 'import "std/throughput.kvmt"\n'
GUEST = "vm a : throughput {\n  vcpus = 2\n  memory = 2GiB\n  machine = pc-q35-9.2\n}\n"


def test_a_class_of_the_library_is_had_by_a_guest(tmp_path: Path) -> None:
    guest = good(tmp_path, IMPORT + GUEST).vms["a"]
    assert (guest.lineage, guest.pinning, guest.pages_kib) == (("throughput",), "dedicated", 1024 * 1024)


def test_nothing_is_read_that_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> str:
        raise AssertionError("the library was read")

    monkeypatch.setattr(std, "text", none)
    monkeypatch.setattr(std, "names", none)
    good(tmp_path, "vm a : base\n")


def test_files_of_the_library_are_named_by_their_import(tmp_path: Path) -> None:
    loaded = load_site(Path(tmp_path / "site.kvmt")) if good(tmp_path, IMPORT + GUEST) else None
    assert loaded is not None
    origin = loaded.origins.find("vm", "a", "pinning")
    assert origin is not None and origin.span.file == "std/throughput.kvmt"
    text, bag, _ = show_block(tmp_path / "site.kvmt", "vm", "a")
    line = std.text("std/throughput.kvmt").split("\n").index("  pinning  = dedicated") + 1
    assert text is not None and not bag.items
    assert re.search(rf"pinning += dedicated +# std/throughput\.kvmt:{line}\n", text)


def test_an_unknown_file_is_told_with_those_that_are_near(tmp_path: Path) -> None:
    told = one(tmp_path, BASE + 'import «"std/througput.kvmt"»\n')
    assert told.code.id == "KVMC0007"
    assert told.fixes[0].text == '"std/throughput.kvmt"'


@pytest.mark.parametrize("importer", ["", "more/"])
def test_a_file_beside_the_site_never_stands_for_the_librarys(tmp_path: Path, importer: str) -> None:
    (tmp_path / importer / "std").mkdir(parents=True)
    (tmp_path / importer / "std/throughput.kvmt").write_text("kvmt 1\nclass throughput : base\n")
    (tmp_path / importer / "std/mine.kvmt").write_text("kvmt 1\nclass mine : base\n")
    for name in ("throughput", "mine"):
        text, more = f'import "std/{name}.kvmt"\n', {}
        if importer:
            text, more = 'import "more/x.kvmt"\n', {"more__x": "kvmt 1\n" + text}
        told = one(tmp_path, BASE + text, **more)
        assert told.code.id == "KVMC0030" and "another name" in told.help[0]


def test_a_class_of_the_sites_own_clashes_with_the_librarys(tmp_path: Path) -> None:
    told = one(tmp_path, BASE + IMPORT + "«class throughput : base»\n")
    assert told.code.id == "KVMC0208"
    assert [label.span.file for label in told.secondary] == ["std/throughput.kvmt"]


def test_files_of_the_library_import_each_other_and_none_of_the_sites(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {
        "std/a.kvmt": 'kvmt 1\nimport "b.kvmt"\nimport "std/c.kvmt"\nclass a : b\n',
        "std/b.kvmt": "kvmt 1\nclass b\n",
        "std/c.kvmt": 'kvmt 1\nimport "../c.kvmt"\n',
    }
    monkeypatch.setattr(std, "names", lambda: tuple(texts))
    monkeypatch.setattr(std, "text", texts.__getitem__)
    told = one(tmp_path, BASE + 'import "std/a.kvmt"\n', c="kvmt 1\nclass c\n", b="kvmt 1\nclass d\n")
    assert told.code.id == "KVMC0007" and told.primary is not None and told.primary.span.file == "std/c.kvmt"
    texts["std/c.kvmt"] = "kvmt 1\nclass c\n"
    good(tmp_path, 'import "std/a.kvmt"\nclass x : a\nclass y : c\n')


def test_fmt_of_a_site_leaves_the_library_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good(tmp_path, IMPORT + GUEST)
    assert [one.shown for one in format_files([tmp_path], write=False).files] == [str(tmp_path / "site.kvmt")]


@pytest.mark.parametrize("name", std.names())
def test_a_file_of_the_library(tmp_path: Path, name: str) -> None:
    """Canonical, of classes alone, each with a comment that says what it is for, and right beside any site."""
    text = std.text(name)
    made, _ = format_text(name, text)
    assert made == text, "run `kvmc fmt`"
    file, _ = parse(name, text)
    assert file is not None
    blocks = [item for item in file.items if isinstance(item, Block)]
    assert len(blocks) == len(file.items) and {item.kind.text for item in blocks} <= {"kvmt", "import", "class"}
    for item in blocks:
        before = text[: item.span.start].splitlines()
        assert item.kind.text != "class" or before[-1].startswith("# "), item.labels[0].text
    classes = [item.labels[0].text for item in blocks if item.kind.text == "class"]
    assert classes
    disks = {"database": "".join(f"  disk {disk} {{\n    storage = fast\n  }}\n" for disk in ("data", "log"))}
    guests = [GUEST.replace("a : throughput {\n", f"a-{one} : {one} {{\n{disks.get(one, '')}") for one in classes]
    storage = 'storage fast {\n  source = "/dev/vg0/{vm}-{disk}"\n}\n' if set(classes) & set(disks) else ""
    site = good(tmp_path, f'import "{name}"\n{storage}' + "".join(guests))
    assert len(site.vms) == len(classes)


def test_paths_of_the_library_are_known_both_ways() -> None:
    assert "std/throughput.kvmt" in std.names()
    for name in std.names():
        assert std.path(name).read_text() == std.text(name)
        assert std.name_of(std.path(name)) == name
    assert std.name_of(Path("throughput.kvmt")) is None


def test_what_is_told_in_the_library_is_shown_at_the_sites_own_line(tmp_path: Path) -> None:
    """GitHub and SARIF know no file of the library's: the guest's line goes first, and the library's beside it."""
    from kvmc.diagnostics import Bag, Label, Span
    from kvmc.diagnostics.codes import schema
    from kvmc.diagnostics.github import render as github
    from kvmc.diagnostics.sarif import render as sarif

    good(tmp_path, IMPORT + GUEST)
    loaded = load_site(tmp_path / "site.kvmt")
    own = loaded.sources.texts["site.kvmt"].index("vm a")
    bag = Bag()
    bag.error(
        schema.UNKNOWN_NAME,
        "x",
        Label(Span("std/throughput.kvmt", 0, 4), "here"),
        secondary=[Label(Span("site.kvmt", own, own + 4), "of this guest")],
    )
    assert spanned(loaded, bag.items[0]) == "kvmt"
    assert github(bag, loaded.sources).startswith("::error file=site.kvmt,line=")
    log = sarif(bag, loaded.sources, "0")
    assert log.index('"uri": "site.kvmt"') < log.index('"relatedLocations"') < log.index('"uri": "std/throughput.kvmt"')


def test_a_class_of_the_library_is_shown_with_its_comment_imported_or_not(tmp_path: Path) -> None:
    for text, note in ((IMPORT + GUEST, False), ("", True)):
        good(tmp_path, text)
        shown, bag, _ = show_block(tmp_path / "site.kvmt", "class", "throughput")
        assert shown is not None and not bag.items
        assert "# Costs: " in shown and "class throughput {" in shown and "std/throughput.kvmt:" in shown
        assert ('# import "std/throughput.kvmt" to have it' in shown) is note
    shown, bag, _ = show_block(tmp_path / "site.kvmt", "class", "throughputt")
    assert shown is None and bag.has_errors


def test_a_class_of_the_library_is_explained() -> None:
    from kvmc.model.classes import described

    text = described("gpu-mdev")
    assert text is not None and text.startswith('import "std/gpu-passthrough.kvmt"\n') and "Example: " in text
    assert described("nothing") is None
