"""tuned: one profile that includes no other, so that every value on the host is one that is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kvmc.artifacts import Artifact, Comment, Phase, Step
from kvmc.hostconfig import owned
from kvmc.hostconfig.plan import Carrier, Effect, HostPlan, HostSetting
from kvmc.model.values import VersionRange
from kvmc_targets.texts import fill, grouped

_PROFILE = """\
[main]
summary=kvmc: host {{ host }}
{% for section, groups in sections %}

[{{ section }}]
{% for blocks, group in groups %}
{{ blocks }}
{% for setting in group %}
# {{ setting.why }}
{{ setting.key.partition(".")[2] }}={{ setting.value }}
{% endfor %}
{% endfor %}
{% endfor %}
"""

_STEPS = (
    Step(Phase.HOST, ("systemctl", "enable", "--now", "tuned.service"), Effect.LIVE),
    Step(Phase.HOST, ("tuned-adm", "profile", "kvmc"), Effect.LIVE),
)


def profile_paths(tuned: VersionRange) -> tuple[str, ...]:
    """Where tuned looks for the user's profiles: /etc/tuned below 2.23, /etc/tuned/profiles from there on (its changelog of
    2.23.0). A platform on both sides gets the same file in both places."""
    paths: list[str] = []
    if not tuned.since(2, 23):
        paths.append(owned.TUNED)
    if not tuned.before(2, 23):
        paths.append(owned.TUNED_PROFILES)
    return tuple(paths)


@dataclass(frozen=True, slots=True)
class TunedTarget:
    """The profile `kvmc`. The scheduler plugin is not used: it would move guests' threads."""

    name: str = "tuned"
    carriers: frozenset[Carrier] = frozenset({Carrier.TUNED})
    proven: str = "tuned 2.20: its loader"

    def render(self, plan: HostPlan) -> Sequence[Artifact]:
        settings = plan.carried(Carrier.TUNED)
        if not settings:
            return ()
        plugins: dict[str, list[HostSetting]] = {}
        for setting in settings:
            plugins.setdefault(setting.key.partition(".")[0], []).append(setting)
        sections = [(plugin, list(grouped(group))) for plugin, group in plugins.items()]
        text = fill(_PROFILE, host=plan.host, sections=sections)
        paths = profile_paths(plan.platform.tuned)
        return tuple(Artifact(path, text, Comment.HASH, steps=_STEPS) for path in paths)


TARGET = TunedTarget()
