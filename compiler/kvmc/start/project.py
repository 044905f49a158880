"""The files of a new config repository: a site that builds as it is, for the host that is given or for an example."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from kvmc import __version__
from kvmc.artifacts import Artifact, Comment
from kvmc.model.values import KIB_PER_UNIT, size_text
from kvmc.syntax.format import format_text
from kvmc.topology.model import Topology
from kvmc.topology.snapshot import dumps

_GIB = KIB_PER_UNIT["GiB"]
_MOST_VCPUS = 4


@dataclass(frozen=True, slots=True)
class Platform:
    """The versions that a host's facts tell, or Debian 12's."""

    name: str = "deb12"
    kernel: str = "6.1"
    libvirt: str = "9.0"
    qemu: str = "7.2"
    tuned: str = "2.20"


def start_project(name: str, host: str, topology: Topology, *, example: bool) -> tuple[Artifact, ...]:
    """Every file, path below the repository's folder. example: the topology is no host of the user's."""
    environment = Environment(  # noqa: S701 - kvmt, Markdown and YAML of our own words and checked names
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    platform = platform_of(topology)
    values = {
        "site": name,
        "host": host,
        "example": example,
        "platform": platform,
        "machine": f"pc-q35-{platform.qemu}",
        "requirement": requirement(),
        **_sizes(topology),
    }
    here = files("kvmc.start").joinpath("files")

    def text(name: str) -> str:
        return environment.from_string(here.joinpath(name).read_text("utf-8")).render(values)

    return (
        Artifact(".github/workflows/kvmc.yml", text("workflow.yml.j2"), Comment.HASH),
        Artifact(".gitignore", text("gitignore"), Comment.HASH),
        Artifact(".pre-commit-config.yaml", here.joinpath("pre-commit.yaml").read_text("utf-8"), Comment.HASH),
        Artifact("README.md", text("README.md.j2"), Comment.HASH),
        Artifact(f"hosts/{host}.json", dumps(topology), Comment.JSON),
        Artifact("site.kvmt", _formatted(text("site.kvmt.j2")), Comment.HASH),
    )


def _formatted(text: str) -> str:
    made, bag = format_text("site.kvmt", text)
    assert made is not None, bag.items
    return made


def platform_of(topology: Topology) -> Platform:
    """The versions that a scan of the host told, the rest Debian 12's."""
    facts = topology.facts
    told = {
        name: match[0]
        for name in ("kernel", "libvirt", "qemu", "tuned")
        if facts is not None and (match := re.match(r"[0-9]+\.[0-9]+", getattr(facts, name) or ""))
    }
    return Platform(name="hosts" if told else "deb12", **told)


def _sizes(topology: Topology) -> dict[str, object]:
    """What the smallest node with CPUs can offer: half of its memory in pages, a reserve, and a guest that fits."""
    nodes = [node for node in topology.nodes if node.cpus & topology.usable and node.memory_kib]
    memory = min((node.memory_kib or 0 for node in nodes), default=0)
    sizes = set.intersection(*(set(node.page_sizes_kib) for node in nodes)) if nodes else set()
    page = _GIB if _GIB in sizes and memory >= 32 * _GIB else 2048
    pages = memory // 2 // page if page in sizes else 0
    cores = min((len(node.cpus & topology.usable) for node in nodes), default=1)
    threads = max((len(core) for core in topology.cores or ()), default=1)
    guest = max(min(memory // 8 // _GIB, 8), 1) * _GIB
    return {
        "pages": pages,
        "page_size": size_text(page),
        "reserve": size_text(max(min(memory // 16 // _GIB, 8), 1) * _GIB),
        "memory": size_text(guest if pages * page >= guest or not pages else page * pages),
        "vcpus": max(min(cores - threads, _MOST_VCPUS), 1),
    }


def requirement() -> str:
    """What pip installs this kvmc by: the place it came from (PEP 610), else its version."""
    try:
        told = distribution("kvmc").read_text("direct_url.json")
    except PackageNotFoundError:
        told = None
    direct = json.loads(told) if told else {}
    version = direct.get("vcs_info", {})
    if version.get("vcs") == "git" and re.fullmatch(r"(https|ssh)://[\w./~@:-]+", direct.get("url", "")):
        return f"kvmc @ git+{direct['url']}@{version['commit_id']}"
    return f"kvmc=={__version__}"


def example_topology() -> str:
    """A snapshot of the machine that a newcomer without a host works with."""
    return files("kvmc.start").joinpath("files/example.json").read_text("utf-8")
