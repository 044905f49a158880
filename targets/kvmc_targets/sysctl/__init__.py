"""sysctl.d: kernel settings that take hold while the host runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvmc.artifacts import Artifact, Comment, Phase, Step
from kvmc.hostconfig import owned
from kvmc.hostconfig.plan import Carrier, Effect, HostPlan
from kvmc_targets.texts import grouped


@dataclass(frozen=True, slots=True)
class SysctlTarget:
    """One drop-in. tuned's profile never holds a key of it (`reapply_sysctl`: the file would win)."""

    name: str = "sysctl"
    carriers: frozenset[Carrier] = frozenset({Carrier.SYSCTL})
    proven: str = "procps 4.0.2: sysctl --dry-run"

    def render(self, plan: HostPlan) -> Sequence[Artifact]:
        lines: list[str] = []
        for blocks, group in grouped(plan.carried(Carrier.SYSCTL)):
            lines.append(blocks)
            for setting in group:
                lines += [f"# {setting.why}", f"{setting.key} = {setting.value}"]
        if not lines:
            return ()
        step = Step(Phase.HOST, ("sysctl", "-p", f"/{owned.SYSCTL}"), Effect.LIVE)
        return (Artifact(owned.SYSCTL, "\n".join(lines) + "\n", Comment.HASH, steps=(step,)),)


TARGET = SysctlTarget()
