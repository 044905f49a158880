"""Every code has a page, is used, and is provoked: the pages' failing examples give exactly their code and are goldens, the mended
ones give nothing, and what a `help:` says to write makes the error go."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import kvmc_targets
from diagnostics import running_host
from diagnostics.pages import HEADINGS, PAGES, Found, Page, Stage
from diagnostics.test_formats import sarif
from kvmc.artifacts import Artifact
from kvmc.cli.app import app
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import PHASES, registry, schema, syntax
from kvmc.diagnostics.fixes import fixes
from kvmc.diagnostics.model import Code
from kvmc.diagnostics.text import render
from kvmc.hostconfig.plan import HostPlan
from kvmc.syntax.format import format_text
from kvmc_targets.libvirt import TARGET

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden/diagnostics"


def audit_refutes(stage: Stage) -> Found:
    """A libvirt target with a bug: it pins every guest's first vCPU to CPU 0."""

    class Broken:
        name, carriers, proven = TARGET.name, TARGET.carriers, TARGET.proven

        def render(self, plan: HostPlan) -> tuple[Artifact, ...]:
            wrong = re.compile('vcpu="0" cpuset="[^"]*"')
            return tuple(replace(one, text=wrong.sub('vcpu="0" cpuset="0"', one.text)) for one in TARGET.render(plan))

    others = tuple(one for one in kvmc_targets.BUILTIN if one.name != TARGET.name)
    stage.monkeypatch.setattr(kvmc_targets, "BUILTIN", (Broken(), *others))
    found = stage.kvmc("kvmc build .")
    assert not (stage.folder / "generated").exists()
    return found


def too_many(stage: Stage) -> Found:
    with (stage.folder / "site.kvmt").open("a") as file:
        file.write("memory 8 = GiB\n" * 60)
    return stage.kvmc("kvmc build .")


UNPROVOKED: dict[str, tuple[str, Callable[[Stage], Found]]] = {
    "KVMC0025": ("no input does: it is a bug of kvmc's, so the test brings one along", audit_refutes),
    "KVMC0111": ("it stands behind 50 other errors, and an example has one", too_many),
    **running_host.UNPROVOKED,
}
"""Codes whose pages have no example, why, and what provokes them here."""

ELSEWHERE = {
    "KVMC0022": "a word of the command line, which no source has",
    "KVMC0105": "a backslash may be meant, or be one too many",
    "KVMC0109": "a line before the one that is pointed at",
    "KVMC0214": "a whole block, with a name that only the user knows",
    "KVMC0225": "which minor version it is only the user knows",
    "KVMC0226": "the form of an address, not an address",
    "KVMC0207": "the form of a header, not a header",
    "KVMC0004": "the form of a path, not a path",
    "KVMC0240": "the setting that stands against the one that is pointed at",
    "KVMC0413": "a setting of every host",
    "KVMC0242": "one of two settings, whose value only the user knows",
}
"""Codes whose help begins like a change of what the label covers and is none, and why."""

FIXED = {
    f"KVMC{number:04}"
    for number in (
        *(7, 102, 103, 104, 105, 107, 109, 110, 113, 201, 202, 204, 211, 212, 220, 221, 223, 224, 229, 231, 241, 260),
        *(273, 280, 406, 410, 501, 556, 563, 567),
    )
}
"""Codes whose examples offer a change; each is tried there. The help of all others is for people alone."""

CODES = sorted(registry())
EXAMPLES = [code for code in CODES if code not in UNPROVOKED]


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    folder = tmp_path / "site"
    folder.mkdir()
    made = Stage(folder, monkeypatch)
    made.fresh()
    return made


