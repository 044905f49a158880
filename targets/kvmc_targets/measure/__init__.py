"""measure: what to run on a host and in its guests, and what that should show. Nothing of it is installed on the host.

`measure/host.sh` and `measure/guests/<vm>/host.sh` run on the host, `measure/guests/<vm>/guest.sh` with its fio jobs in the guest;
`measure/baseline.json` is the form that results are put in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kvmc.artifacts import Artifact, Comment
from kvmc.hostconfig.plan import Carrier, GuestPlan, HostPlan


@dataclass(frozen=True, slots=True)
class MeasureTarget:
    """Plans of measurement. It carries no setting, and no step applies it."""

    name: str = "measure"
    carriers: frozenset[Carrier] = frozenset()
    proven: str = (
        "fio 3.33 --parse-only; stress-ng 0.15, sysstat 12.6 and rt-tests 2.4 run; perf 6.1 by its options alone"
    )

    def render(self, plan: HostPlan) -> Sequence[Artifact]:
        from kvmc_targets.measure import form

        return (
            *_host(plan),
            *(artifact for guest in plan.guests for artifact in _guest(plan, guest)),
            Artifact("measure/baseline.json", form.form(plan), Comment.JSON),
        )


_HERE = 'here=$(dirname -- "$0")'


def _script(path: str, text: str) -> Artifact:
    return Artifact(path, text, Comment.HASH_AFTER_SHEBANG, mode=0o755)


def _host(plan: HostPlan) -> Iterator[Artifact]:
    from kvmc_targets.measure import host, jobs, script

    heads = (
        f"Host {plan.host}, as root on the host: sh host.sh [FOLDER]. Once before guests start, and once more while they work.",
        "A step's output goes to FOLDER; KVMC_SECONDS says how long each takes.",
    )
    yield _script("measure/host.sh", script.script(heads, "results/host", tuple(host.on_host(plan)), (_HERE,)))
    found = jobs.sources(plan)
    if found:
        head = f"Host {plan.host}: one disk from each place that guests' disks come from. Reads alone."
        yield Artifact("measure/storage.fio", jobs.storage((head,), found.values()), Comment.HASH)


def _guest(plan: HostPlan, guest: GuestPlan) -> Iterator[Artifact]:
    from kvmc_targets.measure import guest as steps
    from kvmc_targets.measure import jobs, script

    folder, who = f"measure/guests/{guest.name}", f"{guest.blocks[0]} on host {plan.host}"
    results = f"results/guests/{guest.name}"
    heads = (
        f"{who}, as root on the host while guest.sh runs in the guest: sh host.sh [FOLDER].",
        "A step's output goes to FOLDER; KVMC_SECONDS says how long each takes.",
    )
    find = f"pid=$(cat -- /run/libvirt/qemu/{guest.name}.pid) || exit 1"
    yield _script(f"{folder}/host.sh", script.script(heads, f"{results}/host", tuple(steps.on_host(guest)), (find,)))
    heads = (
        f"{who}, as root in the guest, with the job files beside this one: sh guest.sh [FOLDER [DISK=DIRECTORY...]].",
        "A step's output goes to FOLDER; KVMC_SECONDS says how long each takes. DIRECTORY: where a disk's file system is mounted.",
    )
    text = script.script(heads, f"{results}/guest", tuple(steps.on_guest(guest)), (_HERE,))
    yield _script(f"{folder}/guest.sh", text)
    for disk in guest.disks:
        head = f"{who}: disk {disk.name}, in the guest."
        job = jobs.reads((f"{head} Reads alone.",), jobs.device(disk, guest), disk.queues or 1)
        yield Artifact(f"{folder}/disk-{disk.name}.fio", job, Comment.HASH)
        if disk.own_iothread:
            job = jobs.commits((f"{head} Writes to a file of its own in KVMC_DIRECTORY.",))
            yield Artifact(f"{folder}/commit-{disk.name}.fio", job, Comment.HASH)


TARGET = MeasureTarget()
