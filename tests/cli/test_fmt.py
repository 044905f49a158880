"""`kvmc fmt` and `kvmc show` as a user runs them."""

from __future__ import annotations

import io
import shutil
import stat
import sys
from pathlib import Path

import pytest

from kvmc.cli import main

ROOT = Path(__file__).parents[2]
UNTIDY = b"\xef\xbb\xbfa=1\r\n\r\n\r\nlong=2 # x\r\n"
TIDY = b"a = 1\n\nlong = 2  # x\n"


def run(*arguments: str, monkeypatch: pytest.MonkeyPatch, stdin: bytes = b"") -> int:
    monkeypatch.setattr(sys, "argv", ["kvmc", *arguments])
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.kvmt", "sub/b.kvmt", ".git/c.kvmt", "sub/d.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(UNTIDY)
    (tmp_path / "link.kvmt").symlink_to("a.kvmt")
    (tmp_path / "a.kvmt").chmod(0o640)
    return tmp_path


def test_files_are_written_in_place_with_their_mode(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("fmt", monkeypatch=monkeypatch) == 0
    assert (folder / "a.kvmt").read_bytes() == (folder / "sub/b.kvmt").read_bytes() == TIDY
    assert stat.S_IMODE((folder / "a.kvmt").stat().st_mode) == 0o640
    assert (folder / ".git/c.kvmt").read_bytes() == (folder / "sub/d.txt").read_bytes() == UNTIDY
    assert (folder / "link.kvmt").is_symlink()
    assert sorted(path.name for path in folder.iterdir()) == [".git", "a.kvmt", "link.kvmt", "sub"]


def test_check_and_diff_write_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fmt", "--check", "a.kvmt", monkeypatch=monkeypatch) == 1
    assert capsys.readouterr().err == "a.kvmt: would be formatted\n1 file would be formatted, 0 as they should be\n"
    assert run("fmt", "--diff", "a.kvmt", monkeypatch=monkeypatch) == 1
    assert capsys.readouterr().out.splitlines()[:4] == [
        "--- a/a.kvmt",
        "+++ b/a.kvmt",
        "@@ -1,5 +1,4 @@",
        "-\\ufeffa=1\\r",
    ]
    assert (folder / "a.kvmt").read_bytes() == UNTIDY
    assert run("fmt", "a.kvmt", monkeypatch=monkeypatch) == 0
    assert run("fmt", "--check", "a.kvmt", monkeypatch=monkeypatch) == 0
    assert run("fmt", "--diff", "a.kvmt", monkeypatch=monkeypatch) == 0


def test_standard_input_goes_to_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fmt", "-", monkeypatch=monkeypatch, stdin=UNTIDY) == 0
    assert capsys.readouterr().out.encode() == TIDY
    assert run("fmt", "-", "--check", monkeypatch=monkeypatch, stdin=UNTIDY) == 1
    assert capsys.readouterr().out == ""
    assert run("fmt", "-", monkeypatch=monkeypatch, stdin=b"a = = 1\n") == 1
    found = capsys.readouterr()
    assert found.out == "" and "KVMC0101" in found.err and "<stdin>:1:5" in found.err


def test_what_cannot_be_read_is_left_alone_and_the_rest_is_done(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "sub/b.kvmt").write_bytes(b"a=1\nb = = 2\n")
    (folder / "sub/e.kvmt").write_bytes(b"a=\xff\n")
    assert run("fmt", ".", "gone.kvmt", monkeypatch=monkeypatch) == 1
    told = capsys.readouterr().err
    assert all(code in told for code in ("KVMC0101", "KVMC0002", "KVMC0001")), told
    assert (folder / "a.kvmt").read_bytes() == TIDY
    assert (folder / "sub/b.kvmt").read_bytes() == b"a=1\nb = = 2\n"


EXAMPLE = ROOT / "examples/database-ceph"


def test_a_shown_guest_names_the_line_of_each_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", "vm", "pg-3", str(EXAMPLE), monkeypatch=monkeypatch) == 0
    lines = capsys.readouterr().out.splitlines()
    texts = {name: (EXAMPLE / name).read_text().splitlines() for name in ("site.kvmt", "classes.kvmt")}
    set_here = 0
    for line in lines:
        code, _, place = line.partition("  # ")
        words = code.split()
        if place and place != "default":
            file, _, number = place.partition(":")
            assert texts[file][int(number) - 1].split() == words, line
            set_here += 1
    assert set_here > 20
    found = [line.split() for line in lines]
    assert ["memory", "=", "96GiB", "#", "site.kvmt:63"] in found
    assert ["nodes", "=", "1", "#", "default"] in found


@pytest.mark.parametrize(("kind", "name"), [("vm", "pg-3"), ("vm", "osd-2"), ("host", "db-b"), ("class", "warehouse")])
def test_what_is_shown_means_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    from kvmc.model.load import load_site
    from kvmc.syntax.format import format_text
    from kvmc.syntax.parser import parse
    from kvmc.syntax.tree import Block

    folder = tmp_path / "site"
    shutil.copytree(EXAMPLE, folder)
    before = load_site(folder / "site.kvmt").site
    assert run("show", kind, name, str(folder), monkeypatch=monkeypatch) == 0
    shown = capsys.readouterr().out
    assert format_text("f", shown)[0] == shown
    file = "classes.kvmt" if kind == "class" else "site.kvmt"
    text = (folder / file).read_text()
    tree, _ = parse("f", text)
    assert tree is not None
    (block,) = [
        one for one in tree.items if isinstance(one, Block) and one.kind.text == kind and one.labels[0].text == name
    ]
    (folder / file).write_text(text[: block.span.start] + shown + text[block.span.end :])
    after = load_site(folder / "site.kvmt")
    assert [item.message for item in after.bag] == []
    assert after.site == before is not None


def test_what_is_not_there_cannot_be_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for kind, name in (("vm", "pg-33"), ("host", "db-z"), ("class", "pgx")):
        assert run("show", kind, name, str(EXAMPLE), monkeypatch=monkeypatch) == 1
        found = capsys.readouterr()
        assert found.out == "" and f"`{name}`" in found.err and "did you mean" in found.err


def test_without_pygls_the_server_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("kvmc.lsp.server", "kvmc.lsp.convert"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in ("pygls", "pygls.exceptions", "pygls.lsp", "pygls.lsp.server", "lsprotocol"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run("lsp", monkeypatch=monkeypatch) == 1
    assert "kvmc[lsp]" in capsys.readouterr().err
