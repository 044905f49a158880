"""What is told of guests' CPUs, to the word and the place, and what baselines are; `--update` writes the goldens anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from hostconfig.shown import EVERYWHERE, INHERITED, NOWHERE, golden, told, word
from kvmc.hostconfig.fleet import baselines, check_cpus, consequences
from kvmc.knowledge.cpu_features import X86
from kvmc.knowledge.cpu_models import cpu_models
from kvmc.model.origins import Origins
from kvmc.model.site import Site
from kvmc.model.values import Version, VersionRange
from kvmc.topology import Topology
from kvmc.topology.model import Cpu
from support.machines import machine
from support.sites import a_host, a_platform, a_site, a_vm

INTEL, AMD = "GenuineIntel", "AuthenticAMD"


def _at(text: str) -> VersionRange:
    version = Version(*map(int, text.split(".")))
    return VersionRange(version, version)


def _cpu(
    vendor: str | None, model: str, *, without: Iterable[str] = (), more: Iterable[str] = (), name: str = "x"
) -> Topology:
    """A host whose /proc/cpuinfo shows a model's features."""
    names = (set(cpu_models()[model].features) - set(without)) | set(more)
    flags = {X86.get(one, one) for one in names} - {None}
    return replace(machine(), cpu=Cpu(vendor, name, frozenset({"fpu", *(one for one in flags if one)})))


def _named(vendor: str, model: str | None, *features: str, arch: str = "x86_64") -> Topology:
    return replace(machine(), arch=arch, cpu=Cpu(vendor, model, frozenset(features)))


ICE = _cpu(INTEL, "Icelake-Server-noTSX")
LAKE = _cpu(INTEL, "Cascadelake-Server-noTSX")
RAPIDS = _cpu(INTEL, "SapphireRapids")
MILAN = _cpu(AMD, "EPYC-Milan")
GENOA = _cpu(AMD, "EPYC-Genoa", more=["sev_snp"])
HYGON = _cpu("HygonGenuine", "Dhyana")
CAPS = _named("Intel", "Icelake-Server-noTSX", "sha-ni")
SILENT = _named(INTEL, "some")
ARM = _named("ARM", "Neoverse", "asimd", "paca", arch="aarch64")
SVE = _named("ARM", "Neoverse", "asimd", "sve", arch="aarch64")
POWER = _named("IBM", "POWER9", arch="ppc64le")
FEW = ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl", "vaes", "gfni", "pku")


def _fleet(
    *hosts: Topology, platforms: Mapping[int, Mapping[str, str]] = {}, **vm: Any
) -> tuple[Site, dict[str, Topology]]:
    """A guest that may go to every host. platforms: versions that differ, by the host's place."""
    names = "abcdefghij"[: len(hosts)]
    made = [a_platform("deb12")]
    made += [a_platform(f"p{n}", **{tool: _at(text) for tool, text in own.items()}) for n, own in platforms.items()]
    own = [a_host(name, platform=f"p{n}" if n in platforms else "deb12") for n, name in enumerate(names)]
    return a_site(own, [a_vm("one", **vm)], platforms=made), dict(zip(names, hosts, strict=True))


