"""Every path on a host that kvmc may own, and what a host does once such a file is gone.

A build knows what it writes now, not what an earlier one wrote. So the apply list names all that is not written as absent.
"""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.artifacts import Phase, Step
from kvmc.hostconfig.plan import Effect

DAEMON_RELOAD = Step(Phase.RELOAD, ("systemctl", "daemon-reload"), Effect.LIVE)
DAEMON_REEXEC = Step(
    Phase.RELOAD,
    ("systemctl", "daemon-reexec"),
    Effect.REBOOT,
    "services that already run keep their CPUs until the reboot",
)
MAKE_GRUB = Step(Phase.BOOT, ("grub-mkconfig", "-o", "/boot/grub/grub.cfg"), Effect.REBOOT)
ADD_KERNELS = Step(
    Phase.BOOT,
    (
        "sh",
        "-c",
        "for image in /usr/lib/modules/*/vmlinuz; do version=${image%/vmlinuz}; "
        'kernel-install add "${version##*/}" "$image" || exit 1; done',
    ),
    Effect.REBOOT,
    "writes the boot entry of each installed kernel again",
)
UPGRADE_IMAGE = Step(
    Phase.BOOT, ("bootc", "upgrade"), Effect.REBOOT, "the file belongs into the image: build it, then upgrade the host"
)
TRY_IRQBALANCE = Step(
    Phase.HOST,
    ("systemctl", "try-restart", "irqbalance*.service"),
    Effect.LIVE,
    "nothing where irqbalance is not installed",
)
START_IRQBALANCE = Step(
    Phase.HOST,
    ("sh", "-c", "! systemctl -q is-enabled irqbalance.service || systemctl start irqbalance.service"),
    Effect.LIVE,
    "nothing where irqbalance is not installed or not enabled",
)
OFF_TUNED = Step(Phase.HOST, ("tuned-adm", "off"), Effect.LIVE)

GRUB = "etc/default/grub.d/zz-kvmc.cfg"
CMDLINE = "etc/kvmc/cmdline"
KERNEL_INSTALL = "etc/kernel/install.d/95-kvmc.install"
KARGS = "usr/lib/bootc/kargs.d/90-kvmc.toml"
SYSCTL = "etc/sysctl.d/90-kvmc.conf"
TUNED = "etc/tuned/kvmc/tuned.conf"
TUNED_PROFILES = "etc/tuned/profiles/kvmc/tuned.conf"
MODPROBE = "etc/modprobe.d/kvmc.conf"
MANAGER = "etc/systemd/system.conf.d/90-kvmc.conf"
IRQBALANCE = "etc/systemd/system/irqbalance.service.d/90-kvmc.conf"
VFS_UNIT = "etc/systemd/system/kvmc-vfs.service"
VFS_SCRIPT = "etc/kvmc/make-vfs"
IRQBALANCE_OFF = "etc/systemd/system/irqbalance.service.d/91-kvmc-irqs.conf"
IRQS_TIMER = "etc/systemd/system/kvmc-irqs.timer"
IRQS_UNIT = "etc/systemd/system/kvmc-irqs.service"
IRQS_SCRIPT = "etc/kvmc/place-irqs"
IRQS_ASKED = "etc/kvmc/irqs-of-guests"
PAGES_UNIT = "etc/systemd/system/kvmc-hugepages.service"
PAGES_SCRIPT = "etc/kvmc/reserve-hugepages"

VSWITCH_UNIT = "etc/systemd/system/kvmc-vswitch.service"
VSWITCH_SCRIPT = "etc/kvmc/set-vswitch"
RESCTRL_UNIT = "etc/systemd/system/kvmc-resctrl.service"
RESCTRL_SCRIPT = "etc/kvmc/share-resctrl"

PAGE_SIZES = ("2M", "1G")
"""All sizes of huge pages that x86-64 has (arch/x86/mm/hugetlbpage.c); guests are q35 machines, so hosts are of no other kind."""


def mount_unit(size: str) -> str:
    """The path of the mount unit of /dev/hugepages<SIZE>; systemd wants the unit named as the folder."""
    return f"etc/systemd/system/dev-hugepages{size}.mount"


@dataclass(frozen=True, slots=True)
class Owned:
    """A path below `generated/<host>/`, and what to run on a host where the file was there and is removed: `before`, then
    `after`."""

    path: str
    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()


def _unit(path: str) -> Owned:
    name = path.rpartition("/")[2]
    disable = Step(Phase.RELOAD, ("systemctl", "disable", name), Effect.REBOOT, "what it set stays until the reboot")
    return Owned(path, (disable,), (DAEMON_RELOAD,))


OWNED: tuple[Owned, ...] = (
    Owned(GRUB, after=(MAKE_GRUB,)),
    Owned(CMDLINE, after=(ADD_KERNELS,)),
    Owned(KERNEL_INSTALL),
    Owned(KARGS, after=(UPGRADE_IMAGE,)),
    Owned(SYSCTL),
    Owned(TUNED, before=(OFF_TUNED,)),
    Owned(TUNED_PROFILES, before=(OFF_TUNED,)),
    Owned(MODPROBE),
    Owned(MANAGER, after=(DAEMON_REEXEC,)),
    Owned(IRQBALANCE, after=(DAEMON_RELOAD, TRY_IRQBALANCE)),
    Owned(
        IRQS_TIMER,
        (
            Step(
                Phase.RELOAD,
                ("systemctl", "disable", "--now", "kvmc-irqs.timer"),
                Effect.LIVE,
                "interrupts stay where they are until their driver or the reboot sets them up again",
            ),
        ),
        (DAEMON_RELOAD,),
    ),
    Owned(IRQS_UNIT, after=(DAEMON_RELOAD,)),
    Owned(IRQS_SCRIPT),
    Owned(IRQS_ASKED),
    Owned(IRQBALANCE_OFF, after=(DAEMON_RELOAD, START_IRQBALANCE)),
    _unit(VFS_UNIT),
    Owned(VFS_SCRIPT),
    _unit(PAGES_UNIT),
    Owned(PAGES_SCRIPT),
    _unit(RESCTRL_UNIT),
    Owned(RESCTRL_SCRIPT),
    _unit(VSWITCH_UNIT),
    Owned(VSWITCH_SCRIPT),
    *(_unit(mount_unit(size)) for size in PAGE_SIZES),
)
