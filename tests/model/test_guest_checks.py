"""What a guest's CPU features, devices and protection exclude, each told once at the setting that asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.support import BASE, good, one

HEAD = "vm x {\n  vcpus = 2\n  memory = 2GiB\n  machine = pc-q35-9.2\n"
ARM = HEAD.replace("pc-q35-9.2", "virt-9.2") + "  firmware = uefi\n"
SEALED = "  launch_security = sev-snp\n"


def guest(text: str, head: str = HEAD) -> str:
    return BASE + head + text + "}\n"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("KVMC0260", "  require = [«avx512_vnni»]\n"),
        ("KVMC0260", "  disable = [«avx3»]\n"),
        ("KVMC0231", "  require = [aes, «aes»]\n"),
        ("KVMC0240", "  «require = [aes, vaes]»\n  disable = [vaes]\n  reason = because\n"),
        ("KVMC0240", "  «require = [invtsc]»\n"),
        ("KVMC0240", "  «require = [invtsc]»\n  cpu = baseline\n"),
        ("KVMC0261", "  «disable = [avx2]»\n"),
        ("KVMC0240", "  «maxphysaddr = passthrough»\n  cpu = host-model\n"),
        ("KVMC0240", "  «migratable = false»\n  cpu = baseline\n"),
        ("KVMC0240", "  «secure_boot = true»\n  firmware = bios\n"),
        ("KVMC0240", "  «hyperv = true»\n  type = qemu\n  cpu = maximum\n"),
        ("KVMC0240", f"«{SEALED.strip()}»\n  firmware = bios\n"),
        ("KVMC0240", f"«{SEALED.strip()}»\n  pages = 1GiB\n"),
        ("KVMC0240", f"«{SEALED.strip()}»\n  secure_boot = true\n"),
        ("KVMC0240", f"«{SEALED.strip()}»\n  cpu = baseline\n"),
        ("KVMC0240", "  «launch_security = sev»\n"),
        ("KVMC0240", "  «launch_security = sev-es»\n  locked = true\n  firmware = bios\n"),
        ("KVMC0240", f"{SEALED}  «nic n» {{\n    device = vf\n  }}\n"),
        ("KVMC0262", '  «mdev m» {\n    uuid = "c2177883-f1bb-47f0-914d-32a22e3a8804"\n  }\n'),
        ("KVMC0205", "  host = kvm-a\n  «mdev m» {\n  }\n"),
        ("KVMC0240", "  nic n {\n    network = net\n    «tx_queue_size = 1024»\n  }\n"),
        ("KVMC0222", "  nic n {\n    network = net\n    rx_queue_size = «1000»\n  }\n"),
        ("KVMC0222", "  nic n {\n    network = net\n    rx_queue_size = «128»\n  }\n"),
        ("KVMC0242", "  nic n {\n    network = net\n    «socket = /run/a.sock»\n  }\n"),
        ("KVMC0240", "  nic n {\n    network = net\n    «mode = client»\n  }\n"),
        ("KVMC0240", "  nic n {\n    device = vf\n    «rx_queue_size = 512»\n  }\n"),
        ("KVMC0227", '  nic n {\n    socket = «"/run/{disk}.sock"»\n  }\n'),
        ("KVMC0240", "  disk d {\n    storage = disks\n    «iothreads = 2»\n  }\n"),
        ("KVMC0240", "  disk d {\n    storage = disks\n    «queue_size = 256»\n    bus = scsi\n  }\n"),
        ("KVMC0240", "  disk d {\n    storage = disks\n    «cmd_per_lun = 64»\n  }\n"),
    ],
)
def test_what_is_refused(tmp_path: Path, code: str, text: str) -> None:
    assert one(tmp_path, guest(text)).code.id == code


@pytest.mark.parametrize(
    "text",
    [
        "  «require = [avx2]»\n",
        "  «disable = [avx512f]»\n",
        "  «cpu = host-model»\n",
        "  «cpu = baseline»\n",
        "  «migratable = false»\n",
        "  «maxphysaddr = passthrough»\n",
        "  «hyperv = true»\n",
        "  «secure_boot = true»\n",
        "  disk d {\n    storage = disks\n    «bus = sata»\n  }\n",
    ],
)
def test_settings_of_x86_on_arm(tmp_path: Path, text: str) -> None:
    told = one(tmp_path, guest(text, ARM))
    assert told.code.id == "KVMC0240" and "virt-9.2" in told.message


def test_arm_boots_by_uefi_and_has_its_own_features(tmp_path: Path) -> None:
    assert one(tmp_path, guest("  «firmware = bios»\n", HEAD.replace("pc-q35", "virt"))).code.id == "KVMC0240"
    assert one(tmp_path, guest("  «require = [sve]»\n")).code.id == "KVMC0240"
    assert good(tmp_path, guest("  require = [sve]\n", ARM).removeprefix(BASE)).vms["x"].require == ("sve",)


def test_what_is_taken(tmp_path: Path) -> None:
    made = good(
        tmp_path,
        guest(
            "  require = [invtsc, avx512vnni]\n  disable = [avx2]\n  reason = because\n  migratable = false\n"
            "  maxphysaddr = passthrough\n  clock = localtime\n  hyperv = true\n  tpm = true\n  secure_boot = true\n"
            '  host = kvm-a\n  mdev m {\n    uuid = "C2177883-f1bb-47f0-914d-32a22e3a8804"\n  }\n'
            '  nic s {\n    socket = "/run/{vm}-{nic}.sock"\n    mode = client\n    tx_queue_size = 1024\n  }\n'
            "  disk d {\n    storage = disks\n    iothread = own\n    iothreads = 3\n    queue_size = 512\n  }\n"
            "  disk s {\n    storage = disks\n    bus = scsi\n    cmd_per_lun = 64\n  }\n"
        ).removeprefix(BASE),
    ).vms["x"]
    assert made.require == ("invtsc", "avx512vnni") and made.disable == ("avx2",) and made.reason == "because"
    assert (made.migratable, made.maxphysaddr, made.clock) == (False, "passthrough", "localtime")
    assert made.hyperv and made.tpm and made.secure_boot
    assert made.mdevs["m"].uuid == "c2177883-f1bb-47f0-914d-32a22e3a8804"
    assert (made.nics["s"].socket, made.nics["s"].mode, made.nics["s"].tx_queue_size) == (
        "/run/{vm}-{nic}.sock",
        "client",
        1024,
    )
    assert (made.disks["d"].iothreads, made.disks["d"].queue_size, made.disks["s"].cmd_per_lun) == (3, 512, 64)


def test_one_mediated_device_has_one_owner(tmp_path: Path) -> None:
    text = '  host = kvm-a\n  mdev m {{\n    {} = "c2177883-f1bb-47f0-914d-32a22e3a8804"{}\n  }}\n'
    first = guest(text.format("uuid", ""))
    second = HEAD.replace("vm x", "vm y") + text.format("«uuid", "»") + "}\n"
    assert one(tmp_path, first + second).code.id == "KVMC0243"
