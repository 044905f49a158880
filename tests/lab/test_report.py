"""The report of the proof runs names what was divided, tried twice, left out and not provable."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.report import DIVIDED, RETRIED, Row, Run, main, read, render, seen

MODULE = '"""Boots.\n\nMore.\n"""\n\nNOT_PROVEN = (\n    "siblings",\n)\n'


def _render(tmp_path: Path, *rows: Row) -> str:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_one.py").write_text(MODULE)
    return render([seen(rows, tmp_path, ["-m", "proof"], whole=False)], tmp_path)


def test_a_section_has_its_title_its_rows_and_its_limits(tmp_path: Path) -> None:
    text = _render(
        tmp_path, Row("tests/test_one.py::test_a_host[x]", "passed", 1.25, [("CPUs", 4), ("said", "a|b\n<c>")])
    )
    assert "## Boots\n" in text
    assert "| a_host[x] | passed | 1.2 | CPUs: 4; said: a\\|b &lt;c> |" in text
    assert text.endswith("Not proven:\n\n- siblings\n")
    assert "- passed: 1 of 1\n" in text
    assert "- run: `pytest -m proof`, **cut short" in text
    assert "cut short" not in render([seen((), tmp_path, [], whole=True)], tmp_path)
    assert f"- {RETRIED}: none\n- {DIVIDED}: none\n" in text


def test_the_head_names_each_test_that_is_not_what_it_looks_like(tmp_path: Path) -> None:
    text = _render(
        tmp_path,
        Row("tests/test_one.py::test_b", "failed", 1, [(RETRIED, "silent for 40 s")]),
        Row("tests/test_one.py::test_a", "passed", 1, [(DIVIDED, 1)]),
        Row("tests/test_one.py::test_c", "skipped", 0, [(DIVIDED, 3)]),
    )
    assert "- passed: 1 of 3\n- failed: 1 of 3: `b`\n- skipped: 1 of 3: `c`\n" in text
    assert f"- {RETRIED}: `b` (silent for 40 s)\n" in text
    assert f"- {DIVIDED}: `c` (3)\n" in text


def _part(test: str, outcome: str, commit: str = "abc", *, whole: bool = True) -> Run:
    rows = (Row(f"tests/test_one.py::{test}", outcome, 1.0, [("CPUs", 4)]),)
    return Run(commit, ("- machine: 2 CPUs",), ("-m", "proof", test), whole, rows)


def test_parts_of_one_commit_are_one_report(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_one.py").write_text(MODULE)
    parts = [_part("test_a", "failed"), _part("test_b", "passed", whole=False), _part("test_a", "passed")]
    for number, part in enumerate(parts):
        path = tmp_path / f"{number}.json"
        path.write_text(part.text())
        assert read(path) == part
    text = render(parts, tmp_path)
    assert (
        "- commit: abc\n- machine: 2 CPUs\n- run: `pytest -m proof test_a`\n- run: `pytest -m proof test_b`, **cut short"
        in text
    )
    assert "- passed: 2 of 2\n" in text and text.count("| passed |") == 2


@pytest.mark.parametrize("other", ["def", "abc, with uncommitted changes"])
def test_parts_of_several_commits_are_none(other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = []
    for name, commit in (("a", "abc"), ("b", other)):
        parts.append(str(tmp_path / f"{name}.json"))
        Path(parts[-1]).write_text(_part(f"test_{name}", "passed", commit).text())
    out = tmp_path / "proof.md"
    assert main([*parts, "-o", str(out)]) == 1 and not out.exists()
    assert f"abc, {other}" in capsys.readouterr().err
    if "uncommitted" in other:
        with pytest.raises(ValueError, match="not of one commit"):
            render([_part("test_a", "passed", other)] * 2, tmp_path)
