"""Relations of guests and nearness of devices, judged by the files alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from audit.small_tree import HOST, tree
from audit.support import findings, site, topology
from kvmc.audit.check import audit_site
from kvmc.diagnostics import Code
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.site import Domain, Hostdev, Near, Place, Site, Strength
from kvmc.topology import Topology


def judged(asked: Site, machine: Topology | None = None, files: dict[str, str] | None = None) -> list[Code]:
    return [item.code for item in audit_site({HOST: files or tree()}, {HOST: machine or topology()}, asked)]


def related(relation: str, domain: Domain, strength: Strength = Strength.REQUIRE, *vms: str) -> Site:
    place = Place(
        name="p", relation=relation, vms=vms or ("rt-1", "du-1"), across=domain, within=domain, strength=strength
    )
    return site().model_copy(update={"places": {"p": place}})


def test_the_tree_is_right() -> None:
    assert not findings(tree())


@pytest.mark.parametrize(
    ("domain", "together"),
    [(Domain.RACK, True), (Domain.HOST, True), (Domain.PACKAGE, False), (Domain.NODE, False), (Domain.L3, False)],
)
def test_two_guests_on_different_nodes_of_one_host(domain: Domain, together: bool) -> None:
    assert judged(related("apart", domain)) == ([codes.NOT_APART] if together else [])
    assert judged(related("together", domain)) == ([] if together else [codes.NOT_TOGETHER])
    for relation in ("apart", "together"):
        assert not judged(related(relation, domain, Strength.PREFER))


def test_what_the_topology_does_not_tell_is_not_judged() -> None:
    blind = replace(topology(), packages=None)
    assert not judged(related("together", Domain.PACKAGE), blind)


def far() -> dict[str, str]:
    files = tree()
    path = "domains/du-1.xml"
    assert "bus='0xaf' slot='0x00'" in files[path]
    return {**files, path: files[path].replace("bus='0xaf' slot='0x00'", "bus='0x3c' slot='0x00'")}


def with_gpu(**more: object) -> Site:
    asked = site()
    host = asked.hosts[HOST]
    pools = dict(host.devices)
    other = next(address for address in topology().pci or {} if str(address) == "0000:3c:00.0")
    pools["gpu"] = pools["gpu"].model_copy(update={"addresses": (*pools["gpu"].addresses, other)})
    gpu = Hostdev.model_validate({"name": "gpu", "device": "gpu", **more})
    vms = {**asked.vms, "du-1": asked.vms["du-1"].model_copy(update={"hostdevs": {"gpu": gpu}})}
    hosts = {**asked.hosts, HOST: host.model_copy(update={"devices": pools})}
    return asked.model_copy(update={"vms": vms, "hosts": hosts})


def test_a_device_is_far_only_where_the_site_lets_it() -> None:
    assert codes.DEVICE_FAR in judged(with_gpu(), files=far())
    for near in (Near.PREFER, Near.ANY):
        assert codes.DEVICE_FAR not in judged(with_gpu(near=near), files=far())