def uses() -> Counter[str]:
    """How often each code is named in the compiler, outside of the registry."""
    by_name = {
        (phase.__name__, name): code.id for phase in PHASES for name, code in vars(phase).items() if is_code(code)
    }
    found: Counter[str] = Counter()
    for path in (ROOT / "compiler/kvmc").rglob("*.py"):
        if path.parent.name == "codes":
            continue
        tree = ast.parse(path.read_text())
        modules = {
            alias.asname or alias.name: f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "kvmc.diagnostics.codes"
            for alias in node.names
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
                found[by_name[modules[node.value.id], node.attr]] += 1
    return found


def is_code(value: object) -> bool:
    return isinstance(value, Code)


def test_registry_pages_and_uses_are_the_same() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(CODES)
    assert set(uses()) == set(CODES)
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_the_page_has_its_form(code: str) -> None:
    page = Page.read(code)
    assert page.title == f"# {code}: {registry()[code].title}"
    if code in UNPROVOKED:
        assert page.headings == HEADINGS[:2] and not page.examples
    else:
        assert page.headings == HEADINGS and set(page.examples) == {"fails", "ok"}


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_examples(code: str, stage: Stage, request: pytest.FixtureRequest) -> None:
    page = Page.read(code)
    failing = stage.run(page.examples["fails"])
    assert failing.codes == [code], render(failing.bag, failing.sources)
    (item,) = failing.bag
    assert failing.exit_code == (item.severity == "error")
    compare(code, render(failing.bag, failing.sources), request)
    sarif(failing.bag, dict(failing.sources.texts))

    found = fixes(item, failing.sources)
    wanted = [text for text in item.help if re.match("did you mean|write `|set `", text)]
    assert found or not wanted or code in ELSEWHERE, item.help
    assert bool(found) == (code in FIXED), item.help
    if not item.fixes:
        assert [fix.title for fix in found] == [text for text in wanted if code not in ELSEWHERE], item.help
    for fix in found:
        path = stage.folder / fix.span.file
        before = path.read_text()
        path.write_text(before[: fix.span.start] + fix.text + before[fix.span.end :])
        mended = stage.kvmc(stage.command)
        assert code not in mended.codes, f"{fix.title}\n{render(mended.bag, mended.sources)}"
        path.write_text(before)

    if page.examples["ok"].language != "console":
        stage.fresh()
    mended = stage.run(page.examples["ok"])
    assert not mended.codes, render(mended.bag, mended.sources)


@pytest.mark.parametrize("code", UNPROVOKED)
def test_what_no_example_provokes(code: str, stage: Stage, request: pytest.FixtureRequest) -> None:
    found = UNPROVOKED[code][1](stage)
    assert found.exit_code == 1
    compare(code, render(Bag([item for item in found.bag if item.code.id == code]), found.sources), request)


def compare(code: str, text: str, request: pytest.FixtureRequest) -> None:
    path = GOLDEN / f"{code}.txt"
    if request.config.getoption("--update"):
        path.write_text(text)
    assert path.read_text() == text, "run pytest with --update and review the diff"


def test_some_help_is_tried() -> None:
    """That the changes which help names are found at all; each is tried with its page's example."""
    told = [
        line
        for path in sorted(GOLDEN.glob("*.txt"))
        for line in path.read_text().splitlines()
        if "help: did you" in line
    ]
    assert len(told) >= 5


@pytest.mark.parametrize("text", ["KVMC0205", "kvmc0205", "0205", "205", " 0205 "])
def test_explain_by_code(text: str) -> None:
    result = CliRunner().invoke(app, ["explain", text])
    assert result.exit_code == 0
    assert result.stdout.startswith((PAGES / "KVMC0205.md").read_text() + "\n---\nThe examples stand in")


@pytest.mark.parametrize(
    ("text", "near"),
    [("KVMC0259", "KVMC02"), ("E0205", "KVMC0205"), ("unknown setting", "KVMC0201"), ("9" * 300, "KVMC")],
)
def test_explain_names_near_codes(text: str, near: str) -> None:
    result = CliRunner().invoke(app, ["explain", text])
    assert result.exit_code == 1 and not result.stdout
    assert near in result.stderr.splitlines()[1]
    assert len(result.stderr.splitlines()) == 5


def test_explain_shows_no_escape() -> None:
    assert "\x1b" not in CliRunner().invoke(app, ["explain", "\x1b[31m"]).stderr


def test_codes_that_carry_a_change_are_tried() -> None:
    """Those that are told with `fixes=` in the front end, against those whose examples offer a change."""
    carrying = set()
    for folder, phase in (("syntax", syntax), ("model", schema)):
        for path in (ROOT / "compiler/kvmc" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and any(word.arg == "fixes" for word in node.keywords):
                    named = [arg.attr for arg in node.args[:1] if isinstance(arg, ast.Attribute)]
                    carrying |= {getattr(phase, name).id for name in named if is_code(getattr(phase, name, None))}
    assert len(carrying) >= 10 and carrying <= FIXED


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_examples_are_in_canonical_form(code: str) -> None:
    """Also those that fail, as far as they can be read; files behind `-- PATH --` are sources where their name says so."""
    for example in Page.read(code).examples.values():
        if example.language != "kvmt":
            continue
        head, *files = re.split(r"^-- (\S+) --\n", example.text, flags=re.MULTILINE)
        for name, text in [("site.kvmt", head), *zip(files[::2], files[1::2], strict=True)]:
            made, _ = format_text(name, text)
            assert made in (None, text) or not name.endswith(".kvmt"), f"{name}:\n{made}"
