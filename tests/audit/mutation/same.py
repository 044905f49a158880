"""Changes that keep what a file says: order, spacing, spelling of lists and numbers, quotes, comments."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator

from audit.mutation.draw import Mutant
from audit.mutation.edits import Edit, Operator
from audit.mutation.operators import KINDS, kind_of
from audit.mutation.trees import Built
from kvmc.model.cpuset import CpuSet

_LIST = r"[0-9]+(?:[-,][0-9]+)*"


def _every(pattern: str, new: Callable[[random.Random, str], str], share: float = 0.5) -> Operator:
    """Some of the pattern's first groups in another spelling."""

    def run(rng: random.Random, text: str) -> Edit | None:
        def put(match: re.Match[str]) -> str:
            if rng.random() > share:
                return match[0]
            start, end = match.start(1) - match.start(), match.end(1) - match.start()
            return match[0][:start] + new(rng, match[1]) + match[0][end:]

        return _edit(text, re.sub(pattern, put, text, flags=re.MULTILINE))

    return run


def _edit(old: str, new: str) -> Edit | None:
    return Edit(new, range(0)) if new != old else None


def respelled(rng: random.Random, text: str) -> str:
    """The same CPUs, as single numbers or as ranges of other lengths, in another order."""
    cpus = list(CpuSet.parse(text))
    parts: list[str] = []
    while cpus:
        run = 1
        while run < len(cpus) and cpus[run] == cpus[0] + run and rng.random() < 0.8:
            run += 1
        parts.append(str(cpus[0]) if run == 1 else f"{cpus[0]}-{cpus[0] + run - 1}")
        cpus = cpus[run:]
    rng.shuffle(parts)
    return ",".join(parts)


def _lines(pattern: str) -> Operator:
    """Neighbouring lines that the pattern is of, in another order."""

    def run(rng: random.Random, text: str) -> Edit | None:
        out: list[str] = []
        block: list[str] = []
        for line in [*text.split("\n"), ""]:
            if re.fullmatch(pattern, line):
                block.append(line)
                continue
            rng.shuffle(block)
            out += [*block, line]
            block = []
        return _edit(text, "\n".join(out[:-1]))

    return run


def _comments(comment: str, where: str) -> Operator:
    def run(rng: random.Random, text: str) -> Edit | None:
        lines = text.split("\n")
        places = [index for index, line in enumerate(lines) if re.match(where, line)]
        for index in sorted(rng.sample(places, min(3, len(places))), reverse=True):
            lines.insert(index, comment)
        return _edit(text, "\n".join(lines))

    return run


def _attributes(rng: random.Random, text: str) -> Edit | None:
    """Attributes of a tag in another order, in the other quotes, with more space."""

    def put(match: re.Match[str]) -> str:
        some = re.findall(r'\s+([^\s=]+)="([^"]*)"', match[2])
        rng.shuffle(some)
        space = rng.choice([" ", "  ", "\n   "])
        shown = "".join(
            f"{space}{name} = '{value}'" if rng.random() < 0.5 else f'{space}{name}="{value}"' for name, value in some
        )
        return f"<{match[1]}{shown}{rng.choice(['', ' '])}{match[3]}>"

    return _edit(text, re.sub(r'<([a-z][a-z-]*)((?:\s+[a-z]+="[^"]*")+)(/?)>', put, text))


def _blocks(rng: random.Random, text: str) -> Edit | None:
    """Disks and interfaces in another order: each has its address."""
    for tag in ("interface", "disk"):
        found = re.findall(rf"    <{tag} .*?</{tag}>\n", text, re.DOTALL)
        other = found[1:] + found[:1]
        if len(found) > 1 and "".join(found) in text and rng.random() < 0.7:
            return _edit(text, text.replace("".join(found), "".join(other)))
    return _edit(text, text.replace("  ", "\t"))


def _unit_of(rng: random.Random, text: str) -> Edit | None:
    def put(match: re.Match[str]) -> str:
        kib = int(match[2])
        unit, factor = rng.choice([("MiB", 1024), ("M", 1024), ("k", 1), ("b", 1 / 1024), ("KiB", 1)])
        return f'<{match[1]} unit="{unit}">{int(kib / factor)}<' if kib % 1024 == 0 else match[0]

    return _edit(text, re.sub(r'<(memory|currentMemory) unit="KiB">([0-9]+)<', put, text))


def _json(rng: random.Random, text: str) -> Edit | None:
    table = json.loads(text)
    for name in ("files", "absent"):
        rng.shuffle(table[name])
    for step in table["steps"]:
        if "note" in step and rng.random() < 0.5:
            step["note"] = "another word"
    fields = list(table.items())
    rng.shuffle(fields)
    return _edit(
        text, json.dumps(dict(fields), indent=rng.choice([None, 1, 4]), ensure_ascii=rng.random() < 0.5) + "\n"
    )


