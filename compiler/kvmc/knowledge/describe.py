"""What a row says, in words: for messages, for `explain` and for the pages."""

from __future__ import annotations

from kvmc.knowledge.model import Kind, Knob

LAYERS = {
    "cmdline": "kernel parameter",
    "sysctl": "sysctl",
    "modprobe": "module option",
    "tuned": "option of tuned",
    "systemd": "setting of the system",
    "sysfs": "file of sysfs",
    "debugfs": "file of debugfs",
    "cgroup": "file of a cgroup",
    "libvirt": "element of libvirt's domain XML",
    "daemon": "setting of libvirt's qemu.conf",
    "qemu": "option of QEMU",
}
_TOOLS = {"kernel": "Linux", "tuned": "tuned", "libvirt": "libvirt", "qemu": "QEMU"}
_KINDS = {
    Kind.CPUS: "a list of CPUs such as `2-7,10`",
    Kind.ISOLCPUS: "flags and a list of CPUs such as `managed_irq,domain,2-7`",
    Kind.MASK: "a mask of CPUs such as `ff,ffffffff`",
    Kind.WORD: "a word",
    Kind.PAGE_SIZE: "a page size such as `2M` or `1G`",
    Kind.NODE_COUNTS: "counts by node such as `0:96,1:96`",
    Kind.FLAG: "no value",
    Kind.BOOL: "`0` or `1`, `y` or `n`, `on` or `off`",
    Kind.TEXT: "a text without white space",
}


def value(knob: Knob) -> str:
    """What it takes."""
    if knob.carrier == "libvirt":
        attributes = ", ".join(f"`{name}`" for name in knob.words)
        return f"attributes {attributes}" if attributes else "see libvirt's page"
    if knob.words:
        shown = [f"`{word}`" if word else "no value" for word in knob.words]
        return " or ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
    if knob.kind is Kind.INTEGER:
        if knob.low is not None and knob.high is not None:
            return f"a whole number from {knob.low} to {knob.high}"
        return f"a whole number from {knob.low}" if knob.low is not None else "a whole number"
    return _KINDS[knob.kind]


def releases(knob: Knob) -> str:
    """The releases that have it; empty where no end is known."""
    tool = _TOOLS[knob.tool]
    if knob.since is not None and knob.until is not None:
        return f"{tool} {knob.since} to {knob.until}"
    if knob.since is not None:
        return f"{tool} from {knob.since} on"
    return f"{tool} up to {knob.until}" if knob.until is not None else ""


def machines(knob: Knob) -> str:
    """Where it is; empty for everywhere."""
    parts = [*knob.arch, *knob.vendors]
    return ", ".join(parts) + (f", kernels with CONFIG_{knob.config}" if knob.config and parts else "") or (
        f"kernels with CONFIG_{knob.config}" if knob.config else ""
    )


def effect(knob: Knob) -> str:
    """When a change takes hold."""
    return {
        "live": "while the host runs",
        "restart": "when what reads it starts again",
        "reboot": "at the next boot",
    }[knob.effect]
