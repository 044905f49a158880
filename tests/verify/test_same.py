"""Spellings of what runs that mean what was compiled: no difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kvmc.verify.check import verify_host
from kvmc.verify.difference import Kind
from kvmc.verify.root import TextRoot
from kvmc.verify.run import verify_tree
from verify.deviations import Root, both, of_guest, of_thread, put, replace
from verify.simulate import Built, build_example, simulate
from verify.test_verify import told, verify

SAME: dict[str, Callable[[Root], None]] = {
    "words in another order": both(
        replace("proc/cmdline", " skew_tick=1", ""), replace("proc/cmdline", " ro ", " ro skew_tick=1 ")
    ),
    "dashes for underscores": replace("proc/cmdline", "rcu_nocbs=", "rcu-nocbs="),
    "flags in another order": replace("proc/cmdline", "managed_irq,domain,", "domain,managed_irq,"),
    "a list in parts": replace("proc/cmdline", "nohz_full=4-31,36-63", "nohz_full=36-63,4-30,31"),
    "nodes in another order": replace("proc/cmdline", "hugepages=0:96,1:96", "hugepages=1:96,0:96"),
    "words of init": replace("proc/cmdline", "\n", " -- isolcpus=1\n"),
    "words that others own": replace("proc/cmdline", " ro ", " ro quiet console=ttyS0 mitigations=auto "),
    "a mask without zeros": put("proc/irq/default_smp_affinity", "f,f,f,f\n"),
    "an effective affinity that is not told": put("proc/irq/3/effective_affinity_list", "\n"),
    "an interrupt that nobody uses": both(
        put("proc/irq/2/effective_affinity_list", "40\n"), put("sys/kernel/irq/2/actions", "\n\n")
    ),
    "an interrupt of every CPU": both(
        put("proc/irq/10/smp_affinity_list", "0-127\n"),
        put("proc/irq/10/effective_affinity_list", "\n"),
        put("sys/kernel/irq/10/actions", "arch_timer\n"),
    ),
    "a queue's own interrupt": both(
        put("proc/irq/9/smp_affinity_list", "40\n"),
        put("proc/irq/9/effective_affinity_list", "40\n"),
        put("sys/kernel/irq/9/actions", "nvme0q5\n"),
    ),
    "numbers with space": put("proc/sys/vm/swappiness", "\t010 \n"),
    "a boolean as a number": put("sys/module/kvm/parameters/kvmclock_periodic_sync", "0\n"),
    "a stricter limit of idle": put("kvmc/cpu_dma_latency", "0\n"),
    "comments of an installed file": replace("etc/sysctl.d/90-kvmc.conf", "# fewer", "# much fewer"),
    "another file's older value": put("etc/sysctl.d/10-other.conf", "vm.swappiness = 60\n"),
    "sizes of a live domain in GiB": of_guest("du-1", "live", "<memory unit='KiB'>25165824", "<memory unit='GiB'>24"),
    "a domain with more than we said": of_guest("du-1", "both", "cache='none'", "cache='none' queues='4'"),
    "a kernel thread elsewhere": of_thread(4000, "kvm-nx-lpage-re", "status", "list:\t0", "list:\t0-127"),
}


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_example("telco-edge", tmp_path_factory.mktemp("edge"))


@pytest.mark.parametrize("name", SAME)
def test_another_spelling_is_no_difference(name: str, edge: Built) -> None:
    host = "edge-17a"
    root = simulate(host, edge.trees[host], edge.topologies[host])
    SAME[name](root)
    verdict = verify(edge, host, root)
    assert told(verdict) == []
    assert verdict.equal


def test_a_network_names_its_bridge_while_the_guest_runs(edge: Built) -> None:
    host = "edge-17a"
    bridge, network = '<interface type="bridge">', '<interface type="network">'
    texts = {
        path: text.replace(bridge, network).replace('<source bridge="br-oam"/>', '<source network="oam"/>')
        for path, text in edge.trees[host].items()
    }
    root = simulate(host, texts, edge.topologies[host])
    for path in root:
        if path.endswith(".live.xml"):
            root[path] = root[path].replace(
                "<source network='oam'/>", "<source network='oam' portid='x' bridge='virbr0'/>"
            )
            assert "virbr0" in root[path]
    assert told(verify_host(host, texts, TextRoot(root))) == []


def test_a_guest_of_another_host_is_told_as_such(edge: Built, tmp_path: Path) -> None:
    here, there = (simulate(host, edge.trees[host], edge.topologies[host]) for host in ("edge-17a", "edge-17b"))
    uuid = (
        next(path for path in there if path.endswith(".live.xml") and "<name>ems-2" in there[path])
        .split("/")[2]
        .split(".")[0]
    )
    moved = {path: text for path, text in there.items() if path.startswith(f"kvmc/domains/{uuid}.")}
    for path, text in (here | moved).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    (one,) = verify_tree(edge.folder / "generated", "edge-17a", tmp_path).differences
    assert one.kind is Kind.GUEST_FOREIGN
    assert "it was compiled for host `edge-17b`" in one.setters
