"""Readers one by one: the spellings that each carrier allows, and what it must not be taken for."""

from __future__ import annotations

import pytest

from audit.small_tree import GRUB, HOST, IRQBALANCE, ISOLATED, tree
from audit.support import findings, places, shown, topology
from kvmc.audit import bootline, cpulists
from kvmc.audit.reading import kind_of, read_host
from kvmc.audit.source import File
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import CpuSet

LINE = GRUB.split('DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT ')[1].strip().removesuffix('"')
GRUB_FILE = "etc/default/grub.d/zz-kvmc.cfg"


def words(*texts: str) -> tuple[list[str], Bag]:
    bag = Bag()
    files = [File(f"h/{number}", str(number), text) for number, text in enumerate(texts)]
    found = bootline.read_grub(files, bag)
    for word in found:
        text = texts[int(word.span.file.removeprefix("h/"))]
        assert text[word.span.start] == word.value[0] and text[word.span.end - 1] == word.value[-1]
    return [word.value for word in found], bag


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["GRUB_CMDLINE_LINUX='a b'\nGRUB_CMDLINE_LINUX_DEFAULT=c\n"], ["a", "b", "c"]),
        (
            ["GRUB_CMDLINE_LINUX_DEFAULT=a\n", 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT b"\n'],
            ["a", "b"],
        ),
        (
            ["GRUB_CMDLINE_LINUX_DEFAULT=a\n", 'GRUB_CMDLINE_LINUX_DEFAULT="${GRUB_CMDLINE_LINUX_DEFAULT-} b"\n'],
            ["a", "b"],
        ),
        (["GRUB_CMDLINE_LINUX_DEFAULT=a\n", "GRUB_CMDLINE_LINUX_DEFAULT=b\n"], ["b"]),
        (["GRUB_CMDLINE_LINUX_DEFAULT='quiet isolcpus=1'\n", GRUB], ["quiet", *LINE.split()]),
        (["# GRUB_CMDLINE_LINUX=a\nGRUB_TIMEOUT=5\n"], []),
        (["GRUB_CMDLINE_LINUX=a\\ b # c\n"], ["a", "b"]),
        (['GRUB_CMDLINE_LINUX="a \\\n b"\n'], ["a", "b"]),
        (["GRUB_CMDLINE_LINUX='dyndbg=\"file x +p\" b'\n"], ['dyndbg="file x +p"', "b"]),
    ],
)
def test_grub_joins_as_its_shell_would(texts: list[str], expected: list[str]) -> None:
    found, bag = words(*texts)
    assert (found, len(bag)) == (expected, 0)


@pytest.mark.parametrize(
    "value", ["$(cat /x)", "`cat /x`", '"$OTHER a"', "a; b $(c)", "a>b", "${GRUB_CMDLINE_LINUX#x}"]
)
def test_what_only_a_shell_tells_is_not_judged(value: str) -> None:
    found, bag = words(f"GRUB_CMDLINE_LINUX={value}\n")
    told = [item.code for item in bag]
    assert told == [codes.NOT_JUDGED] or (found == ["a"] and not told)


def test_a_line_that_does_more_than_assign_is_not_judged() -> None:
    for line in (". /etc/other\n", "if x; then GRUB_CMDLINE_LINUX=a; fi\n", "unset GRUB_CMDLINE_LINUX\n"):
        assert [item.code for item in words(line)[1]] == [codes.NOT_JUDGED], line


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("etc/kvmc/cmdline", "# pool compute\n" + LINE.replace(" ", "\n# why\n") + "\n"),
        ("etc/kernel/cmdline", LINE + "\n"),
        (
            "usr/lib/bootc/kargs.d/90-kvmc.toml",
            "kargs = [\n" + "".join(f'  "{word}",\n' for word in LINE.split()) + "]\n",
        ),
    ],
)
def test_other_carriers_of_the_boot_line_say_the_same(path: str, text: str) -> None:
    files = tree()
    del files[GRUB_FILE]
    files[path] = text
    assert not shown(findings(files), files)
    files[path] = text.replace("hugepages=0:16", "hugepages=0:9")
    short = [item for item in findings(files) if item.code is codes.PAGES_SHORT]
    assert short and path in places(short[0])
    assert short[0].primary is not None
    assert files[path][short[0].primary.span.start : short[0].primary.span.end] == "hugepages=0:9,1:16"


def test_pages_that_a_script_makes() -> None:
    files = tree()
    files[GRUB_FILE] = GRUB.replace(" hugepagesz=1G hugepages=0:16,1:16", "")
    lines = "".join(
        f"reserve /sys/devices/system/node/node{node}/hugepages/hugepages-1048576kB/nr_hugepages 16\n"
        for node in (0, 1)
    )
    files["etc/kvmc/reserve-hugepages"] = "#!/bin/sh\n" + lines
    assert not shown(findings(files), files)
    files["etc/kvmc/reserve-hugepages"] = "#!/bin/sh\n" + lines.replace("16\n", "5\n")
    assert codes.PAGES_SHORT in [item.code for item in findings(files)]


