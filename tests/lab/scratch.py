"""A throw-away copy of this machine: the same files, writable in memory alone, and gone with the test.

An overlay on `/` in a mount, PID, network, IPC and UTS namespace of its own; /sys and the parts of /proc that set something are
read-only, /dev holds no disk. What a consumer writes there (a GRUB menu, /etc/tuned, libvirt's state) never reaches the machine,
and its processes die with it.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

# PID 1 ignores SIGCHLD, so that the kernel reaps orphans: libvirtd waits 40 s for each daemonised QEMU that stays a zombie. A
# shell won't do (dash resets the signal before it executes anything); perl is in every Debian.
_SETUP = r"""
set -e
t=$1
mount -t tmpfs -o size=1g kvmc-scratch "$t"
mkdir "$t/up" "$t/work" "$t/root"
mount -t overlay -o "lowerdir=/,upperdir=$t/up,workdir=$t/work" kvmc-scratch "$t/root"
cd "$t/root"
mount -t proc proc proc
for p in sys irq bus fs acpi mtrr sysrq-trigger; do
    if [ -e "proc/$p" ]; then mount --bind "proc/$p" "proc/$p"; mount -o remount,bind,ro "proc/$p"; fi
done
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 dev dev
mkdir dev/pts dev/shm dev/net dev/hugepages
for d in null zero full random urandom tty kvm net/tun cpu_dma_latency; do
    if [ -c "/dev/$d" ]; then : >"dev/$d"; mount --bind "/dev/$d" "dev/$d"; fi
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs shm dev/shm
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
ip link set lo up 2>/dev/null || :
hostname kvmc-scratch
exec chroot . perl -e '$SIG{CHLD} = "IGNORE"; $| = 1; print "ready\n"; 1 while <STDIN>'
"""


_UNSHARE = (
    "unshare",
    "--mount",
    "--pid",
    "--net",
    "--uts",
    "--ipc",
    "--fork",
    "--kill-child",
    "--propagation",
    "private",
)


class ScratchError(Exception):
    """This machine does not let us make the copy."""


class Scratch:
    """Context manager: the copy is there within, and gone after."""

    def __enter__(self) -> Scratch:
        self._folder = tempfile.TemporaryDirectory(prefix="kvmc-scratch-")
        self._holder = subprocess.Popen(
            [*_UNSHARE, "sh", "-c", _SETUP, "sh", self._folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None and self._holder.stderr is not None
        if self._holder.stdout.readline() != "ready\n":
            self._holder.wait(timeout=10)
            error = self._holder.stderr.read().strip()
            self._folder.cleanup()
            raise ScratchError(error or "unshare said nothing")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        self._init = int(children[0])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        try:
            self._holder.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._holder.kill()
            self._holder.wait(timeout=20)
        for stream in (self._holder.stdout, self._holder.stderr):
            if stream is not None:
                stream.close()
        self._folder.cleanup()

    @property
    def init(self) -> int:
        """The process of this machine that is the copy's first."""
        return self._init

    @property
    def folder(self) -> str:
        """A folder of this machine, outside the copy, that goes with it: for logs."""
        return self._folder.name

    def path(self, inside: str) -> Path:
        """A file of the copy, as this process reaches it. No symbolic link that is absolute may be on the way."""
        return Path(f"/proc/{self._init}/root") / inside.lstrip("/")

    def write(self, inside: str, text: str) -> None:
        """Write a file, with the folders above it; executable where it begins with `#!`."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)

    def install(self, files: Mapping[str, str]) -> None:
        """Write files: absolute path to text."""
        for path, text in files.items():
            self.write(path, text)

    def _argv(self, argv: Sequence[str]) -> list[str]:
        where = ["--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd"]
        return ["nsenter", "--target", str(self._init), *where, "--", *argv]

    def run(
        self, *argv: str, timeout: float = 60, env: Mapping[str, str] | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy, with a bare environment and `env`; stdout and stderr are text."""
        return subprocess.run(
            self._argv(argv),
            input=stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            env=_bare(env),
            check=False,
        )

    def spawn(self, *argv: str, log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a daemon in the copy; its output goes to `log`. It dies with the copy."""
        with log.open("wb") as out:
            return subprocess.Popen(
                self._argv(argv), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=_bare(env)
            )


def _bare(env: Mapping[str, str] | None) -> dict[str, str]:
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C", **(env or {})}
