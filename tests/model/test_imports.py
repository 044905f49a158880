"""Files: what can be read, the language version, imports."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kvmc.model.load import load_site
from model.support import BASE, good, load, one, spanned

HEADED = "kvmt 1\n"


def test_the_example_is_a_site() -> None:
    loaded = load_site(Path(__file__).parents[2] / "examples/telco-edge/site.kvmt")
    assert not loaded.bag.items
    assert loaded.site is not None
    assert list(loaded.site.vms) == ["upf-1", "upf-2", "du-1", "du-2", "ems-1", "ems-2"]


def test_an_import_adds_its_blocks_in_its_place(tmp_path: Path) -> None:
    text = 'import "more/classes.kvmt"\nvm a : small\n'
    classes = HEADED + 'import "../nets.kvmt"\nclass small : base {\n  nic n {\n    network = other\n  }\n}\n'
    nets = HEADED + "network other {\n  bridge = br1\n}\n"
    site = good(tmp_path, text, more__classes=classes, nets=nets)
    assert site.vms["a"].nics["n"].network == "other"


def test_paths_of_topologies_are_relative_to_the_file_that_states_them(tmp_path: Path) -> None:
    hosts = HEADED + 'host x : compute {\n  topology = "facts/x.json"\n}\n'
    assert good(tmp_path, 'import "more/hosts.kvmt"\n', more__hosts=hosts).hosts["x"].topology == ("more/facts/x.json",)


def test_a_file_imported_by_two_ways_is_read_once(tmp_path: Path) -> None:
    shared = HEADED + "network other {\n  bridge = br1\n}\n"
    way = HEADED + 'import "./shared.kvmt"\n'
    site = good(tmp_path, 'import "a.kvmt"\nimport "b.kvmt"\n', a=way, b=way, shared=shared)
    assert list(site.networks) == ["net", "other"]


@pytest.mark.parametrize(
    ("code", "path"),
    [
        ("KVMC0003", "none.kvmt"),
        ("KVMC0003", "more"),
        ("KVMC0003", "a.kvmt/b.kvmt"),
        ("KVMC0003", "x" * 300 + ".kvmt"),
        ("KVMC0004", "/etc/passwd"),
        ("KVMC0004", "../x.kvmt"),
        ("KVMC0004", "more/../../x.kvmt"),
        ("KVMC0004", "*.kvmt"),
        ("KVMC0004", ""),
        ("KVMC0004", "more/"),
        ("KVMC0004", "./std/throughput.kvmt"),
        ("KVMC0004", "more/../std/throughput.kvmt"),
        ("KVMC0007", "std/none.kvmt"),
        ("KVMC0007", "std/"),
        ("KVMC0007", "std/../site.kvmt"),
        ("KVMC0007", "std/sub/../throughput.kvmt"),
        ("KVMC0007", "std/__init__.py"),
    ],
)
def test_an_import_that_names_no_file_of_ours(tmp_path: Path, code: str, path: str) -> None:
    (tmp_path / "more").mkdir()
    told = one(tmp_path, BASE + f'import "{path}"\n', a=HEADED)
    assert told.code.id == code
    assert told.primary is not None
    text = (tmp_path / "site.kvmt").read_text()
    assert path in text[told.primary.span.start : told.primary.span.end]


def test_import_cycles_show_both_imports(tmp_path: Path) -> None:
    told = one(tmp_path, BASE + 'import "a.kvmt"\n', a=HEADED + 'import "b.kvmt"\n', b=HEADED + 'import "a.kvmt"\n')
    assert told.code.id == "KVMC0005"
    assert told.primary is not None
    assert told.primary.span.file == "b.kvmt"
    assert [label.span.file for label in told.secondary] == ["a.kvmt"]
    assert one(tmp_path, BASE + '«import "site.kvmt"»\n').code.id == "KVMC0005"


def test_one_file_importing_another_twice(tmp_path: Path) -> None:
    told = one(tmp_path, BASE + 'import "a.kvmt"\n«import "./a.kvmt"»\n', a=HEADED)
    assert told.code.id == "KVMC0006"
    assert len(told.secondary) == 1


def test_duplicates_over_two_files_show_both_places(tmp_path: Path) -> None:
    told = one(tmp_path, BASE + 'import "a.kvmt"\n', a=HEADED + "network net {\n  bridge = br1\n}\n")
    assert told.code.id == "KVMC0208"
    assert told.primary is not None
    assert (told.primary.span.file, told.secondary[0].span.file) == ("a.kvmt", "site.kvmt")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("KVMC0109", "«vm a»\n"),
        ("KVMC0109", "«a = b»\nkvmt 1\n"),
        ("KVMC0109", "«#» nothing\n"),
        ("KVMC0109", ""),
        ("KVMC0110", "«kvmt 2»\n"),
        ("KVMC0110", "«kvmt»\n"),
        ("KVMC0110", "«kvmt 1 2»\n"),
        ("KVMC0207", "kvmt 1\n«import»\n"),
        ("KVMC0207", 'kvmt 1\n«import "a" "b"»\n'),
        ("KVMC0107", "kvmt 1\n# a\n# «\x00»b\n"),
        ("KVMC0107", "kvmt 1\n# «\u202e»b\n"),
        ("KVMC0107", "kvmt 1«\r»# a\n"),
        ("KVMC0107", "kvmt 1\n# «\ufeff»\n"),
    ],
)
def test_what_a_file_must_begin_with_and_may_hold(tmp_path: Path, code: str, text: str) -> None:
    path = tmp_path / "site.kvmt"
    path.write_bytes(text.replace("«", "").replace("»", "").encode())
    loaded = load_site(path)
    assert [item.code.id for item in loaded.bag] == [code]
    if "«" in text:
        assert spanned(loaded, loaded.bag.items[0]) == text[text.index("«") + 1 : text.index("»")]


def test_imported_files_have_a_version_too(tmp_path: Path) -> None:
    told = one(tmp_path, BASE + 'import "a.kvmt"\n', a="network n {\n  bridge = br1\n}\n")
    assert told.code.id == "KVMC0109"
    assert told.help == ("write `kvmt 1` as its first line",)


def test_byte_order_mark_and_dos_newlines_change_nothing(tmp_path: Path) -> None:
    plain = load(tmp_path, BASE + "vm a : base\n").site
    (tmp_path / "site.kvmt").write_bytes(b"\xef\xbb\xbf" + (BASE + "vm a : base\n").replace("\n", "\r\n").encode())
    loaded = load_site(tmp_path / "site.kvmt")
    assert loaded.site == plain
    origin = loaded.origins.find("class", "base", "memory")
    assert origin is not None
    text = loaded.sources.texts["site.kvmt"]
    assert text[origin.span.start : origin.span.end] == "memory  = 8GiB"
    assert loaded.sources.position("site.kvmt", origin.span.start) == (BASE[: BASE.index("memory")].count("\n") + 1, 3)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "site.kvmt").write_bytes(BASE.encode() + b"\n# caf\xe9\n")
    bag = load_site(tmp_path / "site.kvmt").bag
    assert [(item.code.id, item.message) for item in bag] == [
        ("KVMC0002", f"file `site.kvmt` is not UTF-8: byte 0xe9 in line {BASE.count(chr(10)) + 2}")
    ]


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    (tmp_path / "site.kvmt").write_text(BASE + "# " + "x" * 4 * 1024 * 1024)
    assert [item.code.id for item in load_site(tmp_path / "site.kvmt").bag] == ["KVMC0112"]


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "real.kvmt").write_text(BASE)
    (tmp_path / "link.kvmt").symlink_to("real.kvmt")
    (tmp_path / "folder.kvmt").mkdir()
    os.mkfifo(tmp_path / "pipe.kvmt")
    reasons = {
        "link.kvmt": "a symbolic link",
        "folder.kvmt": "a folder",
        "pipe.kvmt": "a named pipe",
        "none.kvmt": "not exist",
    }
    for name, reason in reasons.items():
        (item,) = load_site(tmp_path / name).bag
        assert item.code.id == "KVMC0001"
        assert reason in item.message
        assert one(tmp_path, BASE + f'import "{name}"\n').code.id == "KVMC0003"
    (item,) = load_site(Path("/dev/zero")).bag
    assert "a device" in item.message


def test_a_linked_folder_does_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "x.kvmt").write_text(HEADED)
    (tmp_path / "site/out").symlink_to("..")
    assert one(tmp_path / "site", BASE + 'import «"out/x.kvmt"»\n').code.id == "KVMC0004"


def test_syntax_errors_of_all_files_are_told_and_blocks_are_not_judged(tmp_path: Path) -> None:
    loaded = load(tmp_path, BASE + 'import "a.kvmt"\nvm b : c\nx = = y\n', a=HEADED + "class c {\n  a b = 1\n}\n")
    assert {(item.code.id, item.primary.span.file) for item in loaded.bag if item.primary} == {
        ("KVMC0101", "site.kvmt"),
        ("KVMC0101", "a.kvmt"),
    }
