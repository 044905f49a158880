"""Each thing that trees must be to be consistent and faithful, in the order of the design: broken alone, and told."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from audit.mutation.rigs import rig
from audit.mutation.trees import Built
from audit.planted import DU, GRUB, RT, SYSCTL, VFS, WEB, WIDE
from audit.small_tree import HOST, tree
from audit.support import findings, places, shown, topology
from kvmc.audit.check import audit_handwritten, audit_host
from kvmc.audit.handwritten import Found, kind_of
from kvmc.diagnostics import Code, Diagnostic
from kvmc.diagnostics.codes import audit as codes

CONSISTENT: list[tuple[str, str, str, str, Code]] = [
    ("no CPU is owned twice", RT, "cpuset='3'", "cpuset='2'", codes.CPU_OWNED_TWICE),
    ("dedicated pins are in their pool", DU, "cpuset='10'", "cpuset='7'", codes.GUEST_ON_HOUSEKEEPING),
    ("the system's CPUs are free of guests", DU, "cpuset='10'", "cpuset='6'", codes.GUEST_ON_HOUSEKEEPING),
    ("an isolated thread has one CPU", DU, "cpuset='10'", "cpuset='10-11'", codes.FLOATING_IN_ISOLATED),
    ("pins are beside the memory", DU, "nodeset='1'", "nodeset='0'", codes.FAR_FROM_MEMORY),
    (
        "each cell is beside its memory",
        WIDE,
        "cellid='1' mode='strict' nodeset='1'",
        "cellid='1' mode='strict' nodeset='0'",
        codes.FAR_FROM_MEMORY,
    ),
    ("pages of a node are enough", GRUB, "hugepages=0:16", "hugepages=0:11", codes.PAGES_SHORT),
    (
        "pages of a size are enough",
        GRUB,
        "hugepagesz=1G hugepages=0:16",
        "hugepagesz=2M hugepages=0:16",
        codes.PAGES_SHORT,
    ),
    ("normal memory is enough", WEB, ">2097152<", ">17825792<", codes.MEMORY_SHORT),
    ("no core is shared", RT, "cpuset='4'", "cpuset='14'", codes.CPU_OWNED_TWICE),
    ("nor by a sibling", DU, "cpuset='9'", "cpuset='20'", codes.CPU_OWNED_TWICE),
    (
        "the emulator is on no guest's CPU",
        RT,
        "emulatorpin cpuset='0,12'",
        "emulatorpin cpuset='0,9'",
        codes.FLOATING_IN_ISOLATED,
    ),
    ("it is where its memory is", DU, "'6,18'", "'0,12'", codes.EMULATOR_FAR),
    (
        "I/O threads are on no guest's CPU",
        RT,
        "iothread='1' cpuset='0,12'",
        "iothread='1' cpuset='9,10'",
        codes.FLOATING_IN_ISOLATED,
    ),
    ("the guest's cores are cores", DU, "cores='2' threads='1'", "cores='1' threads='2'", codes.GUEST_TOPOLOGY),
    ("cells add up", WIDE, "cpus='0-1' memory='4194304'", "cpus='0-1' memory='4194303'", codes.CELLS_WRONG),
    (
        "distances are the host's",
        WIDE,
        "memory='4194304' unit='KiB'/>\n    </numa>",
        "memory='4194304' unit='KiB'><distances><sibling id='0' value='20'/></distances></cell></numa>",
        codes.GUEST_TOPOLOGY,
    ),
    ("devices exist", DU, "bus='0xaf'", "bus='0xae'", codes.DEVICE_ABSENT),
    ("they are on the node", DU, "bus='0xaf'", "bus='0x3c'", codes.DEVICE_FAR),
    ("they are given once", DU, "bus='0xaf' slot='0x00'", "bus='0x3b' slot='0x02'", codes.DEVICE_OWNED_TWICE),
    ("virtual functions are made", VFS, "3b:00.0 4", "3b:00.0 0", codes.DEVICE_ABSENT),
    ("sysctl and the boot line agree", GRUB, "skew_tick=1", "skew_tick=1 numa_balancing=enable", codes.KNOB_TWICE),
    ("sysctl and tuned agree", SYSCTL, "vm.swappiness = 10", "vm.dirty_ratio = 10", codes.KNOB_TWICE),
    ("modprobe and the boot line agree", GRUB, "skew_tick=1", "kvm_intel.ple_gap=128", codes.KNOB_TWICE),
    ("lists of one set are one list", GRUB, "rcu_nocbs=2-5", "rcu_nocbs=3-5", codes.SETS_UNEQUAL),
]


def changed(file: str, old: str, new: str) -> dict[str, str]:
    files = tree()
    if file == SYSCTL and "dirty" in new:
        files["etc/tuned/kvmc/tuned.conf"] += "\n[sysctl]\nvm.dirty_ratio=20\n"
    assert files[file].count(old) == 1, (file, old)
    return {**files, file: files[file].replace(old, new)}


@pytest.mark.parametrize(("what", "file", "old", "new", "code"), CONSISTENT, ids=[row[0] for row in CONSISTENT])
def test_what_files_and_topology_tell(what: str, file: str, old: str, new: str, code: Code) -> None:
    files = changed(file, old, new)
    found = [item for item in findings(files, with_site=False) if item.code is code]
    assert found, (what, shown(findings(files, with_site=False), files))
    assert any(file in places(item) for item in found), (what, shown(found, files))


def test_an_iommu_group_is_given_whole() -> None:
    host = topology()
    pci = {address: replace(device, iommu_group=3) for address, device in (host.pci or {}).items()}
    found = audit_host(HOST, tree(), replace(host, pci=pci), None)
    assert codes.GROUP_SPLIT in {item.code for item in found}


def test_every_file_is_accounted_for() -> None:
    files = {**tree(), "etc/cron.d/x": "y\n"}
    (one,) = [item for item in findings(files, with_site=False) if item.code is codes.FILE_UNKNOWN]
    assert places(one) == ["etc/cron.d/x"]


def told(built: Built, path: str, old: str, new: str) -> list[Diagnostic]:
    ((host, files),) = built.trees.items()
    assert old in files[path], files[path]
    return built.audit({host: {**files, path: files[path].replace(old, new)}})


def messages(found: list[Diagnostic]) -> list[str]:
    return [f"{item.code.id} {item.message}" for item in found]


def test_helpers_stay_within_the_housekeeping_budget() -> None:
    built = rig("intel")
    host = built.site.hosts["cell-a"]
    few = Built(built.name, built.trees, built.topologies, built.site, built.locks)
    for threads, right in ((8, True), (3, True), (2, False)):
        site = built.site.model_copy(
            update={"hosts": {"cell-a": host.model_copy(update={"housekeeping_threads": threads})}}
        )
        found = Built(few.name, few.trees, few.topologies, site, few.locks).audit(few.trees)
        assert [item.code for item in found] == ([] if right else [codes.HOUSEKEEPING_FULL]), (threads, messages(found))


def test_helpers_have_time_beside_their_own_real_time_vcpus() -> None:
    alone = ("emulatorpin cpuset='0,12'", "emulatorpin cpuset='3,15'")
    found = audit_handwritten("h", _found(RT, alone), topology())
    (one,) = [item for item in found if item.code is codes.HELPER_ON_GUEST]
    assert one.message == "the emulator of `rt-1` may run on CPUs 3,15 alone, where its own real-time vCPUs run"
    assert [label.text for label in one.secondary] == ["vCPU 0", "vCPU 1"]
    for change in (
        ("emulatorpin cpuset='3,15'", "emulatorpin cpuset='3,15,0'"),  # another CPU is left
        ("emulatorpin cpuset='3,15'", "emulatorpin cpuset='2'"),  # no vCPU's
        ("scheduler='fifo'", "scheduler='batch'"),
        ("vcpus='0-3'", "vcpus='0,2-3'"),  # one of them may be kept waiting
    ):
        found = audit_handwritten("h", _found(RT, alone, change), topology())
        assert codes.HELPER_ON_GUEST not in {item.code for item in found}, (change, messages(list(found)))


def test_helpers_on_cores_of_their_own_share_none_with_their_vcpus() -> None:
    built = rig("amd")
    text = built.trees["box-a"]["domains/win.xml"]
    pin = text.partition('vcpupin vcpu="0" cpuset="')[2].partition('"')[0]
    own = text.partition('emulatorpin cpuset="')[2].partition('"')[0]
    found = told(built, "domains/win.xml", f'emulatorpin cpuset="{own}"', f'emulatorpin cpuset="{pin}"')
    (one,) = [item for item in found if "cores of its own" in item.message]
    assert f"the emulator may run on CPU {pin}, cores of its vCPUs" in one.message


def _found(path: str, *changes: tuple[str, str]) -> list[Found]:
    """The domain as people write it, with changes."""
    text = tree()[path]
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return [Found(path, text, kind_of(path, text))]


@pytest.mark.parametrize(
    ("memory", "node", "right"),
    [("8388608", "0", True), ("9437184", "0", True), ("9437185", "0", False), ("8388607", "0", False)],
)
def test_modules_of_memory_are_counted_with_the_cells_or_beside_them(memory: str, node: str, right: bool) -> None:
    """libvirt's `<memory>` holds what DIMMs bring; people write it with them and without."""
    module = f"<devices><memory model='dimm'><target><size unit='MiB'>1024</size><node>{node}</node></target></memory>"
    found = audit_handwritten("h", _found(RT, (">8388608<", f">{memory}<"), ("<devices>", module)), topology())
    assert [item.code for item in found] == ([] if right else [codes.CELLS_WRONG]), messages(list(found))


