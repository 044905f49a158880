"""What people wrote against what is known: names that do not exist, knobs of another kernel, values that harm.

Of a tree of kvmc's own nothing is asked here: what it may hold was asked of the knowledge before it was written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from kvmc.audit import settings, xml
from kvmc.audit.context import Context
from kvmc.audit.hostfiles import Knob
from kvmc.audit.source import File
from kvmc.diagnostics import Bag, Label, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.knowledge import describe
from kvmc.knowledge.folklore import Folklore
from kvmc.knowledge.harms import harm
from kvmc.knowledge.model import Knob as Row
from kvmc.knowledge.model import Status
from kvmc.knowledge.registry import folklore, rows
from kvmc.knowledge.stock_profiles import boot_words, chain
from kvmc.model.values import Version
from kvmc.topology.model import Facts

_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"
_RELEASE = re.compile(r"([0-9]+)\.([0-9]+)")


@dataclass(frozen=True, slots=True)
class Setting:
    """A name with its value, as a file has it. module: of a module's option. text: the line, as the user may look for it."""

    layer: str
    key: str
    value: str
    span: Span
    module: str = ""


def check(context: Context, files: Mapping[str, File], kernel: Version | None) -> None:
    """files: by their shown names. kernel: as the user says; else as the host's snapshot does."""
    shared = any(not context.dedicated(domain) for domain in context.files.domains)
    facts = context.topology.facts
    kernel = kernel or _release(facts)
    for one in _settings(context, files):
        told = folklore(one.key, one.value, one.module)
        if told is not None:
            _tell(told, one, context.bag)
            continue
        _release_of(one, kernel, facts, context.bag)
        _harm(one, shared, context.bag)
    for domain in context.files.domains:
        _Guest(context.bag, floating=not context.dedicated(domain)).check(domain.root)
    _stock_profiles(context, files)


def _release(facts: Facts | None) -> Version | None:
    match = _RELEASE.match(facts.kernel) if facts is not None and facts.kernel else None
    return Version(int(match[1]), int(match[2])) if match else None


def _settings(context: Context, files: Mapping[str, File]) -> Iterator[Setting]:
    for option in context.files.options:
        span = option.span
        text = files[span.file].text[span.start : span.end] if span.file in files else option.value.key
        yield Setting("cmdline", text.partition("=")[0].strip("\"'"), option.value.value or "", span)
    for knob in context.files.knobs:
        if knob.owner == "sysctl.d":
            yield Setting("sysctl", knob.setting, knob.value, knob.span)
        elif knob.owner == "modprobe.d" and knob.name.startswith("module:"):
            module, _, key = knob.setting.partition(" ")
            yield Setting("modprobe", key, knob.value, knob.span, module)
        elif knob.owner.startswith("tuned ("):
            yield _of_tuned(knob)


def _of_tuned(knob: Knob) -> Setting:
    plugin, _, option = knob.setting.partition(".")
    if plugin == "sysctl":
        return Setting("sysctl", option, knob.value, knob.span)
    return Setting("tuned", knob.setting, knob.value, knob.span)


def _tell(told: Folklore, one: Setting, bag: Bag) -> None:
    name = f"{told.name}={told.value}" if told.value else told.name
    verb = "is not so" if told.status is Status.GARBLED else "does not exist"
    shown = f"{one.module} {one.key}" if one.module else one.key
    also = f" (`{shown[:60]}`)" if shown != told.name and not told.value else ""
    bag.error(
        codes.FOLKLORE,
        f"`{name}`{also} {verb}: {told.real}",
        Label(one.span, f"meant: {told.meant}"),
        help=[told.instead],
    )


def _release_of(one: Setting, kernel: Version | None, facts: Facts | None, bag: Bag) -> None:
    """A knob that the host's kernel lacks, as far as that can be told."""
    key = f"{one.module}.{one.key}" if one.module else one.key
    found = [row for row in rows(one.layer, key) if row.tool == "kernel"]
    if not found or (one.layer == "tuned" and not key.startswith("sysfs.")):
        return
    if _has(one, key, facts):
        return
    if kernel is not None:
        if not any(_in(row, kernel) for row in found):
            row = found[-1]
            bag.error(
                codes.KNOB_GONE,
                f"`{key}` is not in kernel {kernel}: {describe.releases(row)}",
                one.span,
                notes=[row.source],
                help=[f"instead: {row.instead}"] if row.instead else [],
            )
        return
    row = found[-1]
    if row.instead and row.until is not None:
        bag.error(
            codes.KNOB_AGED,
            f"`{key}` is only in {describe.releases(row)}, and the host's kernel is not known",
            one.span,
            notes=[f"now {row.instead}"],
            help=["name the kernel with `--kernel VERSION`"],
        )


def _has(one: Setting, key: str, facts: Facts | None) -> bool:
    """Whether the host's snapshot has the name: distributions bring knobs to older kernels."""
    if facts is None:
        return False
    if one.layer == "sysctl":
        return key in facts.sysctls
    module, _, option = key.partition(".")
    return one.layer in ("modprobe", "cmdline") and option in facts.modules.get(module, ())


def _in(row: Row, kernel: Version) -> bool:
    return (row.since is None or kernel >= row.since) and (row.until is None or kernel <= row.until)


