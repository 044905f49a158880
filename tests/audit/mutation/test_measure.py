"""The audit of plans of measurement: what no mutant draws. It stands here since it is of trees that kvmc built."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from audit.mutation.trees import EXAMPLES, Built, build
from kvmc.audit.check import audit_site
from kvmc.diagnostics import Diagnostic
from kvmc.diagnostics.codes import audit as codes

HOST = "db-b"
FOLDER = "measure/guests/pg-1/"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(EXAMPLES / "database-ceph", tmp_path_factory.mktemp("measure") / "db")


def audit(built: Built, files: dict[str, str | None], *, site: bool = True) -> list[Diagnostic]:
    """The site with files of one host anew, or without those that are None."""
    tree = {path: text for path, text in (built.trees[HOST] | files).items() if text is not None}
    return list(audit_site({**built.trees, HOST: tree}, built.topologies, built.site if site else None, built.locks))


def test_a_tree_without_its_plans_is_told_where_the_site_asks_for_them(built: Built) -> None:
    without: dict[str, str | None] = {path: None for path in built.trees[HOST] if path.startswith("measure/")}
    assert {item.code for item in audit(built, without)} == {codes.MEASURE_WRONG}
    assert audit(built, without, site=False) == []


def test_plans_are_judged_without_a_site(built: Built) -> None:
    assert audit(built, {}, site=False) == []
    text = built.trees[HOST][f"{FOLDER}host.sh"].replace("vCPU 0 on CPU 8", "vCPU 0 on CPU 9")
    assert [item.code for item in audit(built, {f"{FOLDER}host.sh": text}, site=False)] == [codes.MEASURE_WRONG]


def test_a_plan_of_a_guest_that_is_elsewhere(built: Built) -> None:
    text = built.trees[HOST][f"{FOLDER}guest.sh"]
    (item,) = audit(built, {"measure/guests/pg-9/guest.sh": text})
    assert item.code is codes.MEASURE_WRONG and "`pg-9` is no guest of the host" in item.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("filename=/dev/disk/by-path/pci-0000\\:02\\:00.0", "filename=/dev/disk/by-path/pci-0000\\:03\\:00.0"),
        ("filename=/dev/disk/by-path/pci-0000\\:02\\:00.0", "filename=/dev/mem"),
        ("rw=read\n", "rw=read\nexec_prerun=id\n"),
        ("rw=randread\n", "rw=randread\nfilename=/dev/vda\n"),
    ],
)
def test_a_job_for_another_disk_or_with_more_to_say(old: str, new: str, built: Built) -> None:
    text = built.trees[HOST][f"{FOLDER}disk-data.fio"]
    assert old in text
    found = audit(built, {f"{FOLDER}disk-data.fio": text.replace(old, new)})
    assert found and {item.code for item in found} == {codes.MEASURE_WRONG}


@pytest.mark.parametrize("rw", ["randwrite", "write", "rw", "randrw", "trim", "trimwrite", "write:4k", "READ"])
def test_a_job_that_writes_to_a_disk(rw: str, built: Built) -> None:
    text = built.trees[HOST][f"{FOLDER}disk-data.fio"].replace("rw=randread", f"rw={rw}")
    assert {item.code for item in audit(built, {f"{FOLDER}disk-data.fio": text})} == {codes.MEASURE_WRITES}


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("shows", "shows$(id)").replace("should show", "should $(id) show"),
        lambda text: text.replace("step steal 'steal", 'step steal "$(id)"\'steal'),
        lambda text: text.replace("mpstat -P ALL", "mpstat -P ALL; id;"),
        lambda text: text.replace("\nexit ", "\nid\nexit "),
        lambda text: text.replace("#!/bin/sh", "#!/bin/dash -c id"),
    ],
)
def test_a_script_that_does_more(change: Callable[[str], str], built: Built) -> None:
    text = built.trees[HOST][f"{FOLDER}guest.sh"]
    assert change(text) != text
    found = audit(built, {f"{FOLDER}guest.sh": change(text)})
    assert found and {item.code for item in found} <= {codes.MEASURE_WRONG, codes.SCRIPT_DIFFERS}


def test_a_counter_is_read_before_it_is_compared(built: Built) -> None:
    lines = built.trees[HOST][f"{FOLDER}host.sh"].splitlines(keepends=True)
    first, last = (
        next(n for n, line in enumerate(lines) if line.startswith(f"step {name} "))
        for name in ("vcpus-before", "vcpus-after")
    )
    lines[first], lines[last] = lines[last], lines[first]
    (item,) = audit(built, {f"{FOLDER}host.sh": "".join(lines)})
    assert "comes behind `vcpus-after`" in item.message


def test_the_form_is_of_what_is_placed(built: Built) -> None:
    path = "measure/baseline.json"
    body = json.loads(built.trees[HOST][path])
    rows = body["measures"]
    for change in (
        {"host": "db-a"},
        {"format": 2},
        {"guests": {name: row for name, row in body["guests"].items() if name != "pg-1"}},
        {"guests": body["guests"] | {"ghost": {}}},
        {"measures": [rows[0] | {"file": "../../etc/shadow"}, *rows[1:]]},
        {"measures": [rows[0] | {"measured": 3}, *rows[1:]]},
    ):
        (item,) = audit(built, {path: json.dumps(body | change, indent=2) + "\n"})
        assert item.code is codes.MEASURE_WRONG and item.primary is not None
        assert item.primary.span.file == f"{HOST}/{path}"
