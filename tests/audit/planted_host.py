"""Faults of the host half, and of whole files."""

from __future__ import annotations

from audit import small_tree
from audit.planted import DU, GRUB, IRQBALANCE, MANAGER, SYSCTL, TUNED, VFS, Mutation
from audit.small_tree import HOUSEKEEPING, ISOLATED
from kvmc.diagnostics.codes import audit as codes

MUTATIONS = [
    # sets of the host half
    Mutation(
        "isolcpus shrunk",
        GRUB,
        f"isolcpus=managed_irq,domain,{ISOLATED}",
        "isolcpus=managed_irq,domain,2-5,8-11,14-17,20-22",
        codes.SETS_DISAGREE,
    ),
    Mutation(
        "isolcpus extended to the shared pool",
        GRUB,
        f"domain,{ISOLATED} n",
        f"domain,1,{ISOLATED} n",
        codes.SETS_DISAGREE,
    ),
    Mutation(
        "isolcpus extended to the boot CPU",
        GRUB,
        f"domain,{ISOLATED} n",
        f"domain,0,{ISOLATED} n",
        codes.BOOT_CPU_ISOLATED,
    ),
    Mutation(
        "isolcpus beyond the host", GRUB, f"domain,{ISOLATED} n", f"domain,{ISOLATED},24 n", codes.CPU_OUT_OF_RANGE
    ),
    Mutation("isolcpus without domain", GRUB, f"domain,{ISOLATED} n", f"{ISOLATED} n", codes.OFFER_BROKEN, site=True),
    Mutation("isolcpus gone", GRUB, f"isolcpus=managed_irq,domain,{ISOLATED} n", "n", codes.OFFER_BROKEN, site=True),
    Mutation(
        "nohz_full shrunk",
        GRUB,
        f" nohz_full={ISOLATED}",
        " nohz_full=2-5,8-11,14-17",
        codes.SETS_UNEQUAL,
        "nohz_full=2-5,8-11,14-17",
    ),
    Mutation("nohz_full extended", GRUB, f" nohz_full={ISOLATED}", f" nohz_full=1,{ISOLATED}", codes.SETS_DISAGREE),
    Mutation("rcu_nocbs shrunk", GRUB, f"rcu_nocbs={ISOLATED}", "rcu_nocbs=2-5", codes.SETS_UNEQUAL, "rcu_nocbs=2-5"),
    Mutation(
        "rcu_nocbs unreadable", GRUB, f"rcu_nocbs={ISOLATED}", "rcu_nocbs=2-x", codes.VALUE_UNREADABLE, "rcu_nocbs=2-x"
    ),
    Mutation("irqaffinity on isolated CPUs", GRUB, "irqaffinity=0-1", "irqaffinity=0-2", codes.SETS_DISAGREE),
    Mutation("irqaffinity shrunk", GRUB, "irqaffinity=0-1,", "irqaffinity=0,", codes.SETS_UNEQUAL, site=True),
    Mutation(
        "services on isolated CPUs",
        MANAGER,
        HOUSEKEEPING,
        f"2,{HOUSEKEEPING}",
        codes.SETS_DISAGREE,
        f"2,{HOUSEKEEPING}",
    ),
    Mutation(
        "services on a CPU that is not there", MANAGER, HOUSEKEEPING, f"{HOUSEKEEPING},30", codes.CPU_OUT_OF_RANGE
    ),
    Mutation(
        "services elsewhere",
        MANAGER,
        HOUSEKEEPING,
        "1,7,13,19",
        codes.OFFER_BROKEN,
        "1,7,13,19",
        site=True,
    ),
    Mutation("ban shrunk", IRQBALANCE, ISOLATED, "2-5,8-11,14-17", codes.SETS_DISAGREE, "2-5,8-11,14-17"),
    Mutation("ban on housekeeping", IRQBALANCE, ISOLATED, f"0,{ISOLATED}", codes.SETS_DISAGREE, f"0,{ISOLATED}"),
    Mutation("workqueues on isolated CPUs", TUNED, "=0c30c3", "=0c30c7", codes.SETS_DISAGREE, "0c30c7"),
    # two owners
    Mutation(
        "sysctl in two files",
        "etc/sysctl.d/99-more.conf",
        "",
        "vm.swappiness=10\n",
        codes.KNOB_TWICE,
        "vm.swappiness=10",
    ),
    Mutation(
        "sysctl twice in a file",
        SYSCTL,
        "vm.swappiness = 10\n",
        "vm.swappiness = 10\nvm/swappiness = 1\n",
        codes.KNOB_TWICE,
        "vm/swappiness = 1",
    ),
    Mutation(
        "sysctl in tuned", TUNED, "[sysfs]", "[sysctl]\nvm.swappiness=1\n[sysfs]", codes.KNOB_TWICE, "vm.swappiness=1"
    ),
    Mutation(
        "sysctl on the line", GRUB, "skew_tick=1", "numa_balancing=disable", codes.KNOB_TWICE, "numa_balancing=disable"
    ),
    Mutation("NMI watchdog on the line", GRUB, "skew_tick=1", "nmi_watchdog=0", codes.KNOB_TWICE, "nmi_watchdog=0"),
    Mutation(
        "THP on the line",
        GRUB,
        "skew_tick=1",
        "transparent_hugepage=never",
        codes.KNOB_TWICE,
        "transparent_hugepage=never",
    ),
    Mutation(
        "THP twice in tuned",
        TUNED,
        "[sysfs]",
        "[sysfs]\n/sys/kernel/mm/transparent_hugepage/enabled=always",
        codes.KNOB_TWICE,
    ),
    Mutation(
        "module option on the line", GRUB, "skew_tick=1", "kvm-intel.ple_gap=0", codes.KNOB_TWICE, "kvm-intel.ple_gap=0"
    ),
    Mutation(
        "module option in two files",
        "etc/modprobe.d/other.conf",
        "",
        "options kvm-intel ple_gap=1\n",
        codes.KNOB_TWICE,
        "ple_gap=1",
    ),
    Mutation(
        "module option in tuned", TUNED, "[sysfs]", "[modules]\nkvm_intel=+r ple_gap=0\n[sysfs]", codes.KNOB_TWICE
    ),
    Mutation(
        "boot line in tuned", TUNED, "[sysfs]", "[bootloader]\ncmdline_kvmc=+nohz_full=2-5\n[sysfs]", codes.KNOB_TWICE
    ),
    Mutation("key twice on the line", GRUB, "skew_tick=1", "skew_tick=1 skew_tick=0", codes.KNOB_TWICE, "skew_tick=0"),
    Mutation(
        "pages on the line and in a unit",
        VFS,
        "#!/bin/sh\n",
        "#!/bin/sh\necho 16 > /sys/devices/system/node/node0/hugepages/hugepages-1048576kB/nr_hugepages\n",
        codes.KNOB_TWICE,
        more=(codes.OFFER_BROKEN, codes.MEMORY_SHORT),
    ),
    Mutation(
        "irqbalance's ban in two files",
        "etc/default/irqbalance",
        "",
        f'IRQBALANCE_BANNED_CPULIST="{ISOLATED}"\n',
        codes.KNOB_TWICE,
    ),
    # files
    Mutation("GRUB drop-in gone", GRUB, "", "", codes.PAGES_SHORT, more=(codes.OFFER_BROKEN,)),
    Mutation(
        "GRUB quote open",
        GRUB,
        'skew_tick=1"',
        "skew_tick=1",
        codes.FILE_UNREADABLE,
        more=(codes.PAGES_SHORT, codes.OFFER_BROKEN),
    ),
    Mutation(
        "GRUB runs a command",
        GRUB,
        "skew_tick=1",
        "$(id)",
        codes.NOT_JUDGED,
        more=(codes.PAGES_SHORT, codes.OFFER_BROKEN),
    ),
    Mutation("file that nobody knows", "etc/cron.d/x", "", "* * * * * root true\n", codes.FILE_UNKNOWN),
    Mutation("domain empty", DU, small_tree.DU, "\n", codes.FILE_UNREADABLE, more=(codes.GUEST_MISSING,)),
    Mutation("domain cut off", DU, "</devices>\n</domain>\n", "", codes.FILE_UNREADABLE, more=(codes.GUEST_MISSING,)),
    Mutation(
        "domain with a document type",
        DU,
        "<domain type",
        "<!DOCTYPE d [<!ENTITY a 'b'>]><domain type",
        codes.FILE_UNREADABLE,
        more=(codes.GUEST_MISSING,),
    ),
    Mutation("domain of another kind", DU, "domain", "network", codes.FILE_UNREADABLE, more=(codes.GUEST_MISSING,)),
    Mutation("domain without a name", DU, "<name>du-1</name>", "", codes.FILE_UNREADABLE, more=(codes.GUEST_MISSING,)),
    Mutation("domain without memory", DU, "<memory unit='KiB'>2097152</memory>", "", codes.FILE_UNREADABLE),
    Mutation(
        "a number that is none", DU, ">2097152<", ">2²<", codes.VALUE_UNREADABLE, "2²", more=(codes.FILE_UNREADABLE,)
    ),
    Mutation(
        "sysctl without a value", SYSCTL, "vm.swappiness = 10", "vm.swappiness", codes.VALUE_UNREADABLE, "vm.swappiness"
    ),
    Mutation(
        "settings cut off", SYSCTL, "watchdog = 0\n", "watchdog = 0", codes.FILE_CUT_OFF, "kernel.nmi_watchdog = 0"
    ),
]
