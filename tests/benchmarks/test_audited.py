"""The hosts of placed instances, derived, written by every target and read back by the audit: it finds nothing.

The language offers the same pages on every node of a host: here each node has as many as the instance's best. What the audit says
of places, pools and files is not softened by it: no two guests share a CPU, a page or a function, whatever is offered.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kvmc.diagnostics import Bag
from kvmc.driver.outcome import Outcome
from kvmc.driver.stages import audit_files, render
from kvmc.hostconfig.derive import derive
from kvmc.hostconfig.identity import identify
from kvmc.model.origins import Origins
from kvmc.resolver.locks import next_locks
from kvmc.topology.model import Cpu
from kvmc_targets import BUILTIN

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import placement

sys.path.pop(0)

from benchmarks.instances import SHAPES, Instance, instance

SHARED = Path(os.environ.get("KVMC_SHARED") or Path(__file__).resolve().parents[2].parent / "shared") / "placement"
NAMES = [f"{shape}-{kind}" for shape in SHAPES for kind in ("b", "c", "q", "q95")]


def written(one: Instance) -> Outcome:
    """The placed instance as files in memory, not audited yet."""
    found, site, topologies = placement.place(one)
    cpu = Cpu("GenuineIntel", "Intel(R) Xeon(R) Gold 6338 CPU @ 2.00GHz")  # an instance does not say whose IOMMU it is
    topologies = {name: dataclasses.replace(topology, cpu=cpu) for name, topology in topologies.items()}
    site = site.model_copy(update={"targets": tuple(target.name for target in BUILTIN)})
    outcome = Outcome(Bag(), site=site, topologies=topologies, placement=found)
    origins = Origins({})
    identities, bag = identify(site, found, {}, origins)
    assert outcome.tell(bag), [item.message for item in bag]
    outcome.next_locks = next_locks(found, identities, topologies, {})
    outcome.plans, bag = derive(site, topologies, found, identities, {}, origins)
    assert outcome.tell(bag), [item.message for item in bag]
    render(outcome, BUILTIN)
    assert outcome.ok
    return outcome


def audited(one: Instance) -> tuple[int, int]:
    """Guests and files that the audit read and found nothing wrong with."""
    outcome = written(one)
    assert outcome.placement is not None
    audit_files(outcome)
    assert outcome.ok, [item.message for item in outcome.bag][:5]
    files = [path for host in outcome.files.values() for path in host]
    guests = sum(path.startswith("domains/") and path.endswith(".xml") for path in files)
    assert guests == len(outcome.placement.guests) > 0
    return guests, len(files)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_audit_finds_nothing(shape: str) -> None:
    audited(instance(shape, "c" if shape == "xeon6338s2" else "q95", 4))


def test_it_would_find_a_guest_on_a_cpu_of_another() -> None:
    outcome = written(instance("altra80", "q95", 4))
    assert outcome.placement is not None
    one, two = list(outcome.placement.guests.values())[:2]
    files = outcome.files[one.host]
    path = f"domains/{two.vm}.xml"
    mine, theirs = one.cells[0].pins[0].first, two.cells[0].pins[0].first
    text = (
        files[path]
        .text.replace(f"cpuset='{theirs}'", f"cpuset='{mine}'")
        .replace(f'cpuset="{theirs}"', f'cpuset="{mine}"')
    )
    assert text != files[path].text
    files[path] = type(files[path])(text, files[path].mode)
    audit_files(outcome)
    assert not outcome.ok


@pytest.mark.proof
@pytest.mark.parametrize("name", NAMES)
def test_the_audit_finds_nothing_on_shared_instances(name: str, record_property: Callable[[str, object], None]) -> None:
    path = SHARED / f"{name}.json"
    if not path.is_file():
        pytest.skip("no folder of shared placement instances (KVMC_SHARED)")
    guests, files = audited(json.loads(path.read_text(encoding="utf-8")))
    record_property("audited", f"{guests} guests in {files} files, nothing found")
