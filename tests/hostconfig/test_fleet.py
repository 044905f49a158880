"""Guests' CPUs over all hosts that they may go to: what is refused, and what a baseline is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from lxml import etree

from kvmc.diagnostics import Diagnostic
from kvmc.hostconfig.fleet import Baseline, baselines, check_cpus, consequences
from kvmc.knowledge.cpu_features import CONSEQUENCES, COSTLY, NEEDS, NO_MIGRATION, X86, features_of, libvirt_name
from kvmc.knowledge.cpu_models import cpu_models
from kvmc.model.site import Site
from kvmc.model.values import Version, VersionRange
from kvmc.topology import Topology
from kvmc.topology.model import Cpu
from support.machines import machine
from support.sites import a_host, a_platform, a_site, a_vm, origins_of

CPU_MAP = Path("/usr/share/libvirt/cpu_map")
SPELLED = {name: flag for name, flag in X86.items() if flag is not None}


def at(text: str) -> VersionRange:
    major, minor = map(int, text.split("."))
    return VersionRange(Version(major, minor), Version(major, minor))


def flags(model: str, *, without: Iterable[str] = (), more: Iterable[str] = ()) -> frozenset[str]:
    """What /proc/cpuinfo shows on a host that has a model's features."""
    names = (set(cpu_models()[model].features) - set(without)) | set(more)
    return frozenset({"fpu", *(SPELLED[name] for name in names if name in SPELLED)})


def host_of(vendor: str, features: frozenset[str], model: str = "some CPU") -> Topology:
    return replace(machine(), cpu=Cpu(vendor, model, features))


INTEL, AMD = "GenuineIntel", "AuthenticAMD"
ICELAKE = host_of(INTEL, flags("Icelake-Server-noTSX"))
CASCADELAKE = host_of(INTEL, flags("Cascadelake-Server-noTSX"))
MILAN = host_of(AMD, flags("EPYC-Milan"))


def two(first: Topology, second: Topology, **vm: object) -> tuple[Site, Mapping[str, Topology]]:
    site = a_site([a_host("a"), a_host("b", pool="other")], [a_vm("one", **vm)])  # type: ignore[arg-type]
    return site, {"a": first, "b": second}


def told(site: Site, topologies: Mapping[str, Topology]) -> list[Diagnostic]:
    return list(check_cpus(site, topologies, origins_of(site)))


def test_a_feature_is_required_of_every_host_that_the_guest_may_go_to() -> None:
    site, hosts = two(ICELAKE, CASCADELAKE, require=("vaes", "avx512vnni"))
    (found,) = told(site, hosts)
    assert found.code.id == "KVMC0520"
    assert "`vaes`" in found.message and "`b`" in found.message and "avx512vnni" not in found.message
    assert found.help == ("keep it to hosts that have it, with `pool` or `host`: `a`",)
    for tied in ({"host": "a"}, {"pool": "compute"}):
        assert not told(*two(ICELAKE, CASCADELAKE, require=("vaes",), **tied))


def test_where_no_host_has_it_nothing_is_recommended() -> None:
    (found,) = told(*two(ICELAKE, CASCADELAKE, require=("amx-tile",)))
    assert "no host" in found.help[0] and "`amx_tile` in /proc/cpuinfo" in found.notes[0]


def test_a_topology_without_features_is_told_as_that() -> None:
    (found,) = told(*two(ICELAKE, machine_without_features(), require=("aes",)))
    assert found.code.id == "KVMC0521" and "`b`" in found.message


def machine_without_features() -> Topology:
    return replace(machine(), cpu=Cpu(INTEL, "some CPU"))


def test_libvirts_own_names_and_models_are_understood_too() -> None:
    """`virsh capabilities` names a model and what the host has beside it."""
    caps = replace(machine(), cpu=Cpu("Intel", "Icelake-Server-noTSX", frozenset({"sha-ni"})))
    assert not told(*two(ICELAKE, caps, require=("vaes", "avx512vnni")))
    (found,) = told(*two(ICELAKE, caps, require=("sha-ni",)))
    assert "`a`" in found.message


