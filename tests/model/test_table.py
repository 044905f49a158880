"""The table of settings against what it feeds: the model, the reference page, the loader."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from kvmc.model import site
from kvmc.model.blocks import BLOCKS
from kvmc.model.reference import reference
from kvmc.model.settings import ROWS, blocks, children, defaults, settings
from kvmc.model.table import Row
from kvmc.syntax.parser import parse
from kvmc.syntax.tree import Setting
from model.support import BASE, load

MODELS: dict[str, type[BaseModel]] = {
    "site": site.Site,
    "platform": site.Platform,
    "pool": site.Host,
    "host": site.Host,
    "housekeeping": site.Host,
    "shared": site.Host,
    "vswitch": site.Host,
    "resctrl": site.Host,
    "reserve": site.Host,
    "devices": site.DevicePool,
    "memory": site.KindMemory,
    "network": site.Network,
    "storage": site.Storage,
    "class": site.Vm,
    "vm": site.Vm,
    "node": site.GuestNode,
    "disk": site.Disk,
    "nic": site.Nic,
    "hostdev": site.Hostdev,
    "mdev": site.Mdev,
    "passed": site.Passed,
    "near": site.NearDevice,
    "place": site.Place,
    "raw": site.Raw,
}

NOT_SETTINGS = {
    site.Site: {"name", "platforms", "hosts", "networks", "storages", "vms", "places"},
    site.Host: {"name", "pool", "devices", "memories", "raws", "shared_overcommits"},
    site.Platform: {"name", "known"},
    site.DevicePool: {"name", "others"},
    site.Vm: {"name", "lineage", "cells", "disks", "nics", "hostdevs", "mdevs", "raws", "nears", "passed"},
    site.Place: {"name", "relation"},
    site.Passed: set(),
}
"""Fields that come from headers and inner blocks; every model has a name."""


def test_every_block_has_settings_a_model_and_a_doc() -> None:
    assert set(MODELS) == {row.name for row in BLOCKS} == {row.block for row in ROWS}
    for row in BLOCKS:
        assert row.doc.endswith(".")
        assert all(name in blocks() for name in (*row.within, row.like or "vm", row.parents or "class"))
        assert row.since == "0.1"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.block}.{row.name}")
def test_a_row_is_documented_and_its_example_is_read(row: Row) -> None:
    assert row.doc.endswith(".") and row.kind.words and row.since == "0.1"
    file, bag = parse("f", f"{row.name} = {row.example}\n")
    assert file is not None and not bag.items
    (setting,) = file.items
    assert isinstance(setting, Setting)
    value = row.kind.read(setting.value)
    assert value != defaults(row.block)[row.name], "an example shows something else than the default"
    assert not (row.required and row.default is not None)


def test_rows_and_model_fields_are_the_same_both_ways() -> None:
    for model in set(MODELS.values()):
        fed = [row.model_field for row in ROWS if MODELS[row.block] is model]
        assert len(fed) == len(set(fed))
        assert set(fed) == set(model.model_fields) - NOT_SETTINGS.get(model, {"name"})


def test_the_reference_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs/settings.md"
    assert page.read_text(encoding="utf-8") == reference(), "run `python -m kvmc.model.reference > docs/settings.md`"
    for row in ROWS:
        assert f"| `{row.name}` |" in reference()


def test_what_a_block_is_like_is_had_by_it() -> None:
    assert set(settings("vm")) == set(settings("class")) | {"uuid", "host"}
    assert set(settings("host")) == set(settings("pool")) | {"topology", "rack", "drained"}
    for like, base in (("vm", "class"), ("host", "pool")):
        assert children(like) == children(base)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.block in ("class", "vm", "pool", "host")], ids=lambda row: row.name
)
def test_every_example_is_taken_where_it_belongs(tmp_path: Path, row: Row) -> None:
    """Only references may be unknown there: the value itself and its place are right."""
    loaded = load(tmp_path, BASE + f"{row.block} x {{\n  {row.name} = {row.example}\n}}\n")
    assert {item.code.id for item in loaded.bag} <= {"KVMC0205", "KVMC0211"}
