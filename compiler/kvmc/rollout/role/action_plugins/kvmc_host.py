"""On the machine that runs Ansible: packs a host's compiled files, brings them over and lets the module of this name work."""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase


def pack(tree: str, capture: str) -> bytes:
    """An archive with the host's folder as `tree/` and the program that reads a host as `capture.py`. Raises OSError."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for folder, folders, names in os.walk(tree):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                _add(archive, path, f"tree/{os.path.relpath(path, tree)}")
        _add(archive, capture, "capture.py")
    return made.getvalue()


def _add(archive: tarfile.TarFile, path: str, name: str) -> None:
    with open(path, "rb") as file:
        data = file.read()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o755 if os.access(path, os.X_OK) else 0o644
    archive.addfile(info, io.BytesIO(data))


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible has no types
    TRANSFERS_FILES = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        tree = arguments.pop("tree", None)
        try:
            if tree is not None:
                arguments["archive"] = self._bring(pack(tree, self._find_needle("files", "capture.py")))
            result.update(self._execute_module("kvmc_host", module_args=arguments, task_vars=task_vars))
        except OSError as error:
            result.update(failed=True, msg=f"{error.filename}: {error.strerror}")
        finally:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def _bring(self, data: bytes) -> str:
        remote = self._connection._shell.join_path(self._make_tmp_path(), "tree.tar")
        with tempfile.NamedTemporaryFile(dir=constants.DEFAULT_LOCAL_TMP) as local:
            local.write(data)
            local.flush()
            self._transfer_file(local.name, remote)
        self._fixup_perms2((self._connection._shell.tmpdir, remote))
        return str(remote)
