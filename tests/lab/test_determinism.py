"""The same input gives the same bytes: from another folder, as another user, with any hash seed, in any locale."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from lab.examples import ROOT, sites
from lab.needs import needs

SITES = [pytest.param(site, id=site.name) for site in sites()]
PACKAGES = os.pathsep.join(str(ROOT / name) for name in ("compiler", "grammar", "targets"))


def _build(site: Path, folder: Path, env: dict[str, str], before: tuple[str, ...] = ()) -> dict[str, bytes]:
    """Build a copy of the example, without its locks and its tree, in `folder`; all files that came out."""
    copy = folder / site.name
    shutil.copytree(site, copy, ignore=shutil.ignore_patterns("generated", "locks"))
    if before:
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777 if path.is_dir() else 0o644)
    clean = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": PACKAGES,
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder),
        **env,
    }
    argv = [*before, sys.executable, "-m", "kvmc.cli", "build", str(copy)]
    done = subprocess.run(argv, env=clean, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stderr
    made = {
        str(path.relative_to(copy)): path.read_bytes()
        for name in ("generated", "locks")
        for path in sorted((copy / name).rglob("*"))
        if path.is_file()
    }
    assert made
    return made


def _differ(one: dict[str, bytes], other: dict[str, bytes]) -> list[str]:
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    return {
        site.name: _build(site, tmp_path_factory.mktemp("reference"), {"PYTHONHASHSEED": "0", "LC_ALL": "C"})
        for site in sites()
    }


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_hash_seed_and_folder(site: Path, seed: str, reference: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    folder = tmp_path / "else where" / f"ü{seed}"
    folder.mkdir(parents=True)
    assert _differ(_build(site, folder, {"PYTHONHASHSEED": seed}), reference[site.name]) == []


@pytest.mark.parametrize("site", SITES)
def test_turkish_locale(site: Path, reference: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    """Where `i` and `I` are no pair. The locale is made here; without localedef the name alone is given."""
    locales = tmp_path / "locales"
    locales.mkdir()
    env = {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}
    if shutil.which("localedef") and Path("/usr/share/i18n/locales/tr_TR").exists():
        subprocess.run(
            ["localedef", "-i", "tr_TR", "-f", "UTF-8", str(locales / "tr_TR.UTF-8")], capture_output=True, check=True
        )
        env["LOCPATH"] = str(locales)
        probe = [sys.executable, "-c", "import locale; locale.setlocale(locale.LC_ALL, '')"]
        subprocess.run(probe, env={**env, "PATH": os.environ["PATH"]}, check=True)
    folder = tmp_path / "built"
    folder.mkdir()
    assert _differ(_build(site, folder, env), reference[site.name]) == []


@needs("root")
@pytest.mark.parametrize("site", SITES)
def test_another_user(site: Path, reference: dict[str, dict[str, bytes]]) -> None:
    """As nobody; who may read everything, so that a checkout in a private folder is no obstacle."""
    with tempfile.TemporaryDirectory() as name:
        capabilities = ("--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search")
        nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *capabilities)
        built = _build(site, Path(name), {"PYTHONHASHSEED": "5"}, nobody)
        owners = {path.owner() for path in (Path(name) / site.name / "generated").rglob("*")}
    assert owners == {pwd.getpwuid(65534).pw_name}
    assert _differ(built, reference[site.name]) == []


@pytest.mark.parametrize("site", SITES)
def test_a_second_build_changes_nothing(site: Path, tmp_path: Path) -> None:
    first = _build(site, tmp_path, {})
    argv = [sys.executable, "-m", "kvmc.cli", "build", "--check", str(tmp_path / site.name)]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": PACKAGES, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    name = next(iter(sorted(first)))
    with (tmp_path / site.name / name).open("ab") as file:
        file.write(b"\n")
    assert subprocess.run(argv, env=env, capture_output=True, check=False).returncode == 1
