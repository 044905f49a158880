"""SARIF and GitHub annotations: SARIF by its official schema, and the positions of all formats, held against the text itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from diagnostics.pages import Page, Stage
from kvmc import __version__
from kvmc.cli.app import app
from kvmc.diagnostics import Bag, Label, Severity, Sources, Span, fixes
from kvmc.diagnostics import github as github_format
from kvmc.diagnostics import json as json_format
from kvmc.diagnostics import sarif as sarif_format
from kvmc.diagnostics import text as text_format
from kvmc.diagnostics.codes import registry
from kvmc.diagnostics.codes import schema as codes
from kvmc.diagnostics.model import Code

SCHEMA = Path(__file__).parent / "schema/sarif-2.1.0-rtm.5.json"
NOTE = Code("KVMC9903", Severity.NOTE, "a note")


@cache
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed (extra `dev`)")
    return jsonschema.Draft4Validator(json.loads(SCHEMA.read_text()))


def sarif(bag: Bag, texts: dict[str, str], **more: Any) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(sarif_format.render(bag, Sources(texts), __version__, **more))
    assert [error.message for error in validator().iter_errors(log)] == []
    return log


def a_bag() -> tuple[Bag, dict[str, str]]:
    text = "vm a : db {\n  memroy = 8GiB\n}\n"
    bag = Bag()
    bag.error(
        codes.UNKNOWN_SETTING,
        "no setting `memroy` in `vm`",
        Label(Span("site.kvmt", 14, 20), "here"),
        secondary=[Label(Span("site.kvmt", 0, 9), "in this guest")],
        notes=["a fact"],
        help=["did you mean `memory`?", "look it up"],
    )
    bag.error(NOTE, "nowhere")
    return bag, {"site.kvmt": text}


def test_the_validator_refuses() -> None:
    """That the schema is in force at all."""
    bag, texts = a_bag()
    log = sarif(bag, texts)
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert list(validator().iter_errors(log))


def test_sarif_says_all_that_the_text_says() -> None:
    bag, texts = a_bag()
    (run,) = sarif(bag, texts)["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    first, second = run["results"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["KVMC0201", "KVMC9903"]
    assert rules[first["ruleIndex"]]["shortDescription"]["text"] == registry()["KVMC0201"].title
    assert (first["level"], second["level"]) == ("error", "note")
    for part in ("no setting `memroy` in `vm`", "note: a fact", "help: did you mean `memory`?", "help: look it up"):
        assert part in first["message"]["text"] and part in first["message"]["markdown"]
    (place,) = first["locations"]
    assert place["physicalLocation"]["artifactLocation"]["uri"] == "site.kvmt"
    assert place["physicalLocation"]["region"] == {"startLine": 2, "startColumn": 3, "endLine": 2, "endColumn": 9}
    (related,) = first["relatedLocations"]
    assert related["message"]["text"] == "in this guest"
    (fix,) = first["fixes"]
    (change,) = fix["artifactChanges"]
    (replacement,) = change["replacements"]
    assert replacement["insertedContent"]["text"] == "memory"
    assert replacement["deletedRegion"] == place["physicalLocation"]["region"]
    assert "locations" not in second and "fixes" not in second


def test_sarif_of_nothing() -> None:
    (run,) = sarif(Bag(), {})["runs"]
    assert run["results"] == [] and run["tool"]["driver"]["rules"] == []


def test_sarif_paths_are_uris_and_texts_no_links() -> None:
    bag = Bag()
    bag.error(codes.BAD_NAME, "name `[x](http://evil)`\x1b[31m", Span("a b/ä#%.kvmt", 0, 1))
    (run,) = sarif(bag, {"a b/ä#%.kvmt": "x"})["runs"]
    (result,) = run["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri == "a%20b/%C3%A4%23%25.kvmt"
    assert "](" not in result["message"]["text"] and "\x1b" not in result["message"]["text"]


def test_github_escapes() -> None:
    bag = Bag()
    bag.error(codes.BAD_NAME, "100 % of\nit", Label(Span("a,b:c.kvmt", 2, 3)), notes=["n"], help=["h"])
    bag.error(codes.BAD_NAME, "over lines", Label(Span("a,b:c.kvmt", 0, 3)))
    bag.error(NOTE, "nowhere")
    lines = github_format.render(bag, Sources({"a,b:c.kvmt": "a\nb\n"})).splitlines()
    assert lines == [
        "::error file=a%2Cb%3Ac.kvmt,line=2,col=1,endLine=2,endColumn=2,title=KVMC0206::100 %25 of%0Ait%0Anote: n%0Ahelp: h",
        "::error file=a%2Cb%3Ac.kvmt,line=1,endLine=2,title=KVMC0206::over lines",
        "::notice title=KVMC9903::nowhere",
    ]


# Each names the setting `memroy` once. What stands before it on its line, and how many code points that is.
SOURCES = {
    "plain": (b"kvmt 1\nvm a {\n  memroy = 8GiB\n}\n", "  "),
    "a tab": (b"kvmt 1\nvm a {\n\t memroy = 8GiB\n}\n", "\t "),
    "CRLF": (b"kvmt 1\r\nvm a {\r\n  memroy = 8GiB\r\n}\r\n", "  "),
    "a byte order mark": (b"\xef\xbb\xbfkvmt 1\nvm a {\n  memroy = 8GiB\n}\n", "  "),
    "a byte order mark and CRLF": (b"\xef\xbb\xbfkvmt 1\r\nvm a {\r\n\tmemroy = 8GiB\r\n}\r\n", "\t"),
    "non-ASCII before": ("kvmt 1\n# Zürich 東京 \U0001f600\nvm a {\n  memroy = 8GiB\n}\n".encode(), "  "),
}


def from_json(folder: Path) -> tuple[int, int, int, int]:
    (item,) = [one for one in told(folder, "json")["diagnostics"] if one["code"] == "KVMC0201"]
    place = item["primary"]
    return place["line"], place["column"], place["end_line"], place["end_column"]


def from_sarif(folder: Path) -> tuple[int, int, int, int]:
    log = told(folder, "sarif")
    assert [error.message for error in validator().iter_errors(log)] == []
    (item,) = [one for one in log["runs"][0]["results"] if one["ruleId"] == "KVMC0201"]
    assert item["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "in/site.kvmt"
    region = item["locations"][0]["physicalLocation"]["region"]
    return region["startLine"], region["startColumn"], region["endLine"], region["endColumn"]


def from_github(folder: Path) -> tuple[int, int, int, int]:
    (line,) = [one for one in run(folder, "github").splitlines() if "title=KVMC0201" in one]
    match = re.fullmatch(
        r"::error file=in/site\.kvmt,line=(\d+),col=(\d+),endLine=(\d+),endColumn=(\d+),title=.*", line
    )
    assert match is not None
    return int(match[1]), int(match[2]), int(match[3]), int(match[4])


def from_text(folder: Path) -> tuple[int, int, int, int]:
    """The place behind the arrow, and the marks below the excerpt, which must be as many as the name is wide."""
    lines = run(folder, "text").splitlines()
    (at,) = [index for index, line in enumerate(lines) if "KVMC0201" in line]
    match = re.search(r"site\.kvmt:(\d+):(\d+)$", lines[at + 1])
    assert match is not None
    excerpt, marks = lines[at + 3], lines[at + 4]
    assert marks.index("^") == excerpt.index("memroy")
    assert "\r" not in excerpt and "\t" not in excerpt
    line, column = int(match[1]), int(match[2])
    return line, column, line, column + marks.count("^")


def run(folder: Path, format: str) -> str:
    result = CliRunner().invoke(app, ["check", "in", "--format", format])
    assert result.exit_code == 1
    return result.stderr if format == "text" else result.stdout


def told(folder: Path, format: str) -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(run(folder, format))
    return whole


@pytest.mark.parametrize("read", [from_json, from_sarif, from_github, from_text])
@pytest.mark.parametrize("source", SOURCES)
def test_positions(
    source: str,
    read: Callable[[Path], tuple[int, int, int, int]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, before = SOURCES[source]
    (tmp_path / "in").mkdir()
    (tmp_path / "in/site.kvmt").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    line = next(index for index, text in enumerate(data.split(b"\n"), 1) if b"memroy" in text)
    assert read(tmp_path) == (line, len(before) + 1, line, len(before) + 1 + len("memroy"))


def test_a_name_behind_wide_text_on_its_line(tmp_path: Path) -> None:
    """Columns count code points, not bytes, UTF-16 units or cells."""
    text = '"東京\U0001f600" x'
    bag = Bag()
    bag.error(codes.BAD_NAME, "m", Span("s", 6, 7))
    sources = Sources({"s": text})
    assert text[6] == "x"
    assert json.loads(json_format.render(bag, sources))["diagnostics"][0]["primary"]["column"] == 7
    (run,) = sarif(bag, {"s": text})["runs"]
    assert run["results"][0]["locations"][0]["physicalLocation"]["region"]["startColumn"] == 7
    assert ",col=7," in github_format.render(bag, sources)
    assert "s:1:7" in text_format.render(bag, sources)


def test_paths_of_audited_files_lead_to_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spans of the audit begin with the host; other programs need the way from where kvmc runs."""
    stage = Stage(tmp_path, monkeypatch)
    stage.fresh()
    stage.run(Page.read("KVMC0701").examples["fails"])
    monkeypatch.chdir(tmp_path.parent)
    name = tmp_path.name
    result = CliRunner().invoke(app, ["audit", f"{name}/generated", "--format", "sarif"])
    (item,) = json.loads(result.stdout)["runs"][0]["results"]
    uris = [
        place["physicalLocation"]["artifactLocation"]["uri"]
        for place in (*item["locations"], *item["relatedLocations"])
    ]
    assert uris == [f"{name}/generated/a/domains/two.xml", f"{name}/generated/a/domains/one.xml"]
    assert all((tmp_path.parent / uri).is_file() for uri in uris)


