"""What is done to which kind of artifact. Each operator changes what the file says, by the way it is made."""

from __future__ import annotations

import json
import random
import re

from audit.mutation.edits import (
    Edit,
    Operator,
    any_of,
    change,
    changing,
    cpus,
    dropping,
    inserting,
    number,
    one_of,
    word,
)

KINDS = {
    "domain": r"domains/.*\.xml",
    "grub": r"etc/default/grub\.d/.*",
    "bls": r"etc/kvmc/cmdline",
    "sysctl": r"etc/sysctl\.d/.*",
    "tuned": r"etc/tuned/.*",
    "modprobe": r"etc/modprobe\.d/.*",
    "unit": r"etc/systemd/.*",
    "script": r"etc/kvmc/(make-vfs|reserve-hugepages|place-irqs)|etc/kernel/install\.d/.*",
    "apply": r"apply\.json",
    "measure": r"measure/.*",
}


def kind_of(path: str) -> str:
    return next(kind for kind, pattern in KINDS.items() if re.fullmatch(pattern, path))


_LIST = r"([0-9]+(?:[-,][0-9]+)*)"
_LATER = r"(?!#)"


def _element(rng: random.Random, text: str) -> Edit | None:
    """Take a whole element away, on one line or on several."""
    lines = text.splitlines(keepends=True)
    found: list[tuple[int, int]] = []
    for index, line in enumerate(lines):
        match = re.match(r"( +)<([a-z_-]+)[ >/]", line)
        if match is None:
            continue
        if "/>" in line or f"</{match[2]}>" in line:
            found.append((index, index + 1))
            continue
        end = next(end for end in range(index, len(lines)) if lines[end].startswith(f"{match[1]}</{match[2]}>"))
        found.append((index, end + 1))
    start, end = rng.choice([(start, end) for start, end in found if end - start < 12])
    return Edit("".join(lines[:start] + lines[end:]), range(start + 1, start + 2), gone=True)


def _free_cpu(rng: random.Random, old: str) -> str:
    return str(rng.choice([cpu for cpu in range(64) if str(cpu) != old]))


