"""Sites that use every class of the standard library that makes sense on a kind of host and a platform."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from kvmc.driver.build import build_site
from kvmc.driver.outcome import Outcome
from kvmc_targets import BUILTIN

HERE = Path(__file__).parent
GOLDEN = HERE / "golden"

PLATFORMS = {
    "deb12": {"kernel": "6.1", "libvirt": "9.0", "qemu": "7.2", "tuned": "2.20"},
    "deb13": {"kernel": "6.12", "libvirt": "11.3", "qemu": "10.0", "tuned": "2.25"},
    "libvirt12": {"kernel": "6.18", "libvirt": "12.5", "qemu": "11.0", "tuned": "2.27"},
}
HOSTS = ("intel", "amd", "arm")
_DISK = "  disk {} {{\n    storage = fast\n  }}\n"
_COMMON = ("throughput", "latency", "realtime", "nfv", "database", "storage-osd", "web")
_X86 = ("gpu-passthrough", "gpu-mdev", "ai-inference", "windows")
_MORE = {
    "nfv": '  nic n3 {\n    device = n3\n  }\n  nic s0 {\n    socket        = "/run/openvswitch/{vm}-{nic}.sock"\n'
    "    queues        = 2\n    rx_queue_size = 1024\n    tx_queue_size = 1024\n  }\n",
    "database": _DISK.format("data") + _DISK.format("log") + "  nic eth0 {\n    network = lan\n    queues  = 2\n  }\n",
    "storage-osd": "  hostdev osd0 {\n    device = nvme\n  }\n",
    "gpu-passthrough": "  hostdev gpu0 {\n    device = gpuIOMMUFD\n  }\n",
    "gpu-mdev": '  host = HOST\n  mdev gpu0 {\n    uuid = "c2177883-f1bb-47f0-914d-32a22e3a8804"\n  }\n',
}


@dataclass(frozen=True)
class Case:
    host: str
    platform: str

    def __str__(self) -> str:
        return f"{self.host}-{self.platform}"

    @property
    def golden(self) -> Path:
        return GOLDEN / str(self)

    @property
    def classes(self) -> tuple[str, ...]:
        """Those that make sense here: no x86 part on Arm, AMX on Intel and SEV-ES on AMD, what seals memory by platform."""
        if self.host == "arm":
            return _COMMON
        sealed = {"intel": "confidential-tdx", "amd": "confidential-snp"}[self.host]
        own = {"intel": "ai-inference-amx", "amd": "confidential-sev-es"}[self.host]
        return (*_COMMON, *_X86, own, *((sealed,) if self.platform == "libvirt12" else ()))


CASES = [Case(host, platform) for host in HOSTS for platform in PLATFORMS]


def site_text(case: Case) -> str:
    arm = case.host == "arm"
    versions = "".join(f'  {tool} = "{number}"\n' for tool, number in PLATFORMS[case.platform].items())
    emulator = '  emulator = "/usr/bin/qemu-system-aarch64"\n' if arm else ""
    files = {"ai-inference-amx": "ai-inference", "confidential-sev-es": "confidential", "gpu-mdev": "gpu-passthrough"}
    imports = dict.fromkeys(files.get(one, one.partition("-snp")[0].partition("-tdx")[0]) for one in case.classes)
    return "".join(
        (
            "kvmt 1\n",
            *(f'import "std/{name}.kvmt"\n' for name in imports),
            'site classes {\n  identity = "classes.example.net"\n}\n',
            f"platform {case.platform} {{\n{versions}{emulator}  realtime = true\n}}\n",
            f"pool all {{\n  platform = {case.platform}\n  isolation = boot\n  profile = realtime\n"
            "  pages = [32 * 1GiB, 2048 * 2MiB]\n  shared {\n    cores = 2\n  }\n"
            '  devices n3 {\n    parent = "0000:17:00.0"\n    vfs = 4\n  }\n'
            '  devices gpu {\n    addresses = ["0000:2a:00.0", "0000:aa:00.0"]\n  }\n'
            '  devices nvme {\n    addresses = ["0000:3d:00.0", "0000:3e:00.0"]\n  }\n}\n',
            f'host {case.host} : all {{\n  topology = "{case.host}.json"\n}}\n',
            'network lan {\n  bridge = br-lan\n}\nstorage fast {\n  source = "/dev/vg0/{vm}-{disk}"\n}\n',
            *(_guest(case, name) for name in case.classes),
        )
    )


def _guest(case: Case, name: str) -> str:
    arm = case.host == "arm"
    qemu = {"deb12": "7.2", "deb13": "10.0", "libvirt12": "10.0"}[case.platform]
    own = f"  vcpus = 2\n  memory = 2GiB\n  machine = {'virt' if arm else 'pc-q35'}-{qemu}\n{_DISK.format('root')}"
    if arm:
        own += "  firmware = uefi\n" + ("  cpu = host-passthrough\n" if name == "web" else "  threads = prefer\n")
    more = _MORE.get(name, "").replace("HOST", case.host)
    more = more.replace("IOMMUFD", "\n    iommufd = true" if case.platform == "libvirt12" else "")
    return f"vm {name}-1 : {name} {{\n{own}{more}}}\n"


def build(case: Case, folder: Path) -> Outcome:
    folder.mkdir()
    shutil.copy(HERE / "hosts" / f"{case.host}.json", folder)
    (folder / "site.kvmt").write_text(site_text(case))
    return build_site(folder / "site.kvmt", BUILTIN)


@cache
def golden_domains(case: Case) -> dict[str, str]:
    """The committed domains by guest."""
    return {path.stem: path.read_text() for path in sorted((case.golden / "domains").glob("*.xml"))}


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}
