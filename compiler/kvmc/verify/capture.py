#!/usr/bin/env python3
"""Copy what `kvmc verify` reads on a host into a folder or a tar archive, which `kvmc verify --root` reads elsewhere.

It stands alone: this one file runs on a host without kvmc, with nothing but Python 3.6 (`python3 capture.py -o host.tar`); so
it uses neither newer syntax nor anything else of kvmc. Root sees more than others do: other users' guests and threads.

Files lie as on the host (`proc/`, `sys/`, `etc/`); what is no file there lies below `kvmc/`. It changes nothing, reads no
environment, and leaves out of domains what may hold a secret. Reading `numa_maps` walks a guest's page tables;
`memory=False` leaves it out.
"""

import argparse
import glob
import io
import json
import os
import re
import stat
import subprocess
import sys
import tarfile

FORMAT = 1
"""The version of the capture's layout."""

MAX_BYTES = 1 << 20
"""Of one file; what is longer is cut."""

SYSCTLS = (
    "kernel/hostname",
    "kernel/hung_task_panic",
    "kernel/nmi_watchdog",
    "kernel/numa_balancing",
    "kernel/osrelease",
    "kernel/sched_autogroup_enabled",
    "kernel/sched_rt_period_us",
    "kernel/sched_rt_runtime_us",
    "kernel/soft_watchdog",
    "kernel/softlockup_panic",
    "kernel/timer_migration",
    "kernel/watchdog",
    "kernel/watchdog_cpumask",
    "kernel/watchdog_thresh",
    "vm/compaction_proactiveness",
    "vm/dirty_background_ratio",
    "vm/dirty_ratio",
    "vm/max_map_count",
    "vm/min_free_kbytes",
    "vm/nr_hugepages",
    "vm/nr_overcommit_hugepages",
    "vm/overcommit_memory",
    "vm/stat_interval",
    "vm/swappiness",
    "vm/zone_reclaim_mode",
)
"""By name: some files there act when they are read (`vm/stat_refresh` wakes every CPU), and some hold keys."""

PATTERNS = tuple("proc/sys/" + name for name in SYSCTLS) + (
    "proc/cmdline",
    "proc/1/status",
    "proc/irq/default_smp_affinity",
    "proc/irq/*/smp_affinity_list",
    "proc/irq/*/effective_affinity_list",
    "sys/kernel/irq/*/actions",
    "sys/devices/system/cpu/isolated",
    "sys/devices/system/cpu/nohz_full",
    "sys/devices/system/cpu/online",
    "sys/devices/system/cpu/offline",
    "sys/devices/system/cpu/possible",
    "sys/devices/system/cpu/smt/control",
    "sys/devices/system/cpu/cpufreq/policy*/scaling_governor",
    "sys/devices/system/cpu/cpu*/power/energy_perf_bias",
    "sys/devices/system/cpu/intel_pstate/min_perf_pct",
    "sys/devices/system/node/online",
    "sys/devices/system/node/node*/cpulist",
    "sys/devices/system/node/node*/hugepages/hugepages-*/nr_hugepages",
    "sys/devices/system/node/node*/hugepages/hugepages-*/free_hugepages",
    "sys/devices/virtual/workqueue/cpumask",
    "sys/kernel/mm/transparent_hugepage/enabled",
    "sys/kernel/mm/transparent_hugepage/defrag",
    "sys/kernel/mm/ksm/run",
    "sys/module/kvm*/parameters/*",
    "sys/module/vfio*/parameters/*",
    "sys/module/rcutree/parameters/*",
    "sys/module/workqueue/parameters/*",
    "sys/bus/pci/devices/*/sriov_numvfs",
    "sys/bus/pci/devices/*/sriov_totalvfs",
    "sys/fs/resctrl/schemata",
    "sys/bus/pci/devices/*/numa_node",
    "sys/bus/pci/devices/*/irq",
    "sys/bus/pci/devices/*/msi_irqs/*",
    "etc/tuned/active_profile",
    "etc/tuned/kvmc/tuned.conf",
    "etc/tuned/profiles/kvmc/tuned.conf",
    "etc/default/grub.d/*kvmc*",
    "etc/kvmc/*",
    "etc/kernel/install.d/*kvmc*",
    "usr/lib/bootc/kargs.d/*kvmc*",
    "etc/modprobe.d/*kvmc*",
    "etc/systemd/system.conf.d/*kvmc*",
    "etc/systemd/system/irqbalance.service.d/*kvmc*",
    "etc/systemd/system/kvmc-*.service",
    "etc/systemd/system/kvmc-*.timer",
    "etc/systemd/system/dev-hugepages*.mount",
    "etc/sysctl.conf",
    "etc/sysctl.d/*.conf",
    "run/sysctl.d/*.conf",
    "usr/lib/sysctl.d/*.conf",
)

