"""Units, and the shell that root runs."""

MOUNT = """\
{% for line in heads %}
{{ line }}
{% endfor %}
[Unit]
Description=Huge pages of {{ size }}
DefaultDependencies=no
Before=sysinit.target

[Mount]
What=hugetlbfs
Where={{ where }}
Type=hugetlbfs
Options=mode=0755,pagesize={{ size }}

[Install]
WantedBy=sysinit.target
"""

PAGES_UNIT = """\
{% for line in heads %}
{{ line }}
{% endfor %}
# As early as can be: memory is fragmented by all that runs before.
[Unit]
Description=Reserve huge pages by node
DefaultDependencies=no
RequiresMountsFor=/etc
Conflicts=shutdown.target
Before=sysinit.target shutdown.target libvirtd.service virtqemud.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={{ script }}

[Install]
WantedBy=sysinit.target
"""

PAGES_SCRIPT = """\
#!/bin/sh
{% for line in heads %}
{{ line }}
{% endfor %}
# Writes the number of huge pages of each node, reads it back, and fails where a node gave fewer.
set -u
root=${KVMC_ROOT:-}
failed=0

reserve() {
  file=$root$1
  want=$2
  got=
  if ! echo "$want" > "$file"; then
    echo "kvmc: can't write $file" >&2
    failed=1
    return
  fi
  read -r got < "$file"
  case $got in
    '' | *[!0-9]*) got=0 ;;
  esac
  if [ "$got" -lt "$want" ]; then
    echo "kvmc: $file gave $got pages of $want" >&2
    failed=1
  fi
}

{% for setting in settings %}
reserve {{ setting.key }} {{ setting.value }}
{% endfor %}
exit "$failed"
"""
"""KVMC_ROOT is a prefix of /sys, for trying it elsewhere."""

VSWITCH_UNIT = """\
{% for line in heads %}
{{ line }}
{% endfor %}
# Between the switch's database, which it writes to, and the switch, which reads it when it starts.
[Unit]
Description=Tell Open vSwitch its cores and memory
RequiresMountsFor=/etc
Requires=ovsdb-server.service
After=ovsdb-server.service
Before=ovs-vswitchd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={{ script }}

[Install]
WantedBy=multi-user.target ovs-vswitchd.service
"""

VSWITCH_SCRIPT = """\
#!/bin/sh
{% for line in heads %}
{{ line }}
{% endfor %}
# PMD threads poll on cores that are theirs alone; all other threads of the switch start from the main one, on a housekeeping CPU.
set -eu
exec ovs-vsctl --no-wait --timeout=60 set Open_vSwitch . \\
  other_config:dpdk-init=true \\
  other_config:pmd-cpu-mask={{ pmd }} \\
  other_config:dpdk-lcore-mask={{ lcore }} \\
  other_config:dpdk-socket-mem={{ memory }}
"""

RESCTRL_UNIT = """\
{% for line in heads %}
{{ line }}
{% endfor %}
# Before libvirt, which looks for resctrl when it starts.
[Unit]
Description=Keep parts of the L3 caches free for guests
RequiresMountsFor=/etc
After=local-fs.target
Before=libvirtd.service virtqemud.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={{ script }}

[Install]
WantedBy=multi-user.target
"""

