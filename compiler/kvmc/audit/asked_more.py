"""What a guest's CPU features, queues and protection make of its domain: the audit's own statement, put below that of the rest.

Facts on elements: libvirt's formatdomain page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from kvmc.audit.context import Context
from kvmc.audit.difference import Difference
from kvmc.audit.document import FREE, Want
from kvmc.audit.domain import Domain
from kvmc.audit.source import At
from kvmc.audit.visible import View
from kvmc.knowledge.cpu_features import features_of
from kvmc.knowledge.cpu_models import cpu_models
from kvmc.model.site import Disk, Iothread, Network, Nic, Platform, Vm

MODES = ("host-passthrough", "host-model", "maximum")


def threads_of(vm: Vm, platform: Platform) -> dict[str, tuple[int, ...]]:
    """Which I/O threads each disk has: ids in the order of the disks, one for those that share; several for a disk of its own where
    libvirt and QEMU can spread its queues."""
    several = platform.libvirt.low >= (10, 0) and platform.qemu.low >= (9, 0)
    found: dict[str, tuple[int, ...]] = {}
    common: tuple[int, ...] = ()
    last = 0
    controller = [disk.name for disk in vm.disks.values() if disk.bus == "scsi"]
    served = any(vm.disks[name].iothread is Iothread.SHARED for name in controller)
    for disk in vm.disks.values():
        common_too = disk.iothread is Iothread.SHARED or (served and disk.name in controller)
        if disk.iothread is Iothread.NONE and not common_too:
            continue
        if common_too and common:
            found[disk.name] = common
            continue
        wanted = disk.iothreads if several and disk.iothread is Iothread.OWN else 1
        found[disk.name] = tuple(range(last + 1, last + 1 + wanted))
        last += wanted
        if common_too:
            common = found[disk.name]
    return found


def backing(vm: Vm, memory: Want) -> None:
    """A switch behind a vhost-user NIC maps the guest's memory, or who else is to."""
    if vm.shared_memory or any(nic.socket for nic in vm.nics.values()):
        memory.add("source", type="memfd")
        memory.add("access", mode="shared")


def cpu_features(vm: Vm, view: View | None, domain: Domain, cpu: Want) -> None:
    """Features beside the model's. Of a baseline any may stand: whether the host has them is judged in `check_cpu`."""
    if vm.maxphysaddr == "passthrough":
        cpu.add("maxphysaddr", mode="passthrough")
    wanted = dict.fromkeys(vm.require, "require") | dict.fromkeys(vm.disable, "disable")
    if view is not None and view.topoext:
        wanted["topoext"] = view.topoext
    if vm.cpu == "baseline":
        for node in domain.root.all("cpu", "feature"):
            wanted.setdefault(node.get("name"), node.get("policy"))
    for name, policy in wanted.items():
        cpu.keyed("feature", ("name",), policy=policy, name=name)


def hyperv(vm: Vm, platform: Platform, features: Want) -> None:
    if not vm.hyperv:
        return
    want = features.add("hyperv", **({"mode": "custom"} if platform.libvirt.since(8, 0) else {}))
    for name in ("relaxed", "vapic", "vpindex", "runtime", "synic", "frequencies", "tlbflush", "ipi"):
        want.add(name, state="on")
    want.add("spinlocks", state="on", retries="8191")
    want.add("stimer", state="on").add("direct", state="on")


def protection(vm: Vm, root: Want) -> None:
    """Policies: 1 << 0 is NODBG, 1 << 1 NOKS and 1 << 2 ES (SEV API, guest policy); 1 << 16 allows sibling threads and 1 << 17 is
    always set (SEV-SNP ABI); 1 << 28 is SEPT_VE_DISABLE (TDX module)."""
    if vm.launch_security == "none":
        return
    kind, bits, width = {
        "sev": ("sev", 1 << 0 | 1 << 1, 4),
        "sev-es": ("sev", 1 << 0 | 1 << 1 | 1 << 2, 4),
        "sev-snp": ("sev-snp", 1 << 16 | 1 << 17, 8),
        "tdx": ("tdx", 1 << 28, 8),
    }[vm.launch_security]
    root.add("launchSecurity", type=kind).add("policy", f"0x{bits:0{width}x}")


def devices(vm: Vm, arm: bool, wanted: Want) -> dict[str, Want]:
    """A TPM and mediated devices; gives the latter by their key in locks, for their addresses."""
    if vm.tpm:
        wanted.add("tpm", model="tpm-tis" if arm else "tpm-crb").add("backend", type="emulator", version="2.0")
    found = {}
    for mdev in vm.mdevs.values():
        want = wanted.keyed(
            "hostdev",
            ("source/address/uuid",),
            mode="subsystem",
            type="mdev",
            managed="?no",
            model="vfio-pci",
            display="?off",
        )
        want.add("source").add("address", uuid=mdev.uuid)
        found[f"mdev {mdev.name}"] = want
    return found


