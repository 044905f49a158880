"""Throw-away hosts that Ansible reaches as if over ssh: copies of this machine, with stand-ins for what needs a running system.

Real: Ansible with its modules, every file, grub-mkconfig, the comparison by `kvmc verify`. Stand-ins, which note each call in
/opt/calls: systemctl, tuned-adm, sysctl and virsh (which keeps definitions as files), since these copies have no systemd, may set
nothing of this kernel, and run no libvirtd. What the comparison reads of a running host is simulated; its files are the real ones.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from lab.bootloader import prepare_grub
from lab.scratch import Scratch

_SSH = """\
#!/bin/sh
# The last two words are the host and what it shall run.
for word; do host=$line; line=$word; done
pid=$(cat "$KVMC_TEST_HOSTS/$host.pid") || exit 255
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
exec nsenter --target "$pid" --mount --pid --net --uts --ipc --root --wd -- sh -c "$line"
"""
_NOTE = 'echo "$(basename "$0") $*" >>/opt/calls\n'
_SYSTEMCTL = f"#!/bin/sh\n{_NOTE}"
_TUNED = f'#!/bin/sh\n{_NOTE}[ "$1" = off ] && set -- profile ""\nmkdir -p /etc/tuned; echo "$2" >/etc/tuned/active_profile\n'
_SYSCTL = f"""#!/bin/sh
if [ "$1" = -n ]; then cat "/opt/sysctl/$2" 2>/dev/null || echo 60; exit; fi
{_NOTE}mkdir -p /opt/sysctl
if [ "$1" = -w ] && [ -f /opt/stuck ]; then echo "$2 is stuck" >&2; exit 1; fi
if [ "$1" = -w ]; then echo "${{2#*=}}" >"/opt/sysctl/${{2%%=*}}"; exit; fi
grep -E '^[a-z]' "$2" | while IFS== read -r key value; do echo "${{value# }}" >"/opt/sysctl/${{key%% }}"; done
"""
_VIRSH = f"""#!/bin/sh
shift 2
for last; do :; done
case $1 in
domstate) [ -f "/opt/domains/$last" ] ;;
dumpxml) cat "/opt/domains/$last" 2>/dev/null ;;
undefine) {_NOTE} rm "/opt/domains/$last" ;;
define) {_NOTE} [ ! -f /opt/broken ] || {{ echo "error: the host refuses $last" >&2; exit 1; }}
    mkdir -p /opt/domains; uuid=$(sed -n 's/.*<uuid>\\(.*\\)<.uuid>.*/\\1/p' "$last"); cp "$last" "/opt/domains/$uuid" ;;
esac
"""
_CAPTURE = """\
import json, os, shutil, subprocess, sys, tarfile
source, target = "/opt/captured", sys.argv[sys.argv.index("-o") + 1]
for one in json.load(open("/var/lib/kvmc/tree/apply.json"))["files"]:
    copy = source + one["path"]
    if os.path.exists(one["path"]):
        os.makedirs(os.path.dirname(copy), exist_ok=True)
        shutil.copyfile(one["path"], copy)
with tarfile.open(target, "w") as tar:
    tar.add(source, arcname=".")
"""
_STAND_INS = {
    "/usr/bin/systemctl": _SYSTEMCTL,
    "/usr/sbin/tuned-adm": _TUNED,
    "/usr/sbin/sysctl": _SYSCTL,
    "/usr/bin/virsh": _VIRSH,
}
_STATE = """\
find /etc /boot /opt/domains -type f 2>/dev/null | LC_ALL=C sort | while read -r file; do
    stat -c '%n %a %u:%g' "$file" | tr '\\n' ' '
    sha256sum <"$file"
done
find /etc -type d | LC_ALL=C sort
"""


class Fleet:
    """Context manager: hosts by name, each a copy of this machine. `folder`: where what stands for ssh lies."""

    def __init__(self, names: tuple[str, ...], folder: Path) -> None:
        self.names = names
        self.folder = folder
        self.hosts: dict[str, Scratch] = {}

    def __enter__(self) -> Fleet:
        ssh = self.folder / "ssh"
        ssh.write_text(_SSH)
        ssh.chmod(0o755)
        for name in self.names:
            host = self.hosts[name] = Scratch().__enter__()
            host.run("rm", "-rf", "/etc/tuned/kvmc", "/etc/sysctl.d", "/var/lib/kvmc", *_STAND_INS)
            host.run("mkdir", "-p", "/opt/domains", "/etc/sysctl.d")
            prepare_grub(host)
            host.install({**_STAND_INS, "/opt/capture.py": _CAPTURE, "/etc/tuned/active_profile": "balanced\n"})
            made = host.run("grub-mkconfig", "-o", "/boot/grub/grub.cfg")
            assert made.returncode == 0, made.stderr
            (self.folder / f"{name}.pid").write_text(f"{host.init}\n")
        return self

    def __exit__(self, *error: object) -> None:
        for host in self.hosts.values():
            host.__exit__(None, None, None)

    def simulate(self, name: str, captured: Mapping[str, str]) -> None:
        """What the comparison is to read of the running host, beside its files."""
        self.hosts[name].run("rm", "-rf", "/opt/captured")
        self.hosts[name].install({f"/opt/captured/{path}": text for path, text in captured.items()})

    def calls(self, name: str) -> list[str]:
        """What the stand-ins were asked since the last time."""
        path = self.hosts[name].path("/opt/calls")
        found = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return found

    def state(self, name: str) -> dict[str, str]:
        """Digest, mode and owner of every file that a rollout may touch, the folders, and the definitions of guests."""
        lines = self.hosts[name].run("sh", "-c", _STATE).stdout.splitlines()
        return {line.partition(" ")[0]: line for line in lines}

    def sysctls(self, name: str) -> set[str]:
        """The values that sysctls have been set to, one that was never set has 60."""
        path = self.hosts[name].path("/opt/sysctl")
        return {one.read_text().strip() for one in path.iterdir()} if path.exists() else set()

    def play(self, project: Path, playbook: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook of the project, to whose own files it adds how to reach the hosts, as its users do."""
        variables = {
            "ansible_connection": "ssh",
            "ansible_ssh_executable": str(self.folder / "ssh"),
            "ansible_ssh_transfer_method": "piped",
            "ansible_pipelining": True,
            "ansible_become": False,
            "ansible_python_interpreter": "/usr/bin/python3",
            "kvmc_host_program": [sys.executable, "-c", "from kvmc.cli import main; main()"],
            "kvmc_host_capture": ["python3", "/opt/capture.py"],
        }
        (project / "group_vars").mkdir(exist_ok=True)
        (project / "group_vars/kvmc_hosts.json").write_text(json.dumps(variables))
        environment = {
            **os.environ,
            "KVMC_TEST_HOSTS": str(self.folder),
            "ANSIBLE_HOME": str(self.folder / "home"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_NOCOLOR": "1",
        }
        program = Path(sys.executable).with_name("ansible-playbook")
        return subprocess.run(
            [str(program), playbook],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
