"""The kind of CPU features: libvirt's names, whatever the kernel or QEMU call them."""

from __future__ import annotations

from kvmc.diagnostics.codes import schema as codes
from kvmc.model.kinds import BadValue, Problem, Scalar
from kvmc.model.names import NearNames, shown
from kvmc.syntax.tree import Word


class CpuFeature(Scalar):
    words = "a CPU feature as libvirt names it, such as `avx512vnni`"

    def parse(self, word: Word) -> object:
        # the table is for the few sites that name a feature: `kvmc check` of the others need not pay for it
        from kvmc.knowledge.cpu_features import ARM, X86, libvirt_name

        if word.text in X86 or word.text in ARM:
            return word.text
        meant = libvirt_name(word.text)
        names = (meant,) if meant else tuple(NearNames().names(word.text, X86))
        help = (f"write `{meant}`: so libvirt calls it",) if meant else NearNames().help(word.text, X86)
        text = f"{shown(word.text)} is no CPU feature that libvirt knows"
        raise BadValue(Problem(codes.BAD_FEATURE, text, word.span, tuple(help), write=names))