@pytest.mark.parametrize(
    ("tool", "versions", "feature"),
    [
        ("kernel", {"kernel": at("5.10")}, "amx-tile"),
        ("QEMU", {"qemu": at("6.2"), "kernel": at("6.1")}, "amx-tile"),
        ("Linux 6.18", {"libvirt": at("12.5"), "qemu": at("11.1")}, "cet-ss"),
    ],
)
def test_a_release_that_cannot_give_it_is_refused(tool: str, versions: dict[str, VersionRange], feature: str) -> None:
    host = host_of(INTEL, flags("SapphireRapids") | {"user_shstk"})
    site = a_site([a_host("a")], [a_vm("one", require=(feature,))], platforms=[a_platform("deb12", **versions)])
    (found,) = told(site, {"a": host})
    assert found.code.id == "KVMC0558" and tool.replace("kernel", "Linux") in found.message


def test_a_named_model_is_checked_by_vendor_and_by_features() -> None:
    assert not told(*two(ICELAKE, CASCADELAKE, cpu="Cascadelake-Server-noTSX"))
    (vendor,) = told(*two(ICELAKE, MILAN, cpu="Cascadelake-Server-noTSX"))
    assert vendor.code.id == "KVMC0523" and "of AMD" in vendor.message
    (lacking,) = told(*two(ICELAKE, CASCADELAKE, cpu="Icelake-Server-noTSX"))
    assert lacking.code.id == "KVMC0523" and "`gfni`" in lacking.message and "`b`" in lacking.message
    hidden = tuple(
        sorted(cpu_models()["Icelake-Server-noTSX"].features - cpu_models()["Cascadelake-Server-noTSX"].features)
    )
    assert not told(*two(ICELAKE, CASCADELAKE, cpu="Icelake-Server-noTSX", disable=hidden))


def test_memory_is_sealed_on_hosts_that_are_set_up_for_it_alone() -> None:
    genoa = host_of(AMD, flags("EPYC-Genoa") | {"sev_snp"})
    assert not told(*two(genoa, genoa, launch_security="sev-snp"))
    (found,) = told(*two(genoa, MILAN, launch_security="sev-snp"))
    assert found.code.id == "KVMC0525" and "`b`" in found.message and "`a`" in found.help[0]
    for kind in ("sev", "sev-es"):
        able = host_of(AMD, flags("EPYC-Genoa") | {kind.replace("-", "_")})
        assert not told(*two(able, able, launch_security=kind))
        (found,) = told(*two(able, genoa, launch_security=kind))
        assert f"the flag `{kind.replace('-', '_')}`" in found.notes[0]
    (found,) = told(*two(genoa, genoa, launch_security="tdx"))
    assert "`a`, `b`" in found.message


# -- baselines


def baseline(first: Topology, second: Topology, **vm: object) -> Baseline:
    site, hosts = two(first, second, cpu="baseline", **vm)
    assert not told(site, hosts)
    return baselines(site, hosts)["one"]


def test_hosts_that_are_alike_have_their_model() -> None:
    for model in ("Cascadelake-Server-noTSX", "Icelake-Server-noTSX", "Skylake-Server-IBRS"):
        host = host_of(INTEL, flags(model))
        assert baseline(host, host) == Baseline(model, ()), model
    assert baseline(MILAN, MILAN) == Baseline("EPYC-Milan", ())


def test_of_two_generations_the_older_one_is_common_whatever_their_order() -> None:
    wanted = Baseline("Cascadelake-Server-noTSX", ())
    assert baseline(ICELAKE, CASCADELAKE) == baseline(CASCADELAKE, ICELAKE) == wanted


def test_what_all_have_beside_the_model_is_required_and_what_one_lacks_is_hidden() -> None:
    more = host_of(INTEL, flags("Cascadelake-Server-noTSX", more=["sha-ni", "invtsc"]))
    found = baseline(more, more)
    assert found == Baseline("Cascadelake-Server-noTSX", (("sha-ni", "require"),)), "`invtsc` cannot migrate"
    less = host_of(INTEL, flags("Cascadelake-Server-noTSX", without=["avx512f"]))
    assert baseline(more, less) == Baseline("Cascadelake-Server-noTSX", (("avx512f", "disable"),))


