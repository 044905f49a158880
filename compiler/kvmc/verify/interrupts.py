"""Where interrupts go: their default, and where each one is served."""

from __future__ import annotations

from kvmc.audit import cpulists
from kvmc.audit.hostfiles import Role
from kvmc.audit.source import At
from kvmc.diagnostics.codes import verify as codes
from kvmc.model.cpuset import CpuSet
from kvmc.verify import irq_places
from kvmc.verify.boot import read_list
from kvmc.verify.case import Case
from kvmc.verify.difference import Effect, Kind, shown
from kvmc.verify.kernels_own import is_managed


def check(case: Case) -> None:
    wanted = case.files.of(Role.IRQ)
    placed = case.files.irqs
    kept = case.files.cpus(Role.BANNED, Role.ISOLATED)
    if placed is not None:
        irq_places.check(case, placed, kept)
    if placed is not None and placed.default is not None:
        # the script's last word, after that of the boot line
        _default(case, placed.default, Effect.LIVE)
    elif wanted and wanted[0].setting not in case.boot_differs:
        _default(case, At(wanted[0].cpus, wanted[0].span), Effect.REBOOT)
    places = wanted or case.files.of(Role.BANNED) or case.files.of(Role.ISOLATED)
    if not kept or case.boot_differs & {"irqaffinity", "isolcpus"}:
        return
    numbers = [path.split("/")[2] for path in case.root.find("proc/irq/*/smp_affinity_list")]
    if not numbers:
        case.missing("the CPUs of interrupts", str(places[0].cpus), places[0].span)
        return
    wrong: list[str] = []
    managed: list[str] = []
    for number in sorted((one for one in numbers if one.isdecimal()), key=int):
        action = case.value(f"sys/kernel/irq/{number}/actions")
        cpus = read_list(case, f"proc/irq/{number}/effective_affinity_list")
        if (
            not cpus
        ):  # an interrupt of every CPU (arm64's timer) has none: it is judged where it was put there and nowhere else
            cpus = read_list(case, f"proc/irq/{number}/smp_affinity_list") or CpuSet()
            cpus = cpus if cpus.issubset(kept) else CpuSet()
        if action == "" or not cpus & kept:
            continue
        text = f"IRQ {number} ({shown(action or 'unknown')}) on {cpus & kept}"
        (managed if action and is_managed(action) else wrong).append(text)
    if managed:
        case.notes.error(
            codes.INTERRUPT_MANAGED,
            f"{len(managed)} interrupts of queues are on CPUs that are kept free: {shown(', '.join(managed))}",
            notes=["the kernel places them itself; they are silent while nothing on their CPU does I/O"],
        )
    if wrong:
        case.add(
            Kind.INTERRUPT,
            "the list of interrupts on CPUs that are kept free",
            ", ".join(wrong[:12]) + (f" and {len(wrong) - 12} more" if len(wrong) > 12 else ""),
            f"none on {kept}",
            places[0].span,
            Effect.LIVE,
            (*case.apply.step("irqbalance*.service"), "write a housekeeping CPU to /proc/irq/N/smp_affinity_list"),
            ("irqbalance, a driver's own script or a person put it there",),
        )


def _default(case: Case, wanted: At[CpuSet], effect: Effect) -> None:
    """The kernel adds the boot CPU to what the line says (kernel/irq/irqdesc.c, irq_affinity_setup)."""
    text = case.value("proc/irq/default_smp_affinity")
    try:
        cpus = cpulists.hex_mask(text) if text is not None else None
    except ValueError:
        cpus = None
    if cpus is None:
        case.missing("the default affinity of interrupts", str(wanted.value), wanted.span)
    elif cpus | CpuSet(1) != wanted.value | CpuSet(1):
        case.add(
            Kind.INTERRUPT,
            "the default affinity of interrupts",
            str(cpus) or "empty",
            str(wanted.value),
            wanted.span,
            effect,
            case.apply.step("kvmc-irqs.timer") or ("write the mask to /proc/irq/default_smp_affinity, or reboot",),
            ("tuned's `default_irq_smp_affinity`, a script or a person set it after the boot",),
        )
