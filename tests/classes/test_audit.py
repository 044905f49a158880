"""The audit on what only the classes' domains have: every element that is changed, taken away or added is told."""

from __future__ import annotations

import pytest

from classes.fleet import CASES, build
from kvmc.audit.check import audit_site
from kvmc.driver.outcome import Outcome
from kvmc.resolver.locks import dumps

CHANGES = {
    "a NIC of another socket": ("nfv-1", "nfv-1-s0.sock", "nfv-2-s0.sock"),
    "the other end of the socket": ("nfv-1", 'mode="server"', 'mode="client"'),
    "a smaller ring": ("nfv-1", 'rx_queue_size="1024"', 'rx_queue_size="512"'),
    "memory that no switch can map": ("nfv-1", '<access mode="shared"/>', ""),
    "another source of memory": ("nfv-1", 'type="memfd"', 'type="anonymous"'),
    "queues on one thread": ("database-1", '<iothread id="2"/>', ""),
    "a thread of another disk": ("database-1", '<iothread id="2"/>', '<iothread id="3"/>'),
    "narrow addresses": ("gpu-passthrough-1", '<maxphysaddr mode="passthrough"/>', ""),
    "another slice": ("gpu-mdev-1", "c2177883-f1bb", "c2177883-f1bc"),
    "a feature less": ("ai-inference-1", '<feature policy="require" name="avx512vnni"/>', ""),
    "a feature hidden": ("ai-inference-1", 'policy="require" name="avx512vnni"', 'policy="disable" name="avx512vnni"'),
    "a feature more": ("latency-1", "<numa>", '<feature policy="disable" name="avx2"/><numa>'),
    "no migration": ("latency-1", 'migratable="on"', 'migratable="off"'),
    "a model that the host is not": ("web-1", ">SapphireRapids<", ">EPYC-Genoa<"),
    "a model that is none": ("web-1", ">SapphireRapids<", ">Pentium9<"),
    "a baseline with more than the host has": (
        "web-1",
        "<numa>",
        '<feature policy="require" name="sse4a"/><numa>',
    ),
    "a baseline that cannot migrate": ("web-1", "<numa>", '<feature policy="require" name="invtsc"/><numa>'),
    "no enlightenment": ("windows-1", '<vapic state="on"/>', ""),
    "the clock of Linux": ("windows-1", 'offset="localtime"', 'offset="utc"'),
    "unsigned code": ("windows-1", 'enabled="yes" name="secure-boot"', 'enabled="no" name="secure-boot"'),
    "no TPM": ("windows-1", '<tpm model="tpm-crb">', '<tpm model="tpm-tis">'),
    "memory that the host can debug": ("confidential-tdx-1", "<policy>0x10000000<", "<policy>0x10000001<"),
    "memory that is open": ("confidential-tdx-1", 'type="tdx"', 'type="sev-snp"'),
    "a security that nobody asked for": (
        "latency-1",
        "</devices>",
        '</devices><launchSecurity type="tdx"><policy>0x10000000</policy></launchSecurity>',
    ),
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    (case,) = (case for case in CASES if str(case) == "intel-libvirt12")
    outcome = build(case, tmp_path_factory.mktemp("audit") / "site")
    assert outcome.ok
    return outcome


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_told(name: str, built: Outcome) -> None:
    guest, old, new = CHANGES[name]
    path = f"domains/{guest}.xml"
    # an element that goes is taken with its line, so that nothing else changes
    files = {one: file.text for one, file in built.files["intel"].items()}
    assert old in files[path], "the golden tree shows what there is"
    files[path] = files[path].replace(old, new, 1)
    locks = {host: dumps(lock) for host, lock in built.next_locks.items()}
    found = audit_site({"intel": files}, built.topologies, built.site, locks)
    places = {item.primary.span.file for item in found if item.primary is not None}
    assert found.has_errors and f"intel/{path}" in places, [item.message for item in found]


def test_nothing_is_told_of_what_was_built_or_differs_in_form_alone(built: Outcome) -> None:
    files = {one: file.text.replace("  <cpu ", "\n  <cpu  ") for one, file in built.files["intel"].items()}
    locks = {host: dumps(lock) for host, lock in built.next_locks.items()}
    assert not audit_site({"intel": files}, built.topologies, built.site, locks).has_errors