_SET = re.compile(r"^[ \t]*-?[ \t]*([A-Za-z0-9_./*-]+)[ \t]*=", re.M)
_SYSFS = re.compile(r"^(/sys/[A-Za-z0-9_./:*-]+)[ \t]*=", re.M)
_MODULE = re.compile(r"^[ \t]*options[ \t]+([A-Za-z0-9_-]+)[ \t]", re.M)
_UNREAD = re.compile(r"(^|/)\.\.?(/|$)|key|secret|/stat_refresh$")
"""What is not read though a file of kvmc's names it: it leaves its folder, may be a secret, or acts when it is read."""

_PARAMETERS = re.compile(r"(?i)\b([^\s=]*(?:pass|secret|token)[^\s=]*)=\S*")
_BOOT_ENTRY = re.compile(r"^[ \t]*linux(?:16|efi)?[ \t]+\S+[ \t]+(.*)$|^options[ \t]+(.*)$", re.M)
_SECRETS = (
    re.compile(r"<qemu:env\b[^>]*/>"),
    re.compile(r"<sysinfo\b.*?</sysinfo>", re.S),
    re.compile(r"\spasswd=(?:'[^']*'|\"[^\"]*\")"),
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"<name>([^<]*)</name>")
_SECONDS = 30


def capture(root: str, memory: bool = True) -> "dict[str, bytes]":
    """All files of the capture, by their path in it. Raises nothing: what is not there, or not ours to read, is left out."""
    host = _Host(root)
    files = {}  # type: dict[str, bytes]
    _copy(host, PATTERNS, files)
    _copy(host, _named(files), files)
    if "proc/cmdline" in files:
        line = files["proc/cmdline"].decode("utf-8", "replace")
        files["proc/cmdline"] = _PARAMETERS.sub(r"\1=...", line).encode()
    entries = _boot_entries(host)
    if entries:
        files["kvmc/bootlines"] = "".join(line + "\n" for line in entries).encode()
    latency = host.read("dev/cpu_dma_latency", 4, plain=False)
    if latency is not None and len(latency) == 4:
        files["kvmc/cpu_dma_latency"] = ("%d\n" % int.from_bytes(latency, sys.byteorder, signed=True)).encode()
    live = os.path.abspath(root) == "/"
    if live:
        _guests(host, files, memory)
    versions = {
        "format": FORMAT,
        "kernel": files.get("proc/sys/kernel/osrelease", b"").decode("utf-8", "replace").strip(),
        "libvirt": _first_line(["virsh", "--version"]) if live else "",
        "qemu": _first_line(["qemu-system-" + os.uname().machine, "--version"]) if live else "",
        "tuned": _first_line(["tuned-adm", "--version"]) if live else "",
        "guests": "kvmc/domains" in files,
    }
    files.pop("kvmc/domains", None)
    files["kvmc/capture.json"] = (json.dumps(versions, indent=2, sort_keys=True) + "\n").encode()
    return files