def test_modules_of_memory_take_pages_of_their_cell() -> None:
    module = "<devices><memory model='dimm'><target><size unit='MiB'>{}</size><node>0</node></target></memory>"
    for size, supply, expected in ((1024, 9, []), (1024, 8, [codes.PAGES_SHORT]), (512, 9, [codes.PAGES_UNEVEN])):
        line = Found("cmdline", f"ro root=/dev/x hugepagesz=1G hugepages=0:{supply},1:0", "booted")
        guest = _found(RT, ("<devices>", module.format(size)))
        found = audit_handwritten("h", [*guest, line], topology())
        assert [item.code for item in found] == expected, messages(list(found))


def test_words_for_other_machines_are_none_of_the_boot_line() -> None:
    built = rig("arm")
    path = "usr/lib/bootc/kargs.d/90-kvmc.toml"
    (one,) = told(built, path, '["aarch64"]', '["x86_64"]')
    assert "is for other machines than aarch64" in one.message and one.primary is not None
    text = built.trees["edge-a"][path].replace('["aarch64"]', '["x86_64"]')
    assert text[one.primary.span.start : one.primary.span.end] == 'match-architectures = ["x86_64"]'
    (one,) = told(built, path, "match-architectures", "match-architecture")
    assert "`match-architecture`, which bootc does not know" in one.message
    kargs = Found("kargs.d/1.toml", 'kargs = ["isolcpus=0-5"]\nmatch-architectures = ["aarch64"]\n', "bootc")
    assert list(audit_handwritten("h", [kargs], topology())) == []
    assert list(audit_handwritten("h", [replace(kargs, text=kargs.text.replace("aarch64", "x86_64"))], topology()))


