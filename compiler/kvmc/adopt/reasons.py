"""Why a built domain differs from the one that it was made from, told by the place of the difference: the first row that fits."""

from __future__ import annotations

import re

_CHANGED: tuple[tuple[str, str], ...] = (
    (r"os/type@machine", "kvmc builds q35 with a version, no alias and no i440fx: the guest sees another chipset"),
    (r"os@firmware|os/firmware.*|os/loader.*|os/nvram.*", "libvirt chooses the firmware's files by its features"),
    (r"os/boot.*", "the first disk boots where no disk has a boot order"),
    (r"vcpu(@.*)?", "all vCPUs are there from the start, on the CPUs of the placement"),
    (r"vcpus.*", "all vCPUs are there from the start"),
    (r"(currentMemory|memory|maxMemory)(@.*)?", "the guest has all of its memory from the start"),
    (r"memoryBacking.*", "pages, locking and sharing follow from `pages`, `locked`, `pinning` and vhost-user"),
    (r"cputune/vcpupin.*|cputune/emulatorpin.*|cputune/iothreadpin.*", "the placement gives each thread its CPUs"),
    (r"cputune/(vcpu|iothread|emulator)sched.*", "`scheduler` is one word for all vCPUs, which need isolated CPUs"),
    (r"cputune", "every guest has its threads' CPUs said"),
    (r"numatune.*", "memory is bound strictly to the nodes of the placement"),
    (r"cpu/topology.*", "the guest sees the cores and threads of its pins"),
    (r"cpu/cache.*", "the cache follows from the pins"),
    (r"cpu/numa.*", "guest nodes follow from the placement"),
    (r"cpu/feature.*", "features are `require` and `disable`, and what pinned AMD guests need"),
    (r"cpu.*", "`cpu`, `migratable` and `maxphysaddr` say the CPU; what else is there is libvirt's default said aloud"),
    (r"clock@.*", "`clock` is utc or localtime, and begins anew at each start"),
    (r"clock.*", "one set of timers for all guests: caught-up RTC, delayed PIT, no HPET"),
    (r"features/hyperv.*", "`hyperv` is one set of interfaces, those that Windows uses"),
    (r"features.*", "one set of machine features for all guests"),
    (r"on_.*", "one set of reactions: off and crash end the guest, reboot restarts it"),
    (r"pm.*", "no suspension to memory or disk from within a guest"),
    (r"devices/disk.*/target@(dev|bus)", "q35 has no IDE: the disk is on SATA"),
    (r"devices/disk.*/address.*", "buses are laid out anew; what sat behind a root port stays there"),
    (r"devices/disk.*/driver.*", "how a disk is read and written is said, no default of QEMU's left"),
    (r"devices/graphics.*@(port|tlsPort)", "libvirt chooses the port at each start"),
    (r"devices/interface.*/model.*", "`model` is virtio, e1000e, e1000 or rtl8139"),
    (r"devices/.*/address.*", "buses are laid out anew; what sat behind a root port stays there"),
    (r"devices/controller\[(pci|usb|sata|ide|fdc|scsi|virtio-serial).*", "kvmc lays out controllers itself; USB is one xHCI"),
    (r"devices/emulator", "`emulator` of the platform is one for all its hosts"),
    (r"devices/(serial|console).*", "every guest has a serial console"),
    (r"devices/input.*", "PS/2 mouse and keyboard are the machine's own"),
    (r"devices/memballoon.*", "there is a balloon only where it could give memory back"),
    (r"devices/rng.*", "kvmc gives every guest a virtio RNG"),
    (r"devices/audio.*", "no audio backend"),
    (r"devices/watchdog.*", "the machine's own watchdog is said"),
    (r"devices/iommu.*", "a virtual IOMMU is there where many vCPUs need one"),
    (r"devices/tpm.*", "`tpm` is an emulated TPM 2.0 that libvirt keeps"),
    (r"devices/hostdev.*", "passed PCI functions are owned with VFIO and managed by libvirt"),
    (r"devices/interface.*", "only what `nic` has a word for"),
    (r"title|metadata.*", "kvmc writes where a guest comes from"),
    (r"name", "the name is none of the language's and was mapped"),
    (r"iothreads", "I/O threads follow from `iothread` of the disks"),
    (r"launchSecurity.*", "`launch_security` is SEV, SEV-ES, SEV-SNP or TDX with kvmc's policy"),
)  # fmt: skip
_LOST: tuple[tuple[str, str], ...] = (
    (r"@id|.*/alias.*|.*/target@dev|.*/backingStore.*|.*/source@(index|portid)|.*@tty|devices/console/source|.*seclabel.*|resource.*",
     "state of a guest that ran, which libvirt makes anew"),
    (r"devices/interface.*/(source@bridge|target)|devices/serial/source", "state of a guest that ran, which libvirt makes anew"),
    (r"devices/interface.*/driver@name", "vhost is what virtio NICs have"),
    (r"devices/disk\[[^\]]*\](#[0-9]+)?[/@].*", "`disk` has no word for it"),
    (r"devices/interface\[[^\]]*\](#[0-9]+)?@.*", "`nic` has no word for it"),
    (r"devices/interface\[[^\]]*\]/.*", "`nic` has no word for it"),
    (r"devices/disk.*", "kvmc has no word for such a disk, and the check of raw settings does not take it"),
    (r"devices/interface.*", "kvmc has no word for such a NIC, and the check of raw settings does not take it"),
    (r"devices/hostdev.*", "kvmc has no word for such a passed device, or the topology does not have it"),
    (r"metadata.*", "metadata of other programs is not copied"),
    (r"devices/graphics.*passwd.*", "secrets are never copied"),
)  # fmt: skip


def reason(path: str, original: str, built: str) -> str:
    """In a few words; what only the original has is looked up among what gets lost first."""
    rows = (*_LOST, *_CHANGED) if not built else _CHANGED
    found = next((why for pattern, why in rows if re.fullmatch(pattern, path)), None)
    if found is not None:
        return found
    return "kvmc says it for every guest" if not original else "kvmc has no word for it, and it was not taken as raw"
