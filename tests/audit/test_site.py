"""What only all hosts together tell, and what the tree on disk may hold."""

from __future__ import annotations

import os
from pathlib import Path

from audit.small_tree import DU, HOST, RT, WEB, tree
from audit.support import GIB, shown, site, topology
from kvmc.audit.check import audit_host, audit_site
from kvmc.audit.tree import MAX_FILE_BYTES, read_tree
from kvmc.diagnostics import Code, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.site import Domain, Emulator, Isolation, Place, Site

OTHER = "kvm-b"


def two_hosts(**changes: object) -> Site:
    one = site()
    hosts = {HOST: one.hosts[HOST], OTHER: one.hosts[HOST].model_copy(update={"name": OTHER, "rack": "r2"})}
    return one.model_copy(update={"hosts": hosts} | changes)


def other_tree() -> dict[str, str]:
    return {path: text for path, text in tree().items() if not path.startswith("domains/")}


def codes_of(trees: dict[str, dict[str, str]], asked: Site | None) -> list[Code]:
    return [item.code for item in audit_site(trees, {HOST: topology(), OTHER: topology()}, asked)]


def apart(*vms: str, across: str = "host") -> dict[str, Place]:
    return {"p": Place(name="p", relation="apart", vms=vms, across=Domain(across))}


def test_two_hosts_are_right() -> None:
    assert not codes_of({HOST: tree(), OTHER: other_tree()}, two_hosts())


def test_a_guest_may_be_on_any_host() -> None:
    first = tree()
    second = other_tree() | {"domains/web-1.xml": first.pop("domains/web-1.xml")}
    assert not codes_of({HOST: first, OTHER: second}, two_hosts(places=apart("web-1", "rt-1")))


def test_a_guest_on_two_hosts_is_told_once() -> None:
    found = codes_of({HOST: tree(), OTHER: other_tree() | {"domains/web-1.xml": WEB}}, two_hosts())
    assert found == [codes.GUEST_TWICE]


def test_an_identity_on_two_hosts() -> None:
    copy = RT.replace("rt-1<", "rt-9<").replace("00:00:02", "00:00:99")
    found = codes_of({HOST: tree(), OTHER: other_tree() | {"domains/rt-9.xml": copy}}, None)
    assert found == [codes.IDENTITY_TWICE, codes.IDENTITY_TWICE], "uuid and one MAC address"


def test_guests_that_are_to_be_apart() -> None:
    assert codes_of({HOST: tree()}, site().model_copy(update={"places": apart("rt-1", "du-1")})) == [codes.NOT_APART]
    assert codes_of({HOST: tree(), OTHER: other_tree()}, two_hosts(places=apart("rt-1", "rt-2"))) == []


def test_racks_count_where_the_place_says_so() -> None:
    first = tree()
    second = other_tree() | {"domains/du-1.xml": first.pop("domains/du-1.xml")}
    asked = two_hosts(places=apart("rt-1", "du-1", across="rack"))
    assert not codes_of({HOST: first, OTHER: second}, asked)
    together = {name: host.model_copy(update={"rack": "r1"}) for name, host in asked.hosts.items()}
    assert codes_of({HOST: first, OTHER: second}, asked.model_copy(update={"hosts": together})) == [codes.NOT_APART]


def test_a_host_without_artifacts() -> None:
    assert codes_of({HOST: tree()}, two_hosts()) == [codes.HOST_MISSING]


def test_artifacts_of_no_host() -> None:
    assert codes_of({HOST: tree(), "ghost": tree()}, site()) == [codes.HOST_EXTRA]
    (one,) = audit_site({HOST: tree(), "ghost": tree()}, {HOST: topology()}, site())
    assert one.primary is not None and one.primary.span == Span("ghost/apply.json", 0, 0)
    assert codes_of({HOST: tree(), "ghost": {}}, site()) == [codes.HOST_EXTRA]


def test_a_guest_bound_to_another_host() -> None:
    asked = two_hosts()
    vms = dict(asked.vms) | {"web-1": asked.vms["web-1"].model_copy(update={"host": OTHER})}
    found = codes_of({HOST: tree(), OTHER: other_tree()}, asked.model_copy(update={"vms": vms}))
    assert found == [codes.GUEST_DIFFERS]