DOMAIN: dict[str, Operator] = {
    "pins": any_of(
        changing(rf'<(?:vcpupin|emulatorpin|iothreadpin) .*cpuset="{_LIST}"', cpus),
        changing(r'<vcpupin .*cpuset="([0-9]+)"', _free_cpu),
        changing(r'<(?:vcpupin|iothreadpin) (?:vcpu|iothread)="([0-9]+)"', number),
    ),
    "sets": any_of(
        changing(rf'<vcpu .*cpuset="{_LIST}"', cpus),
        changing(rf'<cell .*cpus="{_LIST}"', cpus),
        changing(rf'<vcpusched vcpus="{_LIST}"', cpus),
    ),
    "nodes": any_of(
        changing(rf'<(?:memory|memnode) .*nodeset="{_LIST}"', cpus),
        changing(r'<(?:memory|memnode) .*mode="([a-z]+)"', word),
        changing(r'<memnode cellid="([0-9]+)"', number),
        changing(r'<sibling .*value="([0-9]+)"', number),
    ),
    "pages": any_of(
        changing(r'<page size="([0-9]+)"', one_of("2048", "1048576", "4", "4096")),
        changing(r'<page .*unit="(KiB)"', one_of("MiB", "GiB", "b")),
        changing(rf'<page .*nodeset="{_LIST}"', cpus),
        dropping(r"<(page|locked|nosharepages)"),
    ),
    "sizes": any_of(
        changing(r"<(?:memory|currentMemory) [^>]*>([0-9]+)<", number),
        changing(r'<(?:memory|currentMemory) unit="(KiB)"', one_of("MiB", "KB", "b")),
        changing(r'<cell .*memory="([0-9]+)"', number),
        changing(r"<vcpu [^>]*>([0-9]+)<", number),
        changing(r"<iothreads>([0-9]+)<", number),
        changing(r'<topology .*(?:sockets|cores|threads|dies)="([0-9]+)"', number),
        changing(r'queues="([0-9]+)"', number),
    ),
    "names": any_of(
        changing(r"<name>([^<]+)<", word),
        changing(r'<source (?:dev|file|bridge)="([^"]+)"', word),
        changing(r'machine="([^"]+)"', word),
        changing(r"<emulator>([^<]+)<", word),
        changing(r'<target dev="([^"]+)"', word),
        changing(r'<cpu mode="([^"]+)"', word),
        changing(r'<(?!kvmc)[a-z]+ [a-z]+="([a-z]+[a-z0-9-]*)"', word),
    ),
    "devices": any_of(
        changing(r'<address .*(?:bus|slot|function|domain)="(0x[0-9a-f]+)"', number),
        changing(r'<driver .*[a-z]="([a-z]+)"', word),
        changing(r'<controller .*index="([0-9]+)"', number),
        changing(r'<target chassis="([0-9]+)"', number),
        changing(r'<(?:interface|hostdev|disk|memballoon|rng|serial|console) .*[a-z]="([a-z]+)"', word),
        changing(r'managed="(yes)"', word),
    ),
    "values": changing(
        r'<(?!kvmc|\?|!)[a-z_-]+ [^>]*?[a-z]="([a-z][a-z0-9-]*|[0-9]+)"', lambda rng, old: _any(rng, old)
    ),
    "identity": any_of(
        changing(r"<uuid>([^<]+)<", lambda rng, old: _digit(rng, old)),
        changing(r'<mac address="([^"]+)"', lambda rng, old: _last_digit(rng, old)),
    ),
    "missing": _element,
    "extra": any_of(
        inserting(
            r"<cputune>",
            '    <vcpupin vcpu="99" cpuset="3"/>',
            '    <vcpupin vcpu="0" cpuset="5"/>',
            "    <shares>5</shares>",
        ),
        inserting(
            r"<devices>",
            '    <hostdev type="pci"><source><address domain="0" bus="0x3b" slot="1" function="7"/></source></hostdev>',
            '    <disk type="block"><source dev="/dev/vg0/other"/><target dev="vdz" bus="virtio"/></disk>',
            '    <interface type="bridge"><mac address="52:54:00:aa:bb:cc"/><source bridge="br9"/></interface>',
            '    <graphics type="vnc" port="-1"/>',
            '    <watchdog model="i6300esb" action="reset"/>',
        ),
        inserting(
            r"<name>",
            "  <vcpu>3</vcpu>",
            "  <memtune><hard_limit>9</hard_limit></memtune>",
            "  <seclabel type='none'/>",
        ),
        inserting(r"<features>", "    <hyperv/>", '    <pmu state="on"/>'),
    ),
}


def _any(rng: random.Random, old: str) -> str:
    return number(rng, old) if old.isdigit() else word(rng, old)


def _last_digit(rng: random.Random, old: str) -> str:
    return old[:-1] + rng.choice([c for c in "0123456789abcdef" if c != old[-1]])


def _digit(rng: random.Random, old: str) -> str:
    at = rng.choice([index for index, character in enumerate(old) if character != "-"])
    return old[:at] + rng.choice([c for c in "0123456789abcdef" if c != old[at]]) + old[at + 1 :]


