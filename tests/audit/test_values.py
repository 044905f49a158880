"""All that the readers make of each tree that people wrote, and of the small host: goldens, a value a line with its place."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

import pytest

from audit.golden import same
from audit.small_tree import tree
from audit.support import topology
from audit.test_written import HOSTS, WRITTEN
from kvmc.audit.domain import Domain
from kvmc.audit.handwritten import Found, host_files, kind_of, read
from kvmc.audit.hostfiles import HostFiles
from kvmc.audit.reading import read_files
from kvmc.audit.source import At, File
from kvmc.diagnostics import Bag, Span
from kvmc.model.cpuset import CpuSet
from kvmc.topology import Topology

_LEFT_OUT = {"root", "file", "topology", "domains"}


def _shown(value: object, texts: dict[str, str]) -> str:
    if isinstance(value, At):
        return f"{_shown(value.value, texts)} {_shown(value.span, texts)}"
    if isinstance(value, Span):
        text = texts[value.file]
        words = text[value.start : value.end] or "?"
        return f"@{text.count(chr(10), 0, value.start) + 1}[{' '.join(words.split())[:40]}]"
    if isinstance(value, CpuSet):
        return f"{{{value}}}"
    if isinstance(value, Enum):
        return value.name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = ((one.name, getattr(value, one.name)) for one in dataclasses.fields(value))
        return " ".join(f"{name}={_shown(of, texts)}" for name, of in named if name not in _LEFT_OUT)
    if isinstance(value, tuple | list):
        return f"[{'; '.join(_shown(one, texts) for one in value)}]"
    if isinstance(value, dict):
        return f"[{'; '.join(f'{key}: {_shown(of, texts)}' for key, of in value.items())}]"
    if isinstance(value, frozenset):
        return f"[{'; '.join(map(str, sorted(value)))}]"
    return str(value)


def _lines(value: HostFiles | Domain, texts: dict[str, str]) -> Iterator[str]:
    for one in dataclasses.fields(value):
        of = getattr(value, one.name)
        if one.name in _LEFT_OUT:
            continue
        if isinstance(of, list | tuple) and of:
            yield from (f"{one.name}: {_shown(item, texts)}" for item in of)
        elif isinstance(of, dict) and of:
            yield from (f"{one.name}: {key}: {_shown(item, texts)}" for key, item in of.items())
        else:
            yield f"{one.name}: {_shown(of, texts)}"


def _read(host: str, files: list[File], topology: Topology, *, handwritten: bool) -> str:
    bag = Bag()
    value = read_files(host, files, topology, bag, handwritten=handwritten)
    texts = {file.name: file.text for file in files}
    lines = [*_lines(value, texts)]
    for domain in value.domains:
        lines += ["", f"domain {domain.name}", *_lines(domain, texts)]
    lines += ["", *(f"{item.code.id} {item.message}" for item in bag)]
    return "\n".join(lines)


@pytest.mark.parametrize("host", HOSTS)
def test_a_tree_that_people_wrote(host: str, pytestconfig: pytest.Config) -> None:
    texts = {str(Path(one.name).relative_to(WRITTEN / host)): one.text for one in read([WRITTEN / host])}
    files = host_files([Found(name, text, kind_of(name, text)) for name, text in texts.items()], Bag())
    text = "\n".join(f"file {file.path}: {file.name}" for file in files)
    text += "\n" + _read(host, files, HOSTS[host], handwritten=True)
    assert same("values", host, text, update=pytestconfig.getoption("--update")), text


def test_the_small_host(pytestconfig: pytest.Config) -> None:
    files = [File(f"h/{path}", path, text) for path, text in tree().items()]
    text = _read("h", files, topology(), handwritten=False)
    assert same("values", "the small host", text, update=pytestconfig.getoption("--update")), text
