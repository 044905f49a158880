"""Fuzz a target with atheris, and tell how the coverage grew.

    pip install -e '.[fuzz]'
    cd tests && python -m fuzz.drive parse --minutes 30 --corpus /tmp/corpus-parse

Time is the fuzzer's own CPU time. What it kept stays in the corpus folder, which a later run goes on with; an input that raises is
written beside it and ends the run with status 1. `--keep` puts the smallest inputs that reach all lines of that corpus into
`tests/fuzz/corpus`, where `test_corpus.py` replays them. `--figures FILE` writes what was measured, as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KEPT = HERE / "corpus"
SOURCES = ("compiler", "grammar", "targets", "tests")
TAIL_SECONDS = 600
MAX_LENGTH = 6000
"""Bytes of an input: an example is 4 to 6 kB."""

_STATUS = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+)")
_FENCE = re.compile(r"^```kvmt,\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|[\w./:*-]+|\s+|.')


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run measured. edges: covered at the end; growth: of the last ten CPU minutes, in percent of those before."""

    target: str
    cpu_minutes: float
    runs: int
    edges: int
    growth: float
    finding: str


def seeds() -> Iterator[str]:
    """The examples, what the pages of the codes show laid behind their base, and the standard library."""
    base = (ROOT / "tests/diagnostics/base/site.kvmt").read_text()
    yield base
    for path in sorted((ROOT / "examples").rglob("*.kvmt")):
        yield path.read_text()
    for path in sorted((ROOT / "compiler/kvmc/std").glob("*.kvmt")):
        yield f'{base}\nimport "std/{path.name}"\nvm x : {path.stem}\n'
        yield path.read_text()
    for page in sorted((ROOT / "compiler/kvmc/diagnostics/explain").glob("*.md")):
        for fence in _FENCE.findall(page.read_text()):
            text = re.sub(r"^-- (\S+) --$", "#-- ", fence, flags=re.MULTILINE)
            yield text if text.startswith("kvmt") else f"{base}\n{text}"


def vocabulary() -> list[str]:
    """Words that the language knows, and signs."""
    from kvmc.model.blocks import BLOCKS
    from kvmc.model.settings import ROWS

    words = (
        {row.name for row in BLOCKS} | {f"{row.name} = {row.example}\n" for row in ROWS} | {row.example for row in ROWS}
    )
    signs = [
        "{",
        "}\n",
        "[",
        "]",
        "=",
        ":",
        "*",
        ",",
        '"',
        "\\",
        "#",
        "\n",
        "\r\n",
        "\n#-- \n",
        'import "a.kvmt"\n',
        "none",
        "-1",
        "é",
        "𝄞",
    ]
    return [
        *sorted(words),
        *signs,
        "kvmt 1\n",
        "\ufeff",
        "\t",
        "\r",
        "\x00",
        "1.5GiB",
        "64GB",
        "0-3,9",
        "[1,1]",
        "é" * 70,
        "9" * 30,
    ]


def mutator(mutate: Callable[[bytes, int], bytes]) -> Callable[[bytes, int, int], bytes]:
    """Half of the changes are the fuzzer's own, of bytes; the others delete, double, swap and put in words and lines."""
    words = vocabulary()

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        draw = random.Random(seed)
        if draw.random() < 0.5:
            return mutate(data, max_size)
        text = data.decode("utf-8", "surrogateescape")
        pieces = _TOKEN.findall(text) if draw.random() < 0.6 else text.splitlines(keepends=True)
        for _ in range(draw.choice((1, 1, 1, 2, 3, 6))):
            at = draw.randrange(len(pieces) + 1)
            what = draw.randrange(5)
            if what == 0 or not pieces[at : at + 1]:
                pieces.insert(at, draw.choice(words))
            elif what == 1:
                pieces[at] = draw.choice(words)
            elif what == 2:
                del pieces[at]
            elif what == 3:
                pieces.insert(draw.randrange(len(pieces) + 1), pieces[at])
            else:
                other = draw.randrange(len(pieces))
                pieces[at], pieces[other] = pieces[other], pieces[at]
        return "".join(pieces).encode("utf-8", "surrogateescape")[:max_size]

    return change


def fuzz(target: str, arguments: list[str]) -> None:
    """Be the fuzzer; never comes back."""
    import atheris

    with atheris.instrument_imports(include=["kvmc", "kvmc_grammar"]):
        from fuzz.targets import TARGETS

    atheris.Setup(
        [sys.argv[0], *arguments],
        TARGETS[target],
        custom_mutator=mutator(lambda data, size: atheris.Mutate(data, size)),
    )
    atheris.Fuzz()


