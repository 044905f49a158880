"""Why a host can't have a guest, whatever else is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kvmc.diagnostics.text import counted
from kvmc.model.origins import Path
from kvmc.model.site import Cores, Emulator, Host, Isolation, Near, Pinning, Scheduler, Site, Strength, Threads, Vm


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a host can't have a guest, whatever else is there. path: the setting to blame, by its path in the site."""

    text: str
    path: Path
    help: str | None = None


def drained(site: Site) -> dict[str, Refusal]:
    """Hosts that get no new guests, each with the reason."""
    return {
        host.name: Refusal("it is drained", ("host", host.name, "drained"))
        for host in site.hosts.values()
        if host.drained
    }


def refuse(site: Site, vm: Vm, host: Host, vcpus: tuple[int, ...], kinds: Mapping[Cores, int]) -> Refusal | None:
    """The first intent of the guest that the host can never meet. vcpus: dedicated ones of each cell; kinds: the most threads of a
    dedicated core of each kind (0: not asked, or without any)."""

    def no(text: str, setting: str, help: str | None = None) -> Refusal:
        return Refusal(text, ("vm", vm.name, setting), help)

    if vm.host is not None and vm.host != host.name:
        return no(f"the guest is tied to host `{vm.host}`", "host")
    if vm.pool is not None and vm.pool != host.pool:
        return no(f"the guest is tied to pool `{vm.pool}`", "pool")
    if vm.isolation is not Isolation.ANY and vm.isolation is not host.isolation:
        return no(f"needs `isolation = {vm.isolation}`, the host has `{host.isolation}`", "isolation")
    if vm.scheduler is Scheduler.FIFO and not site.platforms[host.platform].realtime:
        return no(f"needs a realtime kernel for `scheduler = fifo`, platform `{host.platform}` has none", "scheduler")
    if vm.emulator is Emulator.OWN and host.isolation is Isolation.BOOT:
        return no(
            "`emulator = own` would float over boot-isolated CPUs, which the kernel does not balance",
            "emulator",
            "`emulator = housekeeping`",
        )
    if vm.cores is not Cores.ANY and vm.cores not in kinds:
        known = set(kinds) - {Cores.ANY}
        return no(
            f"has no dedicated {vm.cores} cores"
            if known
            else f"needs {vm.cores} cores, the topology tells no kinds of cores",
            "cores",
            None if known else "a topology from sysfs or hwloc tells the kinds of a hybrid CPU; on others drop `cores`",
        )
    if vm.pinning is not Pinning.SHARED and vm.threads is Threads.REQUIRE:
        smt = kinds.get(vm.cores, 0)
        if smt == 1:
            return no("needs sibling threads for `threads = require`, the dedicated cores have one each", "threads")
        if smt > 1 and any(number % smt for number in vcpus):
            odd = next(number for number in vcpus if number % smt)
            return no(
                f"{counted(odd, 'vCPU')} in a node do not fill cores of {smt} threads",
                "threads",
                f"give each node a multiple of {counted(smt, 'vCPU')}",
            )
    if vm.cachetune is not None and host.resctrl_l3_kib is None:
        return no("offers no part of its L3 caches", "cachetune", "`resctrl { l3 = SIZE }` on the host or its pool")
    if vm.memorytune is not None and not host.resctrl_bandwidth:
        help = "`resctrl { memory_bandwidth = PERCENT }` on the host or its pool"
        return no("offers no memory bandwidth", "memorytune", help)
    for nic in vm.nics.values():
        if nic.socket is not None and nic.vswitch is Near.REQUIRE and not host.vswitch_cores:
            text = "has no `vswitch` cores for the socket's switch"
            return Refusal(
                text, ("vm", vm.name, "nic", nic.name, "vswitch"), "`vswitch { cores }` on the host or its pool"
            )
        if nic.device is not None and nic.device not in host.devices:
            return Refusal(f"has no device pool `{nic.device}`", ("vm", vm.name, "nic", nic.name, "device"))
    for device in vm.hostdevs.values():
        if device.device not in host.devices:
            return Refusal(f"has no device pool `{device.device}`", ("vm", vm.name, "hostdev", device.name, "device"))
    for near in vm.nears.values():
        if near.strength is Strength.REQUIRE and near.device is not None and near.device not in host.devices:
            return Refusal(f"has no device pool `{near.device}`", ("vm", vm.name, "near", near.name, "device"))
    return None
