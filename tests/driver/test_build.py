"""The stages put together, on a small real site."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from kvmc.artifacts import Artifact, Comment
from kvmc.diagnostics import Bag, Code, Severity, Span
from kvmc.driver.build import Options, build_site
from kvmc.driver.outcome import Outcome
from kvmc.driver.stages import Forget, check_site, plan_site
from kvmc.hostconfig.plan import Carrier, HostPlan
from kvmc.output import JOURNAL
from kvmc_targets import BUILTIN
from sample_site import VMS, make_site, site_text


def ids(outcome: Outcome) -> list[str]:
    return [item.code.id for item in outcome.bag]


def tree(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def lock(folder: Path, host: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"locks/{host}.json").read_text())
    return found


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return make_site(tmp_path)


@pytest.fixture
def built(site: Path) -> Path:
    outcome = build_site(site, BUILTIN)
    assert outcome.ok, outcome.bag.items
    return site


def test_a_build_is_whole_and_repeats_to_the_byte(built: Path) -> None:
    first = tree(built.parent)
    assert {"generated/kvm-a/domains/db-1.xml", "generated/kvm-b/apply.json", "locks/kvm-a.json"} <= set(first)
    again = build_site(built, BUILTIN)
    assert again.ok and again.changes is not None and not again.changes
    shutil.rmtree(built.parent / "generated")
    build_site(built, BUILTIN)
    assert tree(built.parent) == first


def test_check_needs_no_build_before_and_writes_nothing(site: Path) -> None:
    before = tree(site.parent)
    outcome = check_site(site)
    assert outcome.ok and not outcome.bag.items
    assert tree(site.parent) == before
    build_site(site, BUILTIN)
    after = check_site(site)
    assert after.ok and not after.bag.items


def test_a_locked_place_that_no_longer_holds_is_told_before_and_when_it_changes(built: Path) -> None:
    text = built.read_text()
    assert text.count("vcpus") >= 1
    built.write_text(text.replace("vcpus", "threads = isolate\n  vcpus", 1))
    before = tree(built.parent)  # as edited
    told = [item for item in check_site(built).bag if item.code.id == "KVMC0619"]
    assert told and tree(built.parent) == before
    again = [item for item in build_site(built, BUILTIN).bag if item.code.id == "KVMC0619"]
    assert [item.message for item in again] == [item.message for item in told]
    assert not any(item.code.id == "KVMC0619" for item in check_site(built).bag)


def test_check_mode_tells_what_is_stale_and_writes_nothing(built: Path) -> None:
    assert build_site(built, BUILTIN, Options(check=True)).ok
    (built.parent / "generated/kvm-a/domains/db-1.xml").unlink()
    before = tree(built.parent)
    outcome = build_site(built, BUILTIN, Options(check=True))
    assert ids(outcome) == ["KVMC0601"]
    assert outcome.bag.items[0].notes == ("`generated/kvm-a/domains/db-1.xml` is missing",)
    assert tree(built.parent) == before


def test_an_error_of_the_site_stops_before_the_hosts_are_read(site: Path) -> None:
    site.write_text(
        site.read_text().replace("vcpus   = 4", "vcpus   = four").replace("hosts/x.json", "hosts/gone.json")
    )
    outcome = build_site(site, BUILTIN)
    assert not outcome.ok and not any(code.startswith("KVMC03") for code in ids(outcome))
    assert not (site.parent / "locks").exists()


@pytest.mark.parametrize("path", ["../x.json", "/etc/hostname", "hosts/../../x.json", "hosts/link.json"])
def test_a_topology_outside_the_sites_folder_is_refused(site: Path, path: str) -> None:
    outside = site.parent.parent / "x.json"
    shutil.copy(site.parent / "hosts/x.json", outside)
    (site.parent / "hosts/link.json").symlink_to(outside)
    site.write_text(site.read_text().replace("hosts/x.json", path))
    outcome = check_site(site)
    assert not outcome.ok and not outcome.topologies
    assert all(item.primary is not None for item in outcome.bag)
    if path == "hosts/link.json":
        assert ids(outcome) == ["KVMC0020"]


def test_one_file_of_two_hosts_is_read_once_and_blamed_at_the_first(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kvmc.topology.combine
    import kvmc.topology.read

    calls: list[str] = []
    real = kvmc.topology.read.read_source

    def counted(path: Path, shown: str) -> Any:
        calls.append(shown)
        return real(path, shown)

    monkeypatch.setattr(kvmc.topology.combine, "read_source", counted)
    assert set(check_site(site).topologies) == {"kvm-a", "kvm-b"}
    assert calls == ["hosts/x.json"]
    (site.parent / "hosts/x.json").write_text("{")
    outcome = check_site(site)
    assert len(outcome.bag) == 1
    label = outcome.bag.items[0].primary
    assert label is not None
    assert site.read_text()[label.span.start : label.span.end].startswith("topology = ")
    assert label.span.start < site.read_text().index("host kvm-b")


def test_a_refuted_build_writes_nothing_and_says_whose_fault_it_is(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import kvmc.audit.check

    seen: dict[str, set[str]] = {}

    def refuse(trees: dict[str, dict[str, str]], *_: object) -> Bag:
        bag = Bag()
        for host, files in trees.items():
            seen[host] = set(files)
            bag.error(Code("KVMC0799", Severity.ERROR, "x"), f"wrong on {host}", Span(f"{host}/apply.json", 0, 1))
        return bag

    monkeypatch.setattr(kvmc.audit.check, "audit_site", refuse)
    outcome = build_site(site, BUILTIN)
    assert ids(outcome) == ["KVMC0799", "KVMC0799", "KVMC0025"]
    assert "bug in kvmc" in outcome.bag.items[-1].notes[0]
    assert outcome.sources.texts["kvm-a/apply.json"].startswith("{")
    assert {"apply.json", "domains/db-1.xml"} <= seen["kvm-a"]
    assert not (site.parent / "generated").exists() and not (site.parent / "locks").exists()


def test_locked_forbids_a_change_of_the_locks_and_nothing_else(site: Path) -> None:
    outcome = build_site(site, BUILTIN, Options(locked=True))
    assert not outcome.ok
    assert not (site.parent / "locks").exists()
    build_site(site, BUILTIN)
    shutil.rmtree(site.parent / "generated")
    assert build_site(site, BUILTIN, Options(locked=True)).ok
    site.write_text(site_text(vms={**VMS, "db-9": "big"}))
    before = tree(site.parent)
    assert not build_site(site, BUILTIN, Options(locked=True)).ok
    site.write_text(site_text(vms={"db-1": "big"}))
    assert ids(build_site(site, BUILTIN, Options(locked=True))) == ["KVMC0609"]
    assert {**tree(site.parent), "site.kvmt": ""} == {**before, "site.kvmt": ""}


def test_only_a_host_only_a_target(site: Path) -> None:
    outcome = build_site(site, BUILTIN, Options(hosts=("kvm-b",)))
    assert outcome.ok
    assert {path.split("/")[1] for path in tree(site.parent) if path.startswith("generated/")} == {"kvm-b"}
    assert {path.name for path in (site.parent / "locks").iterdir()} == {"kvm-a.json", "kvm-b.json"}
    build_site(site, BUILTIN, Options(only=("sysctl",)))
    assert [path for path in tree(site.parent) if path.startswith("generated/kvm-a/")] == [
        "generated/kvm-a/etc/sysctl.d/90-kvmc.conf"
    ]
    assert "generated/kvm-b/apply.json" in tree(site.parent)


def test_names_of_the_command_line_that_the_site_does_not_have(built: Path) -> None:
    outcome = build_site(built, BUILTIN, Options(hosts=("kvm-c",), only=("nix",)))
    assert ids(outcome) == ["KVMC0021", "KVMC0024"]
    assert outcome.bag.items[0].help == ("did you mean `kvm-b` or `kvm-a`?",)
    outcome = build_site(built, BUILTIN, Options(forget=Forget(("x",), ("db-7",))))
    assert ids(outcome) == ["KVMC0021", "KVMC0022"]


def test_a_target_that_is_not_installed(site: Path) -> None:
    outcome = build_site(site, [target for target in BUILTIN if target.name != "tuned"])
    assert ids(outcome) == ["KVMC0023"]
    assert not (site.parent / "generated").exists()


class _Target:
    name = "sysctl"
    carriers = frozenset({Carrier.SYSCTL})
    proven = "unproven"

    def __init__(self, path: str) -> None:
        self.path = path

    def render(self, _: HostPlan) -> list[Artifact]:
        return [Artifact(self.path, "x\n", Comment.HASH)]


@pytest.mark.parametrize(("path", "why"), [("apply.json", "list of steps"), ("../../x", "plain relative path")])
def test_a_target_that_breaks_its_contract_is_a_bug_and_writes_nothing(
    site: Path, monkeypatch: pytest.MonkeyPatch, path: str, why: str
) -> None:
    import kvmc.audit.check

    monkeypatch.setattr(kvmc.audit.check, "audit_site", lambda *_: Bag())
    with pytest.raises((RuntimeError, ValueError), match=why):
        build_site(site, [*(one for one in BUILTIN if one.name != "sysctl"), _Target(path)])
    assert not (site.parent / "generated").exists()
    assert not (site.parent / JOURNAL).exists()


def test_a_host_that_goes_takes_its_files_and_lock_and_leaves_the_guests_their_identity(site: Path) -> None:
    pinned = site_text().replace("vm db-2 : big\n", "vm db-2 : big {\n  host = kvm-b\n}\n")
    site.write_text(pinned)
    assert build_site(site, BUILTIN).ok
    old = lock(site.parent, "kvm-b")["guests"]["db-2"]
    (site.parent / "generated/kvm-b/notes").write_text("mine\n")
    site.write_text(site_text(hosts=("kvm-a",)))
    outcome = build_site(site, BUILTIN)
    assert ids(outcome) == ["KVMC0650"]
    assert [path for path in tree(site.parent) if "kvm-b" in path] == ["generated/kvm-b/notes"]
    new = lock(site.parent, "kvm-a")["guests"]["db-2"]
    assert {key: new[key] for key in ("uuid", "macs", "addresses", "targets")} == {
        key: old[key] for key in ("uuid", "macs", "addresses", "targets")
    }
    assert not build_site(site, BUILTIN).bag.items


def test_replan_forgets_the_place_and_keeps_the_identity(site: Path) -> None:
    site.write_text(site_text(vms={"a-1": "big", "a-2": "big", "a-3": "big"}))
    assert build_site(site, BUILTIN).ok
    before = lock(site.parent, "kvm-a")["guests"]
    site.write_text(site_text(vms={"a-1": "big", "a-3": "big"}))
    assert build_site(site, BUILTIN).ok
    kept = lock(site.parent, "kvm-a")["guests"]["a-3"]
    assert kept == before["a-3"]
    for forget in (Forget(vms=("a-3",)), Forget(hosts=("kvm-a",)), Forget()):
        outcome = plan_site(site, forget=forget)
        assert outcome.ok and outcome.placement is not None
        assert outcome.next_locks["kvm-a"].guests["a-3"].identity == outcome.locks["kvm-a"].guests["a-3"].identity
        # beside `a-1` it leaves the other node whole
        assert outcome.placement.guests["a-3"] != outcome.locks["kvm-a"].guests["a-3"].placement
        assert outcome.placement.guests["a-1"] == outcome.locks["kvm-a"].guests["a-1"].placement
    assert build_site(site, BUILTIN, Options(forget=Forget())).ok
    moved = lock(site.parent, "kvm-a")["guests"]["a-3"]
    assert moved["cells"] != kept["cells"]
    assert moved["uuid"] == kept["uuid"]


def test_a_lock_that_can_not_be_read_or_is_of_another_host(built: Path) -> None:
    good = (built.parent / "locks/kvm-a.json").read_text()
    (built.parent / "locks/kvm-b.json").write_text(good)
    assert ids(check_site(built)) == ["KVMC0613"]
    (built.parent / "locks/kvm-b.json").unlink()
    (built.parent / "locks/kvm-b.json").mkdir()
    assert ids(check_site(built)) == ["KVMC0610"]
    (built.parent / "locks/kvm-b.json").rmdir()
    (built.parent / "locks/kvm-b.json").write_bytes(b"\xff{")
    assert ids(check_site(built)) == ["KVMC0610"]


def test_a_json_file_among_the_locks_that_is_no_lock_is_left_alone(built: Path) -> None:
    (built.parent / "locks/notes.json").write_text("[]\n")
    assert build_site(built, BUILTIN).ok
    assert (built.parent / "locks/notes.json").read_text() == "[]\n"


def test_an_interrupted_build_is_told_by_check_and_cured_by_build(built: Path) -> None:
    whole = {"journal": 1, "phase": "prepare", "tree": "generated", "folders": [], "entries": []}
    (built.parent / JOURNAL).write_text(json.dumps(whole))
    assert ids(check_site(built)) == ["KVMC0605"]
    assert ids(build_site(built, BUILTIN, Options(check=True))) == ["KVMC0605"]
    assert (built.parent / JOURNAL).exists()
    outcome = build_site(built, BUILTIN)
    assert ids(outcome) == ["KVMC0606"] and outcome.ok
    assert not (built.parent / JOURNAL).exists()


def test_a_site_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "site.kvmt", tmp_path / "gone/site.kvmt"):
        assert ids(build_site(path, BUILTIN)) == ["KVMC0001"]
