#!/usr/bin/python
"""Take a host's compiled files, with a backup of what was there, or give that back. Runs on the host, with Python's library."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import subprocess
import tarfile
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.kvmc_files import GRUB_MENU, ApplyError, boot_entry, digest, put, put_json, read_json, unfit

DOCUMENTATION = r"""
---
module: kvmc_host
short_description: Apply a host's files as kvmc compiled them, or go back
description:
  - Unpacks the compiled files, backs up what it will touch, installs files, removes those that are to be absent, runs the steps of
    C(apply.json) that are needed, and remembers what it took. A second run changes nothing.
  - With O(action=rollback) it restores the last backup byte for byte, undoes live settings and takes back definitions of guests.
options:
  tree: {description: The host's compiled files on the machine that runs Ansible., type: path}
  action: {description: What to do., choices: [apply, rollback], required: true, type: str}
  state: {description: The folder where the host keeps its state., required: true, type: path}
  name: {description: The host's name in the site., required: true, type: str}
  archive: {description: The compiled files as an archive on the host., type: path}
  owned: {description: What to run where a file goes away., type: list, elements: dict, default: []}
  backups: {description: How many backups to keep., type: int, default: 5}
author: [kvmc]
"""

EXAMPLES = r"""
- name: Apply
  kvmc_host: {action: apply, state: /var/lib/kvmc, name: kvm-a, tree: generated/kvm-a}
"""

RETURN = r"""
installed: {description: Files that were written., type: list, returned: apply}
removed: {description: Files that were removed., type: list, returned: apply}
steps: {description: Commands that were run., type: list, returned: always}
begun: {description: Whether this run has changed the host. A way back from one that did not would undo an earlier run., type: bool,
        returned: always}
reboot: {description: Whether something waits for a boot., type: bool, returned: apply}
"""

FORMAT = 1
VIRSH = ["virsh", "-c", "qemu:///system"]
SYSCTL_FILE = "/etc/sysctl.d/90-kvmc.conf"
NVRAM = "--keep-nvram"


Row = dict[str, Any]
"""What JSON holds."""


class Host:
    """One host with its state folder: `tree` holds the compiled files, `applied.json` the list that was taken last, `state.json`
    what that gave, `backup/N` what was there before run N."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.state = module.params["state"]
        self.check = module.check_mode
        self.tree = os.path.join(self.state, "tree")
        self.owned = {"/" + one["path"]: one for one in module.params["owned"]}
        self.known = read_json(self.path("state.json"), {"complete": True, "domains": {}, "backup": 0})
        self.ran: list[str] = []
        self.begun = False

    def path(self, *parts: str) -> str:
        return os.path.join(self.state, *parts)

    def run(self, argv: list[str]) -> None:
        """A step. Raises ApplyError where it fails."""
        self.ran.append(" ".join(argv))
        try:
            done = subprocess.run(argv, cwd=self.tree, capture_output=True, text=True, errors="replace", check=False)
        except OSError as error:
            raise ApplyError(f"cannot run {argv[0]}: {error.strerror}") from None
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip() or "it said nothing")[-500:]
            raise ApplyError(f"`{' '.join(argv)}` ended with {done.returncode}: {said}")

    def ask(self, argv: list[str]) -> str | None:
        """What a command prints, or None where it fails or is not there."""
        try:
            done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
        except OSError:
            return None
        return done.stdout if done.returncode == 0 else None

    # What is to be done

    def listed(self) -> dict[str, Any]:
        found: Row | None = read_json(os.path.join(self.tree, "apply.json"))
        if found is None or found.get("format") != FORMAT:
            raise ApplyError(f"{self.tree}/apply.json is not a list of steps that this role can read (format {FORMAT})")
        if found["host"] != self.module.params["name"]:
            raise ApplyError(f"the files are host {found['host']}'s, this is {self.module.params['name']}")
        return found

    def differs(self, one: Row) -> bool:
        source, target = os.path.join(self.tree, one["from"]), one["path"]
        if digest(source) is None:
            raise ApplyError(f"{one['from']} is not among the compiled files")
        if digest(source) != digest(target):
            return True
        there = os.stat(target)
        return stat.S_IMODE(there.st_mode) != int(one["mode"], 8) or (there.st_uid, there.st_gid) != (0, 0)

    def guests(self, steps: list[Row]) -> list[Row]:
        """The steps on guests that are still to be done: definitions that are new, and guests that are to be undefined."""
        wanted = []
        for step in steps:
            argv = step["run"]
            if step["phase"] != "guests":
                continue
            if "undefine" in argv:
                if self.ask([*VIRSH, "domstate", argv[-1]]) is not None:
                    wanted.append(step)
            elif digest(os.path.join(self.tree, argv[-1])) != self.known["domains"].get(argv[-1]):
                wanted.append(step)
        return wanted

    def apply(self) -> Row:
        self.unpack(self.module.params["archive"])
        listed = self.listed()
        install = [one for one in listed["files"] if self.differs(one)]
        remove = [one for one in listed["absent"] if os.path.lexists(one["path"])]
        guests = self.guests(listed["steps"])
        again = not self.known["complete"]
        own = bool(install or remove or again)
        steps = [step for step in listed["steps"] if step["phase"] != "guests" and own]
        reboot = any(one["effect"] == "reboot" for one in install + steps) or any(
            step["effect"] == "reboot" for one in remove for step in one["before"] + one["after"]
        )
        result = {
            "installed": [one["path"] for one in install],
            "removed": [one["path"] for one in remove],
            "steps": [" ".join(step["run"]) for step in steps + guests],
            "reboot": reboot,
        }
        if not own and not guests:
            return dict(result, changed=False)
        self.possible(install, remove, steps + guests)
        if self.check:
            return dict(result, changed=True)
        manifest = self.backup(install, remove, guests, reboot=reboot)
        self.begun = True
        self.remember(complete=False, backup=manifest["number"])
        for one in remove:
            for step in one["before"]:
                self.run(step["run"])
            os.unlink(one["path"])
        made: list[str] = []
        for one in install:
            with open(os.path.join(self.tree, one["from"]), "rb") as file:
                put(one["path"], file.read(), int(one["mode"], 8), made=made)
            if made != manifest["made"]:
                manifest["made"] = list(made)
                put_json(self.path("backup", str(manifest["number"]), "manifest.json"), manifest)
        for one in remove:
            for step in one["after"]:
                self.run(step["run"])
        for step in steps + guests:
            self.run(step["run"])
        shutil.copyfile(os.path.join(self.tree, "apply.json"), self.path("applied.json"))
        domains = {step["run"][-1] for step in listed["steps"] if step["phase"] == "guests" and "define" in step["run"]}
        self.remember(
            complete=True,
            backup=manifest["number"],
            domains={name: digest(os.path.join(self.tree, name)) for name in sorted(domains)},
        )
        return dict(result, steps=self.ran, changed=True)

    def possible(self, install: list[Row], remove: list[Row], steps: list[Row]) -> None:
        """Raises ApplyError where it is known beforehand that this cannot end well: nothing is changed then."""
        why = unfit([one["path"] for one in install])
        if why:
            raise ApplyError(f"{why}. Nothing was changed")
        steps = steps + [step for one in remove for step in one["before"] + one["after"]]
        lacking = [step["run"][0] for step in steps if shutil.which(step["run"][0]) is None]
        if lacking:
            raise ApplyError(f"this host has no {lacking[0]}, which a step needs. Nothing was changed")

    def unpack(self, archive: str) -> None:
        """The compiled files and nothing else become `tree`; they are no part of the system, so a check does this too."""
        new = self.path("unpacked")
        shutil.rmtree(new, ignore_errors=True)
        with tarfile.open(archive) as packed:
            for one in packed:
                data = packed.extractfile(one)
                if data is None or one.name.startswith("/") or ".." in one.name.split("/"):
                    raise ApplyError(f"the archive holds {one.name}, which is no file")
                put(os.path.join(new, one.name), data.read(), one.mode)
        shutil.rmtree(self.tree, ignore_errors=True)
        os.rename(os.path.join(new, "tree"), self.tree)
        os.rename(os.path.join(new, "capture.py"), self.path("capture.py"))
        os.rmdir(new)

    def remember(self, **more: object) -> None:
        self.known = dict(self.known, **more)
        put_json(self.path("state.json"), self.known)

    # What was there before

    def backup(self, install: list[Row], remove: list[Row], guests: list[Row], *, reboot: bool) -> Row:
        number = self.known["backup"] + 1
        folder = self.path("backup", str(number))
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, 0o700)
        paths = [one["path"] for one in install + remove]
        fallback = boot_entry() if reboot else None
        if fallback:
            paths.append(fallback[0])
        if os.path.exists(GRUB_MENU):
            paths.append(GRUB_MENU)
        manifest = {
            "number": number,
            "before": self.known,
            "files": {path: self.save(folder, index, path) for index, path in enumerate(paths)},
            "made": [],
            "sysctls": self.sysctls(),
            "tuned": self.tuned(),
            "domains": self.domains(guests),
        }
        if os.path.exists(self.path("applied.json")):
            shutil.copyfile(self.path("applied.json"), os.path.join(folder, "applied.json"))
        put_json(os.path.join(folder, "manifest.json"), manifest)
        if fallback:
            put(fallback[0], fallback[1].encode(), fallback[2])
        for old in sorted((int(one) for one in os.listdir(self.path("backup")) if one.isdigit()), reverse=True)[
            self.module.params["backups"] :
        ]:
            shutil.rmtree(self.path("backup", str(old)))
        return manifest

    def save(self, folder: str, index: int, path: str) -> Row | None:
        """A copy of a file beside what it was; None where there was none."""
        try:
            there = os.lstat(path)
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(there.st_mode):
            raise ApplyError(f"{path} is no regular file, and is left as it is")
        copy = os.path.join(folder, str(index))
        shutil.copyfile(path, copy)
        return {"copy": str(index), "mode": stat.S_IMODE(there.st_mode), "uid": there.st_uid, "gid": there.st_gid}

    def sysctls(self) -> dict[str, str]:
        """Values of the keys that the new file sets and of those that the old one set."""
        keys = {}
        for path in (self.tree + SYSCTL_FILE, SYSCTL_FILE):
            try:
                with open(path, encoding="utf-8") as file:
                    lines = file.readlines()
            except FileNotFoundError:
                continue
            for line in lines:
                key, equals, _ = line.partition("=")
                key = key.strip().lstrip("-").strip()
                if equals and re.fullmatch(r"[A-Za-z0-9_./-]+", key):
                    value = self.ask(["sysctl", "-n", key])
                    if value is not None:
                        keys[key] = value.strip()
        return keys

    def tuned(self) -> str:
        try:
            with open("/etc/tuned/active_profile", encoding="utf-8") as file:
                return file.read().strip()
        except FileNotFoundError:
            return ""

    def domains(self, guests: list[Row]) -> dict[str, str | None]:
        """The definitions of the guests that change, by uuid: name, and XML or None."""
        found = {}
        for step in guests:
            argv = step["run"]
            if "undefine" in argv:
                uuid = argv[-1]
            else:
                with open(os.path.join(self.tree, argv[-1]), encoding="utf-8") as file:
                    match = re.search(r"<uuid>\s*([0-9A-Fa-f-]{36})\s*</uuid>", file.read())
                if match is None:
                    raise ApplyError(f"{argv[-1]} has no uuid")
                uuid = match.group(1)
            found[uuid] = self.ask([*VIRSH, "dumpxml", "--inactive", "--security-info", uuid])
        return found

    # Back

    def rollback(self) -> Row:
        number = self.known["backup"]
        folder = self.path("backup", str(number))
        manifest = read_json(os.path.join(folder, "manifest.json")) if number else None
        if manifest is None:
            return {"changed": False, "steps": [], "msg": "there is no backup to go back to"}
        if self.check:
            return {"changed": True, "steps": [], "restored": sorted(manifest["files"])}
        troubles: list[str] = []
        gone = [path for path, old in manifest["files"].items() if old is None and os.path.lexists(path)]
        for path in gone:
            self.attempt(self.owned.get(path, {}).get("before", []), troubles)
            os.unlink(path)
        self.restore(manifest["files"], folder)
        for made in sorted(manifest["made"], key=len, reverse=True):
            if os.path.isdir(made) and not os.listdir(made):
                os.rmdir(made)
        for path in gone:
            self.attempt(self.owned.get(path, {}).get("after", []), troubles)
        before = read_json(os.path.join(folder, "applied.json"))
        if before is not None:
            self.attempt([step for step in before["steps"] if step["phase"] != "guests"], troubles)
        self.attempt(
            [{"run": ["sysctl", "-w", f"{key}={value}"]} for key, value in manifest["sysctls"].items()], troubles
        )
        if manifest["tuned"] and manifest["tuned"] != self.tuned():
            self.attempt([{"run": ["tuned-adm", "profile", *manifest["tuned"].split()]}], troubles)
        self.guests_back(manifest["domains"], folder, troubles)
        self.restore(
            manifest["files"], folder
        )  # steps have made the boot menu anew, from the same files but maybe another kernel
        if os.path.exists(os.path.join(folder, "applied.json")):
            shutil.copyfile(os.path.join(folder, "applied.json"), self.path("applied.json"))
        elif os.path.exists(self.path("applied.json")):
            os.unlink(self.path("applied.json"))
        self.known = manifest["before"]
        # what could not be undone is done again by the next run
        self.remember(complete=manifest["before"]["complete"] and not troubles)
        shutil.rmtree(folder)
        return {"changed": True, "steps": self.ran, "restored": sorted(manifest["files"]), "warnings": troubles}

    def restore(self, files: dict[str, Row | None], folder: str) -> None:
        for path, old in files.items():
            if old is not None:
                with open(os.path.join(folder, old["copy"]), "rb") as file:
                    put(path, file.read(), old["mode"], old["uid"], old["gid"])

    def guests_back(self, domains: dict[str, str | None], folder: str, troubles: list[str]) -> None:
        for index, (uuid, xml) in enumerate(domains.items()):
            if xml is not None:
                path = os.path.join(folder, f"domain-{index}.xml")
                put(path, xml.encode(), 0o600)
                self.attempt([{"run": [*VIRSH, "define", path]}], troubles)
            elif self.ask([*VIRSH, "domstate", uuid]) is not None:
                self.attempt([{"run": [*VIRSH, "undefine", NVRAM, uuid]}], troubles)

    def attempt(self, steps: list[Row], troubles: list[str]) -> None:
        """On the way back nothing stops half-way: what fails is told."""
        for step in steps:
            try:
                self.run(step["run"])
            except ApplyError as failure:
                troubles.append(str(failure))


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "action": {"choices": ["apply", "rollback"], "required": True},
            "state": {"type": "path", "required": True},
            "name": {"required": True},
            "archive": {"type": "path"},
            "owned": {"type": "list", "elements": "dict", "default": []},
            "backups": {"type": "int", "default": 5},
        },
        required_if=[("action", "apply", ["archive"])],
        supports_check_mode=True,
    )
    os.makedirs(module.params["state"], 0o700, exist_ok=True)
    # one at a time: two runs would each take the other's files for what was there before
    with open(os.path.join(module.params["state"], "lock"), "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            module.fail_json(msg="another run is at work on this host")
        host = Host(module)
        try:
            result = host.apply() if module.params["action"] == "apply" else host.rollback()
        except (ApplyError, OSError) as error:
            module.fail_json(msg=str(error), steps=host.ran, changed=host.begun, begun=host.begun)
    module.exit_json(**result, begun=host.begun)


if __name__ == "__main__":
    main()
