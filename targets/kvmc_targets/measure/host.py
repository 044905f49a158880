"""What is measured of a host itself: idle before its guests start, and once more while they work."""

from __future__ import annotations

from collections.abc import Iterator

from kvmc.hostconfig.plan import HostPlan
from kvmc_targets.measure.guest import cpus
from kvmc_targets.measure.jobs import sources
from kvmc_targets.measure.script import SECONDS, Shell, Step, output


def on_host(plan: HostPlan) -> Iterator[Step]:
    pools = plan.pools
    own = pools.dedicated
    run: tuple[str, ...]
    yield Step("nodes", "the nodes and CPUs that the topology file of the host tells", ("numactl", "--hardware"))
    for page in plan.pages:
        file = f"/sys/devices/system/node/node{page.node}/hugepages/hugepages-{page.size_kib}kB/nr_hugepages"
        yield Step(
            f"pages-node{page.node}-{page.size_kib}",
            f"{page.count} pages of {page.size_kib} kB on node {page.node}",
            ("cat", file),
        )
    if plan.isolated:
        shows = f"the isolated {cpus(plan.isolated)}"
        yield Step("isolated", shows, ("cat", "/sys/devices/system/cpu/isolated"))
    if own:
        shows = (
            f"sys, irq and soft of {cpus(own)} stay at nothing while no guest runs, and guest alone grows once they do"
        )
        yield Step("noise", shows, ("mpstat", "-P", str(own), "-o", "JSON", SECONDS, "1"))
        if plan.arch == "x86_64":
            run = ("turbostat", "--quiet", "--cpu", str(own), "--interval", SECONDS, "--num_iterations", "1")
            shows = (
                f"how deep {cpus(own)} sleep, and how fast they run: a wake-up out of a deep state is late by its time"
            )
            yield Step("sleep-states", shows, run)
    if plan.isolated and plan.platform.realtime:
        run = ("cyclictest", "--mlockall", "--policy=fifo", "--priority=95", f"--affinity={plan.isolated}")
        run += (f"--threads={len(plan.isolated)}", f"--mainaffinity={pools.housekeeping.first}", "--interval=1000")
        run += (Shell('--duration="$seconds"'), "--quiet", Shell('--json="$folder/latency.json"'))
        shows = f"Max on each of the isolated {cpus(plan.isolated)}, with guests stopped: what the host alone adds"
        yield Step("latency", shows, run)
    if sources(plan):
        run = ("fio", "--readonly", "--output-format=json", Shell('"$here/storage.fio"'))
        yield Step("storage", "what the storage gives without a guest between, to compare disks of guests with", run)
    if pools.housekeeping:
        some = pools.housekeeping
        run = (
            "stress-ng",
            "--taskset",
            str(some),
            "--matrix",
            str(len(some)),
            "--timeout",
            Shell('"$seconds"s'),
            "--metrics",
        )
        shows = (
            f"while {cpus(some)} are busy with this, compute, steal and latency of dedicated guests stay as they were"
        )
        yield Step("disturb", shows, (*run, "--yaml", output("disturb.yaml")))
