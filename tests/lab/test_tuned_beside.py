"""The profile beside guests that run: applied twice by the real daemon, it leaves a pinned emulator where it is, and puts nothing
on the boot line."""

from __future__ import annotations

import os

import pytest

from kvmc.driver.inputs import read_inputs
from lab.examples import EXAMPLES, Host, hosts
from lab.needs import needs
from lab.tuned import affinity_beside

LAST = max(os.sched_getaffinity(0))


def _one_a_profile() -> list[Host]:
    """The first host of each text that a profile has, but for the host's name."""
    found: dict[str, Host] = {}
    for host in hosts():
        for text in host.tuned_profiles.values():
            keys = [line for line in text.splitlines() if "=" in line and not line.startswith(("#", "summary"))]
            found.setdefault("\n".join(line.partition("=")[0] for line in keys), host)
    return list(found.values())


@needs("tuned", "scratch")
@pytest.mark.parametrize("host", _one_a_profile(), ids=str)
def test_a_pinned_emulator_stays_where_it_is(host: Host) -> None:
    site = read_inputs(EXAMPLES / host.example / "site.kvmt").site
    assert site is not None
    emulator = site.platforms[site.hosts[host.name].platform].emulator
    before, first, second, words = affinity_beside("kvmc", host.below("etc/tuned"), emulator, LAST)
    assert before == first == second == str(LAST)
    assert (
        "TUNED_BOOT_CMDLINE=" not in words
        or 'TUNED_BOOT_CMDLINE=""' in words
        or words.endswith("TUNED_BOOT_CMDLINE=\n")
    )


@needs("tuned", "scratch")
@pytest.mark.skipif(LAST == 0, reason="one CPU: nowhere to move a process to")
def test_a_stock_parent_moves_an_emulator_of_that_name_and_writes_boot_words() -> None:
    """What the test above would see. The stock list of names to leave alone has RHEL's emulator and not Debian's."""
    text = f"[main]\ninclude=cpu-partitioning\n[variables]\nisolated_cores={LAST}\n"
    before, after, words = affinity_beside(
        "judge", {"/etc/tuned/judge/tuned.conf": text}, "/usr/bin/qemu-system-x86_64", LAST, times=1
    )
    assert before == str(LAST) and after != before
    assert "nohz_full" in words
