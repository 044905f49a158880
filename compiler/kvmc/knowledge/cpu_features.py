"""CPU features as libvirt names them: how the kernel spells each in /proc/cpuinfo, since when the stack has it, and what it brings.

Facts: libvirt's cpu_map (names, what migrates), the kernel's arch/x86/include/asm/cpufeatures.h (flags; those that the kernel does
not show are None), QEMU's and KVM's release notes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kvmc.knowledge.cpu_models import VENDORS, cpu_models

_SAME = """
3dnowprefetch abm acpi adx aes apic arat avic avx avx2 avx512bw avx512cd avx512dq avx512f avx512ifma avx512vbmi avx512vl bmi1 bmi2
cid cldemote clflush clflushopt clwb clzero cmov cmp_legacy cx16 cx8 de decodeassists ds_cpl dtes64 erms extapic f16c flushbyasid
fma fma4 fpu fsgsbase fsrm fxsr fxsr_opt gfni hle ht invpcid la57 lahf_lm lbrv lm mca mce misalignsse mmx mmxext monitor movbe
movdir64b movdiri msr mtrr npt nx osvw pae pat pbe pcid pconfig pdcm pdpe1gb perfctr_core perfctr_nb pfthreshold pge pku pni
popcnt pse pse36 rdpid rdrand rdseed rdtscp rtm sep serialize sgx smap smep smx ss sse sse2 sse4a ssse3 svm syscall tbm tce topoext
tsc tsc_adjust umip vaes vgif vme vmx vnmi vpclmulqdq waitpkg wbnoinvd x2apic xgetbv1 xop xsave xsavec xsaveerptr xsaveopt xsaves
xtpr
"""
_SPELLED = {
    "amx-bf16": "amx_bf16",
    "amx-int8": "amx_int8",
    "amx-tile": "amx_tile",
    "arch-capabilities": "arch_capabilities",
    "arch-lbr": "arch_lbr",
    "avx-vnni": "avx_vnni",
    "avx512-bf16": "avx512_bf16",
    "avx512-fp16": "avx512_fp16",
    "avx512-vp2intersect": "avx512_vp2intersect",
    "avx512-vpopcntdq": "avx512_vpopcntdq",
    "avx512bitalg": "avx512_bitalg",
    "avx512vbmi2": "avx512_vbmi2",
    "avx512vnni": "avx512_vnni",
    "bus-lock-detect": "bus_lock_detect",
    "cet-ibt": "ibt",
    "cet-ss": "user_shstk",
    "cmt": "cqm",
    "cr8legacy": "cr8_legacy",
    "intel-pt": "intel_pt",
    "invtsc": "nonstop_tsc",
    "md-clear": "md_clear",
    "nrip-save": "nrip_save",
    "pause-filter": "pausefilter",
    "pclmuldq": "pclmulqdq",
    "sha-ni": "sha_ni",
    "sse4.1": "sse4_1",
    "sse4.2": "sse4_2",
    "tsc-deadline": "tsc_deadline_timer",
    "tsc-scale": "tsc_scale",
    "tsx-ldtrk": "tsxldtrk",
    "v-vmsave-vmload": "v_vmsave_vmload",
    "vmcb-clean": "vmcb_clean",
}
_UNTOLD = """
amd-no-ssb amd-psfd amx-fp16 auto-ibrs core-capability fbsdp-no fsrc fsrs fzrm ibrs-all lfence-always-serializing mcdt-no mds-no mpx
no-nested-data-bp null-sel-clr-base pbrsb-no pks prefetchiti pschange-mc-no psdp-no rdctl-no rsba sbdr-ssdp-no skip-l1dfl-vmentry
split-lock-detect ssb-no stibp-always-on svm-lock svme-addr-chk taa-no tsx-ctrl virt-ssbd xfd
"""
_OF_VENDOR = {
    "spec-ctrl": ("Intel", "ibrs"),
    "stibp": ("Intel", "stibp"),
    "ssbd": ("Intel", "ssbd"),
    "ibrs": ("AMD", "ibrs"),
    "ibpb": ("AMD", "ibpb"),
    "amd-stibp": ("AMD", "stibp"),
    "amd-ssbd": ("AMD", "ssbd"),
}
"""Flags that the kernel shows alike for two features, each of one vendor; Hygon's are AMD's."""

X86: dict[str, str | None] = {
    **{name: name for name in _SAME.split()},
    **_SPELLED,
    **dict.fromkeys(_UNTOLD.split()),
    **{name: flag for name, (_, flag) in _OF_VENDOR.items()},
}
"""libvirt's name -> the kernel's flag; None where the kernel shows none."""

ARM: dict[str, str | None] = {
    "sve": "sve",
    "pauth": "paca",
    **dict.fromkeys(f"sve{bits}" for bits in range(128, 2049, 128)),
}


@dataclass(frozen=True, slots=True)
class Need:
    """The first releases with which a guest can have a feature; None where all that kvmc knows of have it."""

    libvirt: tuple[int, int] | None = None
    qemu: tuple[int, int] | None = None
    kernel: tuple[int, int] | None = None


_AMX = Need(qemu=(7, 0), kernel=(5, 17))
_CET = Need(libvirt=(12, 0), qemu=(11, 1), kernel=(6, 18))
NEEDS = {
    **dict.fromkeys(("amx-tile", "amx-int8", "amx-bf16", "xfd"), _AMX),
    **dict.fromkeys(("fzrm", "fsrs", "fsrc"), Need(libvirt=(9, 4), qemu=(8, 0))),
    "amx-fp16": Need(libvirt=(10, 10), qemu=(8, 1), kernel=(6, 2)),
    **dict.fromkeys(("amd-psfd", "auto-ibrs", "vnmi"), Need(libvirt=(9, 8), qemu=(8, 1))),
    **dict.fromkeys(("cet-ss", "cet-ibt"), _CET),
    "pauth": Need(libvirt=(10, 6)),
}
"""Dated late where no source names the release: a gate may refuse what would work, and never emits what does not."""

NO_MIGRATION = frozenset({"invtsc"})
"""QEMU refuses to migrate a guest that has them."""

CONSEQUENCES = {
    "invtsc": "the guest's TSC never changes its rate, so it needs no paravirtual clock; QEMU then refuses live migration",
    "amx-tile": "programs use tiles only after asking the guest's kernel (arch_prctl); 8 KiB of state a thread is saved at each "
    "switch; live migration only between hosts with AMX",
    "avx512f": "heavy use lowers the clock of its core on Skylake to Ice Lake; live migration only between hosts with it",
    "cet-ss": "shadow stacks: a defence against changed return addresses, no gain in speed; live migration only between hosts "
    "with it",
    "cet-ibt": "indirect branch tracking: a defence against changed jumps, no gain in speed; live migration only between hosts "
    "with it",
    "vmx": "the guest may run guests of its own: more surface for attacks, and live migration while it does is fragile",
    "svm": "the guest may run guests of its own: more surface for attacks, and live migration while it does is fragile",
}
"""What people should know of a feature before they require it."""

_COSTLY = """
aes avx avx2 avx512vnni bmi1 bmi2 erms f16c fma pclmuldq popcnt sha-ni sse4.1 sse4.2 ssse3 vaes vpclmulqdq
"""
COSTLY = frozenset(_COSTLY.split())
"""Masked, they slow a database, a web server or a language's runtime down: checksums, TLS, compression and search use them."""


