"""All that is told of the rigs where the site asks for something else, or where a fault takes more than a line: a golden."""

# ruff: noqa: E501  (a row a fault)
from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from audit import golden
from audit.mutation.rigs import MACHINES, rig
from kvmc.audit.check import audit_site
from kvmc.model.cpuset import CpuSet
from kvmc.model.site import L3, Iothread, Isolation, Near, Pinning, Scheduler, Site, Threads
from kvmc.model.values import PciAddress

GOLDEN = "apart"
RIGS = {name: rig(name) for name in MACHINES}
Ask = Callable[[Site], Site]


@dataclass(frozen=True)
class Apart:
    """edits: path, pattern, what takes its place everywhere; a pattern that is empty takes the file away. ask: of the site."""

    name: str
    rig: str
    edits: tuple[tuple[str, str, str], ...] = ()
    ask: Ask | None = None
    locks: bool = True
    site: bool = True


def vm(name: str, **changes: object) -> Ask:
    return lambda site: site.model_copy(update={"vms": {**site.vms, name: site.vms[name].model_copy(update=changes)}})


def host(**changes: object) -> Ask:
    return lambda site: site.model_copy(
        update={"hosts": {name: one.model_copy(update=changes) for name, one in site.hosts.items()}}
    )


def part(vm: str, kind: str, name: str, **changes: object) -> Ask:
    """One disk, NIC or near device of a guest."""

    def ask(site: Site) -> Site:
        one = site.vms[vm]
        parts = getattr(one, kind)
        new = {**parts, name: parts[name].model_copy(update=changes)}
        return site.model_copy(update={"vms": {**site.vms, vm: one.model_copy(update={kind: new})}})

    return ask


def xml(guest: str, *pairs: tuple[str, str]) -> tuple[tuple[str, str, str], ...]:
    return tuple((f"domains/{guest}.xml", old, new) for old, new in pairs)


