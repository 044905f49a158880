"""The kernel's command line, by the way the host keeps it: a GRUB drop-in, a kernel-install plugin, or bootc's kargs.d."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kvmc.artifacts import Artifact, Comment, Step
from kvmc.hostconfig import owned
from kvmc.hostconfig.plan import Carrier, HostPlan, HostSetting
from kvmc.model.site import Boot
from kvmc_targets.cmdline.templates import GRUB, KERNEL_INSTALL
from kvmc_targets.texts import fill, grouped

_SAFE = re.compile(r"[A-Za-z0-9_.]+(=[A-Za-z0-9_.,:+/-]+)?")
"""Words that mean the same inside and outside quotes, in the shell and in TOML."""


def word(setting: HostSetting) -> str:
    """`key=value`, or the key alone. What a shell would read otherwise raises: no value that kvmc derives or takes holds such a
    character."""
    text = f"{setting.key}={setting.value}" if setting.value else setting.key
    if _SAFE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is not safe on a command line that a shell reads")
    return text


def _keys(settings: Sequence[HostSetting]) -> list[str]:
    return list(dict.fromkeys(setting.key for setting in settings))


def _commented(settings: Sequence[HostSetting]) -> list[str]:
    lines: list[str] = []
    for blocks, group in grouped(settings):
        lines.append(blocks)
        lines += [f"#   {setting.key}: {setting.why}" for setting in group]
    return lines


def _grub(plan: HostPlan) -> Sequence[Artifact]:
    settings = plan.carried(Carrier.CMDLINE)
    if not settings:
        return ()
    # The kernel reads `-` and `_` in a name alike.
    names = [key.replace("_", "[-_]") for key in _keys(settings)]
    patterns = " | ".join(pattern for name in names for pattern in (name, f"{name}=*"))
    text = fill(
        GRUB, comments=_commented(settings), patterns=patterns, words=" ".join(word(setting) for setting in settings)
    )
    return (Artifact(owned.GRUB, text, Comment.HASH, steps=(owned.MAKE_GRUB,)),)


def _kernel_install(plan: HostPlan) -> Sequence[Artifact]:
    """Both files are there even without a word to add: the plugin then takes out what an earlier build added."""
    lines: list[str] = []
    for blocks, group in grouped(plan.carried(Carrier.CMDLINE)):
        lines.append(blocks)
        for setting in group:
            lines += [f"# {setting.why}", word(setting)]
    steps: tuple[Step, ...] = (owned.ADD_KERNELS,)
    return (
        Artifact(
            owned.CMDLINE,
            "".join(f"{line}\n" for line in lines) or "# no kernel parameter\n",
            Comment.HASH,
            steps=steps,
        ),
        Artifact(owned.KERNEL_INSTALL, KERNEL_INSTALL, Comment.HASH_AFTER_SHEBANG, mode=0o755, steps=steps),
    )


def _bootc(plan: HostPlan) -> Sequence[Artifact]:
    settings = plan.carried(Carrier.CMDLINE)
    if not settings:
        return ()
    lines: list[str] = ["kargs = ["]
    for blocks, group in grouped(settings):
        lines.append(f"  {blocks}")
        for setting in group:
            lines += [f"  # {setting.why}", f'  "{word(setting)}",']
    lines += ["]", f'match-architectures = ["{plan.arch}"]']
    return (Artifact(owned.KARGS, "\n".join(lines) + "\n", Comment.HASH, steps=(owned.UPGRADE_IMAGE,)),)


_BY_BOOT = {Boot.GRUB: _grub, Boot.BLS: _kernel_install, Boot.BOOTC: _bootc}


@dataclass(frozen=True, slots=True)
class CmdlineTarget:
    """Kernel parameters. Words of the same names that stand elsewhere (`/etc/default/grub`, a boot entry) are taken out: two
    CPU lists that differ would make the kernel drop one of them."""

    name: str = "cmdline"
    carriers: frozenset[Carrier] = frozenset({Carrier.CMDLINE})
    proven: str = "grub: the drop-in sourced by dash and bash; bls: the plugin run on an entry; bootc is unproven"

    def render(self, plan: HostPlan) -> Sequence[Artifact]:
        return _BY_BOOT[plan.platform.boot](plan)


TARGET = CmdlineTarget()