_WORDS = r"(?:^|[ \"])"
_WORD_END = r"(?=[ \"\n])"
BOOT: dict[str, Operator] = {
    "sets": changing(rf"{_WORDS}(?:isolcpus=(?:[a-z_]+,)*|nohz_full=|rcu_nocbs=|irqaffinity=){_LIST}{_WORD_END}", cpus),
    "nodes": changing(rf"{_WORDS}hugepages=(?:[0-9]+:[0-9]+,)*([0-9]+):", number),
    "pages": changing(rf"{_WORDS}hugepages=(?:[0-9]+:[0-9]+,)*[0-9]+:([0-9]+)", number),
    "sizes": changing(rf"{_WORDS}(?:default_)?hugepagesz=([0-9]+[MG]){_WORD_END}", one_of("1G", "2M", "512M")),
    "names": changing(rf"{_WORDS}([a-z_.]{{4,}})=[a-z0-9]", lambda _, old: old + "x"),
    "values": any_of(
        changing(rf"{_WORDS}(?:intel_iommu|iommu)=([a-z]+){_WORD_END}", word),
        changing(rf"{_WORDS}(?:nmi_watchdog|skew_tick)=([0-9]){_WORD_END}", number),
        changing(rf"{_WORDS}isolcpus=(managed_irq|domain),", one_of("nohz", "domain,nohz")),
    ),
    "extra": changing(
        rf"{_WORDS}(?:rcu_nocbs|skew_tick|default_hugepagesz)(=)",
        lambda rng, _: rng.choice(["=0 idle=poll x=", "=1 mitigations=off y=", "=7 transparent_hugepage=always z="]),
    ),
}


def _without_word(rng: random.Random, text: str) -> Edit | None:
    """Take a word off the line; not one that only repeats the default size."""
    return change(
        rng,
        text,
        r"( (?:isolcpus|nohz_full|rcu_nocbs|irqaffinity|hugepages|nmi_watchdog|iommu|skew_tick)=[^ \"\n]+)",
        lambda *_: "",
    )


GRUB = BOOT | {
    "missing": any_of(_without_word, dropping(r"^\s*(?!#)\S")),
    "scripts": any_of(
        changing(r"^\s*(set -f|esac|done|kept=$|printf .*)$", lambda rng, old: rng.choice(["true", f"{old}; true"])),
        changing(r"\b(nohz\[-_\]full=\*|isolcpus=\*|hugepages=\*)", word),
        changing(r"(kvmc_without) \"", one_of("echo", "kvmc_with")),
        inserting(r"^\s*(?!#)\S", "id > /tmp/x", "GRUB_CMDLINE_LINUX=quiet", "GRUB_TIMEOUT=0"),
    ),
}
BLS = BOOT | {
    "missing": dropping(r"^[a-z]"),
    "extra": inserting(r"^[a-z]", "idle=poll", "isolcpus=2", "mitigations=off"),
}

