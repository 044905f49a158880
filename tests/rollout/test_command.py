"""`kvmc rollout` writes over nothing that is not its own, and brings out nothing that is not current."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kvmc.cli.app import app

EXAMPLE = Path(__file__).resolve().parents[2] / "examples/tiny"
runner = CliRunner()


@pytest.fixture
def site(tmp_path: Path) -> Path:
    copy = tmp_path / "tiny"
    shutil.copytree(EXAMPLE, copy)
    return copy


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_again_writes_nothing(site: Path) -> None:
    told = json.loads(runner.invoke(app, ["rollout", "--format", "json", str(site)]).stdout)
    assert len(told["stages"]) == 1 and told["written"] > 8
    first = _files(site / "rollout")
    assert b"roles/kvmc_host" not in first["inventory.yml"] and str(site).encode() not in b"".join(first.values())
    (site / "rollout/host_vars").mkdir()
    (site / "rollout/host_vars/a.yml").write_text("ansible_host: x\n")
    assert json.loads(runner.invoke(app, ["rollout", "--format", "json", str(site)]).stdout)["written"] == 0
    assert _files(site / "rollout") == {**first, "host_vars/a.yml": b"ansible_host: x\n"}


def test_edits_stay_without_force(site: Path) -> None:
    runner.invoke(app, ["rollout", str(site)])
    playbook = site / "rollout/rollout.yml"
    ours = playbook.read_text()
    playbook.write_text(ours + "# mine\n")
    (site / "rollout/inventory.yml").unlink()
    done = runner.invoke(app, ["rollout", str(site)])
    assert done.exit_code == 1 and "KVMC0660" in done.stderr and "rollout.yml" in done.stderr
    assert playbook.read_text() == ours + "# mine\n" and not (site / "rollout/inventory.yml").exists()
    assert runner.invoke(app, ["rollout", "--force", str(site)]).exit_code == 0
    assert playbook.read_text() == ours


def test_foreign_files_and_links_stay(site: Path) -> None:
    (site / "rollout").mkdir()
    (site / "elsewhere.yml").write_text("mine\n")
    (site / "rollout/rollout.yml").symlink_to(site / "elsewhere.yml")
    (site / "rollout/ansible.cfg").write_text("[defaults]\n")
    done = runner.invoke(app, ["rollout", "--force", str(site)])
    assert done.exit_code == 1 and "holds 2 files" in done.stderr
    assert (site / "elsewhere.yml").read_text() == "mine\n" and len(_files(site / "rollout")) == 2


def test_a_stale_tree_is_not_brought_out(site: Path) -> None:
    text = (site / "site.kvmt").read_text()
    (site / "site.kvmt").write_text(text.replace("memory ", "memory  ", 1) + "# another\n")
    assert runner.invoke(app, ["rollout", str(site)]).exit_code == 0  # the same meaning
    next((site / "generated").rglob("*.xml")).unlink()
    done = runner.invoke(app, ["rollout", "-o", str(site / "out"), str(site)])
    assert done.exit_code == 1 and "run `kvmc build`" in done.stderr and not (site / "out").exists()
