"""The boot line, read where the boot loader reads it: in grub-mkconfig's menu, or in the entry that kernel-install writes.

Both run for real in a throw-away copy of the machine. Two things there are ours: a kernel and an initrd of one byte, and the answer
to `which device is / on` (grub-probe finds no device below an overlay); neither takes part in making the words.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from lab.scratch import Scratch

_RELEASE = "6.1.0-99-amd64"
_MACHINE_ID = "5f0d2b6c8e8b4f3c9d1e7a6b5c4d3e2f"

# What Debian's installer leaves in /etc/default/grub, the settings alone.
_DEFAULT_GRUB = """\
GRUB_DEFAULT=0
GRUB_TIMEOUT=5
GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX=""
"""

_PROBE = """\
#!/bin/sh
for word; do
    case $word in
        --target=device) echo /dev/sda1; exit ;;
        --target=fs) echo ext2; exit ;;
        --target=fs_uuid) echo 00000000-0000-4000-8000-000000000001; exit ;;
        --target=partuuid) echo 00000000-0000-4000-8000-000000000002; exit ;;
        --target=*) exit 1 ;;
    esac
done
exit 1
"""


class BootloaderError(Exception):
    """The tool refused or complained; the text is its own."""


@dataclass(frozen=True, slots=True)
class Menu:
    """The words of the kernel's line: in the entry that boots, and in the one for recovery. `text`: the whole grub.cfg."""

    normal: tuple[str, ...]
    recovery: tuple[str, ...]
    text: str


def prepare_grub(scratch: Scratch, default_grub: str = _DEFAULT_GRUB) -> None:
    """Let grub-mkconfig find one kernel in the copy, and a device below its root."""
    scratch.run("sh", "-c", "rm -rf /boot/* /etc/default/grub.d; mkdir -p /boot/grub /etc/default/grub.d")
    for name in ("vmlinuz", "initrd.img"):
        scratch.write(f"/boot/{name}-{_RELEASE}", "x")
    scratch.write("/etc/default/grub", default_grub)
    scratch.run("rm", "-f", "/usr/sbin/grub-probe")
    scratch.write("/usr/sbin/grub-probe", _PROBE)


def grub_menu(drop_ins: Mapping[str, str], *, default_grub: str = _DEFAULT_GRUB) -> Menu:
    """Make a menu with these files in /etc/default/grub.d (name to text). Raises BootloaderError, also where a script complains."""
    with Scratch() as scratch:
        prepare_grub(scratch, default_grub)
        scratch.install({f"/etc/default/grub.d/{name}": text for name, text in drop_ins.items()})
        made = scratch.run("grub-mkconfig", "-o", "/boot/grub/grub.cfg")
        if made.returncode:
            raise BootloaderError(made.stderr)
        complaints = [line for line in made.stderr.splitlines() if _complains(line)]
        if complaints:
            raise BootloaderError("\n".join(complaints))
        checked = scratch.run("grub-script-check", "/boot/grub/grub.cfg")
        if checked.returncode:
            raise BootloaderError(checked.stderr)
        text = scratch.path("/boot/grub/grub.cfg").read_text()
    entries = re.findall(
        r"menuentry '[^']*'.*?gnulinux-(?:\S+-)?(simple|recovery)-.*?\n\s*linux\s+(\S+) ([^\n]*)", text, re.S
    )
    words = {kind: tuple(shlex.split(line)) for kind, _, line in entries}
    if set(words) != {"simple", "recovery"}:
        raise BootloaderError(f"the menu has the entries {sorted(words)}, not simple and recovery\n{text}")
    return Menu(words["simple"], words["recovery"], text)


def _complains(line: str) -> bool:
    """Whether a line of grub-mkconfig's log is a complaint: the shell's all begin with the file's name."""
    return ("grub.d/" in line and "Sourcing file" not in line) or "not found" in line or "yntax error" in line


def grub_words(drop_in_text: str) -> tuple[str, ...]:
    """The words that a drop-in alone adds, as the menu's entry has them, in order.

    Raises BootloaderError where the line without the drop-in is not the beginning of the line with it.
    """
    bare = grub_menu({}).normal
    full = grub_menu({"zz-kvmc.cfg": drop_in_text}).normal
    if full[: len(bare)] != bare:
        raise BootloaderError(f"the drop-in replaces words: {bare} became {full}")
    return full[len(bare) :]


def kernel_install_entry(files: Mapping[str, str]) -> str:
    """The loader entry that `kernel-install add` writes with these files installed (absolute path to text): the BLS entry's text.

    Raises BootloaderError where it refuses or leaves no entry.
    """
    with Scratch() as scratch:
        scratch.run(
            "sh", "-c", "rm -rf /boot/* /etc/kernel/cmdline /etc/kernel/install.conf; mkdir -p /boot/loader/entries"
        )
        scratch.install(files)
        if not scratch.path("/etc/kernel/install.conf").exists():
            scratch.write("/etc/kernel/install.conf", "layout=bls\n")
        scratch.write("/tmp/vmlinuz", "x")
        # Modules of a kernel that is not there are no part of this: depmod would stop on them.
        env = {"MACHINE_ID": _MACHINE_ID, "BOOT_ROOT": "/boot"}
        scratch.run("mkdir", "-p", f"/lib/modules/{_RELEASE}")
        done = scratch.run("kernel-install", "--verbose", "add", _RELEASE, "/tmp/vmlinuz", env=env)
        entries = sorted(scratch.path("/boot/loader/entries").glob("*.conf"))
        if done.returncode or len(entries) != 1:
            raise BootloaderError(f"{len(entries)} entries\n{done.stdout}\n{done.stderr}")
        return entries[0].read_text()


def entry_options(entry: str) -> tuple[str, ...]:
    """The words of a BLS entry's `options` lines, in order (several lines add up)."""
    return tuple(
        word for line in entry.splitlines() if line.split(maxsplit=1)[:1] == ["options"] for word in line.split()[1:]
    )
