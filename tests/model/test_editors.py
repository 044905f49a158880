"""Editors' files: as the table says, and taken by the real Vim where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from kvmc.model.blocks import BLOCKS
from kvmc.model.editors import names, words, written

ROOT = Path(__file__).parents[2]
SAMPLE = """# about
kvmt 1
pool edge : base {
  pages    = [96 * 1GiB, 4 * 2MiB]  # note
  platform = deb13
  devices n3 {
    parent = "0000:3b:00.0"
    vfs    = 8
  }
}
storage s {
  type   = block
  source = "/dev/{vm}-{disk}\\\\"
}
vm db-1 : pg {
  colour = red
}
"""


def at(mark: str, shift: int = 0) -> tuple[int, int]:
    """Line and column, from 1, of a text of the sample."""
    offset = SAMPLE.index(mark) + shift
    return SAMPLE.count("\n", 0, offset) + 1, offset - SAMPLE.rfind("\n", 0, offset)


@pytest.mark.parametrize("name", written())
def test_the_files_are_up_to_date(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert text == written()[name], "run `python -m kvmc.model.editors` in the repository's root"


def test_the_grammar_knows_every_word_of_the_table() -> None:
    grammar = json.loads(written()["grammar/kvmc_grammar/kvmt.tmLanguage.json"])["repository"]
    setting, block = re.compile(grammar["setting"]["begin"]), re.compile(grammar["block"]["begin"])
    for name in names():
        found = setting.match(f"  {name} = x")
        assert found and found[1] == name
    for row in BLOCKS:
        found = block.match(f"{row.name} x {{")
        assert found and found[1] == row.name
    word = re.compile(grammar["word"]["match"])
    for one in words():
        assert word.fullmatch(one), one
    assert not setting.match("  unknown = x")[1]  # type: ignore[index]


def test_the_extension_names_its_files() -> None:
    folder = ROOT / "editors/vscode"
    package = json.loads((folder / "package.json").read_text())
    (language,), (grammar,) = package["contributes"]["languages"], package["contributes"]["grammars"]
    for path in (language["configuration"], grammar["path"], package["main"]):
        assert (folder / path).is_file()
    assert json.loads((folder / grammar["path"]).read_text())["scopeName"] == grammar["scopeName"]
    rules = json.loads((folder / language["configuration"]).read_text())["indentationRules"]
    assert re.match(rules["increaseIndentPattern"], "pool x {  # y") and re.match(rules["decreaseIndentPattern"], "  ]")
    assert not re.match(rules["increaseIndentPattern"], '  a = "{"')


def run_vim(tmp_path: Path, *commands: str) -> list[str]:
    """Run Vim on the sample with our files alone; what the commands wrote with `:call Put(...)`."""
    vim = shutil.which("vim")
    if vim is None:
        pytest.skip("no vim on this machine")
    (tmp_path / "sample.kvmt").write_text(SAMPLE)
    script = tmp_path / "run.vim"
    script.write_text(
        "\n".join(
            [
                "function Put(text)",
                "  call writefile([a:text], 'out', 'a')",
                "endfunction",
                f"set nocompatible runtimepath^={ROOT}/editors/vim",
                "try",
                "  filetype plugin indent on",
                "  syntax on",
                "  edit sample.kvmt",
                *(f"  {command}" for command in commands),
                "catch",
                "  call Put('error: ' . v:exception . ' at ' . v:throwpoint)",
                "endtry",
                "qall!",
                "",
            ]
        )
    )
    argv = [vim, "-es", "-u", "NONE", "-i", "NONE", "-n", "-S", str(script)]
    subprocess.run(argv, cwd=tmp_path, stdin=subprocess.DEVNULL, timeout=60, check=False)
    return (tmp_path / "out").read_text().splitlines()


GROUPS = {
    ("# about", 0): "Comment",
    ("kvmt 1", 0): "Directive",
    ("pool edge", 0): "Block",
    ("edge", 0): "Label",
    (": base", 2): "Parent",
    ("pages ", 0): "Setting",
    ("= [96", 0): "Operator",
    ("[96", 0): "Bracket",
    ("96 *", 0): "Number",
    ("1GiB", 0): "Size",
    ("2MiB", 1): "Size",
    ("# note", 0): "Comment",
    ("deb13", 0): "Text",
    ("n3 {", 3): "Brace",
    ('"0000', 0): "String",
    ("8\n", 0): "Number",
    ("block\n", 0): "Constant",
    ("{vm}", 1): "Placeholder",
    ("\\\\", 0): "Escape",
    ("db-1", 0): "Label",
    ("pg {", 0): "Parent",
}


def test_vim_colours_each_part(tmp_path: Path) -> None:
    commands = ["call Put(&filetype)"]
    for mark, shift in GROUPS:
        line, column = at(mark, shift)
        commands.append(f"call Put(synIDattr(synID({line}, {column}, 1), 'name'))")
    filetype, *found = run_vim(tmp_path, *commands)
    assert filetype == "kvmt"
    assert dict(zip(GROUPS, found, strict=True)) == {key: f"kvmt{name}" for key, name in GROUPS.items()}


def test_vim_indents_as_the_canonical_form(tmp_path: Path) -> None:
    run_vim(tmp_path, "%left", "normal! gg=G", "write! after.kvmt", "call Put('done')")
    assert (tmp_path / "after.kvmt").read_text() == SAMPLE
