"""What libvirt says of imported guests: it takes each built domain, and its own dump of both says no more than was listed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from lxml import etree

from adopt.test_import import DOMAINS, EPYC
from kvmc.adopt.compare import differences, leaves
from kvmc.driver.adopt import import_site
from kvmc.driver.build import Options, build_site
from kvmc_targets import BUILTIN
from lab.libvirtd import Libvirtd
from lab.needs import needs


def without_tpm(text: str) -> str:
    return re.sub(r"<tpm .*?</tpm>", "", text, flags=re.DOTALL)


@pytest.mark.proof
@needs("libvirtd")
def test_libvirt_defines_every_built_domain(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    _, found, _ = import_site(DOMAINS, EPYC, "epyc", tmp_path, BUILTIN)
    assert found is not None
    assert build_site(tmp_path / "site.kvmt", BUILTIN, Options()).ok
    refused: dict[str, str] = {}
    unlisted: dict[str, list[str]] = {}
    compared = 0
    with Libvirtd() as libvirtd:
        for path in DOMAINS:
            name = path.stem
            # libvirt asks swtpm, which may not be installed, for the versions that it has
            text = without_tpm((tmp_path / f"generated/epyc/domains/{name}.xml").read_text())
            answer = libvirtd.define_validate(text)
            if answer is not None:
                if "rhel" not in path.read_text() or "does not support machine type" not in answer:
                    refused[name] = answer  # RHEL's machines are in no other QEMU
                continue
            built = etree.fromstring(libvirtd.dumpxml(name))
            libvirtd.undefine(name)
            if libvirtd.define_validate(without_tpm(path.read_text())) is not None:
                continue  # the original is of another libvirt or machine
            original = etree.fromstring(libvirtd.dumpxml(name))
            libvirtd.undefine(name)
            compared += 1
            told = tuple(one.path for one in found[name])
            said = set(leaves(etree.parse(path).getroot()))  # what libvirt added to it, it did not say
            mine = [one.path for one in differences(original, built) if not one.added and one.path in said]
            if left := [one for one in mine if not one.startswith(told)]:
                unlisted[name] = left
    record_property("built domains that libvirt took", len(DOMAINS) - len(refused))
    record_property("originals that libvirt took as well, and both dumps compared", compared)
    assert not refused
    assert compared > 30
    assert not unlisted
