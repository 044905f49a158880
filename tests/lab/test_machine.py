"""A booted machine tells what the kernel made of a line, and tells it apart from a tampered one."""

from __future__ import annotations

import dataclasses

import pytest

from kvmc.model.cpuset import CpuSet
from kvmc.topology.model import Node, Topology
from lab.machine import BootError, NodeShape, Shape, boot, scaled, shape_of, sysctl_lines
from lab.needs import needs

NODES = (NodeShape(CpuSet.parse("0-1,4-5"), 1 << 20), NodeShape(CpuSet.parse("2-3,6-7"), 1 << 20))
LINE = (
    "isolcpus=managed_irq,domain,1,3,5,7 nohz_full=1,3,5,7 rcu_nocbs=1,3,5,7 irqaffinity=0,2,4,6 transparent_hugepage=never "
    "default_hugepagesz=2M hugepagesz=2M hugepages=0:10,1:20"
)
SYSCTLS = (
    "# why\nvm.swappiness = 7\nkernel.numa_balancing = 0\nnet.ipv4.ip_local_port_range = 2048 65001\nno.such.key = 1\n"
)


@needs("qemu", "kernel", "initramfs")
def test_line_and_sysctls_are_read_back() -> None:
    booted = boot(Shape(NODES), LINE, SYSCTLS)
    assert booted.online == CpuSet.parse("0-7")
    assert booted.node_cpus == {0: NODES[0].cpus, 1: NODES[1].cpus}
    assert booted.isolated == booted.nohz_full == CpuSet.parse("1,3,5,7")
    assert booted.irq_affinity == CpuSet.parse("0,2,4,6")
    assert booted.thp == "never"
    assert (booted.pages[0, 2048], booted.pages[1, 2048]) == (10, 20)
    assert booted.sysctls == {
        "vm/swappiness": "7",
        "kernel/numa_balancing": "0",
        "net/ipv4/ip_local_port_range": "2048 65001",
        "no/such/key": None,
    }
    assert booted.unknown == ()


@needs("qemu", "kernel", "initramfs")
def test_a_tampered_line_reads_back_otherwise() -> None:
    """One CPU that is not there drops the whole list, one node that is not there drops the pages after it, a typo is nobody's."""
    line = LINE.replace("isolcpus=managed_irq,domain,1,3,5,7", "isolcpus=managed_irq,domain,1,3,5,99")
    line = line.replace("hugepages=0:10,1:20", "hugepages=0:10,7:20").replace("irqaffinity", "irqafinity")
    booted = boot(Shape(NODES), line, "vm.swappiness = 300\n")
    assert booted.isolated != CpuSet.parse("1,3,5,7")
    assert booted.pages[1, 2048] != 20
    assert any(word.startswith("irqafinity") for word in booted.unknown)
    assert booted.sysctls["vm/swappiness"] != "300"


@needs("qemu", "kernel", "initramfs")
def test_a_machine_that_does_not_come_up_is_an_error_with_its_console() -> None:
    with pytest.raises(BootError, match="no report within"):
        boot(Shape((NodeShape(CpuSet.parse("0"), 1 << 19),)), "", limit=0.5)
    with pytest.raises(BootError, match="from 0 without holes"):
        boot(Shape(NODES[:1]), "")
    with pytest.raises(BootError, match="above the limit of 1 GiB"):
        boot(Shape(NODES), "", memory_limit_kib=1 << 20)


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
