"""A site with every block, from which pairs are made that differ in one setting, and what a setting needs to have an effect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kvmc.model.cpuset import CpuSet
from kvmc.model.values import PciAddress
from kvmc.topology.model import CacheKind, Cpu, Facts, Memory, Node, PciDevice, Resctrl, Sriov, Topology
from kvmc.topology.snapshot import dumps

Changes = Mapping[str, Mapping[str, str | None]]
"""block -> setting -> its value; None where it is left out."""

Tree = dict[str, tuple[str, dict[str, str], tuple[str, ...]]]

SITE: Tree = {
    "site": ("site lab", {"identity": '"lab.example.net"'}, ()),
    "platform": ("platform deb13", {"kernel": '"6.1"', "libvirt": '"9.0"', "qemu": '"7.2"', "tuned": '"2.20"'}, ()),
    "platform 2": (
        "platform deb12",
        {"kernel": '"6.1"', "libvirt": '"9.0"', "qemu": '"7.2"', "tuned": '"2.20"', "boot": "bls"},
        (),
    ),
    "pool": (
        "pool compute",
        {"platform": "deb13", "pages": "8 * 1GiB", "isolation": "boot"},
        (
            "housekeeping",
            "shared",
            "vswitch",
            "reserve",
            "resctrl",
            "devices",
            "devices of addresses",
            "devices beside",
            "raw",
        ),
    ),
    "housekeeping": ("housekeeping", {}, ()),
    "shared": ("shared", {"cores": "1"}, ()),
    "vswitch": ("vswitch", {}, ()),
    "reserve": ("reserve", {}, ()),
    "resctrl": ("resctrl", {"l3": "16MiB", "memory_bandwidth": "40"}, ()),
    "devices": ("devices n3", {"parent": '"0000:3b:00.1"', "vfs": "4"}, ()),
    "devices of addresses": ("devices gpu", {"addresses": '["0000:b1:00.0"]'}, ()),
    "devices beside": ("devices beside", {"addresses": '["0000:b3:00.0"]'}, ()),
    "raw": ("raw sysctl fs.aio-max-nr", {"value": '"65536"', "reason": '"many disks"'}, ()),
    "pool 2": ("pool other", {"platform": "deb12", "pages": "8 * 1GiB"}, ("memory",)),
    "memory": ("memory hbm", {}, ()),
    "host": ("host kvm-a : compute", {"topology": '"hosts/big.json"'}, ()),
    "host 2": ("host kvm-b : compute", {"topology": '"hosts/big.json"'}, ()),
    "host 3": ("host kvm-c : other", {"topology": '"hosts/big.json"'}, ()),
    "network": ("network core", {"bridge": "br-lan"}, ()),
    "network 2": ("network lan", {"bridge": "br-two"}, ()),
    "storage": ("storage slow", {"source": '"/dev/slow/{vm}-{disk}"'}, ()),
    "storage 2": ("storage fast", {"source": '"/dev/fast/{vm}-{disk}"'}, ()),
    "class": ("class base", {"vcpus": "4", "memory": "4GiB", "machine": "pc-q35-7.2"}, ("disk", "nic of network")),
    "disk": ("disk root", {"storage": "slow"}, ()),
    "nic of network": ("nic eth0", {"network": "lan"}, ()),
    "vm": ("vm db-1 : base", {}, ("nic", "raw of a guest")),
    "nic": ("nic vf", {"device": "n3"}, ()),
    "raw of a guest": (
        "raw xml vsock",
        {"value": "\"<vsock model='virtio'/>\"", "reason": '"no word"', "at": "devices"},
        (),
    ),
    "vm 2": ("vm db-2 : base", {"host": "kvm-b"}, ("nic 2", "hostdev", "hostdev 2", "mdev", "passed")),
    "nic 2": ("nic vf", {"device": "n3", "near": "prefer"}, ()),
    "hostdev": ("hostdev card", {"device": "beside"}, ()),
    "hostdev 2": ("hostdev gpu", {"device": "gpu"}, ()),
    "mdev": ("mdev slice", {"uuid": '"c2177883-f1bb-47f0-914d-32a22e3a8805"'}, ()),
    "passed": ("passed", {}, ()),
    "vm 3": ("vm db-3 : base", {}, ("near",)),
    "near": ("near card", {"device": "n3", "strength": "prefer"}, ()),
    "vm 4": ("vm web-1 : base", {"vcpus": "2"}, ()),
    "vm 5": ("vm web-2 : base", {"vcpus": "2"}, ()),
    "vm 6": ("vm wide : base", {"vcpus": "4", "memory": "3GiB"}, ("node", "node 2")),
    "node": ("node 0", {"vcpus": "2", "memory": "2GiB"}, ()),
    "node 2": ("node 1", {"vcpus": "2", "memory": "1GiB"}, ()),
    "place": ("place apart quorum", {"vms": "[db-1, db-3]"}, ()),
    "place 2": ("place together pair", {"vms": "[web-1, web-2]"}, ()),
}


def text_of(changes: Changes, more: str = "") -> str:
    """The site with the changes: settings of a block added, replaced or taken out; a block that is not in it is a mistake."""
    unknown = set(changes) - set(SITE)
    assert not unknown, unknown
    inner = {name for _, _, children in SITE.values() for name in children}
    blocks = [_block(name, changes) for name in SITE if name not in inner]
    return "\n".join(["kvmt 1", *blocks, more, ""])


def _block(name: str, changes: Changes) -> str:
    header, given, children = SITE[name]
    settings = {**given, **changes.get(name, {})}
    lines = [f"{setting} = {value}" for setting, value in settings.items() if value is not None]
    return "\n".join([f"{header} {{", *lines, *(_block(child, changes) for child in children), "}"])


def machine(cores: int = 8) -> Topology:
    """Two nodes, two L3 caches each, with network cards that have VFs, and two plain devices on one root complex."""
    pairs = [CpuSet.of((core, core + 2 * cores)) for core in range(2 * cores)]

    def joined(first: int, number: int) -> CpuSet:
        return CpuSet.of(cpu for pair in pairs[first : first + number] for cpu in pair)

    halves = (joined(0, cores), joined(cores, cores))
    nodes = tuple(
        Node(id, halves[id], 64 * 1024**2, {id: 10, 1 - id: 21}, page_sizes_kib=(2048, 1024**2)) for id in (0, 1)
    )
    l3 = tuple(joined(first, cores // 2) for first in range(0, 2 * cores, cores // 2))
    features = frozenset(("aes", "avx512_vnni", "avx512f", "amx_tile", "constant_tsc", "ept", "vmx", "x2apic"))
    cpu = Cpu("GenuineIntel", "Intel(R) Xeon(R) Gold 6338N CPU @ 2.20GHz", features)
    online = CpuSet.of(range(4 * cores))
    return Topology(
        "x86_64",
        online,
        nodes,
        halves,
        tuple(pairs),
        l3,
        cpu=cpu,
        pci=_devices(halves),
        caches=(CacheKind(3, "unified", 32 * 1024, online),),
        resctrl=(Resctrl("L3", 16, 16, 1), Resctrl("MB", 8, step_percent=10, min_percent=10)),
        l3_ids=tuple(range(len(l3))),
    )


def _devices(halves: tuple[CpuSet, CpuSet]) -> Mapping[PciAddress, PciDevice]:
    cards = {"0000:3b:00.0": 0, "0000:3b:00.1": 0, "0000:af:00.0": 1, "0000:b1:00.0": 1, "0000:b3:00.0": 1}
    found = {}
    for group, (text, node) in enumerate(cards.items(), 40):
        address = PciAddress.parse(text)
        sriov = Sriov(64, 8, 1) if text < "0000:b" else None
        found[address] = PciDevice(
            address, node, halves[node], 0x020000, 0x8086, 0x1592, iommu_group=group, sriov=sriov, root=text[:7]
        )
    return found


def write_folder(folder: Path) -> None:
    """What the sites' paths name: two kinds of machines, and the facts of a scan."""
    for name in ("hosts", "facts"):
        (folder / name).mkdir()
    (folder / "hosts/big.json").write_text(dumps(machine()))
    (folder / "hosts/kvm-a.json").write_text(dumps(machine(6)))
    whole = machine()
    hbm = Node(2, CpuSet(), 16 * 1024**2, {}, page_sizes_kib=(2048, 1024**2), memory=Memory.HBM)
    (folder / "hosts/hbm.json").write_text(dumps(replace(whole, nodes=(*whole.nodes, hbm))))
    (folder / "hosts/one.json").write_text(dumps(replace(whole, packages=(whole.online,))))
    facts = replace(machine(), facts=Facts(kernel="6.1.0-18-amd64", sysctls=("fs.aio-max-nr", "vm.swappiness")))
    (folder / "facts/deb13.json").write_text(dumps(facts))


