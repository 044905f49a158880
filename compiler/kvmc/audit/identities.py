"""What every guest of the site is known by: what the site says, else its lock, else the rule that makes it from names.

The rule: the uuid is uuid5 of the guest's name in the namespace that is uuid5 of the site's identity as a DNS name; a MAC is
52:54:00 and the first three bytes of sha256 of `<identity>/<guest>/<nic>`, with `/1`, `/2` and on behind it while another NIC has
it.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from kvmc.audit.locktexts import Lock, Locked
from kvmc.model.site import Site


@dataclass(frozen=True, slots=True)
class Known:
    """uuid without dashes; MACs by NIC; `locked`: its lock's row, None without; `host`: the lock's."""

    uuid: str
    macs: Mapping[str, str]
    locked: Locked | None
    host: str | None


def of_site(site: Site, locks: Mapping[str, Lock]) -> dict[str, Known]:
    """By guest."""
    rows = {vm: row for lock in locks.values() for vm, row in lock.guests.items()}
    hosts = {vm: host for host, lock in locks.items() for vm in lock.guests}
    retired = {vm: old for lock in locks.values() for vm, old in lock.retired.items()}
    space = uuid.uuid5(uuid.NAMESPACE_DNS, site.identity)
    nics = [(vm.name, nic) for vm in site.vms.values() for nic in vm.nics.values()]
    macs: dict[tuple[str, str], str] = {}
    for name, nic in nics:
        row = rows.get(name)
        given = nic.mac or (row.macs.get(nic.name) if row else None)
        if given:
            macs[name, nic.name] = given.lower()
    taken = set(macs.values())
    for name, nic in nics:
        attempt = 0
        while (name, nic.name) not in macs:
            seed = f"{site.identity}/{name}/{nic.name}" + (f"/{attempt}" if attempt else "")
            made = "52:54:00:" + hashlib.sha256(seed.encode()).digest()[:3].hex(":")
            if made not in taken:
                macs[name, nic.name] = made
                taken.add(made)
            attempt += 1
    found: dict[str, Known] = {}
    for vm in site.vms.values():
        row = rows.get(vm.name)
        own = vm.uuid or (row.uuid if row else None) or retired.get(vm.name) or str(uuid.uuid5(space, vm.name))
        found[vm.name] = Known(
            own.lower().replace("-", ""), {nic: macs[vm.name, nic] for nic in vm.nics}, row, hosts.get(vm.name)
        )
    return found
