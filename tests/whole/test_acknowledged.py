"""What is real and harms: refused without a reason, taken with one, and the reason stands in what the host or the guest gets."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from kvmc.audit.check import audit_site
from kvmc.diagnostics import Severity
from kvmc.diagnostics.codes import audit as codes
from kvmc.driver.build import build_site
from kvmc.driver.stages import plan_site
from kvmc.verify.check import verify_host
from kvmc.verify.root import TextRoot
from kvmc_targets import BUILTIN
from verify.simulate import Built, built, simulate

BASE = Path(__file__).parents[1] / "diagnostics/base"
WHY = "ticket 4711: one tenant, measured twice"


@dataclass(frozen=True)
class Harm:
    """block: its line in the base site, behind which `setting` stands; `@` is where the reason goes. says: a word of the artifact
    that does the harm."""

    block: str
    setting: str
    code: str
    artifact: str
    says: str


def raw(block: str, knob: str, value: str, artifact: str, says: str, code: str = "KVMC0576") -> Harm:
    return Harm(block, f'  raw {knob} {{\n    value = "{value}"\n@  }}\n', code, artifact, says)


GRUB, MODPROBE = "etc/default/grub.d/zz-kvmc.cfg", "etc/modprobe.d/kvmc.conf"
HARMS = {
    "mitigations=off": raw("pool compute {", "cmdline mitigations", "off", GRUB, "mitigations=off"),
    "nx_huge_pages=off": raw("pool compute {", "modprobe kvm.nx_huge_pages", "off", MODPROBE, "nx_huge_pages=off"),
    "ple_gap=0 with overcommit": raw("pool compute {", "modprobe kvm_intel.ple_gap", "0", MODPROBE, "ple_gap=0"),
    "idle=poll": raw("pool compute {", "cmdline idle", "poll", GRUB, "idle=poll"),
    "hint-dedicated with overcommit": Harm(
        "class small {",
        "  raw xml hint {\n    at = features/kvm\n    value = \"<hint-dedicated state='on'/>\"\n@  }\n",
        "KVMC0576",
        "domains/web.xml",
        "hint-dedicated",
    ),
    "AVX2 masked for a database": Harm(
        "class db {", "  disable = [avx2]\n@", "KVMC0261", "domains/one.xml", "name='avx2'"
    ),
    "CPU 0 in nohz_full": Harm(
        "pool compute {",
        "  housekeeping {\n    boot_cpu = false\n@  }\n",
        "KVMC0284",
        GRUB,
        "nohz_full=0,3-5,8-12,15-17,20-23",
    ),
}


CPU_0 = HARMS["CPU 0 in nohz_full"]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A host whose boot CPU is the guests'."""
    folder = tmp_path_factory.mktemp("given") / "site"
    assert build(folder, CPU_0, f'    reason = "{WHY}"\n') == []
    return built(folder)


def test_the_audit_knows_a_boot_cpu_that_was_given_away_with_a_reason(given: Built) -> None:
    files = given.trees["a"]
    assert [item.code.id for item in audit_site({"a": files}, given.topologies, None)] == []
    silent = {path: text.replace(WHY, "") for path, text in files.items()}
    found = audit_site({"a": silent}, given.topologies, None)
    assert {item.code for item in found} == {codes.BOOT_CPU_ISOLATED}
    # the site that keeps it says otherwise, whatever the files do
    site = plan_site(given.folder / "site.kvmt").site
    assert site is not None
    assert [item.code.id for item in audit_site({"a": files}, given.topologies, site)] == []
    kept = site.model_copy(update={"hosts": {"a": site.hosts["a"].model_copy(update={"boot_cpu": True})}})
    found = audit_site({"a": files}, given.topologies, kept)
    assert {codes.BOOT_CPU_ISOLATED, codes.OFFER_BROKEN} <= {item.code for item in found}


def test_the_kernel_that_takes_it_out_of_nohz_full_runs_as_compiled(given: Built) -> None:
    texts, path = given.trees["a"], "sys/devices/system/cpu/nohz_full"
    root = simulate("a", texts, given.topologies["a"], running=False)
    assert root[path].startswith("0,")
    for runs, equal in ((root[path], True), (root[path].removeprefix("0,"), True), ("4-5\n", False)):
        assert verify_host("a", texts, TextRoot({**root, path: runs})).equal is equal


def build(folder: Path, harm: Harm, reason: str) -> list[str]:
    """The codes of what stands against it."""
    shutil.copytree(BASE, folder)
    text = (folder / "site.kvmt").read_text()
    assert text.count(harm.block) == 1
    setting = harm.setting.replace("@", reason)
    (folder / "site.kvmt").write_text(text.replace(harm.block, f"{harm.block}\n{setting}"))
    return [item.code.id for item in build_site(folder / "site.kvmt", BUILTIN).bag if item.severity is Severity.ERROR]


@pytest.mark.parametrize("harm", HARMS.values(), ids=[name.replace(" ", "-") for name in HARMS])
def test_it_needs_a_reason_which_stands_in_the_artifact(harm: Harm, tmp_path: Path) -> None:
    assert build(tmp_path / "bare", harm, "") == [harm.code]
    assert not (tmp_path / "bare/generated").exists()
    assert build(tmp_path / "with", harm, f'    reason = "{WHY}"\n') == []
    artifact = (tmp_path / "with/generated/a" / harm.artifact).read_text()
    assert harm.says in artifact.replace('"', "'")
    assert WHY in artifact
