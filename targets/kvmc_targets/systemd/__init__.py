"""systemd: units and drop-ins for what has no carrier of its own: CPU affinity of services, interrupts, run-time huge pages,
mounts for page sizes, virtual functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kvmc.artifacts import Artifact, Comment, Phase, Step
from kvmc.hostconfig import owned
from kvmc.hostconfig.plan import Carrier, Effect, HostPlan, HostSetting, ResctrlPlan, VswitchPlan
from kvmc.model.cpuset import CpuSet
from kvmc_targets.systemd.irqs import IRQS_ASKED, IRQS_SCRIPT, IRQS_TIMER, IRQS_UNIT
from kvmc_targets.systemd.templates import (
    MOUNT,
    PAGES_SCRIPT,
    PAGES_UNIT,
    RESCTRL_SCRIPT,
    RESCTRL_UNIT,
    VFS_SCRIPT,
    VFS_UNIT,
    VSWITCH_SCRIPT,
    VSWITCH_UNIT,
)
from kvmc_targets.texts import comment, fill, grouped

_NODES = "/sys/devices/system/node/"
_MOUNT = "/dev/hugepages"
_REST, _NODE = "place-irqs.rest", "place-irqs.node"


def _heads(settings: Iterable[HostSetting]) -> list[str]:
    """The blocks that asked, one comment line a group."""
    return list(dict.fromkeys(blocks for blocks, _ in grouped(settings)))


def _started(unit: str, effect: Effect, note: str, verb: str = "restart") -> tuple[Step, ...]:
    return (
        owned.DAEMON_RELOAD,
        Step(Phase.BOOT, ("systemctl", "enable", unit), Effect.REBOOT),
        Step(Phase.HOST, ("systemctl", verb, unit), effect, note),
    )


def _drop_in(path: str, section: str, setting: HostSetting, line: str, steps: tuple[Step, ...]) -> Artifact:
    text = "\n".join((*_heads([setting]), f"# {setting.why}", f"[{section}]", line)) + "\n"
    return Artifact(path, text, Comment.HASH, steps=steps)


def _pages(settings: Sequence[HostSetting]) -> Sequence[Artifact]:
    heads = _heads(settings)
    note = "memory may be too fragmented by now: then it fails, and the reboot brings the pages"
    unit = fill(PAGES_UNIT, heads=heads, script=f"/{owned.PAGES_SCRIPT}")
    script = fill(PAGES_SCRIPT, heads=heads, settings=settings)
    return (
        Artifact(owned.PAGES_SCRIPT, script, Comment.HASH_AFTER_SHEBANG, mode=0o755),
        Artifact(owned.PAGES_UNIT, unit, Comment.HASH, steps=_started("kvmc-hugepages.service", Effect.LIVE, note)),
    )


def _vfs(plan: HostPlan) -> Sequence[Artifact]:
    heads = [comment(one.origin) for one in plan.sriov]
    note = "fails, and changes nothing, while a guest holds a function and the count differs"
    return (
        Artifact(
            owned.VFS_SCRIPT,
            fill(VFS_SCRIPT, parents=plan.sriov, comment=comment),
            Comment.HASH_AFTER_SHEBANG,
            mode=0o755,
        ),
        Artifact(
            owned.VFS_UNIT,
            fill(VFS_UNIT, heads=heads, script=f"/{owned.VFS_SCRIPT}"),
            Comment.HASH,
            steps=_started("kvmc-vfs.service", Effect.LIVE, note),
        ),
    )


def _vswitch(vswitch: VswitchPlan) -> Sequence[Artifact]:
    heads = [comment(vswitch.origin)]
    script = fill(
        VSWITCH_SCRIPT,
        heads=heads,
        pmd=hex(vswitch.pmd.mask),
        lcore=hex(1 << vswitch.lcore),
        memory=",".join(map(str, vswitch.memory_mib)),
    )
    unit = fill(VSWITCH_UNIT, heads=heads, script=f"/{owned.VSWITCH_SCRIPT}")
    note = "PMD threads move at once; memory and main threads hold from the next start of ovs-vswitchd on, which stops its traffic"
    return (
        Artifact(owned.VSWITCH_SCRIPT, script, Comment.HASH_AFTER_SHEBANG, mode=0o755),
        Artifact(owned.VSWITCH_UNIT, unit, Comment.HASH, steps=_started("kvmc-vswitch.service", Effect.RESTART, note)),
    )


def _resctrl(resctrl: ResctrlPlan) -> Sequence[Artifact]:
    heads = [comment(resctrl.origin)]
    script = fill(
        RESCTRL_SCRIPT,
        heads=heads,
        resources=resctrl.resources,
        whole=resctrl.whole,
        kept=resctrl.kept,
        ids=resctrl.ids,
        split=resctrl.split,
    )
    unit = fill(RESCTRL_UNIT, heads=heads, script=f"/{owned.RESCTRL_SCRIPT}")
    note = "libvirt looks for resctrl when it starts"
    return (
        Artifact(owned.RESCTRL_SCRIPT, script, Comment.HASH_AFTER_SHEBANG, mode=0o755),
        Artifact(owned.RESCTRL_UNIT, unit, Comment.HASH, steps=_started("kvmc-resctrl.service", Effect.RESTART, note)),
    )


def _irqs(plan: HostPlan, settings: Sequence[HostSetting]) -> Sequence[Artifact]:
    """The script with the CPUs of each node, what runs it again and again, and what guests ask for themselves."""
    from kvmc.hostconfig.host import hex_mask

    heads = _heads(settings)
    rest = next(one.value for one in settings if one.key == _REST)
    nodes = [(one.key.removeprefix(_NODE), one.value) for one in settings if one.key.startswith(_NODE)]
    script = fill(IRQS_SCRIPT, heads=heads, nodes=nodes, rest=rest, mask=hex_mask(CpuSet.parse(rest)))
    name = "kvmc-irqs.timer"
    timer = (
        owned.DAEMON_RELOAD,
        Step(Phase.BOOT, ("systemctl", "enable", name), Effect.REBOOT),
        Step(Phase.HOST, ("systemctl", "restart", name), Effect.LIVE, "places them now, and every 30 seconds"),
    )
    artifacts = [
        Artifact(owned.IRQS_SCRIPT, script, Comment.HASH_AFTER_SHEBANG, mode=0o755, steps=timer),
        Artifact(owned.IRQS_UNIT, fill(IRQS_UNIT, heads=heads), Comment.HASH, steps=timer),
        Artifact(owned.IRQS_TIMER, fill(IRQS_TIMER, heads=heads), Comment.HASH, steps=timer),
    ]
    asking = [guest for guest in plan.guests if guest.irqs]
    if asking:
        text = fill(IRQS_ASKED, heads=heads, guests=asking, comment=comment)
        artifacts.append(Artifact(owned.IRQS_ASKED, text, Comment.HASH, steps=timer))
    return artifacts


def _mount(setting: HostSetting) -> Artifact:
    size = setting.value
    unit = f"dev-hugepages{size}.mount"
    # A mount that guests have pages from can't be taken away, so it is never restarted.
    steps = _started(unit, Effect.RESTART, "libvirt looks for mounts when it starts", "start")
    text = fill(MOUNT, heads=_heads([setting]), where=setting.key, size=size)
    return Artifact(owned.mount_unit(size), text, Comment.HASH, steps=steps)


@dataclass(frozen=True, slots=True)
class SystemdTarget:
    """Units and drop-ins. Whatever makes pages or functions fails where it can't: a host that is not as compiled says so."""

    name: str = "systemd"
    carriers: frozenset[Carrier] = frozenset({Carrier.SYSTEMD})
    proven: str = "systemd 252: systemd-analyze verify; the scripts run on a tree like sysfs"

    def render(self, plan: HostPlan) -> Sequence[Artifact]:
        artifacts: list[Artifact] = []
        pages: list[HostSetting] = []
        irqs: list[HostSetting] = []
        for setting in plan.carried(Carrier.SYSTEMD):
            if setting.key == "Manager.CPUAffinity":
                line = f"CPUAffinity={setting.value}"
                artifacts.append(_drop_in(owned.MANAGER, "Manager", setting, line, (owned.DAEMON_REEXEC,)))
            elif setting.key == "irqbalance.IRQBALANCE_BANNED_CPULIST":
                line = f"Environment=IRQBALANCE_BANNED_CPULIST={setting.value}"
                steps = (owned.DAEMON_RELOAD, owned.TRY_IRQBALANCE)
                artifacts.append(_drop_in(owned.IRQBALANCE, "Service", setting, line, steps))
            elif setting.key == "irqbalance.ConditionPathExists":
                line = f"ConditionPathExists={setting.value}"
                steps = (owned.DAEMON_RELOAD, owned.TRY_IRQBALANCE)
                artifacts.append(_drop_in(owned.IRQBALANCE_OFF, "Unit", setting, line, steps))
            elif setting.key == _REST or setting.key.startswith(_NODE):
                irqs.append(setting)
            elif setting.key.startswith(_MOUNT):
                artifacts.append(_mount(setting))
            elif setting.key.startswith(_NODES):
                pages.append(setting)
            else:
                raise ValueError(f"{setting.key} is no setting of this target")
        artifacts += _pages(pages) if pages else ()
        artifacts += _vfs(plan) if plan.sriov else ()
        artifacts += _vswitch(plan.vswitch) if plan.vswitch is not None else ()
        artifacts += _resctrl(plan.resctrl) if plan.resctrl is not None else ()
        artifacts += _irqs(plan, irqs) if irqs else ()
        return tuple(artifacts)


TARGET = SystemdTarget()
