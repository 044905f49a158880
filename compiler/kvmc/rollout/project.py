"""The files of the Ansible project, in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable

from jinja2 import Environment, StrictUndefined

from kvmc.artifacts import Artifact, Comment, Step
from kvmc.hostconfig.owned import OWNED

_ROLE = "roles/kvmc_host"


def rollout_project(stages: Sequence[Sequence[str]]) -> tuple[Artifact, ...]:
    """Every file, path below the project's folder: the inventory and the playbooks of these stages, and the role."""
    here = files("kvmc.rollout")
    environment = Environment(  # noqa: S701 - YAML, every value as JSON
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    owned = [
        {"path": one.path, "before": _runs(one.before), "after": _runs(one.after)}
        for one in sorted(OWNED, key=lambda one: one.path)
    ]
    made = [
        Artifact("ansible.cfg", here.joinpath("ansible.cfg").read_text("utf-8"), Comment.HASH),
        Artifact("rollback.yml", here.joinpath("rollback.yml").read_text("utf-8"), Comment.HASH),
    ]
    for name, path in (
        ("inventory.yml.j2", "inventory.yml"),
        ("rollout.yml.j2", "rollout.yml"),
        ("vars.yml.j2", f"{_ROLE}/vars/main.yml"),
    ):
        template = environment.from_string(here.joinpath(name).read_text("utf-8"))
        made.append(Artifact(path, template.render(stages=stages, owned=owned), Comment.HASH))
    made += _role(here.joinpath("role"), _ROLE)
    capture = files("kvmc.verify").joinpath("capture.py").read_text("utf-8")
    made.append(Artifact(f"{_ROLE}/files/capture.py", capture, Comment.HASH_AFTER_SHEBANG, 0o755))
    return tuple(sorted(made, key=lambda one: one.path))


def _runs(steps: Sequence[Step]) -> list[dict[str, list[str]]]:
    return [{"run": list(step.argv)} for step in steps]


def _role(folder: Traversable, path: str) -> Iterator[Artifact]:
    for one in folder.iterdir():
        inside = f"{path}/{one.name}"
        if one.is_dir():
            yield from _role(one, inside)
        elif not one.name.endswith(".pyc"):
            script = one.name.endswith(".py")
            comment = Comment.HASH_AFTER_SHEBANG if script else Comment.HASH
            yield Artifact(inside, one.read_text("utf-8"), comment)
