"""One change of the small host's tree, and the finding that it must give."""

from __future__ import annotations

from dataclasses import dataclass

from kvmc.diagnostics import Code

RT, WIDE, DU, WEB = (f"domains/{name}.xml" for name in ("rt-1", "wide-1", "du-1", "web-1"))
GRUB, SYSCTL, TUNED = "etc/default/grub.d/zz-kvmc.cfg", "etc/sysctl.d/90-kvmc.conf", "etc/tuned/kvmc/tuned.conf"
MODPROBE, VFS = "etc/modprobe.d/kvmc.conf", "etc/kvmc/make-vfs"
MANAGER, IRQBALANCE = "etc/systemd/system.conf.d/90-kvmc.conf", "etc/systemd/system/irqbalance.service.d/90-kvmc.conf"


@dataclass(frozen=True)
class Mutation:
    """`old` is replaced by `new` in a file. Both empty: the file is taken away; `old` alone empty: added or written anew.

    at: the text that the finding points to, wherever one is told. site: whether it takes the site to see it. more: codes of other
    findings of the same change that are right as well.
    """

    name: str
    file: str
    old: str
    new: str
    code: Code
    at: str | None = None
    site: bool = False
    more: tuple[Code, ...] = ()


def pin(vcpu: int, cpu: str) -> str:
    return f"vcpupin vcpu='{vcpu}' cpuset='{cpu}'"


def moved(name: str, file: str, vcpu: int, old: str, new: str, code: Code, *, site: bool = False) -> Mutation:
    return Mutation(name, file, pin(vcpu, old), pin(vcpu, new), code, new, site)
