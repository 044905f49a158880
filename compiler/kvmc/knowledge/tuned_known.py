"""Options of tuned's plugins that kvmc knows and does not write by itself. The key is `plugin.option`."""

from __future__ import annotations

from functools import partial

from kvmc.knowledge.model import INTEL, Kind, Knob, Status

_row = partial(Knob, "tuned", effect="live", tool="tuned", status=Status.RAW, kind=Kind.TEXT)
_refused = partial(_row, status=Status.KNOWN)
_cpu = partial(_row, source="tuned/plugins/plugin_cpu.py")

TUNED_KNOWN: tuple[Knob, ...] = (
    _cpu("cpu.max_perf_pct", kind=Kind.INTEGER, low=0, high=100, vendors=INTEL, use="the highest clock", harm="speed"),
    _cpu("cpu.no_turbo", kind=Kind.BOOL, vendors=INTEL, use="1: no turbo, so one clock", harm="speed"),
    _cpu("cpu.boost", kind=Kind.BOOL, use="0: no turbo with the ACPI driver", harm="speed"),
    _cpu("cpu.energy_performance_preference", use="a hint to the hardware", harm="power"),
    _cpu("cpu.pm_qos_resume_latency_us", use="the longest wake-up, a CPU", harm="power"),
    _cpu("cpu.latency_low", kind=Kind.INTEGER, low=0, use="the limit under load", harm="moves with the load"),
    _cpu("cpu.latency_high", kind=Kind.INTEGER, low=0, use="the limit without load", harm="moves with the load"),
    _row("vm.dirty_bytes", source="tuned/plugins/plugin_vm.py", use="dirty memory at most", harm="excludes the ratio"),
    _row(
        "vm.dirty_background_bytes",
        source="tuned/plugins/plugin_vm.py",
        use="when writing begins",
        harm="excludes the ratio",
    ),
    _row(
        "vm.transparent_hugepage.defrag",
        source="tuned/plugins/plugin_vm.py",
        use="who waits for huge pages",
        harm="stalls",
    ),
    _row("disk.readahead", source="tuned/plugins/plugin_disk.py", use="what is read ahead", harm="latency"),
    _row("disk.elevator", source="tuned/plugins/plugin_disk.py", use="the I/O scheduler", harm="none"),
    _row("net.channels", source="tuned/plugins/plugin_net.py", use="queues of NICs", harm="none"),
    _row("net.ring", source="tuned/plugins/plugin_net.py", use="entries of their rings", harm="latency"),
    _row("net.coalesce", source="tuned/plugins/plugin_net.py", use="how interrupts are gathered", harm="latency"),
    _row("net.features", source="tuned/plugins/plugin_net.py", use="offloads", harm="none"),
    _row(
        "net.nf_conntrack_hashsize", source="tuned/plugins/plugin_net.py", use="the table of connections", harm="none"
    ),
    _row("uncore.max_freq_khz", source="tuned/plugins/plugin_uncore.py", use="the mesh's highest clock", harm="speed"),
    _row("uncore.min_freq_khz", source="tuned/plugins/plugin_uncore.py", use="the mesh's lowest clock", harm="power"),
    _row("acpi.platform_profile", source="tuned/plugins/plugin_acpi.py", use="the firmware's profile", harm="power"),
    _row(
        "rtentsk.enabled",
        source="tuned/plugins/plugin_rtentsk.py",
        use="keeps a time stamp of the network on",
        harm="none",
    ),
    _refused(
        "main.include",
        source="tuned/profiles",
        use="a stock profile below this one",
        harm="brings keys that other carriers have, and words for the boot line",
        instead="the single options that are wanted",
    ),
    _refused(
        "bootloader.*",
        source="tuned/plugins/plugin_bootloader.py",
        use="words on the boot line",
        harm="a second owner of the boot line",
        instead="`raw cmdline`",
    ),
    _refused(
        "modules.*",
        source="tuned/plugins/plugin_modules.py",
        use="options of modules",
        harm="`+r` loads a module again, which fails while guests run",
        instead="`raw modprobe`",
    ),
    _refused(
        "sysctl.*",
        source="tuned/plugins/plugin_sysctl.py",
        use="sysctls",
        harm="`reapply_sysctl`: sysctl.d wins over the profile",
        instead="`raw sysctl`",
    ),
    _refused(
        "scheduler.*",
        source="tuned/plugins/plugin_scheduler.py",
        use="CPU sets and policies of threads",
        harm="moves the threads of guests, unless `ps_blacklist` names QEMU as the host does",
        instead="`isolation = boot`, and `migration_cost_ns` or `base_slice_ns` of the pool",
    ),
    _refused(
        "script.*",
        source="tuned/plugins/plugin_script.py",
        use="a script",
        harm="nothing can tell what it does",
        instead="the settings that it makes",
    ),
    _refused(
        "irqbalance.banned_cpus",
        source="tuned/plugins/plugin_irqbalance.py",
        use="CPUs without interrupts",
        harm="a second owner: kvmc has irqbalance's own drop-in",
        instead="nothing: kvmc bans the guests' CPUs",
    ),
    _refused(
        "systemd.cpu_affinity",
        source="tuned/plugins/plugin_systemd.py",
        use="CPUs of services",
        harm="a second owner: kvmc has systemd's own drop-in",
        instead="nothing: kvmc keeps services on the housekeeping CPUs",
    ),
)
