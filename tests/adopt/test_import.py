"""`kvmc import`: domains that people write become a site whose build is theirs, or every difference is told."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from lxml import etree
from typer.testing import CliRunner

from kvmc.adopt.compare import Difference, differences, leaves
from kvmc.cli.app import app
from kvmc.driver.adopt import import_site
from kvmc.driver.build import Options, build_site
from kvmc.driver.outcome import Outcome
from kvmc_targets import BUILTIN

ROOT = Path(__file__).resolve().parents[2]
DOMAINS = sorted((Path(__file__).parent / "domains").glob("*.xml"))
EPYC = ROOT / "examples/database-ceph/hosts/epyc-7543.json"
SMALL = """<domain type='kvm'><name>{name}</name><uuid>{uuid}</uuid><memory unit='GiB'>1</memory><vcpu>2</vcpu>
{tune}<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><cpu mode='host-passthrough'/>{more}</domain>
"""
UUID = "4dea22b3-1d52-48f3-9516-782e98ab3fa0"


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome, dict[str, list[Difference]]]:
    folder = tmp_path_factory.mktemp("import")
    outcome, found, _ = import_site(DOMAINS, EPYC, "epyc", folder, BUILTIN)
    assert found is not None, [one.message for one in outcome.bag]
    built = build_site(folder / "site.kvmt", BUILTIN, Options())
    assert built.ok, [one.message for one in built.bag]
    return folder, outcome, found


Imported = tuple[Path, Outcome, dict[str, list[Difference]]]


def test_every_leaf_of_each_original_is_built_or_listed(imported: Imported) -> None:
    """Walks both trees by itself: the build on disk against the originals and the listed differences."""
    folder, _, found = imported
    assert len(DOMAINS) >= 40
    assert len(found) == len(DOMAINS)
    for path in DOMAINS:
        original = etree.parse(path).getroot()
        built = etree.parse(folder / f"generated/epyc/domains/{path.stem}.xml").getroot()
        told = [one.path for one in found[path.stem]]
        there = set(leaves(built))
        for leaf in leaves(original):
            listed = any(leaf == one or leaf.startswith((f"{one}/", f"{one}@")) for one in told)
            assert leaf in there or listed, (path.name, leaf)
        assert differences(original, built) == found[path.stem]
        assert all(one.reason for one in found[path.stem])


def test_the_report_lists_what_is_lost_and_no_secret(imported: Imported) -> None:
    folder, _, found = imported
    report = (folder / "import.md").read_text()
    for name, rows in found.items():
        assert f"### {name}\n" in report
        assert all(f"`{row.path}`" in report for row in rows if "|" not in row.path and "`" not in row.path)
    assert all("s3cr3t" not in path.read_text() for path in folder.rglob("*") if path.is_file())


def test_nothing_moves_and_no_identity_changes(imported: Imported) -> None:
    folder, _, _ = imported
    moved = []
    for path in DOMAINS:
        original = etree.parse(path).getroot()
        built = etree.parse(folder / f"generated/epyc/domains/{path.stem}.xml").getroot()
        assert original.findtext("uuid") == built.findtext("uuid")
        macs = {one.get("address") for one in built.iterfind("devices/interface/mac")}
        assert macs <= {one.get("address") for one in original.iterfind("devices/interface/mac")}
        pins = [[one.get("cpuset") for one in root.iterfind("cputune/vcpupin")] for root in (original, built)]
        if pins[0] and pins[0] != pins[1]:
            moved.append(path.stem)
    assert moved == ["twice-pinned"]
    built = etree.parse(folder / "generated/epyc/domains/running-dump.xml").getroot()
    assert [one.get("bus") for one in built.iterfind("devices/disk/address")] == ["0x04"]
    assert "two of its vCPUs are pinned to one CPU" in (folder / "import.md").read_text()


def test_guests_alike_share_a_class(imported: Imported) -> None:
    folder, _, _ = imported
    text = (folder / "site.kvmt").read_text()
    (of,) = {line.split(" : ")[1].rstrip(" {") for line in text.splitlines() if line.startswith("vm web-")}
    assert f"class {of} {{" in text


def test_the_order_of_the_paths_says_nothing(tmp_path: Path) -> None:
    few = DOMAINS[:6]
    for name, paths in (("one", few), ("two", few[::-1])):
        import_site(paths, EPYC, "epyc", tmp_path / name, BUILTIN)
    for path in ("site.kvmt", "locks/epyc.json"):
        assert (tmp_path / "one" / path).read_text() == (tmp_path / "two" / path).read_text()


def test_contradictions_are_named_with_file_and_line(tmp_path: Path) -> None:
    etc = tmp_path / "etc"
    (etc / "default").mkdir(parents=True)
    (etc / "default/grub").write_text(
        '# boot\nGRUB_CMDLINE_LINUX="isolcpus=8-31,72-95 default_hugepagesz=1G hugepagesz=1G hugepages=1:8 cfs_cgroup_root=1"\n'
    )
    for number, (name, first, second) in enumerate((("db", 8, 4), ("em", 9, 73))):
        tune = (
            "<memoryBacking><hugepages><page size='1' unit='GiB'/></hugepages></memoryBacking><cputune>\n"
            f"<vcpupin vcpu='0' cpuset='{first}'/>\n<vcpupin vcpu='1' cpuset='{second}'/>\n<emulatorpin cpuset='8'/>\n"
            "</cputune><numatune><memory mode='strict' nodeset='0'/></numatune>\n"
        )
        text = SMALL.format(name=name, uuid=f"{UUID[:-1]}{number}", tune=tune, more="")
        (tmp_path / f"{name}.xml").write_text(text)
    args = ["import", "--topology", str(EPYC), "--host", "a", "-o", str(tmp_path / "site"), "--format", "json"]
    result = CliRunner().invoke(app, [*args, *(str(tmp_path / name) for name in ("db.xml", "em.xml", "etc"))])
    told = json.loads(result.stdout)
    assert result.exit_code == 1
    lines = (tmp_path / "site/import.md").read_text().splitlines()
    for place, what in (
        (f"{etc}/default/grub:2", "guests take 2 pages of 1GiB on node 0"),
        (f"{etc}/default/grub:2", "`cfs_cgroup_root"),
        (f"{tmp_path}/db.xml:4", "vCPU 1 of `db` owns CPU 4, outside the dedicated CPUs 8-31,72-95"),
        (f"{tmp_path}/em.xml:5", "the emulator of `em` may run on CPU 8"),
    ):
        assert any(line.startswith(f"- `{place}`: ") and what in line for line in lines), (place, what, lines)
    assert told["diagnostics"]
    assert "cfs_cgroup_root" not in (tmp_path / "site/site.kvmt").read_text()


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE d [<!ENTITY a "aaaa">]><domain type="kvm"><name>&a;</name></domain>',
        "<domain type='kvm'>" + "<a>" * 5000 + "</a>" * 5000 + "</domain>",
        "<domain type='kvm'><name>x</name>",
        "<domain/>",
    ],
)
def test_hostile_files_are_refused_and_nothing_is_written(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.xml").write_text(text)
    outcome, _, written = import_site([tmp_path / "a.xml"], EPYC, "a", tmp_path / "site", BUILTIN)
    assert outcome.bag.has_errors
    assert not written
    assert not (tmp_path / "site").exists()


def test_odd_names_are_mapped_the_same_each_time(tmp_path: Path) -> None:
    for number, name in enumerate(("übung", "a b", "a-b", "}\n raw", "../x", "x" * 100)):
        uuid = f"{UUID[:-1]}{number}"
        (tmp_path / f"{number}.xml").write_text(SMALL.format(name=name, uuid=uuid, tune="", more=""))
    outcome, found, _ = import_site([tmp_path], EPYC, "a", tmp_path / "site", BUILTIN)
    assert found is not None, [one.message for one in outcome.bag]
    assert len(found) == 6
    assert [one.code.id for one in outcome.bag].count("KVMC0873") == 5


def test_only_what_is_argued_is_lost(imported: Imported) -> None:
    """No device of those that people have is left out, save what the host does not have."""
    _, _, found = imported
    lost = [row for rows in found.values() for row in rows if not row.added]
    gone = ("hostdev-gone", "nic-hostdev")  # functions that the host does not have
    devices = {
        (name, row.path)
        for name, rows in found.items()
        for row in rows
        if not row.built
        and re.fullmatch(r"devices/(disk|interface|hostdev|channel|filesystem|input|redirdev)(\[.*\])?", row.path)
    }
    assert {name for name, _ in devices} == set(gone), devices
    assert not [row for row in lost if "not taken as raw" in row.reason], lost


def test_what_is_added_to_most_is_told_once_and_where_it_is_not(imported: Imported) -> None:
    folder, _, found = imported
    report = (folder / "import.md").read_text()
    counts = Counter(row for rows in found.values() for row in rows if row.added)
    most = [row for row, count in counts.items() if count > len(found) / 2]
    assert len(most) > 10
    for row in most:
        (line,) = (
            line for line in report.splitlines() if line.startswith(f"| `{row.path}` | `{row.built}` | {row.reason} | ")
        )
        without = [name for name, rows in found.items() if row not in rows]
        assert line.endswith(f" | {', '.join(without) or '-'} |")
        assert f"| `{row.path}` | - | `{row.built}` |" not in report
    assert "### minimal\n\nAll that the original says is built, " in report


MIXED = """<domain type='kvm'><name>mixed</name><uuid>{uuid}</uuid><memory unit='GiB'>3</memory><vcpu>4</vcpu>
<cputune><vcpupin vcpu='0' cpuset='8'/><vcpupin vcpu='1' cpuset='72'/><vcpupin vcpu='2' cpuset='1-7,65-71'/>
<vcpupin vcpu='3' cpuset='1-7,65-71'/></cputune>
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><cpu mode='host-passthrough'/></domain>
"""
UNEVEN = """<domain type='kvm'><name>uneven</name><uuid>{uuid}</uuid><memory unit='GiB'>5</memory><vcpu>3</vcpu>
<cputune><vcpupin vcpu='0' cpuset='9'/><vcpupin vcpu='1' cpuset='73'/><vcpupin vcpu='2' cpuset='40'/></cputune>
<numatune><memnode cellid='0' mode='strict' nodeset='0'/><memnode cellid='1' mode='strict' nodeset='1'/></numatune>
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os><cpu mode='host-passthrough'><numa>
<cell id='0' cpus='0-1' memory='3' unit='GiB'/><cell id='1' cpus='2' memory='2' unit='GiB'/></numa></cpu></domain>
"""


def test_mixed_guests_and_uneven_nodes_are_kvmcs_own(tmp_path: Path) -> None:
    for number, (name, text) in enumerate((("mixed", MIXED), ("uneven", UNEVEN))):
        (tmp_path / f"{name}.xml").write_text(text.format(uuid=f"{UUID[:-1]}{number}"))
    outcome, found, _ = import_site([tmp_path], EPYC, "a", tmp_path / "site", BUILTIN)
    assert found is not None, [one.message for one in outcome.bag]
    text = (tmp_path / "site/site.kvmt").read_text()
    words = " ".join(text.split())
    assert "pinning = mixed dedicated = 0-1" in words
    assert "node 0 { vcpus = 2 memory = 3GiB } node 1 { vcpus = 1 memory = 2GiB }" in words
    assert [
        row.path
        for row in found["uneven"]
        if row.path.startswith(("cputune/vcpupin", "cpu/numa/cell")) and row.original
    ] == []
    pins = [row.path for row in found["mixed"] if row.path.startswith("cputune/vcpupin") and row.original]
    assert pins == ["cputune/vcpupin[2]@cpuset", "cputune/vcpupin[3]@cpuset"] or not pins


def odd(body: str = "", devices: str = "", **changes: str) -> str:
    """A domain with one thing that no site may say so."""
    text = SMALL.format(name="x", uuid=UUID, tune=body, more=f"<devices>{devices}</devices>")
    for old, new in changes.items():
        text = text.replace(
            {
                "memory": "<memory unit='GiB'>1</memory>",
                "machine": "pc-q35-7.2",
                "cpu": "<cpu mode='host-passthrough'/>",
            }[old],
            new,
        )
    return text


NIC = "<interface type='bridge'><mac address='{}'/><source bridge='br0'/><model type='virtio'/>{}</interface>"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (odd(memory="<memory>1048577</memory>"), "memory  = 1025MiB"),
        (odd("<memoryBacking><hugepages><page size='3' unit='MiB'/></hugepages></memoryBacking>"), "memory  = 1GiB"),
        (odd("<memoryBacking><hugepages><page size='1' unit='GiB'/></hugepages></memoryBacking>",
             memory="<memory unit='MiB'>1500</memory>"), "memory  = 2GiB"),
        (odd(machine="pc-q35-9.1"), 'qemu     = "9.1"'),
        (odd(cpu="<cpu mode='host-passthrough'><feature name='avx2' policy='disable'/></cpu>"), "reason  = "),
        (odd(cpu="<cpu mode='host-passthrough'><feature name='invtsc' policy='force'/></cpu>"), "migratable = false"),
        (odd(cpu="<cpu mode='host-passthrough'><feature name='hypervisor'/></cpu>"), "vm x"),
        (odd(devices="<disk/><disk type='file'><source file='/a b'/><target dev='vda'/></disk>"), "at     = devices"),
        (odd(devices="<disk type='file'><driver queues='5000' queue_size='3' cache='unsafe'/><source file='/a'/>"
                     "<target dev='vda'/></disk>"), "cache   = writeback"),
        (odd(devices=NIC.format("52:54:00:00:00:01", "<driver queues='999' rx_queue_size='5' tx_queue_size='1024'/>")), "nic eth0"),
        (odd(devices=NIC.format("01:00:5e:00:00:01", "") + NIC.format("zz", "") + "<interface/>"), "nic eth1"),
        (odd(devices="<hostdev/><hostdev type='pci'/><hostdev type='mdev'><source><address uuid='z'/></source></hostdev>"), "vm x"),
        (odd("<numatune><memory mode='strict' nodeset='9'/></numatune><cputune><vcpupin/><emulatorpin/></cputune>"), "vm x"),
        (odd("<metadata><a>b</a><x:y xmlns:x='urn:x'/></metadata>"), "at     = metadata"),
    ],
)  # fmt: skip
def test_what_the_language_does_not_take_never_keeps_a_site_from_building(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "x.xml").write_text(text)
    outcome, found, _ = import_site([tmp_path / "x.xml"], EPYC, "a", tmp_path / "site", BUILTIN)
    assert found is not None, [one.message for one in outcome.bag]
    assert " ".join(says.split()) in " ".join((tmp_path / "site/site.kvmt").read_text().split())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "KVMC0870"),
        (bytes(range(256)) * 9, "KVMC0870"),
        (odd().encode("utf-16"), "KVMC0870"),
        (odd("<description>caf\xe9</description>").encode("latin-1"), "KVMC0760"),
        (f"<domstatus state='running'>{odd()}</domstatus>".encode(), "KVMC0870"),
        ((odd() + odd()).encode(), "KVMC0760"),
        (odd().replace("'kvm'", "'xen'").encode(), "KVMC0872"),
        (odd().replace(" type='kvm'", "").encode(), "KVMC0872"),
        (b"<domain type='lxc'><name>c</name><memory>1</memory><vcpu>1</vcpu></domain>", "KVMC0872"),
    ],
)
def test_what_is_no_domain_of_kvms_is_refused_by_its_name(tmp_path: Path, data: bytes, code: str) -> None:
    (tmp_path / "x.xml").write_bytes(data)
    outcome, found, written = import_site([tmp_path / "x.xml"], EPYC, "a", tmp_path / "site", BUILTIN)
    assert found is None and not written
    assert code in {one.code.id for one in outcome.bag}


def test_many_elements_take_no_longer_each(tmp_path: Path) -> None:
    channels = "".join(f"<channel type='unix'><target type='virtio' name='c{n}'/></channel>" for n in range(400))
    (tmp_path / "x.xml").write_text(odd(devices=channels))
    _, found, _ = import_site([tmp_path / "x.xml"], EPYC, "a", tmp_path / "site", BUILTIN)
    assert found is not None
    assert (tmp_path / "site/site.kvmt").read_text().count("<channel ") == 400