def test_a_host_without_isolation_keeps_its_pool_by_the_ban() -> None:
    files = tree()
    for option in (f"isolcpus=managed_irq,domain,{ISOLATED} ", f"nohz_full={ISOLATED} ", f"rcu_nocbs={ISOLATED} "):
        files[GRUB_FILE] = files[GRUB_FILE].replace(f"{option}", "", 2)
    assert not shown(findings(files, with_site=False), files)
    del files["etc/systemd/system.conf.d/90-kvmc.conf"], files["domains/web-1.xml"]
    files[GRUB_FILE] = files[GRUB_FILE].replace("irqaffinity=0-1,6-7,12-13,18-19 ", "")
    files["domains/du-1.xml"] = files["domains/du-1.xml"].replace("cpuset='9'", "cpuset='7'")
    found = findings(files, with_site=False)
    assert [item.code for item in found] == [codes.OUTSIDE_POOL], shown(found, files)
    assert "etc/systemd/system/irqbalance.service.d/90-kvmc.conf" in places(found[0])


def test_the_ban_as_a_mask() -> None:
    files = tree()
    mask = CpuSet.parse(ISOLATED).mask
    path = "etc/systemd/system/irqbalance.service.d/90-kvmc.conf"
    files[path] = IRQBALANCE.replace("BANNED_CPULIST", "BANNED_CPUS").replace(ISOLATED, f"{mask:x}")
    assert not shown(findings(files), files)


def test_tuned_variables_are_followed() -> None:
    files = tree()
    path = "etc/tuned/kvmc/tuned.conf"
    files[path] += "[scheduler]\nisolated_cores=${mine}\n"
    assert [item.code for item in findings(files)] == [codes.NOT_JUDGED]
    files["etc/tuned/kvmc-variables.conf"] = "mine=2-5\n"
    assert [item.code for item in findings(files)] == [codes.SETS_UNEQUAL]
    files["etc/tuned/kvmc-variables.conf"] = f"mine={ISOLATED}\n"
    assert not shown(findings(files), files)


def test_one_profile_in_both_places_of_tuned_has_one_owner() -> None:
    files = tree()
    files["etc/tuned/profiles/kvmc/tuned.conf"] = files["etc/tuned/kvmc/tuned.conf"]
    assert not shown(findings(files), files)


def test_what_a_stock_profile_sets_is_not_judged() -> None:
    files = tree()
    path = "etc/tuned/kvmc/tuned.conf"
    files[path] = files[path].replace("[main]\n", "[main]\ninclude=virtual-host\n")
    assert [item.code for item in findings(files)] == [codes.NOT_JUDGED]
    files["etc/tuned/virtual-host/tuned.conf"] = "[main]\nsummary=ours\n"
    assert not shown(findings(files), files)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0-3,8", "0-3,8"), ("all", "0-9"), ("8-N", "8-9"), ("0-9:2/4", "0-1,4-5,8-9"), ("N", "9")],
)
def test_the_kernels_lists(text: str, expected: str) -> None:
    assert cpulists.kernel_list(text, 9) == CpuSet.parse(expected)


@pytest.mark.parametrize("text", ["", "1,", "3-1", "a", "1-2:0/4", "1-2:5/4", "99999", "0 1", "^1"])
def test_lists_that_the_kernel_would_not_take(text: str) -> None:
    with pytest.raises(ValueError):
        cpulists.kernel_list(text, 9)


def test_masks_and_libvirts_lists() -> None:
    assert cpulists.hex_mask("1,00000003") == CpuSet.parse("0-1,32")
    assert cpulists.libvirt_list("0-7,^3-4") == CpuSet.parse("0-2,5-7")
    for text in ("", "0,", "^0", "1-"):
        with pytest.raises(ValueError):
            cpulists.libvirt_list(text)
    with pytest.raises(ValueError):
        cpulists.hex_mask("f" * 3000)


def test_every_kind_of_file_is_known_by_its_path() -> None:
    assert all(kind_of(path) for path in tree())
    assert [kind_of(path) for path in ("etc/passwd", "domains/x/y.xml", "domains/x.xml.bak", "../etc/sysctl.conf")] == [
        None
    ] * 4


def test_values_are_read_where_they_stand() -> None:
    value = read_host(HOST, tree(), topology(), Bag())
    assert str(value.isolated) == ISOLATED
    assert [(page.node, page.size_kib, page.count) for page in value.pages] == [(0, 1048576, 16), (1, 1048576, 16)]
    assert [(str(vf.parent), vf.count) for vf in value.vfs] == [("0000:3b:00.0", 4)]
    assert {knob.name for knob in value.knobs} >= {"sysctl:vm.swappiness", "module:kvm_intel.ple_gap", "boot:skew_tick"}