def _copy(host: "_Host", patterns: "tuple[str, ...] | list[str]", files: "dict[str, bytes]") -> None:
    for pattern in patterns:
        for path in host.find(pattern):
            data = host.read(path)
            if data is not None:
                files[path] = data


def _named(files: "dict[str, bytes]") -> "list[str]":
    """What the files of kvmc's on the host set beyond what every site has: sysctls, files below /sys, options of modules."""
    found = []
    for path in sorted(files):
        text = files[path].decode("utf-8", "replace")
        if path.startswith("etc/sysctl.d/") and "kvmc" in path:
            found += [sysctl_path(key) for key in _SET.findall(text)]
        elif path.startswith("etc/tuned/") and path.endswith("kvmc/tuned.conf"):
            found += [name[1:] for name in _SYSFS.findall(text)]
        elif path.startswith("etc/modprobe.d/"):
            found += ["sys/module/%s/parameters/*" % name.replace("-", "_") for name in _MODULE.findall(text)]
    return [name for name in found if not _UNREAD.search(name)]


def sysctl_path(key: str) -> str:
    """The file of a sysctl. Where the first separator is a dot, slashes stand for dots (sysctl.d(5))."""
    first = re.search(r"[./]", key)
    if first is not None and first.group() == ".":
        key = key.translate(str.maketrans("./", "/."))
    return "proc/sys/" + key


