"""The page of knobs, made from the data: `python -m kvmc.knowledge.pages > docs/knobs.md`. Kept up to date by a test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kvmc.knowledge import describe
from kvmc.knowledge.folklore import FOLKLORE
from kvmc.knowledge.harms import HARMS
from kvmc.knowledge.model import Knob
from kvmc.knowledge.registry import REGISTRY, status_in
from kvmc.knowledge.stock_profiles import PROFILES, READ

_HEAD = """\
# Knobs

Written by `python -m kvmc.knowledge.pages` from the data in `compiler/kvmc/knowledge/`; do not edit. `kvmc explain NAME` tells the
same of one name, however it is spelled, with its source.

What kvmc writes by itself it writes by a site's settings. What it has no word for goes into a `raw` block, of a pool or a host
(`cmdline`, `sysctl`, `modprobe`, `tuned`) or of a class or a guest (`xml`):

```
pool compute {
  raw sysctl "vm.min_free_kbytes" {
    value  = 1048576
    reason = "bursts of the storage network"
  }
}
class agents {
  raw xml agent {
    at    = devices
    value = "<vsock model='virtio'><cid auto='yes'/></vsock>"
  }
}
```

A raw setting is checked against this page: what does not exist is an error that names what does; what kvmc writes for the host is
an error with both places; release, machine and value must fit. What harms, and what is not known here, needs a `reason`, which
stands beside it in the host's file. An element of a guest stands where `at` says and is none that kvmc writes; a device without an
`<address>` gets one from libvirt.

A knob is there where every release of the platform has it. With `facts` in the `platform` block, the names that
`kvmc topology scan` saw on such a host decide, since distributions bring knobs to older releases: sysctls, module options, files
of the scheduler in debugfs (a scan by root), and options that the kernel was built with.
"""


def page() -> str:
    """The page, in Markdown."""
    return "\n".join(
        [_HEAD, *_layers(), *_folklore(), *_harms(), *_profiles()],
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
    yield ""


def _layers() -> Iterator[str]:
    for layer, what in describe.LAYERS.items():
        found = sorted((knob for knob in REGISTRY if knob.carrier == layer), key=lambda knob: knob.key)
        yield f"## {what[0].upper()}{what[1:]}\n"
        head = ("name", "kvmc", "value", "where", "takes hold", "use", "harm")
        yield from _table(head, (_row(knob) for knob in found))


def _row(knob: Knob) -> tuple[str, ...]:
    where = ", ".join(text for text in (describe.releases(knob), describe.machines(knob)) if text)
    status = str(status_in(knob)) + (f": {knob.instead}" if knob.instead else "")
    harm = knob.harm if knob.harm != "none" else ""
    return (f"`{knob.key}`", status, describe.value(knob), where, knob.effect, knob.use, harm)


def _folklore() -> Iterator[str]:
    yield "## Names that do not exist, or not so\n"
    rows = (
        (f"`{one.name}{'=' + one.value if one.value else ''}`", str(one.status), one.meant, one.real, one.instead)
        for one in FOLKLORE
    )
    yield from _table(("name", "", "meant", "what does it", "instead"), rows)


def _harms() -> Iterator[str]:
    yield "## Values that harm\n"
    rows = (
        (
            f"`{one.key}`",
            ", ".join(f"`{value}`" if value else "set at all" for value in one.values),
            one.why + (" (shared CPUs)" if one.shared else ""),
        )
        for one in HARMS
    )
    yield from _table(("name", "value", "what it does"), rows)


def _profiles() -> Iterator[str]:
    yield f"## Stock profiles of tuned {READ}\n"
    yield "kvmc includes none of them; what one includes comes before its own keys.\n"
    for profile in PROFILES.values():
        includes = f", includes `{profile.include}`" if profile.include else ""
        keys = "; ".join(f"[{section}] {key} = {value}" for section, key, value in profile.settings)
        yield f"- `{profile.name}`{includes}: {keys.replace('*', chr(92) + '*')}"
    yield ""


if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