def run(target: str, corpus: Path, minutes: float) -> Figures:
    """Fuzz in a process of its own until it has used that much CPU time, or found something."""
    corpus.mkdir(parents=True, exist_ok=True)
    for text in seeds():
        data = text.encode()[:MAX_LENGTH]
        (corpus / sha256(data).hexdigest()[:16]).write_bytes(data)
    for path in (KEPT / target).glob("*"):
        (corpus / path.name).write_bytes(path.read_bytes())
    paths = [str(ROOT / name) for name in SOURCES]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    words = [sys.executable, "-m", "fuzz.drive", target, "--fuzz", f"-artifact_prefix={corpus.parent}/{target}-"]
    words += ["-timeout=10", "-rss_limit_mb=4096", f"-max_len={MAX_LENGTH}", "-print_final_stats=1", str(corpus)]
    seen: list[tuple[float, int, int]] = []
    log = corpus.parent / f"{target}.log"
    with log.open("w+b") as file:
        process = subprocess.Popen(words, env=environment, stdout=file, stderr=file)
        used = 0.0
        while process.poll() is None:
            time.sleep(1)
            used = max(used, _cpu_seconds(process.pid))
            status = _STATUS.findall(log.read_text(errors="replace"))
            if status:
                seen.append((used, int(status[-1][0]), int(status[-1][1])))
            if used >= minutes * 60:
                process.send_signal(signal.SIGUSR1)  # libFuzzer ends and tells its figures
                process.wait(60)
    told = log.read_text(errors="replace")
    raised = re.search(r"^.*ERROR: libFuzzer.*$", told, re.MULTILINE)
    finding = raised[0] if raised else f"the fuzzer ended with {process.returncode}" if process.returncode else ""
    if not seen:
        seen.append((used, 0, 0))
    edges = seen[-1][2]
    before = next((cov for at, _, cov in reversed(seen) if at <= used - TAIL_SECONDS), seen[0][2])
    return Figures(
        target, round(used / 60, 1), seen[-1][1], edges, round(100 * (edges - before) / max(before, 1), 2), finding
    )


def _cpu_seconds(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def keep(target: str, corpus: Path) -> None:
    """Put the smallest inputs that together take all steps from line to line that the corpus takes into the kept corpus."""
    from fuzz.targets import TARGETS

    home = str(ROOT / "compiler/kvmc") + os.sep
    taken: set[tuple[str, int, int]] = set()
    chosen: list[bytes] = []
    for data in sorted({path.read_bytes() for path in corpus.iterdir()}, key=lambda one: (len(one), one)):
        steps: set[tuple[str, int, int]] = set()

        def trace(frame: FrameType, event: str, _: Any, steps: set[tuple[str, int, int]] = steps) -> Any:
            file = frame.f_code.co_filename
            if not file.startswith(home):
                return None
            last = [frame.f_lineno]

            def line(frame: FrameType, event: str, _: Any) -> Any:
                steps.add((file, last[0], frame.f_lineno))
                last[0] = frame.f_lineno
                return line

            return line

        sys.settrace(trace)
        try:
            TARGETS[target](data)
        finally:
            sys.settrace(None)
        if steps - taken:
            taken |= steps
            chosen.append(data)
    folder = KEPT / target
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*"):
        if not path.name.startswith("found-"):
            path.unlink()
    for data in chosen:
        (folder / sha256(data).hexdigest()[:16]).write_bytes(data)
    print(f"{target}: kept {len(chosen)} inputs, {sum(map(len, chosen))} bytes, {len(taken)} steps", file=sys.stderr)


def main() -> int:
    if sys.argv[2:3] == ["--fuzz"]:
        fuzz(sys.argv[1], sys.argv[3:])
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", choices=("parse", "format"))
    parser.add_argument("--minutes", type=float, default=30, help="of CPU time; 0: only --keep")
    parser.add_argument("--corpus", type=Path, required=True, help="a folder; it is made, and its parent takes the log")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--figures", type=Path)
    given = parser.parse_args()
    found = run(given.target, given.corpus.absolute(), given.minutes) if given.minutes else None
    if found:
        print(json.dumps(asdict(found)))
    if found and given.figures:
        given.figures.write_text(json.dumps(asdict(found), indent=2) + "\n")
    if given.keep:
        keep(given.target, given.corpus)
    return 1 if found and found.finding else 0


if __name__ == "__main__":
    sys.exit(main())