def test_a_baseline_takes_what_the_guest_asks_for() -> None:
    found = baseline(ICELAKE, CASCADELAKE, require=("avx512vnni",), disable=("avx512f",))
    assert found == Baseline("Cascadelake-Server-noTSX", (("avx512f", "disable"),))


def test_the_platform_has_to_know_the_model() -> None:
    host = host_of(INTEL, flags("SapphireRapids"))
    site, hosts = two(host, host, cpu="baseline")
    assert baselines(site, hosts)["one"].model == "Icelake-Server"
    new = site.model_copy(update={"platforms": {"deb12": a_platform(libvirt=at("9.4"), qemu=at("8.0"))}})
    assert baselines(new, hosts)["one"].model == "SapphireRapids"


def test_tiles_come_with_what_a_guest_needs_to_use_them() -> None:
    host = host_of(INTEL, flags("SapphireRapids"))
    site, hosts = two(host, host, cpu="baseline")
    assert {("amx-tile", "require"), ("xfd", "require")} <= set(baselines(site, hosts)["one"].features)


@pytest.mark.parametrize(
    ("second", "why"),
    [
        (MILAN, "CPUs of AMD and Intel"),
        (replace(machine(), arch="aarch64", cpu=Cpu("ARM", "Neoverse-N1", frozenset({"asimd"}))), "is aarch64"),
        (machine_without_features(), "does not tell"),
    ],
)
def test_there_may_be_no_baseline(second: Topology, why: str) -> None:
    site, hosts = two(ICELAKE, second, cpu="baseline")
    (found,) = told(site, hosts)
    assert found.code.id == "KVMC0522" and why in found.message
    assert not baselines(site, hosts)


def test_consequences_are_told_once_a_line() -> None:
    site = a_site([a_host("a")], [a_vm("one", require=("amx-tile", "avx512f", "aes"))])
    (note,) = consequences(site, origins_of(site))
    assert note.code.id == "KVMC0524" and len(note.notes) == 2


# -- the tables


def test_tables_of_features_hang_together() -> None:
    assert set(NEEDS) | set(CONSEQUENCES) | COSTLY | NO_MIGRATION <= set(X86) | {"pauth"}
    for model in cpu_models().values():
        assert model.features <= set(X86), model.name
        have, untold = features_of(
            {"Intel": INTEL, "AMD": AMD, "Hygon": "HygonGenuine"}[model.vendor], None, flags(model.name)
        )
        assert model.features <= have | untold, (model.name, model.features - have - untold)
    assert libvirt_name("avx512_vnni") == "avx512vnni" and libvirt_name("sse4_1") == "sse4.1"


@pytest.mark.skipif(not CPU_MAP.is_dir(), reason="no libvirt is installed")
def test_the_models_are_those_of_the_installed_libvirt() -> None:
    """Facts against their source; models that are newer than the release are only in ours."""
    compared = 0
    for model in cpu_models().values():
        path = CPU_MAP / f"x86_{model.name}.xml"
        if path.is_file():
            names = {node.get("name") for node in etree.parse(path).iterfind(".//model/feature")}
            assert names - {"intel-pt", "monitor"} == model.features, model.name
            compared += 1
    assert compared >= 25
    known = {node.get("name") for node in etree.parse(CPU_MAP / "x86_features.xml").iterfind("feature")}
    assert {name for name in X86 if name not in known} == {
        *("amd-psfd", "amx-fp16", "auto-ibrs", "cet-ibt", "cet-ss", "fbsdp-no", "fsrc", "fsrs", "fzrm", "mcdt-no"),
        *("lfence-always-serializing", "no-nested-data-bp", "null-sel-clr-base", "pbrsb-no", "prefetchiti", "psdp-no"),
        *("sbdr-ssdp-no", "stibp-always-on", "vnmi"),
    }, "what came after 9.0"
