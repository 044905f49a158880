"""Elements beyond the facts: libvirt's own reading of a domain holds all that was compiled, and less than that is noticed."""

from __future__ import annotations

import pytest

from kvmc.artifacts import seal
from kvmc.audit.domain import Domain, read_domain
from kvmc.audit.source import File
from kvmc.diagnostics import Bag
from kvmc.hostconfig.plan import GuestPlan
from kvmc.model.site import Iothread, Mdev, Raw
from kvmc.verify.capture import _without_secrets
from kvmc.verify.elements import elements
from kvmc.verify.guest_facts import Fact
from kvmc_targets.libvirt import TARGET
from support import virsh
from support.guests import cell, derive, disk, host_plan, nic, platform, siblings, topology, vm
from targets.libvirt.cases import CASES

HOST = topology()
RAWS = {
    one.name: one
    for one in (
        Raw(name="xml a", value="<vsock model='virtio'><cid auto='no' address='7'/></vsock>", reason="x", at="devices"),
        Raw(name="xml b", value="<poll-control state='on'/>", reason=None, at="features/kvm"),
        Raw(name="xml c", value="<defaultiothread thread_pool_min='2' thread_pool_max='4'/>", reason=None, at="domain"),
    )
}
MORE = {
    "rich": vm(
        "rich", firmware="uefi", tpm=True, hyperv=True, secure_boot=True, maxphysaddr="passthrough", raws=RAWS,
        require=("aes",), disable=("avx2",), clock="localtime", migratable=False,
        disks=[disk("a", queue_size=256, queues=2, iothread=Iothread.OWN), disk("b", bus="scsi", cmd_per_lun=64)],
        nics=[nic("u", network=None, socket="/run/{vm}-{nic}"), nic("n", rx_queue_size=512, tx_queue_size=256)],
        mdevs={"m": Mdev(name="m", uuid="c9abcdeb-0000-4000-8000-000000000000")},
    ),
    "sealed by AMD": vm("snp", firmware="uefi", launch_security="sev-snp"),
}  # fmt: skip


def _plan(name: str) -> GuestPlan:
    return derive(MORE[name], [cell(0, 0, siblings(HOST, [1, 2]))], on=platform(libvirt="12.0", qemu="11.0"))[0]


def _domain(text: str) -> Domain:
    bag = Bag()
    found = read_domain(File("domain", "domain", text), bag)
    assert found is not None
    return found


def _differ(compiled: dict[str, Fact], there: dict[str, Fact]) -> list[str]:
    return [name for name, fact in compiled.items() if not fact.same(there.get(name))]


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Domain, Domain]]:
    """The domain as compiled and as libvirt has it. libvirt 9.0 knows no `sev-snp`."""
    plans = CASES | {"rich": _plan("rich")}
    texts = {name: seal(TARGET.render(host_plan([plan]))[0]) for name, plan in plans.items()}
    uuids = [plan.uuid for plan in plans.values()]
    dumps = virsh.read_back(list(zip(uuids, texts.values(), strict=True)), tmp_path_factory.mktemp("domains"))
    return {name: (_domain(texts[name]), _domain(dump)) for name, dump in zip(texts, dumps, strict=True)}


@pytest.mark.consumer
@pytest.mark.parametrize("case", [*CASES, "rich"])
def test_what_libvirt_has_holds_what_was_compiled(case: str, read: dict[str, tuple[Domain, Domain]]) -> None:
    compiled, there = read[case]
    assert _differ(elements(compiled), elements(there)) == []
    assert len(elements(compiled)) > 20


