"""Trees to compare: a folder of hosts' folders, or one as it stood in a git revision."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from kvmc.audit.tree import MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, read_tree
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import verify as codes

Tree = Mapping[str, Mapping[str, str]]
"""Host -> path below its folder -> text."""

GENERATED = "generated"
_SECONDS = 60


def read(name: str, bag: Bag, *, git: bool = False) -> Tree:
    """A folder, or `REV:path` where no such folder is there; with `git` a revision alone, whose path is then `generated`.

    A path of a revision is taken from the working directory where it begins with `./`, else from the repository's root; so is
    git's own way. Empty with a finding where it can't be read.
    """
    if not git and (Path(name).is_dir() or ":" not in name):
        if not Path(name).is_dir():
            bag.error(codes.TREE_UNREADABLE, f"`{name}` is no folder", help=["a revision is written `REV:path`"])
            return {}
        return read_tree(Path(name))
    spec = name if ":" in name else f"{name}:./{GENERATED}"
    known = not spec.startswith("-")  # git 2.39 takes no --end-of-options here
    tree = _git("rev-parse", "--verify", "--quiet", spec) if known else None
    if tree is None:
        bag.error(codes.TREE_UNREADABLE, f"`{spec}` is no folder of a revision that git knows here")
        return {}
    return _revision(spec, tree.decode("ascii", "replace").strip(), bag)


def _git(*words: str, given: bytes | None = None) -> bytes | None:
    """Its output; None where it fails."""
    try:
        done = subprocess.run(["git", *words], input=given, capture_output=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout if done.returncode == 0 else None


def _revision(spec: str, tree: str, bag: Bag) -> Tree:
    listed = _git("ls-tree", "-r", "-l", "-z", tree)
    found: dict[str, dict[str, str]] = {}
    wanted: list[tuple[str, str, str]] = []
    budget = MAX_TOTAL_BYTES
    for entry in (listed or b"").split(b"\0")[:MAX_FILES]:
        head, _, path = entry.decode("utf-8", "surrogateescape").partition("\t")
        words = head.split()
        host, _, rest = path.partition("/")
        if len(words) != 4 or not rest or host.startswith("."):
            continue
        size = int(words[3]) if words[3].isdecimal() else MAX_FILE_BYTES + 1
        budget -= size
        found.setdefault(host, {})[rest] = ""
        if words[1] == "blob" and words[0] != "120000" and size <= MAX_FILE_BYTES and budget > 0:
            wanted.append((host, rest, words[2]))
    names = "".join(f"{digest}\n" for _, _, digest in wanted).encode()
    texts = _git("cat-file", "--batch", given=names) if wanted else b""
    if listed is None or texts is None:
        bag.error(codes.TREE_UNREADABLE, f"git cannot read `{spec}`")
        return {}
    at = 0
    for host, rest, _ in wanted:
        end = texts.find(b"\n", at)
        size = int(texts[at:end].rsplit(b" ", 1)[-1])
        found[host][rest] = texts[end + 1 : end + 1 + size].decode("utf-8", "surrogateescape")
        at = end + 2 + size
    return found
