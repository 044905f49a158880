"""From paths to verdicts: what the commands `verify` and `capture` do."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from kvmc.audit.tree import read_tree
from kvmc.diagnostics import Bag, Sources
from kvmc.diagnostics.codes import verify as codes
from kvmc.verify.check import Verdict, verify_host
from kvmc.verify.root import Root, TextRoot, open_root


def verify_tree(tree: Path, host: str | None, root: Path | None) -> Verdict:
    """root: a capture; None captures this host, without a file. host: None asks the root for its name."""
    bag = Bag()
    place = _this_host() if root is None else open_root(root)
    if isinstance(place, str):
        bag.error(codes.NOT_CAPTURED, f"`{root}` {place}", help=["`kvmc capture -o FILE.tar` on the host makes one"])
        return Verdict(host or "", (), bag, Sources({}))
    trees = read_tree(tree)
    if host is None:
        name = (place.read("proc/sys/kernel/hostname") or "").strip()
        host = next((one for one in (name, name.partition(".")[0]) if one in trees), name or "unknown")
    if host not in trees:
        there = ", ".join(f"`{one}`" for one in list(trees)[:20]) or "none"
        help = [f"name a host with --host; there is {there}", "TREE is the folder of the hosts' folders"]
        bag.error(codes.NOTHING_COMPILED, f"`{tree.as_posix()}` has no artifacts of host `{host}`", help=help)
        return Verdict(host, (), bag, Sources({}))
    elsewhere = {
        path.removeprefix("domains/").removesuffix(".xml"): other
        for other, texts in trees.items()
        for path in texts
        if other != host and path.startswith("domains/")
    }
    return verify_host(host, trees[host], place, elsewhere)


def _this_host() -> Root:
    from kvmc.verify.capture import capture

    return TextRoot({path: data.decode("utf-8", "replace") for path, data in capture("/").items()})


def write_textfile(path: Path, text: str) -> None:
    """At once: a collector that reads meanwhile sees the old file or the new one. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8", errors="replace")
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
