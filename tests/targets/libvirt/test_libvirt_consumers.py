"""Domains under libvirt's own eyes: its schema, and its parser through the test driver, which needs no daemon."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from kvmc.artifacts import seal
from kvmc.hostconfig.plan import GuestPlan
from kvmc_targets.libvirt import TARGET
from support import virsh
from support.guests import host_plan
from support.xmleq import differences
from targets.libvirt.cases import CASES

SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")

pytestmark = pytest.mark.consumer


def sealed(plan: GuestPlan) -> str:
    return seal(TARGET.render(host_plan([plan]))[0])


@pytest.fixture(scope="module")
def schema() -> etree.RelaxNG:
    if not SCHEMA.is_file():
        pytest.skip("libvirt's schemas are not installed")
    return etree.RelaxNG(etree.parse(SCHEMA))


@pytest.mark.parametrize("case", CASES)
def test_schema_takes_it(case: str, schema: etree.RelaxNG) -> None:
    assert schema.validate(etree.fromstring(sealed(CASES[case]).encode())), schema.error_log


def test_schema_can_refuse(schema: etree.RelaxNG) -> None:
    wrong = sealed(CASES["plain"]).replace("<vmport", "<wmport")
    assert not schema.validate(etree.fromstring(wrong.encode()))


@pytest.fixture(scope="module")
def read_back(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Every case defined and dumped, in one run of virsh."""
    folder = tmp_path_factory.mktemp("domains")
    dumps = virsh.read_back([(plan.uuid, sealed(plan)) for plan in CASES.values()], folder)
    return dict(zip(CASES, dumps, strict=True))


@pytest.mark.parametrize("case", CASES)
def test_libvirt_reads_what_we_mean(case: str, read_back: dict[str, str]) -> None:
    assert differences(sealed(CASES[case]), read_back[case]) == []
