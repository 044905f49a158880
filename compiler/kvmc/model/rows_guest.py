"""The settings of classes and guests."""

from __future__ import annotations

from kvmc.model.kinds import Choice, Flag, Integer, OrNone, PageSize, Size
from kvmc.model.site import L3, Emulator, Isolation, Pinning, Scheduler, Threads
from kvmc.model.table import Row
from kvmc.model.texts import (
    CpuModel,
    Machine,
    Ref,
    Uuid,
)

GUEST_ROWS: tuple[Row, ...] = (
    Row("class", "vcpus", Integer(1, 1024), "How many vCPUs; required on a guest, here or there.", "8", required=True),
    Row(
        "class",
        "memory",
        Size(),
        "The guest's memory; required on a guest, here or there.",
        "64GiB",
        field="memory_kib",
        required=True,
    ),
    Row(
        "class",
        "pages",
        OrNone(PageSize()),
        "The size of the huge pages that hold its memory.",
        "1GiB",
        "none",
        "pages_kib",
    ),
    Row(
        "class",
        "pinning",
        Choice(Pinning),
        "`dedicated`: a CPU for each vCPU. `shared`: vCPUs float over the node's shared CPUs.",
        "shared",
        "dedicated",
    ),
    Row(
        "class",
        "threads",
        Choice(Threads),
        "Whole sibling sets where they fit, always, or one thread a core with the rest idle.",
        "require",
        "prefer",
    ),
    Row("class", "nodes", Integer(1, 64), "Guest NUMA nodes, each on a host node of its own.", "2", "1"),
    Row("class", "l3", Choice(L3), "Whether each guest node stays within one L3 cache.", "require", "prefer"),
    Row(
        "class",
        "isolation",
        Choice(Isolation),
        "What it needs of its host: isolated CPUs, none isolated, or either.",
        "boot",
        "any",
    ),
    Row(
        "class",
        "emulator",
        Choice(Emulator),
        "Where QEMU's own threads run: on housekeeping CPUs, or on a whole core of its own.",
        "own",
        "housekeeping",
    ),
    Row("class", "scheduler", Choice(Scheduler), "The scheduling policy of the vCPU threads.", "fifo", "other"),
    Row("class", "priority", Integer(1, 99), "The priority with `scheduler = fifo`.", "2", "1"),
    Row("class", "type", Choice(["kvm", "qemu"]), "KVM, or emulation without it.", "qemu", "kvm"),
    Row(
        "class",
        "machine",
        Machine(),
        "The machine type, never an alias; required on a guest, here or there.",
        "pc-q35-9.2",
        required=True,
    ),
    Row("class", "firmware", Choice(["bios", "uefi"]), "What the guest boots with.", "bios", "uefi"),
    Row(
        "class",
        "cpu",
        CpuModel(),
        "`host-passthrough`, `host-model`, `maximum`, the name of a CPU model, or `baseline`: what all hosts that it may go to "
        "have in common.",
        "host-model",
        "host-passthrough",
    ),
    Row("class", "locked", Flag(), "Its memory is never swapped out.", "true", "false"),
    Row("class", "pmu", Flag(), "It has a performance monitoring unit.", "false", "true"),
    Row("class", "pool", Ref("pool"), "Only hosts of this pool may have it.", "compute"),
    Row("class", "optional", Flag(), "It may stay without a place where the others leave none.", "true", "false"),
    Row(
        "class",
        "weight",
        Integer(1, 1000),
        "Among optional guests those of more weight go first; of the same weight, as many vCPUs as fit.",
        "10",
        "1",
    ),
    Row(
        "vm",
        "uuid",
        Uuid(),
        "The UUID of a guest that exists already; else it is derived from the site's identity.",
        '"4dea22b3-1d52-48f3-9516-782e98ab3fa0"',
    ),
    Row("vm", "host", Ref("host"), "The only host that may have it.", "kvm-a"),
)
