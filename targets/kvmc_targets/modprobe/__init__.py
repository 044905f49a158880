"""modprobe.d: options that a module reads when it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvmc.artifacts import Artifact, Comment
from kvmc.hostconfig import owned
from kvmc.hostconfig.plan import Carrier, HostPlan
from kvmc_targets.texts import grouped


@dataclass(frozen=True, slots=True)
class ModprobeTarget:
    """One drop-in, read at the next boot: KVM's modules can't be loaded anew while a guest runs, so there is no step."""

    name: str = "modprobe"
    carriers: frozenset[Carrier] = frozenset({Carrier.MODPROBE})
    proven: str = "unproven: no module was loaded with its options"

    def render(self, plan: HostPlan) -> Sequence[Artifact]:
        lines: list[str] = []
        for blocks, group in grouped(plan.carried(Carrier.MODPROBE)):
            lines.append(blocks)
            for setting in group:
                module, _, option = setting.key.partition(".")
                lines += [f"# {setting.why}", f"options {module} {option}={setting.value}"]
        return (Artifact(owned.MODPROBE, "\n".join(lines) + "\n", Comment.HASH),) if lines else ()


TARGET = ModprobeTarget()