RESCTRL_SCRIPT = """\
#!/bin/sh
{% for line in heads %}
{{ line }}
{% endfor %}
# Mounts resctrl, and takes from its default group, which has all of each cache at first, what is for guests. Fails where the host's
# caches are not those that this was made for.
set -u
root=${KVMC_ROOT:-}
groups=$root/sys/fs/resctrl
failed=0

complain() {
  echo "kvmc: $*" >&2
  failed=1
}

keep() {
  resource=$1
  whole=$2
  id=$3
  mask=$4
  has=
  kept=
  if [ -r "$groups/info/$resource/cbm_mask" ]; then
    read -r has < "$groups/info/$resource/cbm_mask"
  fi
  if [ "$has" != "$whole" ]; then
    complain "$resource has the mask '$has', not $whole"
    return
  fi
  if ! echo "$resource:$id=$mask" > "$groups/schemata"; then
    complain "can't leave $mask of $resource $id to the default group"
    return
  fi
  while read -r line; do
    case $line in
      "$resource":*) ;;
      *) continue ;;
    esac
    case ";${line#*:};" in
      *";$id=$mask;"*) kept=yes ;;
    esac
  done < "$groups/schemata"
  if [ -z "$kept" ]; then
    complain "the default group does not have $mask of $resource $id"
  fi
}

if [ ! -e "$groups/schemata" ] && ! mount -t resctrl {% if split %}-o cdp {% endif %}resctrl "$groups"; then
  complain "can't mount resctrl"
  exit 1
fi
{% for resource in resources %}
{% for id in ids %}
keep {{ resource }} {{ whole }} {{ id }} {{ kept }}
{% endfor %}
{% endfor %}
exit "$failed"
"""
"""KVMC_ROOT is a prefix of /sys, for trying it elsewhere."""

VFS_UNIT = """\
{% for line in heads %}
{{ line }}
{% endfor %}
# Before the network: making functions may reset their parent's link.
[Unit]
Description=Make virtual functions for guests
After=systemd-modules-load.service systemd-udev-trigger.service
Wants=network-pre.target
Before=network-pre.target libvirtd.service virtqemud.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={{ script }}
TimeoutStartSec=120

[Install]
WantedBy=multi-user.target
"""

VFS_SCRIPT = """\
#!/bin/sh
# Makes virtual functions, without a driver of the host's on them. Does nothing where the count is right; never changes a
# count while a guest holds a function. Fails where it can't.
set -u
root=${KVMC_ROOT:-}
patience=${KVMC_PATIENCE:-60}
failed=0

complain() {
  echo "kvmc: $*" >&2
  failed=1
}

make_vfs() {
  device=$root/sys/bus/pci/devices/$1
  want=$2
  has=
  waited=0
  # The parent's driver makes the functions; it may still be loading.
  while [ ! -e "$device/driver" ] && [ "$waited" -lt "$patience" ]; do
    sleep 1
    waited=$((waited + 1))
  done
  if [ ! -e "$device/driver" ]; then
    complain "$1 has no driver after $patience s"
    return
  fi
  if [ ! -e "$device/sriov_numvfs" ]; then
    complain "$1 makes no virtual functions"
    return
  fi
  read -r has < "$device/sriov_numvfs"
  case $has in
    "$want") return ;;
    '' | *[!0-9]*)
      complain "can't read how many virtual functions $1 has"
      return
      ;;
  esac
  if [ "$has" != 0 ]; then
    for function in "$device"/virtfn*; do
      driver=$(readlink "$function/driver" || :)
      if [ "${driver##*/}" = vfio-pci ]; then
        complain "$1 has $has virtual functions, not $want, and ${function##*/} is in use by a guest"
        return
      fi
    done
    # The kernel takes a new count only from zero.
    if ! echo 0 > "$device/sriov_numvfs"; then
      complain "can't take the $has virtual functions of $1 away"
      return
    fi
  fi
  if [ -e "$device/sriov_drivers_autoprobe" ] && ! echo 0 > "$device/sriov_drivers_autoprobe"; then
    complain "can't keep drivers off the virtual functions of $1"
    return
  fi
  if ! echo "$want" > "$device/sriov_numvfs"; then
    complain "can't make $want virtual functions of $1"
    return
  fi
  read -r has < "$device/sriov_numvfs"
  if [ "$has" != "$want" ]; then
    complain "$1 made $has virtual functions of $want"
  fi
}

{% for parent in parents %}
{{ comment(parent.origin) }}
make_vfs {{ parent.parent }} {{ parent.vfs }}
{% endfor %}
exit "$failed"
"""
"""KVMC_ROOT is a prefix of /sys and KVMC_PATIENCE a number of seconds, for trying it elsewhere."""