class _Host:
    """The host's files, below `root`."""

    def __init__(self, root: str) -> None:
        self.root = root

    def find(self, pattern: str) -> "list[str]":
        found = glob.glob(os.path.join(glob.escape(self.root), pattern))
        return sorted(os.path.relpath(path, self.root) for path in found)

    def read(self, path: str, limit: int = MAX_BYTES, plain: bool = True) -> "bytes | None":
        """At most `limit` bytes. plain: of a regular file alone, so that nothing blocks."""
        try:
            handle = os.open(os.path.join(self.root, path), os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            if plain and not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            parts = []
            while limit > 0:
                part = os.read(handle, limit)
                if not part:
                    break
                parts.append(part)
                limit -= len(part)
            return b"".join(parts)
        except OSError:
            return None
        finally:
            os.close(handle)


def _boot_entries(host: _Host) -> "list[str]":
    """The kernel's words of each boot entry; nothing else of the loader's files, which may hold passwords."""
    entries = []
    for pattern in ("boot/grub/grub.cfg", "boot/grub2/grub.cfg", "boot/loader/entries/*.conf"):
        for path in host.find(pattern):
            text = (host.read(path, 8 * MAX_BYTES) or b"").decode("utf-8", "replace")
            for match in _BOOT_ENTRY.finditer(text):
                entries.append(_PARAMETERS.sub(r"\1=...", match.group(1) or match.group(2) or ""))
    return entries


def _run(argv: "list[str]") -> "str | None":
    """Its standard output; None where it fails."""
    environment = {"LC_ALL": "C", "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _first_line(argv: "list[str]") -> str:
    return ((_run(argv) or "").strip().splitlines() or [""])[0]


def _virsh(*words: str) -> "str | None":
    return _run(["virsh", "-q", "-r", "-c", "qemu:///system"] + list(words))


def _guests(host: _Host, files: "dict[str, bytes]", memory: bool) -> None:
    """Each domain's definition, and of running ones the live XML and the threads of their QEMU."""
    listed = _virsh("list", "--all", "--uuid")
    if listed is None:
        return
    files["kvmc/domains"] = b""
    running = set((_virsh("list", "--uuid") or "").split())
    for uuid in listed.split():
        if not _UUID.fullmatch(uuid):
            continue
        base = "kvmc/domains/" + uuid
        defined = _virsh("dumpxml", "--inactive", uuid)
        live = _virsh("dumpxml", uuid) if uuid in running else None
        if defined is not None:
            files[base + ".defined.xml"] = _without_secrets(defined).encode()
        if live is None:
            continue
        files[base + ".live.xml"] = _without_secrets(live).encode()
        name = _NAME.search(live)
        pid = _pid(host, name.group(1)) if name else ""
        if pid:
            files[base + ".pid"] = (pid + "\n").encode()
            _threads(host, pid, files)
            maps = host.read("proc/%s/numa_maps" % pid, 64 * MAX_BYTES) if memory else None
            if maps:
                files[base + ".memory"] = summarise(maps.decode("utf-8", "replace")).encode()


def _without_secrets(xml: str) -> str:
    for pattern in _SECRETS:
        xml = pattern.sub("", xml)
    return xml


def _pid(host: _Host, name: str) -> str:
    """That of a domain's QEMU, as libvirt left it; empty where it tells none."""
    for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
        name = name.replace(entity, character)
    if "/" in name:
        return ""
    text = (host.read("run/libvirt/qemu/%s.pid" % name) or b"").decode("ascii", "replace").strip()
    return text if text.isdigit() else ""


def _threads(host: _Host, pid: str, files: "dict[str, bytes]") -> None:
    """Those of QEMU, and the kernel's vhost threads that are named after it."""
    for path in host.find("proc/%s/task/*" % pid):
        for name in ("comm", "status", "stat"):
            data = host.read(path + "/" + name)
            if data is not None:
                files[path + "/" + name] = data
    for path in host.find("proc/[0-9]*/comm"):
        comm = host.read(path)
        if comm is not None and re.fullmatch(r"(vhost|kvm-pit)[-/]%s\s*" % pid, comm.decode("utf-8", "replace")):
            thread = path.split("/")[1]
            files["proc/%s/task/%s/comm" % (pid, thread)] = comm
            for name in ("status", "stat"):
                data = host.read("proc/%s/%s" % (thread, name))
                if data is not None:
                    files["proc/%s/task/%s/%s" % (pid, thread, name)] = data


def summarise(maps: str) -> str:
    """`numa_maps` in short: a line for each policy, page size (KiB) and node, with the number of pages there."""
    counts = {}  # type: dict[tuple[str, int, int], int]
    for line in maps.splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        size = re.search(r"\bkernelpagesize_kB=([0-9]{1,9})\b", line)
        for node, pages in re.findall(r"\bN([0-9]{1,6})=([0-9]{1,18})\b", line):
            key = (words[1], int(size.group(1)) if size else 4, int(node))
            counts[key] = counts.get(key, 0) + int(pages)
    return "".join("%s %d %d %d\n" % (key + (counts[key],)) for key in sorted(counts))


def write(files: "dict[str, bytes]", output: str) -> None:
    """To a folder that is new or empty, or to an archive where the name ends with `.tar` or `.tar.gz`. Raises OSError."""
    if output.endswith((".tar", ".tar.gz", ".tgz")):
        with tarfile.open(output, "w" if output.endswith(".tar") else "w:gz") as archive:
            for path in sorted(files):
                member = tarfile.TarInfo(path)
                member.size = len(files[path])
                archive.addfile(member, io.BytesIO(files[path]))
        return
    if os.path.isdir(output) and os.listdir(output):
        raise OSError("`%s` is not empty" % output)
    for path in sorted(files):
        place = os.path.join(output, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "wb") as file:
            file.write(files[path])


def main() -> int:
    """The script's own command line."""
    parser = argparse.ArgumentParser(description="Copy what kvmc verify reads on a host.")
    parser.add_argument("-o", "--output", required=True, metavar="DIR|FILE.tar")
    parser.add_argument("--root", default="/", help="where the host's files begin")
    parser.add_argument("--no-memory", action="store_true", help="do not walk the page tables of guests")
    options = parser.parse_args()
    files = capture(options.root, not options.no_memory)
    try:
        write(files, options.output)
    except OSError as error:
        sys.stderr.write("capture: cannot write: %s\n" % (error.strerror or error))
        return 1
    sys.stdout.write("%s: %d files\n" % (options.output, len(files)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
