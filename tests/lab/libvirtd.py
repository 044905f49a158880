"""A real libvirtd, started by hand in a throw-away copy of the machine, and what it says of a domain."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from lab.scratch import Scratch
from lab.threads import Memory, Thread, by_name, parse_memory, parse_thread

# With the stock file each define takes 84 s here (it probes QEMU's capabilities as another user, on TCG); the rest lets guests
# start without a security driver, cgroup controllers or a /dev of their own.
_QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
dynamic_ownership = 0
"""
_READY_WITHIN = 90.0


class LibvirtError(Exception):
    """libvirt refused; the text is its own."""


class Libvirtd:
    """Context manager: virtlogd and libvirtd answer within."""

    def __enter__(self) -> Libvirtd:
        self._scratch = Scratch().__enter__()
        self._logs = tempfile.TemporaryDirectory(prefix="kvmc-libvirtd-")
        try:
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _start(self) -> None:
        scratch, logs = self._scratch, Path(self._logs.name)
        scratch.write("/etc/libvirt/qemu.conf", _QEMU_CONF)
        scratch.write("/etc/libvirt/libvirtd.conf", 'auth_unix_rw = "none"\n')
        # What ran on this machine before is no part of the copy.
        scratch.run("sh", "-c", "rm -rf /etc/libvirt/qemu /var/lib/libvirt/qemu /var/cache/libvirt/qemu")
        scratch.run(
            "mkdir", "-p", "/run/libvirt", "/var/lib/libvirt/qemu", "/var/cache/libvirt/qemu", "/etc/libvirt/qemu"
        )
        self._daemons = [
            scratch.spawn("virtlogd", log=logs / "virtlogd.log"),
            scratch.spawn("libvirtd", log=logs / "libvirtd.log"),
        ]
        deadline = time.monotonic() + _READY_WITHIN
        said = ""
        while time.monotonic() < deadline:
            if any(daemon.poll() is not None for daemon in self._daemons):
                break
            if scratch.path("/run/libvirt/libvirt-sock").exists():
                answer = scratch.run("virsh", "-c", "qemu:///system", "version", timeout=_READY_WITHIN)
                if answer.returncode == 0:
                    return
                said = answer.stderr
            time.sleep(0.1)
        log = "".join(path.read_text(errors="replace")[-2000:] for path in sorted(logs.glob("*.log")))
        raise LibvirtError(f"libvirtd was not ready within {_READY_WITHIN:.0f} s: {said}\n{log}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scratch.__exit__(kind, error, trace)
        for daemon in getattr(self, "_daemons", ()):
            daemon.kill()
            daemon.wait(timeout=20)
        self._logs.cleanup()

    def run(self, *argv: str) -> str:
        """A command beside libvirtd, in the same copy of the machine: `ip link add br0 type bridge`. Raises LibvirtError."""
        answer = self._scratch.run(*argv, timeout=120)
        if answer.returncode != 0:
            raise LibvirtError(answer.stderr.strip() or answer.stdout.strip())
        return answer.stdout

    def virsh(self, *words: str) -> str:
        return self.run("virsh", "-q", "-c", "qemu:///system", *words)

    def put(self, path: str, data: bytes) -> None:
        """A file beside libvirtd, in the same copy of the machine."""
        self._scratch.path(path).write_bytes(data)

    def _file(self, xml: str) -> str:
        self._scratch.write("/tmp/domain.xml", xml)
        return "/tmp/domain.xml"

    def _refusal(self, *words: str) -> str | None:
        try:
            self.virsh(*words)
        except LibvirtError as error:
            return str(error) or "refused without a word"
        return None

    def define_validate(self, xml: str) -> str | None:
        """Define the domain with the schema checked first. None, or why libvirt refused."""
        return self._refusal("define", "--validate", self._file(xml))

    def create(self, xml: str, *, paused: bool = True) -> str | None:
        """Start a transient domain. None, or why it did not start."""
        return self._refusal("create", *(["--paused"] if paused else []), self._file(xml))

    def start(self, name: str, *, paused: bool = True) -> str | None:
        """Start a defined domain. None, or why it did not start."""
        return self._refusal("start", *(["--paused"] if paused else []), name)

    def dumpxml(self, name: str, *, inactive: bool = True) -> str:
        return self.virsh("dumpxml", *(["--inactive"] if inactive else []), name)

    def native(self, xml: str) -> str:
        """QEMU's command line for a domain, as libvirt would start it."""
        return self.virsh("domxml-to-native", "qemu-argv", "--xml", self._file(xml))

    def destroy(self, name: str) -> None:
        self.virsh("destroy", name)

    def undefine(self, name: str) -> None:
        self.virsh("undefine", "--nvram", name)

    def domains(self) -> list[str]:
        return self.virsh("list", "--all", "--name").split()

    def threads(self, name: str) -> Mapping[str, Thread]:
        """The threads of a started domain, by the name that QEMU gave them (`CPU 0/TCG`, `IO iothread1`); QEMU's own main
        thread is `emulator`. One vCPU thread a vCPU: TCG runs with `thread=multi`, QEMU's default for x86 on x86."""
        pid = self._scratch.path(f"/run/libvirt/qemu/{name}.pid").read_text().strip()
        found: list[tuple[str, Thread]] = []
        for task in sorted(self._scratch.path(f"/proc/{pid}/task").iterdir(), key=lambda path: int(path.name)):
            try:
                comm, status, stat = ((task / name).read_text() for name in ("comm", "status", "stat"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # a worker that ended
            found.append(("emulator" if task.name == pid else comm.strip(), parse_thread(status, stat)))
        return by_name(found)

    def memory(self, name: str) -> Memory:
        """Where the memory of a started domain is."""
        pid = self._scratch.path(f"/run/libvirt/qemu/{name}.pid").read_text().strip()
        return parse_memory(self._scratch.path(f"/proc/{pid}/numa_maps").read_text())