_VALUE = r"^(?!#)[^\n=]+= ?(-?[0-9]+)$"
SYSCTL: dict[str, Operator] = {
    "values": changing(_VALUE, lambda rng, old: str(int(old) + rng.choice([1, 5, 60]))),
    "names": changing(r"^([a-z_.]+) =", word),
    "missing": dropping(r"^[a-z]"),
    "extra": inserting(
        r"^[a-z]", "vm.nr_hugepages = 7", "vm.swappiness = 60", "kernel.watchdog = 0", "vm.overcommit_memory = 2"
    ),
}
TUNED: dict[str, Operator] = {
    "values": any_of(
        changing(r"^(?:force_latency|min_perf_pct|/sys/kernel/mm/ksm/run)=([0-9]+)$", number),
        changing(r"^(?:governor|energy_perf_bias|transparent_hugepages)=([a-z]+)$", word),
    ),
    "sets": changing(r"cpumask=([0-9a-f]+)", lambda rng, old: f"{int(old, 16) ^ (1 << rng.randrange(4)):x}"),
    "names": any_of(changing(r"^([a-z_/][a-z_/]+)=(?!kvmc)", word), changing(r"^\[(cpu|vm|sysfs)\]", word)),
    "missing": dropping(r"^(?!summary)[a-z/\[]"),
    "extra": any_of(
        inserting(r"^(governor|transparent_hugepages)=", "governor=powersave", "load_threshold=0.2"),
        inserting(r"^summary", "include=virtual-host", "[scheduler]\nisolated_cores=2-5", "[sysctl]\nvm.swappiness=1"),
    ),
}
MODPROBE: dict[str, Operator] = {
    "values": changing(r"^options \S+ \S+=(\S+)$", lambda rng, old: "Y" if old == "N" else number(rng, old)),
    "names": changing(r"^options (\S+ [a-z_]+)", word),
    "missing": dropping(r"^options"),
    "extra": inserting(
        r"^options",
        "options kvm halt_poll_ns=0",
        "options vfio-pci ids=8086:1572",
        "blacklist kvm",
        "install kvm /bin/true",
    ),
}
UNIT: dict[str, Operator] = {
    "sets": changing(rf"(?:CPUAffinity|CPULIST)={_LIST}$", cpus),
    "names": any_of(
        changing(r"^([A-Z][A-Za-z]+)=(?=[a-z/0-9])", word),
        changing(r"^(?:ExecStart|Where|What|Before|WantedBy|After|Wants)=(\S+)$", word),
        changing(r"^\[([A-Z][a-z]+)\]", word),
    ),
    "values": any_of(
        changing(r"^(?:RemainAfterExit|DefaultDependencies)=([a-z]+)$", word),
        changing(r"^(?:Type|Options)=(\S+)$", word),
        changing(r"^TimeoutStartSec=([0-9]+)$", number),
        changing(r"^(?:OnActiveSec|OnUnitInactiveSec|AccuracySec)=([0-9]+)s$", number),
        changing(r"^ConditionPathExists=(!/\S+)$", word),
        changing(r"(IRQBALANCE_BANNED_CPULIST)=", word),
    ),
    "missing": dropping(r"^(?!Description)[A-Z\[]"),
    "extra": inserting(
        r"^\[(Unit|Service|Manager|Mount)\]",
        "CPUAffinity=3",
        "ExecStart=/bin/true",
        "Slice=system.slice",
        "Environment=X=1",
    ),
}
SCRIPT: dict[str, Operator] = {
    "nodes": changing(r"^reserve .*/node/node([0-9]+)/", number),
    "pages": changing(r"^reserve .* ([0-9]+)$", number),
    "sizes": changing(r"hugepages-([0-9]+)kB", one_of("2048", "1048576", "64", "524288")),
    "devices": any_of(
        changing(r"^make_vfs \S+ ([0-9]+)$", number),
        changing(r"^make_vfs [0-9a-f]{4}:([0-9a-f]{2}):", lambda _, old: f"{int(old, 16) ^ 1:02x}"),
    ),
    "interrupts": any_of(
        changing(r"^place_node ([0-9]+) ", number),
        changing(rf"^place_(?:node [0-9]+|rest) {_LIST}\b", cpus),
        changing(r"^place_rest \S+ ([0-9a-f])", lambda _, old: f"{int(old, 16) ^ 4:x}"),
    ),
    "names": changing(rf"^\s*{_LATER}[^#\n]*?\b([a-z_]{{3,}})\b(?=[^a-z_\n]*$)", word),
    "missing": dropping(r"^\s*(?!#)\S"),
    "extra": inserting(r"^\s*(?!#)\S", "id > /tmp/x", "exit 0", "return 0", "make_vfs 0000:3b:00.0 63"),
}


def _json_value(rng: random.Random, text: str) -> Edit | None:
    return change(rng, text, r'^\s*(?:"(?:path|from|mode|effect|phase|host)": )?"([^"\n]+)",?$', _other_text)


def _other_text(rng: random.Random, old: str) -> str:
    words = {
        "live": "reboot",
        "reboot": "live",
        "restart": "live",
        "boot": "host",
        "host": "boot",
        "reload": "guests",
        "guests": "host",
    }
    return words.get(old) or word(rng, old)


def _json_row(rng: random.Random, text: str) -> Edit | None:
    """Take a row or a step away."""
    table = json.loads(text)
    name = rng.choice([name for name in ("absent", "files", "steps") if table[name]])
    table[name].pop(rng.randrange(len(table[name])))
    return Edit(_dumped(table), range(1, 2), gone=True)


_MARK = "a mark that no list holds"