def test_a_step_that_counts_pages_is_of_its_node() -> None:
    built = rig("measured")
    text = built.trees["cell-a"]["measure/host.sh"]
    line = next(line for line in text.splitlines() if line.startswith("step pages-node0-"))
    assert "on node 0" in line
    for new in (line.replace("on node 0", "on node 1"), line.replace("on node 0", "on nodes 0-1")):
        (one,) = told(built, "measure/host.sh", line, new)
        assert one.code is codes.MEASURE_WRONG and "pages-node0" in one.message


def test_a_mixed_guest_is_measured() -> None:
    built = rig("measured")
    text = built.trees["cell-a"]["measure/guests/mix/host.sh"]
    floating = text.partition("vCPU 2 on CPU ")[2].partition(", vCPU")[0]
    assert "," in floating
    (one,) = told(built, "measure/guests/mix/host.sh", f"vCPU 2 on CPU {floating}", "vCPU 2 on CPU 1")
    assert "has vCPU 2 on CPU 1, which is not so of `mix`" in one.message


def test_a_list_that_is_empty_is_told() -> None:
    built = rig("intel")
    path = next(path for path in built.trees["cell-a"] if path.startswith("etc/tuned/"))
    line = next(line for line in built.trees["cell-a"][path].splitlines() if "cpumask=" in line)
    (one,) = told(built, path, line, line.partition("=")[0] + "=")
    assert "is empty, and is to be a list of CPUs" in one.message


# -- faithful


@pytest.mark.parametrize("name", ["intel", "amd", "arm", "hybrid", "hbm", "measured"])
def test_each_guest_is_there_and_none_more(name: str) -> None:
    built = rig(name)
    ((host, files),) = built.trees.items()
    for guest in built.site.vms:
        path = f"domains/{guest}.xml"
        without = {other: text for other, text in files.items() if other != path}
        assert codes.GUEST_MISSING in {item.code for item in built.audit({host: without})}, guest
        break
    extra = files[path].replace(f"<name>{guest}</name>", "<name>ghost</name>")
    found = built.audit({host: {**files, "domains/ghost.xml": extra}})
    assert codes.GUEST_EXTRA in {item.code for item in found}


def test_digests_play_no_part() -> None:
    """A tree whose texts are sealed with other digests, or with none, is as right as it was."""
    built = rig("hybrid")
    ((host, files),) = built.trees.items()
    bare = {
        path: "".join(line for line in text.splitlines(keepends=True) if "sha256" not in line)
        for path, text in files.items()
    }
    assert built.audit({host: bare}) == []
    assert json.loads(bare["apply.json"])
