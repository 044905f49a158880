"""How a host keeps its boot line, against what was compiled; and the entry to fall back to where there are boot loader entries."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

from kvmc.hostconfig import owned

FILES = Path(__file__).resolve().parents[2] / "compiler/kvmc/rollout/role/module_utils/kvmc_files.py"
ENTRY = "title Fedora 41\nversion {0}\nlinux /vmlinuz-{0}\ninitrd /initrd-{0}.img\noptions root=UUID=1 ro quiet\nsort-key fedora\n"


@pytest.fixture
def files() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kvmc_files", FILES)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_role_knows_the_files_that_are_compiled(files: ModuleType) -> None:
    assert ("/" + owned.GRUB, "/" + owned.CMDLINE, "/" + owned.KARGS) == (
        files.GRUB_DROP_IN,
        files.BLS_WORDS,
        files.KARGS,
    )


@pytest.mark.parametrize(
    ("boot", "there", "needs"),
    [
        ("grub", {}, ""),
        ("grub", {"etc/default/grub": "GRUB_ENABLE_BLSCFG=true\n"}, ""),
        ("grub", {"boot/loader/entries/a.conf": ENTRY}, ""),
        ("grub", {"boot/loader/entries/a.conf": ENTRY, "etc/default/grub": "GRUB_ENABLE_BLSCFG=true\n"}, "`boot = bls`"),
        ("grub", {"boot/loader/entries/a.conf": ENTRY, "etc/default/grub": "GRUB_ENABLE_BLSCFG=false\n"}, ""),
        ("grub", {"boot/loader/entries/a.conf": ENTRY,
                  "etc/default/grub": 'GRUB_ENABLE_BLSCFG=false\nGRUB_ENABLE_BLSCFG="true"\n'}, "`boot = bls`"),
        ("grub", {"run/ostree-booted": ""}, "`boot = bootc`"),
        ("bls", {}, "`boot = grub`"),
        ("bls", {"boot/loader/entries/README": ""}, "`boot = grub`"),
        ("bls", {"boot/loader/entries/a.conf": ENTRY}, ""),
        ("bls", {"boot/loader/entries/a.conf": ENTRY, "run/ostree-booted": ""}, "`boot = bootc`"),
        ("bootc", {}, "`boot = grub` or `boot = bls`"),
        ("bootc", {"run/ostree-booted": ""}, "put it into the image"),
    ],
)  # fmt: skip
def test_what_was_compiled_fits_the_host(
    files: ModuleType, tmp_path: Path, boot: str, there: dict[str, str], needs: str
) -> None:
    for path, text in there.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    path = {"grub": files.GRUB_DROP_IN, "bls": files.BLS_WORDS, "bootc": files.KARGS}[boot]
    why = files.unfit([path, "/etc/sysctl.d/90-kvmc.conf"], str(tmp_path))
    assert (needs in why) if needs else why == ""
    assert files.unfit(["/etc/sysctl.d/90-kvmc.conf"], str(tmp_path)) == ""  # nothing of the boot line changes


def test_the_entry_to_fall_back_to_is_the_running_kernels(
    files: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "GRUB_MENU", str(tmp_path / "none"))
    monkeypatch.setattr(files, "ENTRIES", str(tmp_path))
    assert files.boot_entry() is None
    (tmp_path / "m-1.2.conf").write_text(ENTRY.format("1.2"))
    assert files.boot_entry() is None  # that kernel does not run
    running = os.uname().release
    (tmp_path / f"m-{running}.conf").write_text(ENTRY.format(running))
    path, text, mode = files.boot_entry()
    assert path.endswith("/kvmc-before.conf") and mode == 0o600
    assert text.splitlines() == [
        "title before kvmc changed the boot line",
        "version 0",
        f"linux /vmlinuz-{running}",
        f"initrd /initrd-{running}.img",
        "options root=UUID=1 ro quiet",
    ]