@dataclass(frozen=True)
class Needs:
    """What a pair needs beside the site above. given: in both. value: in place of the row's example. block: where it is set.
    instead: further changes of its block that come with it. error: the code that it must give; else neither half has an error.
    """

    given: Changes = field(default_factory=dict)
    value: str = ""
    block: str = ""
    instead: Mapping[str, str | None] = field(default_factory=dict)
    more: str = ""
    error: str = ""


NETWORK = "nic of network"
TIED = {"vm": {"host": "kvm-a"}, "vm 3": {"host": "kvm-a"}}
LARGE = {"vcpus": "20", "nodes": "2"}
ONE_PACKAGE = {"topology": '"hosts/one.json"'}
"""A host whose two nodes are in one package; the GPU is on the second."""
FULL = 'vm rival : base {\nhost = %s\nvcpus = 12\nnear gpu {\naddress = "0000:b1:00.0"\n}\n}'
"""A guest that fills the node of a host's GPU."""
CLOSE: Changes = {
    "host 3": ONE_PACKAGE,
    "vm 3": {"host": "kvm-c", "vcpus": "12"},
    "near": {"device": None, "address": '"0000:b1:00.0"'},
}
FIFO = {"isolation": "boot", "scheduler": "fifo"}
WITH: Mapping[tuple[str, str], Needs] = {
    ("site", "targets"): Needs(error="KVMC0501"),
    ("platform", "kernel"): Needs({"pool": {"base_slice_ns": "3000000"}}),
    ("platform", "qemu"): Needs(value='"7.1"', error="KVMC0556"),
    ("platform", "realtime"): Needs({"platform": {"realtime": "true"}, "class": FIFO}, value="false", error="KVMC0403"),
    ("platform", "facts"): Needs(error="KVMC0502"),
    ("pool", "platform"): Needs(value="deb12"),
    ("pool", "isolation"): Needs(value="none"),
    ("pool", "profile"): Needs({"platform": {"realtime": "true"}}),
    ("pool", "host_failures"): Needs({"class": LARGE}, error="KVMC0433"),
    ("pool", "pages"): Needs(value="16 * 1GiB"),
    ("host", "rack"): Needs(
        {"host": {"rack": "r0"}, "host 2": {"rack": "r1"}, "host 3": {"rack": "r1"}, "place": {"across": "rack"}},
        error="KVMC0414",
    ),
    ("housekeeping", "threads"): Needs({NETWORK: {"queues": "4"}}, value="1"),
    ("housekeeping", "boot_cpu"): Needs({"housekeeping": {"reason": '"counted from 0"'}}),
    ("housekeeping", "reason"): Needs({"housekeeping": {"boot_cpu": "false", "reason": '"counted from 0"'}}),
    ("shared", "overcommit"): Needs({"class": {"pinning": "shared"}}, value="1", error="KVMC0402"),
    ("reserve", "memory"): Needs(value="60GiB", error="KVMC0406"),
    ("memory", "pages"): Needs({"host 3": {"topology": '"hosts/hbm.json"'}}),
    ("devices", "parent"): Needs(value='["0000:3b:00.1", "0000:af:00.0"]'),
    ("resctrl", "memory_bandwidth"): Needs({"vm 3": {"memorytune": "30"}}, value="20", error="KVMC0402"),
    ("vswitch", "type"): Needs({"vswitch": {"cores": "1"}}),
    ("nic", "vswitch"): Needs(
        {NETWORK: {"network": None, "socket": '"/run/{vm}-{nic}.sock"'}}, block=NETWORK, error="KVMC0403"
    ),
    ("devices", "addresses"): Needs(block="devices of addresses"),
    ("network", "bridge"): Needs(block="network 2"),
    ("network", "network"): Needs(block="network 2", instead={"bridge": None}),
    ("network", "direct"): Needs(block="network 2", instead={"bridge": None}),
    ("network", "mode"): Needs({"network 2": {"bridge": None, "direct": "eno1"}}, block="network 2"),
    ("class", "memory"): Needs(value="8GiB"),
    ("class", "threads"): Needs(value="isolate"),
    ("class", "l3"): Needs({"class": {"vcpus": "12"}}, error="KVMC0402"),
    ("class", "emulator"): Needs({"pool": {"isolation": "none"}}),
    ("class", "scheduler"): Needs({"platform": {"realtime": "true"}, "class": {"isolation": "boot"}}),
    ("class", "priority"): Needs({"platform": {"realtime": "true"}, "class": FIFO}),
    ("class", "type"): Needs({"class": {"cpu": "maximum"}}),
    ("class", "machine"): Needs(value="pc-q35-7.1"),
    ("class", "optional"): Needs(
        {"vm 3": {"vcpus": "60", "nodes": "2", "optional": "true"}}, value="false", block="vm 3", error="KVMC0402"
    ),
    ("class", "weight"): Needs(
        {"vm": {"host": "kvm-b"}, "vm 3": {**LARGE, "host": "kvm-a", "optional": "true"}},
        block="vm 3",
        more="vm rival : base {\nhost = kvm-a\nvcpus = 20\nnodes = 2\noptional = true\nweight = 2\n}",
    ),
    ("pool", "gicv4"): Needs(error="KVMC0585"),
    ("class", "irq_affinity"): Needs({"pool": {"irq_affinity": "node"}}, block="vm"),
    ("class", "launch_security"): Needs(value="tdx", block="vm 3", error="KVMC0558"),
    ("storage", "controller"): Needs({"disk": {"iothread": "own"}}, value='"0000:3b:00.0"'),
    ("class", "dedicated"): Needs({"vm 3": {"pinning": "mixed", "dedicated": "0-1"}}, value="0-2", block="vm 3"),
    ("node", "vcpus"): Needs(error="KVMC0273"),
    ("node", "memory"): Needs(error="KVMC0273"),
    ("node", "memory_kind"): Needs(error="KVMC0288"),
    ("class", "cores"): Needs(error="KVMC0403"),
    ("class", "memory_kind"): Needs(block="vm 3", error="KVMC0402"),
    ("vm", "host"): Needs(value="kvm-b"),
    ("disk", "cache"): Needs({"disk": {"io": "threads"}}),
    ("disk", "iothreads"): Needs({"disk": {"iothread": "own"}}),
    ("disk", "cmd_per_lun"): Needs({"disk": {"bus": "scsi"}}),
    ("disk", "max_sectors"): Needs({"disk": {"bus": "scsi"}}),
    ("nic", "network"): Needs(block=NETWORK),
    ("nic", "device"): Needs({"nic": {"device": "gpu"}}),
    ("nic", "model"): Needs(block=NETWORK),
    ("nic", "queues"): Needs(block=NETWORK),
    ("nic", "socket"): Needs(block=NETWORK, instead={"network": None}),
    ("nic", "mode"): Needs({NETWORK: {"network": None, "socket": '"/run/{vm}-{nic}.sock"'}}, block=NETWORK),
    ("nic", "rx_queue_size"): Needs(block=NETWORK),
    ("nic", "tx_queue_size"): Needs({NETWORK: {"network": None, "socket": '"/run/{vm}-{nic}.sock"'}}, block=NETWORK),
    ("nic", "near"): Needs(
        {"nic": {"near": "prefer"}, "vm": {"host": "kvm-a", "vcpus": "12"}},
        value="require",
        more="vm rival : base {\nhost = kvm-a\nvcpus = 12\nnic vf {\ndevice = n3\n}\n}",
        error="KVMC0401",
    ),
    ("nic", "within"): Needs(
        {
            "host 2": ONE_PACKAGE,
            "vm 2": {"vcpus": "12"},
            "nic 2": {"device": "beside", "near": "require", "within": "package"},
            "hostdev": {"device": "n3", "near": "any"},
            "hostdev 2": {"near": "any"},
        },
        value="node",
        block="nic 2",
        more=FULL % "kvm-b",
        error="KVMC0401",
    ),
    ("nic", "beside"): Needs(block="nic 2", error="KVMC0402"),
    ("hostdev", "near"): Needs(
        {
            "hostdev": {"near": "prefer"},
            "hostdev 2": {"near": "prefer"},
            "vm 2": {"vcpus": "12"},
            "devices beside": {"addresses": '["0000:b3:00.0", "0000:af:00.0"]'},
        },
        value="require",
        more="vm rival : base {\nhost = kvm-b\nvcpus = 12\nhostdev x {\ndevice = beside\n}\n}",
        error="KVMC0401",
    ),
    ("hostdev", "iommufd"): Needs(error="KVMC0558"),
    ("hostdev", "within"): Needs(
        {
            "host 2": ONE_PACKAGE,
            "vm 2": {"vcpus": "12"},
            "hostdev": {"near": "any"},
            "hostdev 2": {"within": "package"},
        },
        value="node",
        block="hostdev 2",
        more=FULL % "kvm-b",
        error="KVMC0401",
    ),
    ("passed", "near"): Needs(
        {"vm 2": {"vcpus": "12"}, "passed": {"near": "prefer"}},
        value="require",
        more=FULL % "kvm-b",
        error="KVMC0401",
    ),
    ("passed", "within"): Needs(
        {"host 2": ONE_PACKAGE, "vm 2": {"vcpus": "12"}, "passed": {"within": "package"}},
        value="node",
        more=FULL % "kvm-b",
        error="KVMC0401",
    ),
    ("passed", "beside"): Needs(value="require", error="KVMC0402"),
    ("passed", "expander"): Needs({"vm 2": {"nodes": "2"}}),
    ("near", "device"): Needs(value="gpu"),
    ("near", "address"): Needs(value='"0000:b1:00.0"', instead={"device": None}),
    ("near", "within"): Needs(
        {**CLOSE, "near": {**CLOSE["near"], "strength": None, "within": "package"}},
        value="node",
        more=FULL % "kvm-c",
        error="KVMC0401",
    ),
    ("near", "strength"): Needs(CLOSE, value="require", more=FULL % "kvm-c", error="KVMC0401"),
    ("hostdev", "device"): Needs({"devices of addresses": {"addresses": '["0000:b1:00.0", "0000:af:00.0"]'}}),
    ("hostdev", "beside"): Needs(error="KVMC0402"),
    ("place", "vms"): Needs({"vm 3": {"host": "kvm-b"}}, value="[db-2, db-3]", error="KVMC0282"),
    ("place", "across"): Needs({**TIED, "place": {"across": "node"}}, value="host", error="KVMC0282"),
    ("place", "within"): Needs({"vm 4": {"vcpus": "8"}, "vm 5": {"vcpus": "8"}}, block="place 2", error="KVMC0401"),
    ("place", "strength"): Needs({**TIED, "place": {"strength": "prefer"}}, value="require", error="KVMC0282"),
    ("raw", "at"): Needs(value="domain", block="raw of a guest"),
}