CASES: Mapping[str, Callable[[], tuple[Site, dict[str, Topology]]]] = {
    "nothing is asked": lambda: _fleet(ICE, LAKE, SILENT, ARM),
    "one host lacks one": lambda: _fleet(ICE, LAKE, require=("vaes", "aes")),
    "two lack two": lambda: _fleet(LAKE, ICE, LAKE, require=("vaes", "gfni")),
    "hosts that lack other ones": lambda: _fleet(LAKE, ICE, MILAN, MILAN, RAPIDS, require=("sha-ni", "vaes", "pku")),
    "more than are named": lambda: _fleet(*[MILAN] * 8, ICE, require=FEW),
    "as many as are named": lambda: _fleet(*[MILAN] * 6, ICE, require=FEW[:6]),
    "many that have it": lambda: _fleet(*[ICE] * 7, LAKE, require=("vaes",)),
    "none has it": lambda: _fleet(ICE, LAKE, require=("amx-tile",)),
    "none has them": lambda: _fleet(ICE, LAKE, require=("amx-tile", "amx-int8")),
    "spelled otherwise and alike": lambda: _fleet(LAKE, require=("avx512-bf16", "gfni", "avx512vnni", "sse4.1")),
    "what the kernel does not show": lambda: _fleet(LAKE, require=("mds-no", "xfd")),
    "no features are told": lambda: _fleet(SILENT, ICE, SILENT, LAKE, require=("vaes",)),
    "a vendor's spelling": lambda: _fleet(CAPS, require=("sha-ni", "vaes", "avx512vnni")),
    "Arm": lambda: _fleet(ARM, SVE, require=("sve", "pauth", "sve256"), platforms={0: {"libvirt": "10.6"}, 1: {"libvirt": "10.6"}}),
    "Arm with old releases": lambda: _fleet(ARM, require=("pauth",), platforms={0: {"libvirt": "10.5"}}),
    "no known architecture": lambda: _fleet(POWER, require=("pauth", "aes"), platforms={0: {"libvirt": "10.6"}}),
    "libvirt too old": lambda: _fleet(GENOA, require=("fzrm",), platforms={0: {"libvirt": "9.3", "qemu": "8.0"}}),
    "QEMU too old": lambda: _fleet(RAPIDS, require=("amx-tile",), platforms={0: {"qemu": "6.2", "kernel": "5.17"}}),
    "the kernel too old": lambda: _fleet(RAPIDS, require=("amx-tile",), platforms={0: {"qemu": "7.0", "kernel": "5.16"}}),
    "new enough": lambda: _fleet(RAPIDS, require=("amx-tile",), platforms={0: {"qemu": "7.0", "kernel": "5.17"}}),
    "emulation": lambda: _fleet(ICE, type="qemu", require=("amx-fp16",), cpu="qemu64"),
    "a model of another vendor": lambda: _fleet(ICE, MILAN, HYGON, cpu="Cascadelake-Server-noTSX"),
    "a model of another vendor, the host is Intel's": lambda: _fleet(ICE, cpu="EPYC"),
    "a model that one lacks": lambda: _fleet(ICE, LAKE, cpu="Icelake-Server-noTSX"),
    "a model that lacks one": lambda: _fleet(
        _cpu(INTEL, "Icelake-Server-noTSX", without=["gfni"]), cpu="Icelake-Server-noTSX"
    ),
    "a model with all hidden that lacks": lambda: _fleet(
        _cpu(INTEL, "Icelake-Server-noTSX", without=["gfni"]), cpu="Icelake-Server-noTSX", disable=("gfni",)
    ),
    "a model that libvirt names": lambda: _fleet(CAPS, cpu="Icelake-Server", disable=("hle",)),
    "a model, and features are not told": lambda: _fleet(SILENT, cpu="Icelake-Server"),
    "a model, and the vendor is not told": lambda: _fleet(_cpu(None, "EPYC"), cpu="EPYC-Rome"),
    "a model that the kernel shows no flag of": lambda: _fleet(
        _cpu(INTEL, "Icelake-Server-noTSX", more=["arch-capabilities", "stibp", "avx512-bf16"]), cpu="Cooperlake"
    ),
    "sealed by AMD": lambda: _fleet(GENOA, launch_security="sev-snp"),
    "sealed by AMD, some are not set up": lambda: _fleet(MILAN, GENOA, ICE, launch_security="sev-snp"),
    "sealed by Intel, none is set up": lambda: _fleet(ICE, launch_security="tdx", type="qemu"),
    "sealed by Intel": lambda: _fleet(_cpu(INTEL, "SapphireRapids", more=["tdx_host_platform"]), launch_security="tdx"),
    "sealed, and features are not told": lambda: _fleet(_named(AMD, "EPYC"), SILENT, launch_security="sev-snp"),
    "no host may have it": lambda: _fleet(ICE, cpu="baseline", require=("aes",), pool="nowhere"),
    "drawn by its host": lambda: _fleet(ICE, LAKE, require=("vaes",), host="a"),
    "a baseline of one": lambda: _fleet(ICE, cpu="baseline"),
    "a baseline of two generations": lambda: _fleet(ICE, LAKE, cpu="baseline", require=("avx512vnni", "vaes"), disable=("avx2",)),
    "a baseline that asks for more": lambda: _fleet(ICE, LAKE, cpu="baseline", require=("sha-ni", "clflushopt")),
    "a baseline with more and less": lambda: _fleet(
        _cpu(INTEL, "Cascadelake-Server-noTSX", without=["avx512f"], more=["sha-ni", "rdpid", "invtsc", "vmx", "hle"]),
        _cpu(INTEL, "Cascadelake-Server-noTSX", more=["sha-ni", "vmx", "rdpid", "invtsc"]),
        cpu="baseline", require=("avx512f",),
    ),
    "a baseline of AMD": lambda: _fleet(MILAN, GENOA, cpu="baseline"),
    "a baseline of AMD, newer": lambda: _fleet(GENOA, cpu="baseline", platforms={0: {"libvirt": "9.8", "qemu": "8.1"}}),
    "a baseline of AMD, one platform is older": lambda: _fleet(
        GENOA, GENOA, cpu="baseline", platforms={0: {"libvirt": "9.8", "qemu": "8.1"}, 1: {"libvirt": "9.8", "qemu": "8.0"}}
    ),
    "a baseline between two models": lambda: _fleet(
        _cpu(INTEL, "Westmere", more=["avx", "rdtscp", "xsave"]), cpu="baseline"
    ),
    "a baseline of Hygon": lambda: _fleet(HYGON, cpu="baseline"),
    "a baseline with tiles": lambda: _fleet(
        RAPIDS, RAPIDS, cpu="baseline", platforms={0: {"kernel": "5.17"}, 1: {"kernel": "5.17", "qemu": "7.0"}}
    ),
    "a baseline with tiles, the kernel is too old": lambda: _fleet(RAPIDS, cpu="baseline", platforms={0: {"kernel": "5.16"}}),
    "a baseline where libvirt names the CPU": lambda: _fleet(CAPS, cpu="baseline"),
    "a baseline where libvirt names the CPU and the kernel does not": lambda: _fleet(CAPS, ICE, cpu="baseline"),
    "no baseline of two vendors": lambda: _fleet(ICE, MILAN, cpu="baseline"),
    "no baseline of Arm": lambda: _fleet(ICE, ARM, cpu="baseline"),
    "no baseline without features": lambda: _fleet(ICE, SILENT, cpu="baseline"),
    "no baseline of a strange vendor": lambda: _fleet(_named("VIA", "Nano", "fpu", "lm"), cpu="baseline"),
    "no baseline of no vendor": lambda: _fleet(replace(ICE, cpu=replace(ICE.cpu, vendor=None)), cpu="baseline"),
    "a baseline of a CPU without 64 bits told": lambda: _fleet(_named(INTEL, "x", "lm", "sse"), cpu="baseline"),
    "consequences": lambda: _fleet(RAPIDS, require=("amx-tile", "aes", "avx512f")),
    "one consequence": lambda: _fleet(MILAN, require=("aes", "svm")),
}  # fmt: skip


