"""The trees that mutants are made of: every example, built from nothing, and a site of our own with BLS, an old kernel, two sizes
of pages made at run time, and disks on SCSI."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from kvmc.audit.check import audit_site
from kvmc.diagnostics import Diagnostic
from kvmc.driver.build import build_site
from kvmc.model.site import Site
from kvmc.topology import Topology
from kvmc_targets import BUILTIN

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
PLANT = Path(__file__).parent / "plant" / "site.kvmt"


@dataclass(frozen=True)
class Built:
    """A site as it was built: what the audit takes."""

    name: str
    trees: dict[str, dict[str, str]]
    topologies: dict[str, Topology]
    site: Site
    locks: dict[str, str]

    def audit(self, trees: dict[str, dict[str, str]]) -> list[Diagnostic]:
        return list(audit_site(trees, self.topologies, self.site, self.locks))


def build(source: Path, folder: Path) -> Built:
    """Build a copy of a site in a folder, without what is committed of it."""
    shutil.copytree(source, folder)
    for made in ("generated", "locks"):
        shutil.rmtree(folder / made, ignore_errors=True)
    outcome = build_site(folder / "site.kvmt", BUILTIN)
    assert outcome.ok and outcome.site is not None, [item.message for item in outcome.bag]
    trees = {host: {path: file.text for path, file in files.items()} for host, files in outcome.files.items()}
    locks = {path.stem: path.read_text() for path in (folder / "locks").iterdir()}
    return Built(source.name, trees, outcome.topologies, outcome.site, locks)


def all_built(folder: Path) -> list[Built]:
    """All sites, in order of their names. The plant stands on a machine of the telco example."""
    found = [build(path.parent, folder / path.parent.name) for path in sorted(EXAMPLES.glob("*/site.kvmt"))]
    plant = folder / "source" / "plant"
    (plant / "hosts").mkdir(parents=True)
    shutil.copy(PLANT, plant / "site.kvmt")
    shutil.copy(EXAMPLES / "telco-edge" / "hosts" / "edge-17a.json", plant / "hosts" / "host.json")
    return [*found, build(plant, folder / "plant")]