COMPILED = seal(TARGET.render(host_plan([_plan("rich")]))[0])
SEALED = seal(TARGET.render(host_plan([_plan("sealed by AMD")]))[0])


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        ('<cid auto="no" address="7"/>', '<cid auto="no" address="8"/>', "`devices/vsock`"),
        ('<poll-control state="on"/>', "", "`features/kvm`"),
        ('<defaultiothread thread_pool_min="2" thread_pool_max="4"/>', "", "`defaultiothread`"),
        ('<maxphysaddr mode="passthrough"/>', "", "`cpu/maxphysaddr`"),
        ('<feature policy="require" name="aes"/>', '<feature policy="force" name="aes"/>', "`cpu/feature` aes"),
        ('<feature policy="disable" name="avx2"/>', "", "`cpu/feature` avx2"),
        ('<vpindex state="on"/>', '<vpindex state="off"/>', "`features/hyperv`"),
        ('<smm state="on"/>', '<smm state="off"/>', "`features/smm`"),
        ('<backend type="emulator" version="2.0"/>', '<backend type="emulator" version="1.2"/>', "`devices/tpm`"),
        ('offset="localtime"', 'offset="utc"', "`clock`"),
        ('<access mode="shared"/>', '<access mode="private"/>', "`memoryBacking/access`"),
        ("c9abcdeb-0000-4000-8000-000000000000", "c9abcdeb-0000-4000-8000-000000000001", "`devices/hostdev` "),
        ('migratable="off"', 'migratable="on"', "`cpu`"),
        ('<timer name="hpet" present="no"/>', '<timer name="hpet" present="yes"/>', "`clock/timer` hpet"),
        ("<nosharepages/>", "", "`memoryBacking/nosharepages`"),
        ('<memballoon model="none"/>', '<memballoon model="virtio"/>', "`devices/memballoon`"),
    ],
)
def test_less_or_other_than_was_compiled(old: str, new: str, name: str) -> None:
    assert COMPILED.count(old) == 1, old
    found = _differ(elements(_domain(COMPILED)), elements(_domain(COMPILED.replace(old, new))))
    assert [one for one in found if one.startswith(name)], found
    assert len(found) == 1


def test_what_libvirt_adds_is_no_difference() -> None:
    more = COMPILED.replace("<vsock ", "<vsock alias='x' ").replace("<nosharepages/>", "<nosharepages/><discard/>")
    assert more != COMPILED and _differ(elements(_domain(COMPILED)), elements(_domain(more))) == []
    assert elements(_domain(COMPILED))["`devices/vsock`"].text == (
        "<vsock model='virtio'><cid auto='no' address='7'/></vsock>"
    )


def test_what_a_capture_leaves_out_is_not_missed() -> None:
    namespace = 'xmlns:qemu="http://libvirt.org/schemas/domain/qemu/1.0"'
    secret = (
        f'<qemu:commandline {namespace}><qemu:arg value="-x"/><qemu:env name="K" value="secret"/></qemu:commandline>'
        '<sysinfo type="smbios"><system><entry name="serial">secret</entry></system></sysinfo>'
    )
    text = COMPILED.replace("  <devices>", f"  {secret}<devices>").replace(
        "<rng ", '<graphics type="vnc" passwd="secret" port="5900"/><rng '
    )
    captured = _without_secrets(text)
    assert text.count("secret") == 3 and "secret" not in captured
    assert _differ(elements(_domain(text)), elements(_domain(captured))) == []
    for old in ('value="-x"', 'port="5900"'):
        assert len(_differ(elements(_domain(text)), elements(_domain(captured.replace(old, ""))))) == 1


def test_memory_that_is_sealed_no_more() -> None:
    start, end = SEALED.index("<launchSecurity"), SEALED.index("</launchSecurity>") + len("</launchSecurity>")
    less = SEALED[:start] + SEALED[end:]
    assert _differ(elements(_domain(SEALED)), elements(_domain(less))) == ["`launchSecurity`"]


def test_the_hosts_model_becomes_another_where_it_runs() -> None:
    text = COMPILED.replace('mode="host-passthrough"', 'mode="host-model"')
    assert any(name.startswith("`cpu/") for name in elements(_domain(text)))
    assert not any(name.startswith("`cpu") for name in elements(_domain(text), live=True))
    assert any(name.startswith("`cpu") for name in elements(_domain(COMPILED), live=True))