CARD, OTHER = PciAddress.parse("0000:af:00.0"), PciAddress.parse("0000:ee:00.0")
IRQS, ASKED, TUNE = "etc/kvmc/place-irqs", "etc/kvmc/irqs-of-guests", "domains/near.xml"
ROWS = [
    Apart("a disk without its thread", "intel", xml("rt", (r' iothread="1"', ""))),
    Apart("a disk with a thread", "intel", ask=part("rt", "disks", "root", iothread=Iothread.NONE)),
    Apart("a thread of its own", "intel", ask=part("web", "disks", "root", iothread=Iothread.OWN)),
    Apart("queues", "intel", ask=part("rt", "nics", "lan", queues=3)),
    Apart("a MAC", "intel", ask=part("rt", "nics", "lan", mac="52:54:00:00:00:0b")),
    Apart("another host", "intel", ask=vm("rt", host="cell-b")),
    Apart("another pool", "intel", ask=vm("rt", pool="other")),
    Apart("another kind of memory", "hbm", ask=vm("near", memory_kind=None)),
    Apart("more nodes", "amd", ask=vm("twin", nodes=3)),
    Apart("fewer nodes", "amd", ask=vm("twin", nodes=1)),
    Apart("another uuid", "intel", ask=vm("mix", uuid="4dea22b3-1d52-48f3-9516-782e98ab3fa1")),
    Apart("a PMU", "intel", ask=vm("rt", pmu=True)),
    Apart("no PMU", "intel", ask=vm("mix", pmu=False)),
    Apart("other firmware", "intel", ask=vm("mix", firmware="uefi")),
    Apart("no isolated CPUs", "intel", ask=vm("rt", isolation=Isolation.NONE)),
    Apart("whole cores", "intel", ask=vm("card", threads=Threads.REQUIRE)),
    Apart("a core a vCPU", "intel", ask=vm("rt", threads=Threads.ISOLATE)),
    Apart("one L3", "amd", xml("twin", (r'vcpu="0" cpuset="\d+"', 'vcpu="0" cpuset="11"')), vm("twin", l3=L3.REQUIRE)),
    Apart("fifo for those that float", "intel", xml("mix", (r'vcpusched vcpus="[^"]+"', 'vcpusched vcpus="0-3"'))),
    Apart("fifo for none", "intel", xml("mix", (r" *<vcpusched [^\n]*\n", ""))),
    Apart("no fifo", "intel", ask=vm("rt", scheduler=Scheduler.OTHER)),
    Apart("another priority", "intel", ask=vm("rt", priority=3)),
    Apart("all dedicated", "intel", ask=vm("mix", pinning=Pinning.DEDICATED, floating=CpuSet())),
    Apart("features", "amd", ask=vm("win", require=("avx", "topoext"), disable=("aes",))),
    Apart("no model", "amd", xml("common", (r"(<model [^>]*>)[^<]+<", r"\1Nehalem-X<"))),
    Apart("a model of Intel", "amd", xml("common", (r"(<model [^>]*>)[^<]+<", r"\1Icelake-Server<"))),
    Apart("features of a baseline", "amd", xml("common", ("<topology", '<feature policy="require" name="invtsc"/><feature policy="require" name="tsx-ctrl"/><feature policy="require" name="avx512er"/><feature policy="disable" name="aes"/><topology'))),
    Apart("a domain in another file", "hybrid", (("domains/fast.xml", "", ""), ("domains/quick.xml", "@domains/fast.xml", ""))),
    Apart("no list of steps", "hybrid", (("apply.json", "", ""),)),
    Apart("rows twice", "hybrid", (("apply.json", r'("path": )"/etc/sysctl.d/90-kvmc.conf"', r'\1"/etc/tuned/kvmc/tuned.conf"'),)),
    Apart("rows without a path", "hybrid", (("apply.json", r'"path": "/etc/sysctl', '"pfad": "/etc/sysctl'),)),
    Apart("steps twice", "hybrid", (("apply.json", r'"sysctl",\n *"-p",\n *"[^"]+"', '"systemctl", "daemon-reload"'),)),
    Apart("phases", "hybrid", (("apply.json", r'"phase": "reload"', '"phase": "later"'),)),
    Apart("a later phase", "hybrid", (("apply.json", r'"phase": "reload"', '"phase": "guests"'),)),
    Apart("a raw word", "intel", (("etc/default/grub.d/zz-kvmc.cfg", r"poll_queues=2", "poll_queues=3"),)),
    Apart("flags of isolcpus", "intel", (("etc/default/grub.d/zz-kvmc.cfg", r"isolcpus=managed_irq,domain,", "isolcpus=domain,"),)),
    Apart("one list apart", "intel", (("etc/tuned/kvmc/tuned.conf", r"cpumask=\w+", "cpumask=1"),)),
    Apart("no isolation", "intel", ask=host(isolation=Isolation.NONE)),
    Apart("more for the system", "intel", ask=host(housekeeping_cores=2)),
    Apart("fewer to share", "intel", ask=host(shared_cores=0)),
    Apart("fewer threads", "intel", ask=host(housekeeping_threads=2)),
    Apart("more reserved", "intel", ask=host(reserve_memory_kib=17 << 20)),
    Apart("no pages", "intel", ask=host(pages=())),
    Apart("half a core for the system", "intel", (("etc/systemd/system.conf.d/90-kvmc.conf", r"CPUAffinity=0,", "CPUAffinity=0,1,"),)),
    Apart("no locks", "intel", locks=False),
    Apart("a pin without a lock", "intel", xml("rt", (r'vcpu="3" cpuset="\d+"', 'vcpu="3" cpuset="17"')), locks=False),
    Apart("an address without a lock", "arm", xml("dns", (r'bus="0x02"', 'bus="0x09"')), locks=False),
    Apart("apart", "intel", xml("card", (r'nodeset="\d"', 'nodeset="0"'))),
    # parts of caches
    Apart("parts for some vCPUs", "parts", xml("near", (r'<cachetune vcpus="0-1"', '<cachetune vcpus="0"'))),
    Apart("parts for vCPUs that are not there", "parts", xml("near", (r'<cachetune vcpus="0-1"', '<cachetune vcpus="0-2"'))),
    Apart("parts that overlap", "parts", xml("near", ("</cputune>", '<cachetune vcpus="0"><cache id="0" level="3" type="both" size="4" unit="MiB"/></cachetune></cputune>'))),
    Apart("parts of another cache", "parts", xml("near", (r'(<cache id=)"\d"', r'\1"7"'))),
    Apart("parts of the cache beside", "parts", xml("near", (r'(<cache id=)"1"', r'\1"0"'))),
    Apart("parts of another type", "parts", xml("near", (r'type="both"', 'type="code"'))),
    Apart("parts that are too large", "parts", xml("near", (r'(<cache .*size=)"\d+"', r'\1"99999"'))),
    Apart("parts that are too much", "parts", xml("near", (r'(<cache .*size=)"\d+"', r'\1"28"'))),
    Apart("parts that are not whole", "parts", xml("near", (r'(<cache .*size=)"\d+"', r'\1"4097"'), (r'(<cache .*unit=)"\w+"', r'\1"KiB"'))),
    Apart("no parts", "parts", xml("near", (r"(?s) *<cachetune.*</cachetune>\n", ""))),
    Apart("other limits", "parts", xml("batch", (r'bandwidth="\d+"', 'bandwidth="25"'))),
    Apart("limits that are too much", "parts", xml("batch", (r'bandwidth="\d+"', 'bandwidth="50"')), vm("batch", memorytune=50)),
    Apart("less offered", "parts", ask=host(resctrl_l3_kib=8 << 10, resctrl_bandwidth=20)),
    Apart("nothing offered", "parts", ask=host(resctrl_l3_kib=None, resctrl_bandwidth=0)),
    Apart("more asked for", "parts", ask=vm("near", cachetune_kib=8 << 10, memorytune=10)),
    # interrupts
    Apart("interrupts alone", "parts", ask=host(irq_affinity="none")),
    Apart("interrupts without a script", "parts", ((IRQS, "", ""),)),
    Apart("interrupts without those of guests", "parts", ((ASKED, "", ""),)),
    Apart("interrupts twice", "parts", ((IRQS, r"place_node 1", "place_node 0"), (ASKED, r"(?m)^([0-9a-f].*)$", r"\1\n\1"))),
    Apart("interrupts elsewhere", "parts", ((ASKED, r"(?m)^([0-9a-f:.]+) .*$", r"\1 5"),)),
    Apart("interrupts of another device", "parts", ((ASKED, r"(?m)^0000:3b", "0000:3c"),)),
    Apart("interrupts that cannot be read", "parts", ((ASKED, r"(?m)^([0-9a-f:.]+) .*$", r"\1 5-3"),)),
    Apart("interrupts of nothing", "parts", ((ASKED, r"(?m)^([0-9a-f:.]+) .*$", "all"),)),
    Apart("interrupts of a node elsewhere", "parts", ((IRQS, r"place_node 1 .*", "place_node 1 5"),)),
    Apart("interrupts of no node", "parts", ((IRQS, r"place_node 1", "place_node 2"),)),
    Apart("other interrupts elsewhere", "parts", ((IRQS, r"place_rest .*", "place_rest 1,6,13 3f"),)),
    Apart("other interrupts nowhere", "parts", ((IRQS, r"place_rest .*\n", ""),)),
    Apart("interrupts that no mask is of", "parts", ((IRQS, r"place_rest .*", "place_rest 9-1 fffffffff,1"),)),
    # nearness
    Apart("near another node", "parts", ask=part("near", "nears", "card", address=(CARD,))),
    Apart("near what is not there", "parts", ask=part("near", "nears", "card", address=(OTHER,))),
    Apart("near a pool", "parts", ask=part("near", "nears", "card", address=None, device="gpu")),
    Apart("near virtual functions", "parts", ask=part("near", "nears", "card", address=None, device="n3")),
    *(Apart(f"no site: {name}", name, site=False, locks=False) for name in MACHINES),
    Apart("plans without a site", "measured", (("measure/guests/rt/disk-root.fio", "", ""),), site=False),
    Apart("plans of more without a site", "measured", (("measure/guests/rt/disk-more.fio", "@measure/guests/rt/disk-root.fio", ""),), site=False),
    Apart("commits without a site", "measured", (("measure/guests/rt/commit-root.fio", "", ""),), site=False),
    Apart("numjobs", "measured", (("measure/guests/rt/disk-root.fio", r"numjobs=\d+", "numjobs=0"),)),
    Apart("a distance on two cells", "amd", xml("twin", (r'sibling id="1" value="\d+"', 'sibling id="1" value="99"'))),
    Apart("all beside each other", "parts", ask=vm("wide", beside=Near.REQUIRE)),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_told(row: Apart, pytestconfig: pytest.Config) -> None:
    built = RIGS[row.rig]
    ((name, files),) = built.trees.items()
    files = dict(files)
    for path, old, new in row.edits:
        if not old:
            del files[path]
        elif old.startswith("@"):
            files[path] = built.trees[name][old[1:]]
        else:
            changed = re.sub(old, new, files[path])
            assert changed != files[path], (path, old, files[path])
            files[path] = changed
    site = row.ask(built.site) if row.ask is not None else built.site if row.site else None
    items = audit_site({name: files}, built.topologies, site, built.locks if row.locks else None)
    text = golden.brief(items, {f"{name}/{path}": text for path, text in files.items()})
    assert golden.same(GOLDEN, row.name, text, update=pytestconfig.getoption("--update")), text
