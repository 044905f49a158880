"""A small valid site to put mistakes into, and the one way in which tests say where a mistake is told."""

from __future__ import annotations

from pathlib import Path

from kvmc.diagnostics import Diagnostic
from kvmc.model.load import load_site
from kvmc.model.loaded import Loaded
from kvmc.model.site import Site

BASE = """kvmt 1
site s {
  identity = "s.example.net"
}
platform deb13 {
  kernel  = 6.12
  libvirt = "11.3"
  qemu    = 10.0
  tuned   = 2.25.1
}
pool compute {
  platform = deb13
  devices vf {
    parent = 0000:3b:00.0
    vfs    = 4
  }
}
host kvm-a : compute {
  topology = "a.json"
}
network net {
  bridge = br0
}
storage disks {
  source = "/dev/vg0/{vm}-{disk}"
}
class base {
  vcpus   = 4
  memory  = 8GiB
  machine = pc-q35-9.2
}
"""


def load(folder: Path, text: str, **others: str) -> Loaded:
    """Load a site with the text, and other files by their names with `__` for `/` and without `.kvmt`."""
    for name, other in others.items():
        path = folder / (name.replace("__", "/") + ".kvmt")
        path.parent.mkdir(exist_ok=True)
        path.write_text(other, encoding="utf-8")
    (folder / "site.kvmt").write_text(text, encoding="utf-8")
    return load_site(folder / "site.kvmt")


def good(folder: Path, text: str, **others: str) -> Site:
    """The site of `BASE` and the text, which has no mistake."""
    loaded = load(folder, BASE + text, **others)
    assert [(item.code.id, item.message) for item in loaded.bag] == []
    assert loaded.site is not None
    return loaded.site


def one(folder: Path, marked: str, **others: str) -> Diagnostic:
    """The one diagnostic of a text whose place is marked `«so»`; the texts of the labels are checked to be in the sources."""
    loaded = load(folder, marked.replace("«", "").replace("»", ""), **others)
    told = [(item.code.id, item.message, spanned(loaded, item)) for item in loaded.bag]
    assert len(told) == 1, told
    assert loaded.site is None
    if "«" in marked:
        start, end = marked.index("«"), marked.index("»") - 1
        primary = loaded.bag.items[0].primary
        assert primary is not None
        assert (primary.span.start, primary.span.end) == (start, end), (told, marked[start + 1 : end + 1])
    return loaded.bag.items[0]


def spanned(loaded: Loaded, item: Diagnostic) -> str:
    """The text that the primary label covers."""
    if item.primary is None:
        return ""
    span = item.primary.span
    return loaded.sources.texts[span.file][span.start : span.end]
