"""A booted machine tells what the kernel made of a line."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.topology.model import Node, Topology
from lab.machine import BootError, NodeShape, Shape, SilentError, _run_again, boot, scaled, shape_of, sysctl_lines
from lab.needs import needs

NODES = (NodeShape(CpuSet.parse("0,2"), 1 << 20), NodeShape(CpuSet.parse("1,3"), 1 << 20))
LINE = (
    "isolcpus=managed_irq,domain,1,3 nohz_full=1,3 rcu_nocbs=1,3 irqaffinity=0,2 transparent_hugepage=never "
    "default_hugepagesz=2M hugepagesz=2M hugepages=0:10,1:20"
)
SYSCTLS = (
    "# why\nvm.swappiness = 7\nkernel.numa_balancing = 0\nnet.ipv4.ip_local_port_range = 2048 65001\nno.such.key = 1\n"
)


@needs("qemu", "kernel", "initramfs")
def test_line_and_sysctls_are_read_back() -> None:
    booted = boot(Shape(NODES), LINE, SYSCTLS)
    assert booted.online == CpuSet.parse("0-3")
    assert booted.node_cpus == {0: NODES[0].cpus, 1: NODES[1].cpus}
    assert booted.isolated == booted.nohz_full == booted.rcu_nocbs == CpuSet.parse("1,3")
    assert booted.irq_affinity == CpuSet.parse("0,2")
    assert booted.thp == "never"
    assert (booted.pages[0, 2048], booted.pages[1, 2048]) == (10, 20)
    assert booted.sysctls == {
        "vm/swappiness": "7",
        "kernel/numa_balancing": "0",
        "net/ipv4/ip_local_port_range": "2048 65001",
        "no/such/key": None,
    }
    assert booted.unknown == ()
    assert booted.iommu == frozenset()
    assert booted.default_page_kib == 2048


@needs("qemu", "kernel", "initramfs")
def test_a_machine_that_does_not_come_up_is_an_error_with_its_console() -> None:
    with pytest.raises(BootError, match="no report within"):
        boot(Shape((NodeShape(CpuSet.parse("0"), 1 << 19),)), "", limit=0.5)
    with pytest.raises(BootError, match="from 0 without holes"):
        boot(Shape(NODES[:1]), "")
    with pytest.raises(BootError, match="above the limit of 1 GiB"):
        boot(Shape(NODES), "", memory_limit_kib=1 << 20)


def test_a_machine_that_falls_silent_is_started_once_more(tmp_path: Path) -> None:
    """A shell script plays the machine: it says a line and falls silent, at its second start it reports."""
    play = f"""
        cd {tmp_path}
        echo line >>console
        if [ -e again ]; then echo '@@ end' >report; exit; fi
        touch again
        exec sleep 60
    """
    report, seconds, retried = _run_again(["sh", "-c", play], tmp_path, 20, 1)
    assert "@@ end" in report
    assert retried is not None and retried.startswith("silent for 1 s")
    assert seconds < 5
    (tmp_path / "again").unlink()
    with pytest.raises(SilentError, match="no report within 1 s"):
        _run_again(["sh", "-c", f"cd {tmp_path}; while sleep 0.1; do echo line >>console; done"], tmp_path, 1, 20)
    with pytest.raises(BootError, match="QEMU ended with 3") as caught:
        _run_again(["sh", "-c", "exit 3"], tmp_path, 20, 20)
    assert not isinstance(caught.value, SilentError), "a machine that ends is not started again"


def test_shape_of_a_topology_with_holes() -> None:
    node = Node(4, CpuSet.parse("2-3"), memory_kib=2049)
    topology = Topology(
        "x86_64", CpuSet.parse("0,2-3"), (Node(0, CpuSet.parse("0"), memory_kib=4096), node), None, None, None
    )
    shape = shape_of(topology)
    assert shape.nodes == (NodeShape(CpuSet.parse("0-1"), 4096), NodeShape(CpuSet.parse("2-3"), 4096))
    assert shape.offline == CpuSet.parse("1")
    assert shape.node_ids == (0, 4)
    silent = dataclasses.replace(topology, nodes=(dataclasses.replace(node, memory_kib=None),))
    with pytest.raises(BootError, match="memory of node 4"):
        shape_of(silent)
    assert shape_of(silent, default_node_kib=2048).memory_kib == 2048


def test_scaled_divides_memory_and_pages_alone() -> None:
    words = (
        "isolcpus=managed_irq,domain,1-7",
        "hugepagesz=1G",
        "hugepages=0:96,1:100",
        "hugepagesz=2M",
        "hugepages=64",
    )
    shape, line = scaled(Shape(NODES), words, 8)
    assert [node.memory_kib for node in shape.nodes] == [1 << 17, 1 << 17]
    assert line == (
        "isolcpus=managed_irq,domain,1-7",
        "hugepagesz=1G",
        "hugepages=0:12,1:12",
        "hugepagesz=2M",
        "hugepages=8",
    )


def test_sysctl_lines() -> None:
    text = "# a\n; b\n\nvm.swappiness=1\n-net/ipv4/conf/eth0.1/rp_filter = 2\nkernel.x =  1   2\n"
    assert sysctl_lines(text) == {"vm.swappiness": "1", "net/ipv4/conf/eth0.1/rp_filter": "2", "kernel.x": "1 2"}
