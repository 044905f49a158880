"""Judges of single files: libvirt's schema, the shell, procps and systemd."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from lxml import etree

from lab.scratch import Scratch

_SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")


@cache
def _schema() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(str(_SCHEMA)))


def rng_errors(xml_text: str) -> tuple[str, ...]:
    """What libvirt's domain schema says against the text; empty where it is valid."""
    try:
        tree = etree.fromstring(xml_text.encode(), etree.XMLParser(resolve_entities=False))
    except etree.XMLSyntaxError as error:
        return (str(error),)
    schema = _schema()
    if schema.validate(tree):
        return ()
    return tuple(f"line {entry.line}: {entry.message}" for entry in schema.error_log)


def _run(*argv: str) -> str | None:
    done = subprocess.run(
        argv, capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}, check=False
    )
    said = (done.stderr + done.stdout).strip()
    return None if done.returncode == 0 else said or f"{argv[0]} ended with {done.returncode}"


def _with_file(text: str, *argv: str) -> str | None:
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text)
        file.flush()
        return _run(*argv, file.name)


def shell_error(text: str) -> str | None:
    """What `sh -n` says against a file that a shell will source."""
    return _with_file(text, "sh", "-n")


def sysctl_error(text: str) -> str | None:
    """What procps says against a sysctl.d file: syntax. Keys that this machine's kernel lacks are no error (`-e`)."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(text)
        file.flush()
        argv = ["sysctl", "--dry-run", "--ignore", "-p", file.name]
        done = subprocess.run(
            argv,
            capture_output=True,
            text=True,
            env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin", "LC_ALL": "C"},
            check=False,
        )
    # procps ends with 0 on a line it skips; it says so on stderr.
    said = done.stderr.strip()
    return said or (None if done.returncode == 0 else f"sysctl ended with {done.returncode}")


def unit_errors(files: Mapping[str, str]) -> tuple[str, ...]:
    """What `systemd-analyze verify` says against units and drop-ins, with the files installed (absolute path to text).

    A drop-in is verified with the unit that it belongs to; where this machine lacks that unit, with one that does nothing.
    """
    with Scratch() as scratch:
        scratch.install(files)
        units: list[str] = []
        for path in files:
            parent = Path(path).parent
            name = parent.name.removesuffix(".d") if parent.name.endswith(".d") else Path(path).name
            if "/systemd/system/" not in path:
                continue
            known = [
                f"{root}/{name}" for root in ("/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
            ]
            if name not in {Path(other).name for other in files} and not any(
                scratch.path(one).exists() for one in known
            ):
                scratch.write(f"/etc/systemd/system/{name}", "[Service]\nExecStart=/bin/true\n")
            units.append(name)
        if not units:
            return ()
        done = scratch.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *dict.fromkeys(units))
    lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
    return tuple(lines) if lines else () if done.returncode == 0 else (f"systemd-analyze ended with {done.returncode}",)