@pytest.mark.parametrize(
    ("there", "help", "result"),
    [
        ("memroy", "did you mean `memory`?", "memory"),
        ("tow", "did you mean `two` or `to`?", "two"),
        ("8GB", "write `8GiB`", "8GiB"),
        ("8", "write `8GiB`, or another of KiB, MiB, GiB, TiB", "8GiB"),
        ("memory  = 5GiB", "set `memory = 4GiB` or `memory = 6GiB`", "memory  = 4GiB"),
        ("memory 8GiB", "write `memory = 8GiB`", "memory = 8GiB"),
        ("platform = deb13", "did you mean `deb12`?", "platform = deb12"),
        ("threads = require", "set `pinning = dedicated`", None),
        ("vm a b", "write `vm NAME`", None),
        ("memory = 8GiB", "write `disk NAME {`", None),
        ("x", "keep one of them", None),
    ],
)
def test_what_counts_as_a_change(there: str, help: str, result: str | None) -> None:
    bag = Bag()
    bag.error(codes.BAD_WORD, "m", Span("s", 2, 2 + len(there)), help=[help])
    text = f"  {there}  # c"
    found = fixes.fixes(next(iter(bag)), Sources({"s": text}))
    made = [text[: fix.span.start] + fix.text + text[fix.span.end :] for fix in found]
    assert made == ([] if result is None else [f"  {result}  # c"])
