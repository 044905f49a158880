"""libvirt domains: `domains/<vm>.xml` for each guest, defined with `virsh define --validate`.

The files are not installed anywhere: libvirt keeps its own copy, so the step's path is relative to the host's folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvmc.artifacts import Artifact, Comment, Phase, Step
from kvmc.hostconfig.plan import Carrier, Effect, HostPlan


@dataclass(frozen=True, slots=True)
class LibvirtTarget:
    """Guests as libvirt domains. It carries no setting of the host."""

    name: str = "libvirt"
    carriers: frozenset[Carrier] = frozenset()
    proven: str = "libvirt 9.0 schema, define and QEMU 7.2 start"

    def render(self, plan: HostPlan) -> Sequence[Artifact]:
        """One domain a guest, in the plan's order."""
        # lxml costs start-up time that `kvmc check` should not pay.
        from kvmc_targets.libvirt.domain import domain_text

        return tuple(
            Artifact(
                path=path,
                text=domain_text(guest, plan.platform.libvirt),
                comment=Comment.XML,
                steps=(
                    Step(
                        Phase.GUESTS,
                        ("virsh", "-c", "qemu:///system", "define", "--validate", path),
                        Effect.RESTART,
                        note=f"guest {guest.name}",
                    ),
                ),
            )
            for guest in plan.guests
            for path in (f"domains/{guest.name}.xml",)
        )


TARGET = LibvirtTarget()
