"""tuned's own loader and its daemon, judging a profile in a throw-away copy of the machine.

/sys and /proc/sys are read-only there, so values are not applied: what is judged is that the profile loads and that every plugin
and option is one that tuned knows.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.scratch import Scratch

_LOADER = r"""
import json, sys
import tuned.consts as consts
from tuned.profiles.factory import Factory
from tuned.profiles.loader import Loader
from tuned.profiles.locator import Locator
from tuned.profiles.merger import Merger
from tuned.profiles.variables import Variables
from tuned.utils.global_config import GlobalConfig

variables = Variables()
loader = Loader(Locator(consts.LOAD_DIRECTORIES), Factory(), Merger(), GlobalConfig(), variables)
try:
    profile = loader.load(sys.argv[1])
except Exception as error:
    sys.exit("%s: %s" % (type(error).__name__, error))
units = {
    name: {
        "type": unit.type,
        "options": {key: variables.expand(value) if isinstance(value, str) else value for key, value in unit.options.items()},
    }
    for name, unit in profile.units.items()
}
json.dump(units, sys.stdout)
"""

# How tuned 2.20 says it (units/manager.py, plugins/base.py, profiles/): plugins, options, functions, variables, assertions.
_UNKNOWN = re.compile(
    r"failed to initialize plugin|No module named 'tuned\.plugins|Unknown option|does not support the|invalid function name"
    r"|not implemented|invalid (variable|varialbe) syntax|unallowed characters|variables_file|assertion '.*' failed"
    r"|invalid (argument|number of arguments)|BUG: "
)


class TunedError(Exception):
    """tuned refused the profile; the text is its own."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A section of the loaded profile, includes merged and variables expanded."""

    type: str
    options: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Applied:
    """What the daemon said. unknown: its lines that name a plugin or option it does not know."""

    log: str
    unknown: tuple[str, ...]
    bootcmdline: str


def load_profile(name: str, files: Mapping[str, str]) -> dict[str, Unit]:
    """The profile as tuned's loader merges it, with these files installed (absolute path to text). Raises TunedError."""
    with Scratch() as scratch:
        scratch.install(files)
        done = scratch.run("/usr/bin/python3", "-c", _LOADER, name)
    if done.returncode:
        raise TunedError(done.stderr.strip())
    loaded: dict[str, dict[str, object]] = json.loads(done.stdout.splitlines()[-1])
    units = {}
    for unit, value in loaded.items():
        options = value["options"]
        assert isinstance(options, dict)
        units[unit] = Unit(str(value["type"]), options)
    return units


def apply(name: str, files: Mapping[str, str], *, settle: float = 20) -> Applied:
    """Start the daemon with the profile, wait until it has applied it, and read its log. Raises TunedError where it does not."""
    with Scratch() as scratch:
        scratch.install(files)
        scratch.run("mkdir", "-p", "/run/tuned")
        scratch.run("rm", "-f", "/etc/tuned/active_profile", "/etc/tuned/bootcmdline")
        log = "/tmp/tuned.log"
        daemon = scratch.spawn(
            "tuned",
            "--no-dbus",
            "--no-socket",
            "--debug",
            f"--log={log}",
            "--profile",
            name,
            log=Path(scratch.folder) / "tuned.out",
        )
        deadline = time.monotonic() + settle
        text = ""
        while time.monotonic() < deadline and daemon.poll() is None and "static tuning from profile" not in text:
            time.sleep(0.05)
            path = scratch.path(log)
            text = path.read_text(errors="replace") if path.exists() else ""
        out = (Path(scratch.folder) / "tuned.out").read_text(errors="replace")
        cmdline = scratch.path("/etc/tuned/bootcmdline")
        bootcmdline = cmdline.read_text() if cmdline.exists() else ""
    daemon.kill()
    daemon.wait(timeout=20)
    if "static tuning from profile" not in text:
        raise TunedError(f"tuned did not apply the profile within {settle:.0f} s\n{out}\n{text[-3000:]}")
    return Applied(text, _unknown(text), bootcmdline)


def affinity_beside(name: str, files: Mapping[str, str], emulator: str, cpu: int, *, times: int = 2) -> list[str]:
    """The CPUs that a process of the emulator's name and path may use, pinned to one: before tuned, and after each time that the
    daemon applied the profile. The words that it keeps for the boot line are added at the end."""
    with Scratch() as scratch:
        scratch.install(files)
        scratch.run("mkdir", "-p", "/run/tuned", str(Path(emulator).parent))
        scratch.run("rm", "-f", "/etc/tuned/active_profile", "/etc/tuned/bootcmdline")
        copied = scratch.run("sh", "-c", f"rm -f {emulator}; cp /bin/sleep {emulator}")
        if copied.returncode:
            raise TunedError(copied.stderr)
        started = scratch.run("sh", "-c", f"taskset -c {cpu} {emulator} 600 >/dev/null 2>&1 & echo $!")
        pid = started.stdout.strip()

        def told() -> tuple[str, str]:
            shown = scratch.run("sh", "-c", f"grep Cpus_allowed_list /proc/{pid}/status; cat /proc/{pid}/comm")
            line, comm = shown.stdout.splitlines()
            return line.split()[-1], comm

        def allowed() -> str:
            # taskset first becomes the emulator.
            deadline = time.monotonic() + 10
            while (now := told())[1] != Path(emulator).name[:15]:
                assert time.monotonic() < deadline, now
                time.sleep(0.05)
            return now[0]

        found = [allowed()]
        for run in range(times):
            log = f"/tmp/tuned{run}.log"
            daemon = scratch.spawn(
                "tuned", "--no-dbus", "--no-socket", "--debug", f"--log={log}", "--profile", name,
                log=Path(scratch.folder) / "tuned.out",
            )  # fmt: skip
            deadline = time.monotonic() + 20
            text = ""
            while time.monotonic() < deadline and daemon.poll() is None and "static tuning from profile" not in text:
                time.sleep(0.05)
                path = scratch.path(log)
                text = path.read_text(errors="replace") if path.exists() else ""
            if "static tuning from profile" not in text:
                raise TunedError(f"tuned did not apply the profile\n{text[-2000:]}")
            found.append(allowed())
            daemon.kill()
            daemon.wait(timeout=20)
        cmdline = scratch.path("/etc/tuned/bootcmdline")
        found.append(cmdline.read_text() if cmdline.exists() else "")
    return found


def _unknown(log: str) -> tuple[str, ...]:
    return tuple(
        line for line in log.splitlines() if re.search(r" (WARNING|ERROR|CRITICAL) ", line) and _UNKNOWN.search(line)
    )
