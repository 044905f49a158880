"""The report of the proof runs names what was divided, tried twice, left out and not provable."""

from __future__ import annotations

from pathlib import Path

from lab.report import DIVIDED, RETRIED, Row, render

MODULE = '"""Boots.\n\nMore.\n"""\n\nNOT_PROVEN = (\n    "siblings",\n)\n'


def _render(tmp_path: Path, *rows: Row) -> str:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_one.py").write_text(MODULE)
    return render(rows, tmp_path)


def test_a_section_has_its_title_its_rows_and_its_limits(tmp_path: Path) -> None:
    text = _render(
        tmp_path, Row("tests/test_one.py::test_a_host[x]", "passed", 1.25, [("CPUs", 4), ("said", "a|b\n<c>")])
    )
    assert "## Boots\n" in text
    assert "| a_host[x] | passed | 1.2 | CPUs: 4; said: a\\|b &lt;c> |" in text
    assert text.endswith("Not proven:\n\n- siblings\n")
    assert "- passed: 1 of 1\n" in text
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
