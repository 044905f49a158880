"""libvirt's named CPU models of servers: the features of each, who makes it, and the releases that know it.

Facts from libvirt's cpu_map (src/cpu_map, as of 9.0 and of the release that brought a model) and its release notes: SapphireRapids
since 9.4, EPYC-Genoa since 9.8, each with the QEMU that has the model. GraniteRapids is dated late on purpose: no note names its
release. What QEMU took out of a model since (`intel-pt`, `monitor`) is not in it here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from kvmc.model.values import VersionRange

_TABLE = """
Nehalem : Intel -
  + apic clflush cmov cx16 cx8 de fpu fxsr lahf_lm lm mca mce mmx msr mtrr nx pae pat pge pni popcnt
  + pse pse36 sep sse sse2 sse4.1 sse4.2 ssse3 syscall tsc
Nehalem-IBRS : Intel Nehalem
  + spec-ctrl
Westmere : Intel Nehalem
  + aes
Westmere-IBRS : Intel Westmere
  + spec-ctrl
SandyBridge : Intel Westmere
  + avx pclmuldq rdtscp tsc-deadline x2apic xsave
SandyBridge-IBRS : Intel SandyBridge
  + spec-ctrl
IvyBridge : Intel SandyBridge
  + erms f16c fsgsbase rdrand smep vme
IvyBridge-IBRS : Intel IvyBridge
  + spec-ctrl
Haswell-noTSX : Intel IvyBridge
  + avx2 bmi1 bmi2 fma invpcid movbe pcid
  - f16c rdrand vme
Haswell-noTSX-IBRS : Intel Haswell-noTSX
  + spec-ctrl
Haswell : Intel Haswell-noTSX
  + hle rtm
Haswell-IBRS : Intel Haswell
  + spec-ctrl
Broadwell-noTSX : Intel Haswell-noTSX
  + 3dnowprefetch adx rdseed smap
Broadwell-noTSX-IBRS : Intel Broadwell-noTSX
  + spec-ctrl
Broadwell : Intel Broadwell-noTSX
  + hle rtm
Broadwell-IBRS : Intel Broadwell
  + spec-ctrl
Skylake-Server : Intel Broadwell
  + abm arat avx512bw avx512cd avx512dq avx512f avx512vl clwb f16c mpx pdpe1gb rdrand vme xgetbv1
  + xsavec xsaveopt
Skylake-Server-IBRS : Intel Skylake-Server
  + spec-ctrl
Skylake-Server-noTSX-IBRS : Intel Skylake-Server-IBRS
  - hle rtm
Cascadelake-Server : Intel Skylake-Server-IBRS
  + avx512vnni clflushopt ssbd
Cascadelake-Server-noTSX : Intel Cascadelake-Server
  - hle rtm
Cooperlake : Intel Cascadelake-Server
  + arch-capabilities avx512-bf16 ibrs-all mds-no pku pschange-mc-no rdctl-no skip-l1dfl-vmentry
  + stibp taa-no
  - mpx
Icelake-Server : Intel Cascadelake-Server
  + avx512-vpopcntdq avx512bitalg avx512vbmi avx512vbmi2 gfni la57 pku umip vaes vpclmulqdq wbnoinvd
Icelake-Server-noTSX : Intel Icelake-Server
  - hle rtm
SapphireRapids : Intel Icelake-Server libvirt 9.4 qemu 8.0
  + amx-bf16 amx-int8 amx-tile arch-capabilities avx-vnni avx512-bf16 avx512-fp16 avx512ifma bus-lock-detect
  + fsrc fsrm fsrs fzrm ibrs-all mds-no pschange-mc-no rdctl-no rdpid serialize sha-ni
  + skip-l1dfl-vmentry taa-no tsx-ldtrk xfd xsaves
  - mpx
GraniteRapids : Intel SapphireRapids libvirt 10.10 qemu 8.1
  + amx-fp16 fbsdp-no mcdt-no pbrsb-no prefetchiti psdp-no sbdr-ssdp-no
EPYC : AMD -
  + 3dnowprefetch abm adx aes apic arat avx avx2 bmi1 bmi2 clflush clflushopt cmov cr8legacy cx16
  + cx8 de f16c fma fpu fsgsbase fxsr fxsr_opt lahf_lm lm mca mce misalignsse mmx mmxext movbe msr
  + mtrr nx osvw pae pat pclmuldq pdpe1gb pge pni popcnt pse pse36 rdrand rdseed rdtscp sep sha-ni
  + smap smep sse sse2 sse4.1 sse4.2 sse4a ssse3 svm syscall tsc vme xgetbv1 xsave xsavec xsaveopt
EPYC-IBPB : AMD EPYC
  + ibpb
EPYC-Rome : AMD EPYC-IBPB
  + amd-stibp clwb clzero npt nrip-save perfctr_core rdpid umip wbnoinvd xsaveerptr
EPYC-Milan : AMD EPYC-Rome
  + amd-ssbd erms fsrm ibrs invpcid pcid pku svme-addr-chk xsaves
EPYC-Genoa : AMD EPYC-Milan libvirt 9.8 qemu 8.1
  + amd-psfd auto-ibrs avx512-bf16 avx512-vpopcntdq avx512bitalg avx512bw avx512cd avx512dq avx512f
  + avx512ifma avx512vbmi avx512vbmi2 avx512vl avx512vnni gfni la57 lfence-always-serializing no-nested-data-bp
  + null-sel-clr-base stibp-always-on vaes vnmi vpclmulqdq
Dhyana : Hygon EPYC
  + ibpb
  - aes pclmuldq sha-ni
"""
"""A model: its vendor, the model that it is told apart from, and since when it is known where that is later than 9.0; then the
features that it has more (+) and has not (-)."""

VENDORS = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD", "HygonGenuine": "Hygon"}
"""libvirt's name for a vendor, by that of the kernel."""


@dataclass(frozen=True, slots=True)
class CpuModel:
    """`libvirt`, `qemu`: the first release that knows the model; (0, 0) for all that kvmc knows."""

    name: str
    vendor: str
    features: frozenset[str]
    libvirt: tuple[int, int] = (0, 0)
    qemu: tuple[int, int] = (0, 0)

    def known_to(self, libvirt: VersionRange, qemu: VersionRange) -> bool:
        return libvirt.since(*self.libvirt) and qemu.since(*self.qemu)


@cache
def cpu_models() -> Mapping[str, CpuModel]:
    """By name, in the order of the table: a maker's older models first."""
    found: dict[str, CpuModel] = {}
    for head, lines in _entries():
        name, vendor, base, versions = head
        features = set(found[base].features) if base in found else set()
        for sign, words in lines:
            features = features | words if sign == "+" else features - words
        found[name] = CpuModel(
            name, vendor, frozenset(features), versions.get("libvirt", (0, 0)), versions.get("qemu", (0, 0))
        )
    return found


_Head = tuple[str, str, str, dict[str, tuple[int, int]]]


def _entries() -> Iterator[tuple[_Head, list[tuple[str, set[str]]]]]:
    head: _Head | None = None
    lines: list[tuple[str, set[str]]] = []
    for line in _TABLE.strip().splitlines():
        words = line.split()
        if line.startswith(" "):
            lines.append((words[0], set(words[1:])))
            continue
        if head is not None:
            yield head, lines
        name, _, vendor, base, *rest = words
        versions = {tool: _version(number) for tool, number in zip(rest[::2], rest[1::2], strict=True)}
        head, lines = (name, vendor, base, versions), []
    if head is not None:
        yield head, lines


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