def _boot_words(rng: random.Random, text: str) -> Edit | None:
    """Words of GRUB's line in another order; those of pages stay together, since each counts the size before it."""
    match = re.search(r'^(GRUB_CMDLINE_LINUX_DEFAULT="\$GRUB_CMDLINE_LINUX_DEFAULT )([^"]+)"', text, re.MULTILINE)
    if match is None:
        return None
    words = match[2].split()
    pages = [word for word in words if word.startswith(("hugepages", "default_huge"))]
    others = [word for word in words if word not in pages]
    rng.shuffle(others)
    at = rng.randrange(len(others) + 1)
    line = rng.choice([" ", "  "]).join([*others[:at], *pages, *others[at:]])
    return _edit(text, text.replace(match[2], line))


_SPACES = _every(r"(?<=\S)( ?= ?)(?=\S)", lambda rng, _: rng.choice(["=", " = ", "  ="]))
_SAME: dict[str, list[Operator]] = {
    "domain": [
        _attributes,
        _blocks,
        _unit_of,
        _lines(r" +<vcpupin .*"),
        _lines(r" +<timer .*"),
        _every(rf'(?:cpuset|cpus|vcpus|nodeset)="({_LIST})"', respelled),
        _every(r"<uuid>([^<]+)<", lambda _, old: old.upper(), 1),
        _every(
            r'(?:bus|slot|function|domain)="(0x[0-9a-f]+)"',
            lambda rng, old: rng.choice([str(int(old, 16)), f"0x{int(old, 16):x}"]),
        ),
        _every(r"<[a-z]+( ?/)>", lambda *_: " /"),
        _comments("<!-- <vcpupin vcpu='9' cpuset='0'/> -->", r" +<[a-z]"),
    ],
    "grub": [
        _boot_words,
        _comments("# isolcpus=0", r"(?!')"),
        _every(rf"(?:domain,|nohz_full=|irqaffinity=|rcu_nocbs=)({_LIST})", respelled),
        _every(r"^( +)(?=\S)", lambda rng, _: rng.choice(["", "\t", "     "])),
    ],
    "bls": [
        _comments("# isolcpus=0", r""),
        _every(rf"(?:domain,|nohz_full=|irqaffinity=|rcu_nocbs=)({_LIST})$", respelled),
    ],
    "sysctl": [
        _SPACES,
        _comments("; vm.swappiness = 1", r""),
        _every(r"^([a-z_]+\.[a-z_]+)", lambda _, old: old.replace(".", "/")),
        _lines(r"[a-z].*|#.*"),
    ],
    "tuned": [
        _SPACES,
        _comments("# governor=powersave", r""),
        _lines(r"[a-z/#].*"),
        _every(
            r"cpumask=([0-9a-f,]+)",
            lambda rng, old: rng.choice(
                ["0x" + old, old.upper(), "0" + old if len(old.split(",")[0]) < 8 else old.upper()]
            ),
        ),
    ],
    "modprobe": [
        _comments("# options kvm x=1", r""),
        _lines(r"options.*"),
        _every(r"^options (\S+)(?= )", lambda _, old: old.replace("_", "-")),
        _every(r"^options( )", lambda rng, _: rng.choice(["  ", "\t"])),
    ],
    "unit": [
        _every(r"^[A-Z][A-Za-z]+(=)", lambda rng, _: rng.choice([" = ", "= "])),
        _comments("# CPUAffinity=0", r""),
        _every(r"=(yes)$", lambda rng, _: rng.choice(["true", "on", "1"])),
        _every(rf"CPUAffinity=({_LIST})$", lambda rng, old: respelled(rng, old).replace(",", " ")),
        _lines(
            r"(Type|RemainAfterExit|ExecStart|TimeoutStartSec|What|Where|Options|Before|After|Wants|DefaultDependencies)=.*"
        ),
    ],
    "script": [
        _comments("# exit 0", r"(?!#!)"),
        _every(r"^( +)(?=\S)", lambda rng, _: rng.choice(["", "\t", "      "])),
        _lines(r"make_vfs 0.*|reserve /sys.*"),
    ],
    "apply": [_json],
    "measure": [
        _comments("# rw=write", r"(?:step|\[|rw=)"),
        _every(r"^( +)(?=\S)", lambda rng, _: rng.choice(["\t", "     "])),
        _lines(r"(?:rw|bs|iodepth|direct|time_based)=.*"),
    ],
}


def draw(built: list[Built], count: int, seed: str) -> Iterator[Mutant]:
    """`count` trees that say what they said."""
    rng = random.Random(seed)
    pairs = [(kind, operator) for kind, some in _SAME.items() for operator in some]
    number = 0
    while number < count:
        for kind, operator in pairs:
            for _ in range(30):
                one = rng.choice(built)
                host = rng.choice(list(one.trees))
                paths = [path for path in one.trees[host] if kind_of(path) == kind]
                path = rng.choice(paths or [""])
                edit = operator(rng, one.trees[host][path]) if path else None
                if edit is not None:
                    files = one.trees[host] | {path: edit.text}
                    yield Mutant(
                        number, one.name, host, path, kind, "the same", range(0), False, one.trees | {host: files}
                    )
                    number += 1
                    break
            if number == count:
                return


assert set(_SAME) == set(KINDS)