def test_domains_alone_are_judged_by_what_they_tell() -> None:
    """Without a host half, no page and no pool is known to lack."""
    files = {"domains/rt-1.xml": RT, "domains/du-1.xml": DU}
    assert not list(audit_host(HOST, files, topology(), None))
    files["domains/du-1.xml"] = DU.replace("cpuset='9'", "cpuset='3'")
    assert [item.code for item in audit_host(HOST, files, topology(), None)][:1] == [codes.CPU_OWNED_TWICE]


def test_floating_threads_keep_off_the_cores_of_others() -> None:
    """Where no list of the host half tells a pool, the guests' own pins do."""
    for mask, code in (("0,9", codes.HELPER_ON_GUEST), ("0,21", codes.CORE_SHARED), ("0,12", None)):
        files = {
            "domains/rt-1.xml": RT.replace("emulatorpin cpuset='0,12'", f"emulatorpin cpuset='{mask}'"),
            "domains/du-1.xml": DU,
        }
        found = list(audit_host(HOST, files, topology(), None))
        assert [item.code for item in found] == ([code] if code else []), shown(found, files)
        assert not found or "du-1" in found[0].message


def test_helpers_on_cores_of_their_own() -> None:
    asked = site()
    own = asked.vms["du-1"].model_copy(update={"emulator": Emulator.OWN, "isolation": Isolation.ANY})
    vms = {"du-1": own, "web-1": asked.vms["web-1"]}
    web = (
        WEB.replace("nodeset='0'", "nodeset='1'")
        .replace("1,13", "7,19")
        .replace("emulatorpin cpuset='0,12'", "emulatorpin cpuset='6,18'")
    )
    for mask, right in (("11,23", True), ("6,18", False), ("7,19", False)):
        files = {"domains/du-1.xml": DU.replace("'6,18'", f"'{mask}'"), "domains/web-1.xml": web}
        found = list(audit_host("elsewhere", files, topology(), asked.model_copy(update={"vms": vms})))
        assert [item.code for item in found] == ([] if right else [codes.GUEST_DIFFERS]), shown(found, files)


def test_memory_of_guests_and_reserve() -> None:
    asked = site()
    host = asked.hosts[HOST].model_copy(update={"reserve_memory_kib": 15 * GIB})
    found = list(audit_host(HOST, tree(), topology(), asked.model_copy(update={"hosts": {HOST: host}})))
    assert [item.code for item in found] == [codes.MEMORY_SHORT], shown(found, tree())
    assert "32GiB" in found[0].message and "15GiB the reserve" in found[0].message


def write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def test_a_tree_is_read_as_it_lies(tmp_path: Path) -> None:
    write(tmp_path / HOST, tree())
    write(tmp_path / ".journal", {"x": "y"})
    (tmp_path / "README").write_text("none of ours\n")
    (tmp_path / HOST / "apply.json.kvmc-new").write_text("half")
    found = read_tree(tmp_path)
    assert found == {HOST: tree()}
    assert list(found[HOST]) == sorted(found[HOST])
    assert not list(audit_site(found, {HOST: topology()}, site()))


def test_what_cannot_be_read_is_there_and_unreadable(tmp_path: Path) -> None:
    write(tmp_path / HOST, tree())
    domains = tmp_path / HOST / "domains"
    (tmp_path / "secret.xml").write_text(RT)
    (domains / "link.xml").symlink_to(tmp_path / "secret.xml")
    (tmp_path / HOST / "etc/linked").symlink_to(domains)
    os.mkfifo(domains / "fifo.xml")
    (domains / "bytes.xml").write_bytes(b"<domain>\xff\xfe</domain>\n")
    with (domains / "huge.xml").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    found = read_tree(tmp_path)[HOST]
    assert (
        found["domains/link.xml"] == found["domains/fifo.xml"] == found["domains/huge.xml"] == found["etc/linked"] == ""
    )
    told = [item for item in audit_host(HOST, found, topology(), site()) if item.code is codes.FILE_UNREADABLE]
    names = {item.primary.span.file for item in told if item.primary is not None}
    assert names == {
        f"{HOST}/{path}" for path in ("etc/linked", *(f"domains/{n}.xml" for n in ("link", "fifo", "bytes", "huge")))
    }


def test_no_tree_is_an_empty_one(tmp_path: Path) -> None:
    assert read_tree(tmp_path / "absent") == {}