def _said(site: Site, topologies: Mapping[str, Topology], origins: Origins) -> str:
    found = baselines(site, topologies)
    models = "\n".join(f"{name}: {one.model} {word(one.features)}" for name, one in found.items())
    bag = check_cpus(site, topologies, origins)
    bag.extend(consequences(site, origins))
    return f"{models}\n\n{told(bag)}".lstrip()


@pytest.mark.parametrize("title", CASES)
def test_fleets(title: str, pytestconfig: pytest.Config) -> None:
    golden("fleet", title, _said(*CASES[title](), EVERYWHERE), update=pytestconfig.getoption("--update"))


@pytest.mark.parametrize(("name", "origins"), [("by inheritance", INHERITED), ("nowhere", NOWHERE)])
def test_places(name: str, origins: Origins, pytestconfig: pytest.Config) -> None:
    site, hosts = _fleet(LAKE, SILENT, MILAN, require=("vaes",), launch_security="tdx", cpu="Icelake-Server-noTSX")
    golden("fleet", name, _said(site, hosts, origins), update=pytestconfig.getoption("--update"))


def test_many_guests_and_hosts_without_a_topology(pytestconfig: pytest.Config) -> None:
    hosts = [a_host("a"), a_host("b", pool="other"), a_host("no-topology")]
    vms = [
        a_vm("one", cpu="baseline"),
        a_vm("two", cpu="baseline", pool="other"),
        a_vm("three", cpu="baseline", host="a", disable=("aes",)),
        a_vm("four", require=("vaes",), pool="other"),
        a_vm("five", cpu="EPYC", host="b"),
    ]
    text = _said(a_site(hosts, vms), {"a": ICE, "b": LAKE}, EVERYWHERE)
    golden("fleet", "many guests", text, update=pytestconfig.getoption("--update"))
