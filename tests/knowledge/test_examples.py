"""Each line that the examples' hosts and guests are told is known, with a range that covers their platform."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from kvmc.driver.inputs import read_inputs
from kvmc.knowledge.model import Knob, Status
from kvmc.knowledge.registry import rows
from kvmc.model.site import Platform
from lab.examples import EXAMPLES, Host, hosts

_METADATA = "{urn:kvmc:domain:1}"


def _platform(host: Host) -> Platform:
    site = read_inputs(EXAMPLES / host.example / "site.kvmt").site
    assert site is not None
    return site.platforms[site.hosts[host.name].platform]


def _lines(host: Host) -> Iterator[tuple[str, str, str]]:
    """Layer, key and value of each line."""
    for word in host.line:
        key, _, value = word.partition("=")
        yield "cmdline", key, value
    for line in host.sysctl_text.splitlines():
        if line and not line.startswith("#"):
            key, _, value = line.partition(" = ")
            yield "sysctl", key, value
    for path, text in host.files.items():
        if path.startswith("etc/modprobe.d/"):
            for module, option, value in re.findall(r"^options (\S+) ([^\s=]+)=(\S+)$", text, re.MULTILINE):
                yield "modprobe", f"{module}.{option}", value
    for text in host.tuned_profiles.values():
        section = ""
        for line in text.splitlines():
            if line.startswith("["):
                section = line.strip("[]")
            elif line and not line.startswith("#") and section != "main":
                key, _, value = line.partition("=")
                yield "tuned", f"{section}.{key}", value


def _elements(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The path of each element below `<domain>`, and its attributes."""
    root = etree.fromstring(text.encode())
    for node in root.iter(etree.Element):
        above = [str(one.tag) for one in reversed(list(node.iterancestors()))][1:]
        path = "/".join([*above, str(node.tag)])
        if node is not root and _METADATA not in path:
            yield path, tuple(map(str, node.attrib))


def _covers(knob: Knob, platform: Platform) -> bool:
    versions = {"kernel": platform.kernel, "tuned": platform.tuned, "libvirt": platform.libvirt, "qemu": platform.qemu}
    return knob.exists_in(versions[knob.tool])


@pytest.mark.parametrize("host", hosts(), ids=str)
def test_each_line_is_known_and_is_in_every_release(host: Host) -> None:
    platform = _platform(host)
    lines = list(_lines(host))
    assert len(lines) > 3
    for layer, key, value in lines:
        found = rows(layer, key)
        assert found, (layer, key)
        assert any(_covers(row, platform) and row.accepts(value) for row in found), (layer, key, value)
        assert all(row.status in (Status.EMITTED, Status.RAW) for row in found), (layer, key)


@pytest.mark.parametrize("host", hosts(), ids=str)
def test_each_element_is_known_and_is_in_every_release(host: Host) -> None:
    platform = _platform(host)
    for path, text in host.domains.items():
        for element, attributes in _elements(text):
            found = rows("libvirt", element)
            assert found and _covers(found[0], platform), (path, element)
            for attribute in attributes:
                own = rows("libvirt", f"{element}@{attribute}")
                assert attribute in found[0].words or (own and _covers(own[0], platform)), (path, element, attribute)


def test_each_element_of_the_library_s_classes_is_known() -> None:
    """Built for releases of their own; which element came when is the table's to say, and that it is known is judged here."""
    golden = Path(__file__).parents[1] / "classes/golden"
    texts = [path.read_text() for path in sorted(golden.rglob("*.xml"))]
    assert texts
    for text in texts:
        for element, attributes in _elements(text):
            found = rows("libvirt", element)
            assert found and found[0].status is Status.EMITTED, element
            for attribute in attributes:
                assert attribute in found[0].words or rows("libvirt", f"{element}@{attribute}"), (element, attribute)
