"""Judges of plans of measurement: each tool that a step runs, with the step's own words.

What runs for a second is run: it gets CPUs of this machine, a process of its own, a second. What can't run here (turbostat without
MSRs, `perf kvm` without a guest, `virsh` without the domain) is judged by its parser of options alone.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

SECONDS = 20
"""Longer than any tool takes for a second of measuring."""

_OPTIONS = re.compile(
    r"unrecognized option|invalid option|unknown (?:option|switch)|doesn't support option|Usage:", re.IGNORECASE
)
_STEP = re.compile(r"^(?:directory_of \S+ \"\$@\" && )?(step .*)$", re.MULTILINE)
_PARSED_ALONE = ("turbostat", "perf", "virsh")


def steps(text: str) -> dict[str, tuple[str, ...]]:
    """The commands of a script by the names of their steps, with the shell's variables as they stand."""
    calls = [shlex.split(call) for call in _STEP.findall(text)]
    return {name: tuple(run) for _, name, _, *run in calls}


def run_error(run: Sequence[str], folder: Path, *, dry: bool = True, output: Path | None = None) -> str | None:
    """What a tool says against a step's command. dry: stress-ng takes its options and does nothing. output: for what it prints."""
    program, *words = _here(run, folder)
    words = [word for word in words if word]
    if program == "stress-ng" and dry:
        words = ["--dry-run", *words]
    done = _run(program, *words, folder=folder)
    if output is not None:
        output.write_text(done[2])
    if _OPTIONS.search(done[1]):
        return done[1]  # some end with 0 all the same
    return None if done[0] == 0 or program in _PARSED_ALONE else done[1] or f"{program} ended with {done[0]}"


def job_error(text: str, folder: Path) -> str | None:
    """What fio says against a job file; its directory is a folder of ours."""
    with tempfile.NamedTemporaryFile("w", suffix=".fio") as file:
        file.write(text)
        file.flush()
        status, said, _ = _run("fio", "--parse-only", file.name, folder=folder)
    # fio goes on behind some options that it does not know: what it says counts, too.
    return said or (None if status == 0 else f"fio ended with {status}")


def _here(run: Sequence[str], folder: Path) -> list[str]:
    cpus = sorted(os.sched_getaffinity(0))
    one, some = str(cpus[0]), ",".join(map(str, cpus[:2]))
    values = {"$pid": str(os.getpid()), "$seconds": "1", "$folder": str(folder), "$here": str(folder)}
    words = []
    for word in run:
        for name, value in values.items():
            word = word.replace(name, value)
        word = re.sub(r"^--affinity=.*", f"--affinity={some}", word)
        word = re.sub(r"^--threads=.*", "--threads=2", word)
        words.append(re.sub(r"^--mainaffinity=.*", f"--mainaffinity={one}", word))
    for option in ("--taskset", "-P"):
        if option in words and words[words.index(option) + 1] != "ALL":
            words[words.index(option) + 1] = one
    return words


def _run(*argv: str, folder: Path) -> tuple[int, str, str]:
    env = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C",
        "KVMC_SECONDS": "1",
        "KVMC_DIRECTORY": str(folder),
        "HOME": str(folder),
    }
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False, timeout=SECONDS, cwd=folder)
    return done.returncode, (done.stderr + done.stdout).strip(), done.stdout
