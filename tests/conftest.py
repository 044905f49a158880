"""What every test may use: needs of consumer tests, the folder of recorded machines, the lab's fixtures."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from lab import needs as lab_needs
from lab import report
from lab.libvirtd import Libvirtd

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--proof-report",
        metavar="FILE",
        help="write what ran, with its figures, to this file; to a .json, as a part of a report",
    )
    parser.addoption("--update", action="store_true", help="write the goldens anew, for review in the diff")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(*names): real consumers that the test asks (lab/needs.py); makes it a consumer test"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = _needs(item)
        for name in names:
            if name not in lab_needs.CHECKS:
                raise pytest.UsageError(f"{item.nodeid}: `{name}` is no need; there are {', '.join(lab_needs.CHECKS)}")
        if names:
            item.add_marker("consumer")
        if "libvirtd" in names or "kernel" in names:
            # One libvirtd a run, and one booted machine at a time: two slow each other down until they look dead.
            item.add_marker(pytest.mark.xdist_group("machines"))


def _needs(item: pytest.Item) -> tuple[str, ...]:
    return tuple(name for mark in item.iter_markers("needs") for name in mark.args)


def pytest_runtest_setup(item: pytest.Item) -> None:
    reason = lab_needs.missing(_needs(item))
    if reason is not None:
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where consumers are required, a consumer test that skips has failed."""
    made = yield
    if made.skipped and lab_needs.required() and item.get_closest_marker("consumer"):
        reason = made.longrepr[2] if isinstance(made.longrepr, tuple) else str(made.longrepr)
        made.outcome = "failed"
        made.longrepr = f"{lab_needs.REQUIRE}=1, and the test did not run: {reason}"
    return made


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode, config: pytest.Config
) -> None:
    rows = [
        report.Row(one.nodeid, outcome, one.duration, one.user_properties)
        for outcome in ("passed", "failed", "error", "skipped")
        for one in terminalreporter.getreports(outcome)
        if isinstance(one, pytest.TestReport) and (one.when == "call" or outcome != "passed")
    ]
    for row in rows:
        for name, value in row.figures:
            if name == report.RETRIED:
                terminalreporter.write_line(f"{row.test}: booted twice, the first machine was {value}")
    path = config.getoption("--proof-report")
    if path is None:
        return
    run = report.seen(rows, ROOT, config.invocation_params.args, whole=exitstatus in (0, 1))
    Path(path).write_text(run.text() if path.endswith(".json") else report.render([run], ROOT))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recorded machines: `KVMC_SHARED` is its parent or itself, else it is `../shared` beside the repository."""
    own = os.environ.get("KVMC_SHARED")
    candidates = [Path(own), Path(own) / "shared"] if own else [ROOT.parent / "shared"]
    for folder in candidates:
        if (folder / "topologies").is_dir():
            return folder
    pytest.skip(f"no recorded machines in {own or '../shared'}")


@pytest.fixture(scope="session")
def libvirtd() -> Iterator[Libvirtd]:
    """A real libvirtd, in a throw-away copy of this machine. The test that uses it says `@needs("libvirtd")`."""
    with Libvirtd() as daemon:
        yield daemon
