"""Every class of the standard library on hosts of three makers and three platforms: what is built is what is committed, and what
is committed is what libvirt takes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from lxml import etree

from classes.fleet import CASES, PLATFORMS, Case, build, golden_domains, tree
from kvmc.knowledge.model import Status
from kvmc.knowledge.registry import rows
from kvmc.model.classes import classes, reference
from kvmc.model.values import Version, VersionRange
from lab.libvirtd import Libvirtd
from lab.needs import needs
from lab.texts import rng_errors
from support.xmleq import differences

ROOT = Path(__file__).parents[2]
NOTES = {
    "deb12": {"KVMC0526"},
    "deb13": set[str](),
    "libvirt12": set[str](),
}
"""Codes of notes that a platform brings: one I/O thread in place of several before libvirt 10.0."""

NEWER = {
    "cpu/topology/@clusters": (10, 1),
    "devices/disk/driver/iothreads": (10, 0),
    "devices/watchdog[@model='itco']": (9, 1),
    "launchSecurity[@type!='sev']": (10, 5),
    "devices/hostdev/driver/@iommufd": (12, 1),
}
"""What the schema of libvirt 9.0 lacks, and the release that brought it (formatdomain and the release notes); without it the
document is judged."""

each_case = pytest.mark.parametrize("case", CASES, ids=str)


@each_case
def test_a_build_gives_what_is_committed(case: Case, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The build itself runs the audit: with a finding nothing is written."""
    outcome = build(case, tmp_path / "site")
    assert {item.code.id for item in outcome.bag} - {"KVMC0524"} == NOTES[case.platform], [
        item.message for item in outcome.bag
    ]
    made = {name: text for name, text in tree(tmp_path / "site/generated" / case.host).items() if name != "apply.json"}
    assert {name.removeprefix("domains/") for name in made if name.startswith("domains/")} == {
        f"{name}-1.xml" for name in case.classes
    }
    if request.config.getoption("--update"):
        shutil.rmtree(case.golden, ignore_errors=True)
        for name, text in made.items():
            (case.golden / name).parent.mkdir(parents=True, exist_ok=True)
            (case.golden / name).write_text(text)
    assert tree(case.golden) == made, "run pytest with --update and review the diff"


@needs("libvirt-schema")
@each_case
def test_the_committed_domains_are_valid(case: Case) -> None:
    for name, text in golden_domains(case).items():
        root = etree.fromstring(text.encode())
        for path in NEWER:
            for found in root.xpath(path):
                if isinstance(found, etree._Element):
                    parent = found.getparent()
                    assert parent is not None
                    parent.remove(found)
                else:
                    found.getparent().attrib.pop(found.attrname)
        if case.platform == "deb12":
            assert etree.tostring(root) == etree.tostring(etree.fromstring(text.encode())), f"{name}: newer than 9.0"
        assert rng_errors(etree.tostring(root, encoding="unicode")) == (), name


@needs("libvirtd")
def test_libvirt_defines_what_no_example_has(libvirtd: Libvirtd) -> None:
    """Guests whose elements are in no example's domains, with the release that is installed."""
    (case,) = (one for one in CASES if str(one) == "intel-deb12")
    for name in ("nfv-1", "gpu-passthrough-1", "gpu-mdev-1", "windows-1", "web-1", "ai-inference-amx-1"):
        # libvirt asks swtpm for the versions that it has
        xml = golden_domains(case)[name]
        if not shutil.which("swtpm_setup"):
            xml = re.sub(r" *<tpm .*?</tpm>\n", "", xml, flags=re.DOTALL)
        assert ("<tpm" in golden_domains(case)[name]) == (name == "windows-1")
        assert libvirtd.define_validate(xml) is None, name
        assert differences(xml, libvirtd.dumpxml(name)) == [], name
        libvirtd.undefine(name)


def test_every_class_is_built_somewhere() -> None:
    assert {name for case in CASES for name in case.classes} == {one.name for one in classes()}


def test_every_class_says_what_it_sets_why_what_it_costs_and_shows_an_example() -> None:
    for one in classes():
        text = "\n".join(one.comment)
        inherited = text.startswith("The same")
        for word in ("Example",) if inherited else ("Sets", "Why", "Costs", "Example"):
            assert f"{word}: " in text, (one.name, word)


def test_the_page_of_classes_is_up_to_date() -> None:
    page = (ROOT / "docs/classes.md").read_text(encoding="utf-8")
    assert page == reference(), "run `python -m kvmc.model.classes > docs/classes.md`"


@each_case
def test_every_element_is_known_and_is_in_the_platforms_release(case: Case) -> None:
    """By the knowledge, element by element and attribute by attribute."""
    low = VersionRange(*[Version(*map(int, PLATFORMS[case.platform]["libvirt"].split(".")))] * 2)
    for name, text in golden_domains(case).items():
        root = etree.fromstring(text.encode())
        for node in root.iterdescendants(etree.Element):
            above = [str(one.tag) for one in reversed(list(node.iterancestors()))][1:]
            path = "/".join([*above, str(node.tag)])
            if "{" in path:
                continue  # our own, in <metadata>
            found = rows("libvirt", path)
            assert found and found[0].exists_in(low) and found[0].status is Status.EMITTED, (name, path)
            for attribute in map(str, node.attrib):
                own = rows("libvirt", f"{path}@{attribute}")
                later = own and own[0].exists_in(low) and own[0].status is Status.EMITTED
                assert attribute in found[0].words or later, (name, path, attribute)
