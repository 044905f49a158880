"""`apply.json`: what a host does to take its files, in order. Reading it is all that a tool or a person needs to apply a build."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from kvmc.artifacts import Artifact, Comment, Phase, Step
from kvmc.hostconfig.owned import OWNED
from kvmc.hostconfig.plan import Effect, HostPlan

FORMAT = 1
"""The version of the list's shape."""

_STRENGTH = (Effect.LIVE, Effect.RESTART, Effect.REBOOT)


def _installed(path: str) -> bool:
    """Whether a file is laid out as on the host. The others (domains) stay in the host's folder; steps name them from there."""
    return path.startswith(("etc/", "usr/"))


def apply_list(plan: HostPlan, artifacts: Sequence[Artifact]) -> Artifact:
    """The list. Its order is the order of doing; steps are run in the host's folder, where their relative paths start.

    absent: files that kvmc may have written before and does not write now; where one is there, `before` is run, the file
    removed, `after` run. files: to be installed, with their mode and when they take hold (a file without a step: at the next
    boot). steps: to be run, by phase; a step that several files ask for stands once, at the strongest effect. Guests that are
    gone are undefined before others are defined, since two can't have one name; a guest that still runs goes on until it stops,
    and its NVRAM file is kept.
    """
    written = {artifact.path for artifact in artifacts}
    files = sorted((one for one in artifacts if _installed(one.path)), key=lambda artifact: artifact.path)
    asked = [_undefine(name, uuid) for name, uuid in plan.retired.items()]
    asked += [step for artifact in artifacts for step in artifact.steps]
    absent = [
        {
            "path": f"/{owned.path}",
            "before": [_step(step) for step in owned.before],
            "after": [_step(step) for step in owned.after],
        }
        for owned in OWNED
        if owned.path not in written
    ]
    body = {
        "format": FORMAT,
        "host": plan.host,
        "absent": absent,
        "files": [
            {
                "path": f"/{artifact.path}",
                "from": artifact.path,
                "mode": f"{artifact.mode:04o}",
                "effect": _strongest(step.effect for step in artifact.steps) if artifact.steps else Effect.REBOOT,
            }
            for artifact in files
        ],
        "steps": [_step(step) for step in merge_steps(asked)],
    }
    return Artifact("apply.json", json.dumps(body, indent=2, ensure_ascii=False) + "\n", Comment.JSON)


def merge_steps(steps: Iterable[Step]) -> list[Step]:
    """By phase, then as given; one that stands more than once keeps its first place, the strongest effect and the first note."""
    found: dict[tuple[Phase, tuple[str, ...]], Step] = {}
    for step in steps:
        key = (step.phase, step.argv)
        same = found.get(key)
        if same is not None:
            step = Step(step.phase, step.argv, _strongest((same.effect, step.effect)), same.note or step.note)
        found[key] = step
    order = list(Phase)
    return sorted(found.values(), key=lambda step: order.index(step.phase))


def _strongest(effects: Iterable[Effect]) -> Effect:
    return max(effects, key=_STRENGTH.index)


def _undefine(name: str, uuid: str) -> Step:
    argv = ("virsh", "-c", "qemu:///system", "undefine", "--keep-nvram", uuid)
    return Step(Phase.GUESTS, argv, Effect.RESTART, f"{name} is gone from this host; it may be undefined already")


def _step(step: Step) -> dict[str, object]:
    shown: dict[str, object] = {"phase": step.phase, "run": list(step.argv), "effect": step.effect}
    return shown | {"note": step.note} if step.note else shown