def disk_driver(disk: Disk, threads: tuple[int, ...], driver: Want) -> None:
    """Which number a thread has is no matter: that it is its own, or all disks', is judged elsewhere."""
    if disk.bus == "scsi":
        return  # its controller's
    if len(threads) == 1:
        driver.attributes["iothread"] = FREE
    elif threads:
        spread = driver.add("iothreads")
        for _ in threads:
            spread.add("iothread", id=FREE)
    if disk.queue_size is not None:
        driver.attributes["queue_size"] = str(disk.queue_size)


def scsi_driver(disks: list[Disk], threads: tuple[int, ...], controller: Want) -> None:
    """Queues and depth of the SCSI controller: the most that a disk on it asks for, and the shortest requests; its I/O thread."""
    values = {
        "queues": max(disk.queues or 0 for disk in disks),
        "cmd_per_lun": max(disk.cmd_per_lun or 0 for disk in disks),
    }
    asked = {name: str(value) for name, value in values.items() if value}
    limits = [disk.max_sectors for disk in disks if disk.max_sectors]
    if limits:
        asked["max_sectors"] = str(min(limits))
    if threads:
        asked["iothread"] = str(threads[0])
    if asked:
        controller.add("driver", **asked)


def virtual_nic(vm: Vm, nic: Nic, mac: str, networks: Mapping[str, Network], wanted: Want) -> Want:
    """A NIC on a bridge, a network of libvirt's or macvtap, or virtio on the socket of a switch in user space."""
    user = nic.socket is not None
    network = networks.get(nic.network or "")
    kinds = {"network": network.network, "direct": network.direct, "bridge": network.bridge} if network else {}
    kind = next((kind for kind, name in kinds.items() if name is not None), "vhostuser")
    want = wanted.keyed("interface", ("mac/address",), type=kind)
    want.add("mac", address=mac)
    if nic.socket is not None:
        path = nic.socket.replace("{vm}", vm.name).replace("{nic}", nic.name)
        want.add("source", type="unix", path=path, mode=nic.mode)
    elif network is not None and kind == "direct":
        want.add("source", dev=kinds[kind] or "", mode=network.mode)
    else:
        want.add("source", **{kind: kinds.get(kind) or ""})
    want.add("model", type=nic.model)
    rings = {"queues": nic.queues, "rx_queue_size": nic.rx_queue_size, "tx_queue_size": nic.tx_queue_size}
    asked = {name: str(value) for name, value in rings.items() if value is not None}
    if asked:
        want.add("driver", **({} if user else {"name": "vhost"}), **asked)
    return want


def check_cpu(context: Context, vm: Vm, platform: Platform | None, domain: Domain) -> Iterator[Difference]:
    """The guest's CPU against what it asks for and what its host has."""
    mode = domain.cpu or At("", domain.head)
    if vm.cpu == "baseline":
        yield from _baseline(context, platform, mode, domain)
    elif mode.value != vm.cpu:
        yield Difference(mode.span, f"asks for CPU `{vm.cpu}` and has `{mode.value or 'none'}`")
    policies = {node.get("name"): (node.get("policy"), node.span) for node in domain.root.all("cpu", "feature")}
    for names, policy in ((vm.require, "require"), (vm.disable, "disable")):
        for name in names:
            has, place = policies.get(name, ("", domain.head))
            if name == "topoext":
                continue  # the topology decides
            if has != policy and not (vm.cpu == "baseline" and _of_model(mode.value, name) is (policy == "require")):
                yield Difference(place, f"is to {policy} the CPU feature `{name}` and has `{has or 'none'}`")


def _baseline(context: Context, platform: Platform | None, mode: At[str], domain: Domain) -> Iterator[Difference]:
    """A named model that the platform knows, of which the host has all, and so of what is given beside it."""
    model = cpu_models().get(mode.value)
    if model is None:
        yield Difference(
            mode.span, f"asks for a CPU that its hosts have in common, and `{mode.value}` is no named model"
        )
        return
    if platform is not None and not model.known_to(platform.libvirt, platform.qemu):
        yield Difference(mode.span, f"has CPU model `{mode.value}`, which its platform's libvirt or QEMU does not know")
    cpu = context.topology.cpu
    have, untold = features_of(cpu.vendor, cpu.model, cpu.features)
    given = set(model.features)
    for node in domain.root.all("cpu", "feature"):
        name = node.get("name")
        if node.get("policy") == "require":
            given.add(name)
            if name not in have | untold and name != "topoext":
                yield Difference(node.span, f"requires the CPU feature `{name}`, which its host has not")
        else:
            given.discard(name)
    missing = sorted(given & model.features - have - untold)
    if missing:
        yield Difference(mode.span, f"has the CPU feature `{missing[0]}` by its model, which its host has not")
    if "invtsc" in given:
        yield Difference(mode.span, "is to be able to migrate, and has `invtsc`, which cannot")


def _of_model(model: str, feature: str) -> bool:
    known = cpu_models().get(model)
    return known is not None and feature in known.features