def _json_extra(rng: random.Random, text: str) -> Edit | None:
    """A row, a step or a field more."""
    table = json.loads(text)
    rows = [
        ("absent", {"path": "/etc/fstab", "before": [], "after": []}),
        ("files", {"path": "/etc/passwd", "from": "etc/passwd", "mode": "0644", "effect": "reboot"}),
        ("steps", {"phase": "host", "run": ["reboot"], "effect": "reboot"}),
        ("steps", {"phase": "guests", "run": ["virsh", "undefine", "x"], "effect": "restart"}),
    ]
    name, row = rng.choice(rows)
    at = rng.randrange(len(table[name]) + 1)
    table[name].insert(at, _MARK)
    line = next(number for number, one in enumerate(_dumped(table).splitlines(), 1) if _MARK in one)
    table[name][at] = row
    return Edit(_dumped(table), range(line, line + len(json.dumps(row, indent=2).splitlines())))


def _json_order(rng: random.Random, text: str) -> Edit | None:
    """A step of a later phase before one of an earlier."""
    table = json.loads(text)
    steps = table["steps"]
    pairs = [(i, j) for i in range(len(steps)) for j in range(i) if steps[i]["phase"] != steps[j]["phase"]]
    if not pairs:
        return None
    later, earlier = rng.choice(pairs)
    steps.insert(earlier, steps.pop(later))
    return _spanned(text, _dumped(table))


def _dumped(table: object) -> str:
    return json.dumps(table, indent=2, ensure_ascii=False) + "\n"


def _spanned(old: str, new: str) -> Edit:
    """The lines of the new text between the first and the last that are not the old one's."""
    one, other = old.splitlines(), new.splitlines()
    start = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    end = next(i for i, (a, b) in enumerate(zip(reversed(one), reversed(other), strict=False)) if a != b)
    return Edit(new, range(start, len(other) - end + 2))


APPLY: dict[str, Operator] = {
    "values": _json_value,
    "names": changing(r'^\s*"(path|from|mode|effect|phase|run|before|after|steps|files|absent)":', word),
    "missing": _json_row,
    "extra": _json_extra,
    "order": _json_order,
}

MEASURE: dict[str, Operator] = {
    "sets": any_of(
        changing(rf"^step .*CPUs? {_LIST}", cpus),
        changing(rf'"(?:emulator|nodes)": "{_LIST}"', cpus),
    ),
    "nodes": changing(r"^step .* on node ([0-9]+)", number),
    "sizes": changing(r"^step .* ([0-9]+) (?:pages of|MB on)", number),
    "names": any_of(
        changing(r"^step ([a-z-]+) ", word),
        changing(r"^step .*' ([a-z-]+) ", word),
        changing(r"^(?:filename|rw|runtime|ioengine)=([a-z0-9/_-]+)", word),
        changing(r'^  "host": "([^"]+)"', word),
    ),
    "values": any_of(
        changing(r"^step .*(?:--matrix|--stream|--threads=)[ =]([0-9]+)", number),
        changing(r"^(?:direct|bs|iodepth|fsync)=([0-9]+)", number),
    ),
    "missing": any_of(
        dropping(r"^(?:step (?!latency|sleep-states|noise|disturb)|set -u|failed=|exit )"),
        dropping(r"^(?:rw|filename|direct|runtime|fsync|directory)="),
    ),
    "extra": any_of(
        inserting(r"^step ", "id > /tmp/x", "step more 'all of it' true", "exit 0"),
        inserting(r"^rw=", "exec_prerun=id", "rw=randwrite", "verify=crc32c"),
    ),
}

OPERATORS: dict[str, dict[str, Operator]] = {
    "domain": DOMAIN,
    "grub": GRUB,
    "bls": BLS,
    "sysctl": SYSCTL,
    "tuned": TUNED,
    "modprobe": MODPROBE,
    "unit": UNIT,
    "script": SCRIPT,
    "apply": APPLY,
    "measure": MEASURE,
}
"""By kind of artifact, then by name. Whole files that are missing or extra come beside them, for every kind."""