def known(arch: str) -> dict[str, str | None]:
    """libvirt's features of an architecture, each with the kernel's flag."""
    return {"x86_64": X86, "aarch64": ARM}.get(arch, {})


def libvirt_name(flag: str) -> str | None:
    """libvirt's name of what the kernel or QEMU calls otherwise."""
    spelled = {kernel: name for name, kernel in _SPELLED.items()}
    return spelled.get(flag) or _QEMU.get(flag) or spelled.get(flag.replace("-", "_"))


_QEMU = {"sse3": "pni", "sse4-1": "sse4.1", "sse4-2": "sse4.2", "xd": "nx", "ffxsr": "fxsr_opt", "shstk": "cet-ss"}


def features_of(vendor: str | None, model: str | None, told: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
    """What an x86 host has and what it may have or not, both as libvirt's names.

    vendor, model, told: from its topology, in the kernel's words (flags of /proc/cpuinfo) or in libvirt's (a named model and what
    the host has beside it).
    """
    words = set(told)
    named = cpu_models().get(model or "")
    maker = VENDORS.get(vendor or "", vendor)
    have = set(named.features) if named is not None else set()
    untold: set[str] = set()
    for name, flag in X86.items():
        of = _OF_VENDOR.get(name)
        if of is not None and maker is not None and of[0] != {"Hygon": "AMD"}.get(maker, maker):
            continue
        if name in words or (flag is not None and flag in words):
            have.add(name)
        elif flag is None and named is None:
            untold.add(name)
    if "amx-tile" in have:
        # Every CPU with tiles has it, the kernel shows no flag for it, and a guest without it cannot use them.
        have.add("xfd")
        untold.discard("xfd")
    return frozenset(have), frozenset(untold)
