"""What is measured of one guest: within it, and on its host meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from kvmc.hostconfig.plan import DiskPlan, GuestPlan
from kvmc.model.cpuset import CpuSet, union
from kvmc_targets.measure.script import PID, SECONDS, Shell, Step, output

VIRSH = ("virsh", "-c", "qemu:///system")


def cpus(some: CpuSet) -> str:
    return f"CPU {some}" if len(some) == 1 else f"CPUs {some}"


def nodes(guest: GuestPlan) -> str:
    found = CpuSet.of(cell.host_node for cell in guest.cells)
    return f"node {found}" if len(found) == 1 else f"nodes {found}"


def fifo(guest: GuestPlan) -> bool:
    return guest.scheduler == "fifo"


def on_host(guest: GuestPlan) -> Iterator[Step]:
    """While the guest works."""
    every = union(guest.pins)
    stats = (*VIRSH, "domstats", "--vcpu", guest.name)
    last = guest.vcpus - 1
    counters = f"vcpu.0 to vcpu.{last}" if last else "vcpu.0"
    yield Step("vcpus-before", "what the counters of the step `vcpus-after` are compared with", stats)
    yield Step(
        "threads",
        _threads(guest),
        ("ps", "-L", "-o", "tid,psr,cls,rtprio,comm", "-p", PID),
    )
    yield Step("memory", _memory(guest), ("numastat", "-p", PID))
    if guest.dedicated:
        shows = f"nvcswch/s of each vCPU thread stays at nothing: {cpus(every)} run nothing else"
    else:
        shows = f"nvcswch/s of the vCPU threads tells how guests contend for {cpus(every)}"
    yield Step("switches", shows, ("pidstat", "-wt", "-p", PID, SECONDS, "1"))
    if guest.type == "kvm":
        record = ("perf", "kvm", "stat", "record", "-p", PID, "-o", output("exits.data"), "sleep", SECONDS)
        yield Step("exits-record", "the exits of all vCPUs are recorded for the step `exits`", record)
        yield Step(
            "exits", _exits(guest), ("perf", "kvm", "-i", output("exits.data"), "stat", "report", "--event=vmexit")
        )
    else:
        yield Step("wait", "time goes by between the counters", ("sleep", SECONDS))
    if guest.dedicated:
        shows = f"wait and delay of {counters} do not grow since `vcpus-before`: each vCPU has its CPU of {every} alone"
    else:
        shows = f"wait and delay of {counters} grow as far as guests contend for {cpus(every)}"
    yield Step("vcpus-after", f"{shows} (wait is counted while kernel.sched_schedstats is 1)", stats)


def _threads(guest: GuestPlan) -> str:
    if guest.dedicated:
        pins = ", ".join(f"vCPU {vcpu} on CPU {pin}" for vcpu, pin in enumerate(guest.pins))
        where = f"PSR is the pin: {pins}"
    else:
        where = f"PSR of each vCPU is one of {cpus(union(guest.pins))}"
    helpers = union((guest.emulator, *guest.iothread_masks))
    rest = f"that of the threads of QEMU{' and I/O threads' if guest.iothreads else ''} one of {cpus(helpers)}"
    classes = f"; CLS of the vCPUs is FF and RTPRIO {guest.priority}" if fifo(guest) else ""
    return f"{where}; {rest}{classes}"


def _memory(guest: GuestPlan) -> str:
    row = "Huge" if guest.pages_kib is not None else "Total"
    parts = ", ".join(f"{cell.memory_kib >> 10} MB on node {cell.host_node}" for cell in guest.cells)
    return f"all memory of the guest is on {nodes(guest)}: in the row {row} {parts}, and none elsewhere"


def _exits(guest: GuestPlan) -> str:
    if guest.dedicated:
        return "which exits there are and what they cost; HLT while vCPUs idle, and little else under load that stays in its caches"
    return "which exits there are and what they cost; PAUSE exits tell that vCPUs wait for one that does not run"


def on_guest(guest: GuestPlan) -> Iterator[Step]:
    """Within the guest: what it sees, then what it can do."""
    shape, count = guest.topology, str(guest.vcpus)
    run: tuple[str, ...]
    sees = (
        f"{guest.vcpus} vCPUs: {shape.sockets} sockets of {shape.dies * shape.cores} cores with {shape.threads} threads"
    )
    yield Step(
        "cpus", f"{sees}, on {len(guest.cells)} nodes of the guest's", ("lscpu", "-e=CPU,NODE,SOCKET,CORE,ONLINE")
    )
    if len(guest.cells) > 1:
        cells = ", ".join(f"node {cell.id} with vCPUs {CpuSet.of(cell.vcpus)}" for cell in guest.cells)
        yield Step("nodes", f"the guest has {cells}", ("numactl", "--hardware"))
    steal = "of each vCPU stays at nothing" if guest.dedicated else "tells how guests contend for CPUs of the host"
    yield Step("steal", f"steal {steal}", ("mpstat", "-P", "ALL", "-o", "JSON", SECONDS, "1"))
    yield _stress(
        "compute", ("--matrix", count, "--matrix-method", "prod"), "each vCPU does as much as in the baseline"
    )
    yield _stress("bandwidth", ("--stream", count), "memory gives as much as in the baseline")
    if len(guest.cells) > 1:
        yield _stress("numa", ("--numa", "1"), "pages move between its nodes as fast as in the baseline")
    if fifo(guest):
        run = ("cyclictest", "--mlockall", "--policy=fifo", "--priority=95", f"--affinity=0-{guest.vcpus - 1}")
        run += (f"--threads={count}", "--interval=1000", Shell('--duration="$seconds"'), "--quiet")
        shows = f"Max of each of the {count} threads, one a vCPU, stays within what the workload allows and the baseline has"
        yield Step("latency", shows, (*run, Shell('--json="$folder/latency.json"')))
    for disk in guest.disks:
        run = ("fio", "--readonly", "--output-format=json", Shell(f'"$here/disk-{disk.name}.fio"'))
        yield Step(
            f"disk-{disk.name}",
            f"reads from disk {disk.name}{_thread(disk, guest)} come as fast as in the baseline",
            run,
        )
        if disk.own_iothread:
            run = ("fio", "--output-format=json", Shell(f'"$here/commit-{disk.name}.fio"'))
            shows = (
                f"what a commit on disk {disk.name}{_thread(disk, guest)} costs: the time of fsync, as in the baseline"
            )
            yield Step(f"commit-{disk.name}", shows, run, needs=disk.name)


def _thread(disk: DiskPlan, guest: GuestPlan) -> str:
    ids = disk.iothreads or ((disk.iothread,) if disk.iothread is not None else ())
    if not ids:
        return ""
    which = f"thread {ids[0]}" if len(ids) == 1 else f"threads {', '.join(map(str, ids))}"
    return f", by I/O {which} on {cpus(union(guest.iothread_mask(id) for id in ids))} of the host,"


def _stress(name: str, run: tuple[str, ...], shows: str) -> Step:
    timing = ("--timeout", Shell('"$seconds"s'), "--metrics", "--yaml", output(f"{name}.yaml"))
    return Step(name, shows, ("stress-ng", *run, *timing))
