"""Guests near devices that they do not own, and their own devices beside each other: from the source to the audit."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvmc.driver.audit import audit_tree
from kvmc.driver.build import build_site
from kvmc.driver.outcome import Outcome
from kvmc_targets import BUILTIN
from whole.effect_site import text_of, write_folder

GPU = "0000:b1:00.0"
"""On node 1; its neighbour 0000:b3:00.0 is below another root complex."""


VFS = {"devices": {"parent": '"0000:3b:00.0"'}}
"""The card whose virtual functions are no other card's too."""


def a_site(folder: Path, *lines: str, host: str = "kvm-c") -> Path:
    """One guest, of these lines, on one host of two nodes."""
    write_folder(folder)
    text = text_of(VFS)
    start = text.index("vm db-3")
    rest = text[text.index("vm web-1", start) :]
    (folder / "site.kvmt").write_text("\n".join([text[:start], f"vm db-3 : base {{\nhost = {host}", *lines, "}", rest]))
    return folder / "site.kvmt"


def built(site: Path) -> Outcome:
    outcome = build_site(site, BUILTIN)
    assert outcome.ok, [one.message for one in outcome.bag]
    return outcome


def audited(site: Path) -> list[str]:
    return [item.message for item in audit_tree(site.parent / "generated", site, {}).bag]


@pytest.mark.parametrize("what", ["device = gpu", f'address = ["0000:ff:00.0", "{GPU}"]'])
def test_a_guest_is_on_the_node_of_a_device_that_it_does_not_own(tmp_path: Path, what: str) -> None:
    site = a_site(tmp_path, f"near gpu {{\n{what}\n}}", host="kvm-b")
    built(site)
    path = tmp_path / "generated/kvm-b/domains/db-3.xml"
    text = path.read_text()
    assert '<memnode cellid="0" mode="strict" nodeset="1"/>' in text and "<hostdev" not in text
    assert audited(site) == []
    (tmp_path / "site.kvmt").write_text(
        (tmp_path / "site.kvmt")
        .read_text()
        .replace(f"near gpu {{\n{what}", "near gpu {\n" + 'address = "0000:3b:00.0"')
    )
    assert audited(site) == ["`db-3` asks to be near `gpu`, which is on node 0, and is on node 1"]
    (tmp_path / "site.kvmt").write_text(
        (tmp_path / "site.kvmt").read_text().replace('"0000:3b:00.0"\n}', '"0000:ff:00.0"\n}')
    )
    assert audited(site) == ["`db-3` asks to be near `gpu`, and host `kvm-b` has no such device"]


def test_the_audit_knows_packages(tmp_path: Path) -> None:
    """The same files are right where both nodes are in one package, and wrong where they are not."""
    near = f'near gpu {{\naddress = "{GPU}"\nwithin = package\nstrength = prefer\n}}'
    site = a_site(tmp_path, near)
    text = (tmp_path / "site.kvmt").read_text().replace("hosts/big.json", "hosts/one.json")
    site.write_text(text)
    built(site)
    path = tmp_path / "generated/kvm-c/domains/db-3.xml"
    assert 'nodeset="0"' in path.read_text(), "node 0 has no devices that others may want, and is near enough"
    site.write_text(text.replace("strength = prefer\n}\n}", "strength = require\n}\n}"))
    assert audited(site) == []
    site.write_text(site.read_text().replace("within = package", "within = node"))
    assert audited(site) == ["`db-3` asks to be near `gpu`, which is on node 1, and is on node 0"]


def test_the_audit_knows_passed_devices_of_the_package(tmp_path: Path) -> None:
    hostdev = "vcpus = 12\nmemory = 4GiB\nhostdev gpu {\ndevice = gpu\nwithin = package\n}"
    rival = f'}}\nvm rival : base {{\nhost = kvm-b\nvcpus = 12\nnear gpu {{\naddress = "{GPU}"\n}}'
    site = a_site(tmp_path, hostdev, rival, host="kvm-b")
    text = site.read_text().replace("hosts/big.json", "hosts/one.json")
    gone = text.index("vm db-2"), text.index("vm db-3")
    text = text[: gone[0]] + text[gone[1] :]
    site.write_text(text)
    built(site)
    assert 'nodeset="0"' in (tmp_path / "generated/kvm-b/domains/db-3.xml").read_text()
    assert audited(site) == []
    site.write_text(text.replace("within = package", "within = node"))
    assert audited(site) == [f"{GPU} is on node 1, `db-3` on node 0"]


def test_the_audit_asks_for_one_root_complex(tmp_path: Path) -> None:
    text = text_of({**VFS, "passed": {"beside": "prefer"}})
    write_folder(tmp_path)
    site = tmp_path / "site.kvmt"
    site.write_text(text)
    notes = [item.message for item in built(site).bag if item.code.id == "KVMC0431"]
    assert notes[1:] == [
        "the passed devices of `db-2` are preferred beside each other and are on 3 root complexes: "
        "0000:3b, 0000:b3, 0000:b1"
    ]
    site.write_text(text.replace("beside = prefer", "beside = require"))
    assert "`db-2` asks for its devices on one root complex and has them on 0000:3b, 0000:b1, 0000:b3" in audited(site)


def test_functions_of_several_ports_are_made_and_told(tmp_path: Path) -> None:
    write_folder(tmp_path)
    site = tmp_path / "site.kvmt"
    both = '["0000:3b:00.0", "0000:af:00.0"]'
    text = text_of({"devices": {"parent": both}, "near": {"strength": "prefer"}})
    site.write_text(text)
    built(site)
    made = (tmp_path / "generated/kvm-b/etc/kvmc/make-vfs").read_text()
    assert "0000:3b:00.0" in made and "0000:af:00.0" in made
    assert audited(site) == []
    nic = (tmp_path / "generated/kvm-b/domains/db-2.xml").read_text()
    assert 'bus="0xaf"' in nic, "the function of the node of its other devices"
    site.write_text(text.replace(both, '"0000:3b:00.0"'))
    found = audited(site)
    assert any("VFs of 0000:af:00.0, which the site does not ask for" in line for line in found), found
    site.write_text(text.replace(both, '["0000:3b:00.0", "0000:3b:00.1"]'))
    assert any("is to make 4 VFs of 0000:3b:00.1; its files make 0" in line for line in audited(site))