def _harm(one: Setting, shared: bool, bag: Bag) -> None:
    key = f"{one.module}.{one.key}" if one.module else one.key
    found = harm(one.layer, key, one.value, shared=shared)
    if found is not None:
        what = f"`{key}={one.value.strip(chr(34))}`" if one.value else f"`{key}`"
        bag.error(codes.HARMFUL, f"{what}: {found.why}", one.span)


class _Guest:
    """The names in a domain: elements, attributes, CPU features, QEMU's own options, words of a kernel that is booted directly."""

    def __init__(self, bag: Bag, *, floating: bool) -> None:
        self.bag = bag
        self.floating = floating

    def check(self, root: xml.Node) -> None:
        pending = [(root, "")]
        while pending:
            node, path = pending.pop()
            self._node(node, path)
            below = [(child, f"{path}/{child.tag}" if path else child.tag) for child in node.elements()]
            pending += reversed(below)

    def _node(self, node: xml.Node, path: str) -> None:
        tag = node.tag.removeprefix(_QEMU)
        self._name(tag, "", node.span)
        for name in map(str, node.element.attrib):
            at = node.attribute(name)
            if at is not None:
                self._name(name, at.value, at.span)
                self._harm(f"{path}@{name}", at.value, at.span)
        if path == "cpu/feature" and (named := node.attribute("name")) is not None:
            self._name(named.value, "", named.span)
            self._harm(f"cpu/feature {named.value}", node.get("policy", "require"), node.span)
        elif path.startswith("features/kvm/"):
            self._harm(path, node.get("state"), node.span)
        elif node.tag.startswith(_QEMU):
            at = node.attribute("value") or node.attribute("name")
            if at is not None:
                self._words(at.value, at.span)
        elif path in ("os/cmdline", "devices/emulator"):
            text = node.text()
            self._words(text.value.rpartition("/")[2] if path == "devices/emulator" else text.value, text.span)

    def _words(self, text: str, span: Span) -> None:
        """The whole text, then its words; QEMU joins properties by commas."""
        words = [word for word in re.split(r"[\s,]+", text) if word]
        for word in (text, *words) if len(words) > 1 else words:
            key, _, value = word.partition("=")
            if self._name(key, value, span):
                return

    def _name(self, key: str, value: str, span: Span) -> bool:
        told = folklore(key, value)
        if told is not None:
            _tell(told, Setting("libvirt", key, value, span), self.bag)
        return told is not None

    def _harm(self, key: str, value: str, span: Span) -> None:
        found = harm("libvirt", key, value, shared=self.floating)
        if found is not None:
            self.bag.error(codes.HARMFUL, f"`{key}` is `{value[:40]}`: {found.why}", span)


def _stock_profiles(context: Context, files: Mapping[str, File]) -> None:
    """What a profile's stock parents bring along, where another file has it too."""
    release = _tuned_release(context)
    words = {option.value.key: option.span for option in context.files.options}
    sysctls = {knob.setting: knob for knob in context.files.knobs if knob.owner == "sysctl.d"}
    for file in files.values():
        if not file.path.endswith("/tuned.conf"):
            continue
        entries = settings.read_sections(file, Bag())
        own = {entry.key for entry in entries if entry.section == "sysctl"}
        for entry in entries:
            if entry.section == "main" and entry.key == "include":
                for name in re.split(r"[\s,;]+", entry.value.value):
                    _stock_words(name, release, entry.value.span, words, context.bag)
                    _stock_sysctls(name, release, entry.value.span, own, sysctls, context.bag)


def _tuned_release(context: Context) -> tuple[int, int] | None:
    """The host's, where its topology has facts of a scan."""
    text = context.topology.facts.tuned if context.topology.facts is not None else None
    match = re.match(r"([0-9]{1,3})\.([0-9]{1,3})", text or "")
    return (int(match[1]), int(match[2])) if match is not None else None


def _through(name: str, parent: str) -> str:
    names = [one.name for one in chain(name)]
    return " < ".join(names[: names.index(parent) + 1])


def _stock_words(name: str, release: tuple[int, int] | None, span: Span, there: Mapping[str, Span], bag: Bag) -> None:
    """Words for the boot line: of two lists of CPUs the kernel drops one."""
    for parent, words in boot_words(name, release):
        for word in words.split():
            key = word.partition("=")[0].replace("-", "_")
            if key in there:
                bag.error(
                    codes.STOCK_SETS,
                    f"stock profile `{_through(name, parent)}` puts `{word}` on the boot line, which has `{key}` already",
                    span,
                    secondary=[Label(there[key], "there")],
                    help=["include the profile no longer, or keep the word in one of the two"],
                )
                return


def _stock_sysctls(
    name: str,
    release: tuple[int, int] | None,
    span: Span,
    own: Collection[str],
    there: Mapping[str, Knob],
    bag: Bag,
) -> None:
    seen = set(own)
    for profile in chain(name, release):
        for section, option, value in profile.settings:
            # the plugin `vm` writes these sysctls
            key = f"vm.{option}" if section == "vm" and option.startswith("dirty_") else option
            other = there.get(key) if (section == "sysctl" or key != option) and key not in seen else None
            seen.add(key)
            if other is not None and other.value != value:
                bag.error(
                    codes.STOCK_SETS,
                    f"stock profile `{_through(name, profile.name)}` sets `{key}` to `{value}`, and sysctl.d to "
                    f"`{other.value[:40]}`",
                    span,
                    secondary=[Label(other.span, "there")],
                    help=["set the key in one place"],
                )
                return
