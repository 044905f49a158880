"""What the scripts of a host must do, line by line: the audit's own statement, against which each is compared by its words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kvmc.audit import bootline, irq_places, shell
from kvmc.audit.source import At, File
from kvmc.diagnostics import Bag
from kvmc.diagnostics.codes import audit as codes

GRUB = """\
kvmc_without() (
  set -f
  IFS=' \t
'
  kept=
  for word in $1; do
    case $word in
      @patterns@
      *) kept="${kept:+$kept }$word" ;;
    esac
  done
  printf '%s\\n' "$kept"
)
GRUB_CMDLINE_LINUX=$(kvmc_without "${GRUB_CMDLINE_LINUX-}")
GRUB_CMDLINE_LINUX_DEFAULT=$(kvmc_without "${GRUB_CMDLINE_LINUX_DEFAULT-}")
@words@
"""

RESERVE_PAGES = """\
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
@calls@
exit "$failed"
"""

MAKE_VFS = """\
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
@calls@
exit "$failed"
"""

SET_VSWITCH = """\
set -eu
@calls@
"""

SHARE_RESCTRL = """\
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
@mount@
  complain "can't mount resctrl"
  exit 1
fi
@calls@
exit "$failed"
"""

PLACE_IRQS = """\
set -u
root=${KVMC_ROOT:-}
asked=$root/etc/kvmc/irqs-of-guests
seen=' '
moved=
right=0
refused=0
failed=0
complain() {
  echo "kvmc: $*" >&2
  failed=1
}
place_irq() {
  case $seen in
    *" $1 "*) return ;;
  esac
  file=$root/proc/irq/$1/smp_affinity_list
  has=
  read -r has 2> /dev/null < "$file" || return
  seen="$seen$1 "
  if [ "$has" = "$2" ]; then
    right=$((right + 1))
  elif echo "$2" 2> /dev/null > "$file"; then
    moved="$moved $1"
  else
    refused=$((refused + 1))
  fi
}
place_device() {
  found=
  for irq in "$root/sys/bus/pci/devices/$1/msi_irqs"/*; do
    [ -e "$irq" ] || continue
    found=yes
    place_irq "${irq##*/}" "$2"
  done
  irq=0
  if [ -z "$found" ] && read -r irq 2> /dev/null < "$root/sys/bus/pci/devices/$1/irq" && [ "$irq" != 0 ]; then
    place_irq "$irq" "$2"
  fi
}
place_asked() {
  [ -e "$asked" ] || return
  while read -r address cpus; do
    case $address in
      '#'* | '') continue ;;
    esac
    place_device "$address" "$cpus"
  done < "$asked"
}
place_node() {
  for device in "$root"/sys/bus/pci/devices/*; do
    node=-1
    read -r node 2> /dev/null < "$device/numa_node" || continue
    if [ "$node" = "$1" ]; then
      place_device "${device##*/}" "$2"
    fi
  done
}
place_rest() {
  if ! echo "$2" > "$root/proc/irq/default_smp_affinity"; then
    complain "can't set the default affinity of interrupts"
  fi
  for irq in "$root"/proc/irq/[0-9]*; do
    place_irq "${irq##*/}" "$1"
  done
}
place_asked
@nodes@
@rest@
if [ -n "$moved" ]; then
  echo "kvmc: moved interrupts$moved; $right were right, $refused are the kernel's own"
elif [ "$right" = 0 ]; then
  complain "not one interrupt can be moved"
fi
exit "$failed"
"""

KERNEL_INSTALL = """\
set -eu
set -f
[ "${1:-}" = add ] || exit 0
version=${2:?}
root=${KERNEL_INSTALL_BOOT_ROOT:-/boot}
arguments=${KVMC_CMDLINE:-/etc/kvmc/cmdline}
machine=${KERNEL_INSTALL_MACHINE_ID:-}
if [ -z "$machine" ] && [ -r /etc/machine-id ]; then
  read -r machine < /etc/machine-id || :
fi
token=${KERNEL_INSTALL_ENTRY_TOKEN:-$machine}
words=
keys=
if [ -e "$arguments" ]; then
  while read -r line || [ -n "$line" ]; do
    case $line in
      '#'* | '') continue ;;
    esac
    words="$words $line"
    keys="$keys,${line%%=*}"
  done < "$arguments"
fi
keys=${keys#,}
rewrite() {
  old=
  for word in $1; do
    case $word in
      kvmc.keys=*) old="$old,${word#*=}" ;;
    esac
  done
  drop=",$keys$old,kvmc.keys,"
  kept=
  for word in $1; do
    key=$(printf '%s' "${word%%=*}" | tr - _)
    case $drop in
      *",$key,"*) continue ;;
    esac
    kept="$kept $word"
  done
  printf '%s\\n' "options$kept$words${keys:+ kvmc.keys=$keys}"
}
edit() {
  new="$1.kvmc"
  found=
  : > "$new"
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      'options '* | 'options\t'*)
        found=yes
        rewrite "${line#options}" >> "$new"
        ;;
      *) printf '%s\\n' "$line" >> "$new" ;;
    esac
  done < "$1"
  if [ -z "$found" ]; then
    rewrite '' >> "$new"
  fi
  chmod --reference="$1" "$new" 2> /dev/null || :
  sync
  mv -f "$new" "$1"
}
seen=
for name in "$token" "$machine"; do
  [ -n "$name" ] || continue
  set +f
  for entry in "$root/loader/entries/$name-$version.conf" "$root/loader/entries/$name-$version+"*.conf; do
    set -f
    if [ -f "$entry" ]; then
      edit "$entry"
      seen=yes
    fi
  done
  set -f
  [ -z "$seen" ] || break
done
if [ -z "$seen" ]; then
  echo "kvmc: no boot entry of kernel $version below $root/loader/entries" >&2
  exit 1
fi
"""

_CALLS = "@calls@"
_PAGES_CALL = r"reserve /sys/devices/system/node/node[0-9]+/hugepages/hugepages-[0-9]+kB/nr_hugepages [0-9]+"
_VFS_CALL = r"make_vfs [0-9a-f]{4}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7] [0-9]+"
_STATEMENTS: Mapping[str, tuple[str, Mapping[str, re.Pattern[str]]]] = {
    "etc/kvmc/set-vswitch": (
        SET_VSWITCH,
        {
            _CALLS: re.compile(
                r"exec ovs-vsctl --no-wait --timeout=60 set Open_vSwitch \. other_config:dpdk-init=true "
                r"other_config:pmd-cpu-mask=0x[0-9a-f]+ other_config:dpdk-lcore-mask=0x[0-9a-f]+ "
                r"other_config:dpdk-socket-mem=[0-9]+(,[0-9]+)*"
            )
        },
    ),
    "etc/kvmc/reserve-hugepages": (RESERVE_PAGES, {_CALLS: re.compile(_PAGES_CALL)}),
    "etc/kvmc/make-vfs": (MAKE_VFS, {_CALLS: re.compile(_VFS_CALL)}),
    irq_places.SCRIPT: (PLACE_IRQS, {"@nodes@": irq_places.NODE_CALL, "@rest@": irq_places.REST_CALL}),
    "etc/kernel/install.d/95-kvmc.install": (KERNEL_INSTALL, {}),
}
_SHARE_PATH = "etc/kvmc/share-resctrl"
_SHARE_CALL = re.compile(r"keep (L3|L3CODE|L3DATA) [0-9a-f]+ [0-9]+ [0-9a-f]+")
_MOUNT = 'if [ ! -e "$groups/schemata" ] && ! mount -t resctrl {}resctrl "$groups"; then'
_MOUNTS = re.compile("|".join(re.escape(_MOUNT.format(options)) for options in ("", "-o cdp ")))
_GRUB_PATH = "etc/default/grub.d/zz-kvmc.cfg"
_PATTERNS = re.compile(r"[A-Za-z0-9_.\[\]-]+(?:=\*)?(?: ?\| ?[A-Za-z0-9_.\[\]-]+(?:=\*)?)* ?\) ?;;")
_WORDS = re.compile(r"(?:export )?GRUB_CMDLINE_LINUX_DEFAULT(?:\+=|=(?!\$\()).*", re.DOTALL)


def check(files: list[File], bag: Bag) -> None:
    """Each script that kvmc has a file for. Others are not judged."""
    for file in files:
        if file.path == _GRUB_PATH:
            shell.compare(file, GRUB, {"@patterns@": _PATTERNS, "@words@": _WORDS}, bag)
            _same_keys(file, bag)
        elif file.path == _SHARE_PATH:
            some = any(_SHARE_CALL.fullmatch(line.value) for line in shell.lines(file))
            # a host that offers bandwidth alone leaves its caches as they are
            statement = SHARE_RESCTRL if some else SHARE_RESCTRL.replace(f"{_CALLS}\n", "")
            shell.compare(file, statement, {_CALLS: _SHARE_CALL, "@mount@": _MOUNTS}, bag)
            if not file.text.startswith("#!/bin/sh\n"):
                bag.error(codes.SCRIPT_DIFFERS, f"`{file.path}` does not begin with `#!/bin/sh`", file.head)
        elif file.path in _STATEMENTS:
            shell.compare(file, *_STATEMENTS[file.path], bag)
            if not file.text.startswith("#!/bin/sh\n"):
                bag.error(codes.SCRIPT_DIFFERS, f"`{file.path}` does not begin with `#!/bin/sh`", file.head)


def _same_keys(file: File, bag: Bag) -> None:
    """The words that are taken out are those that are put in."""
    line = next((one for one in shell.lines(file) if _PATTERNS.fullmatch(one.value)), None)
    if line is None:
        return
    keys = {bootline.option(word).value.key for word in _own_words(file)}
    wanted = {form for key in keys for form in (key, f"{key}=*")}
    has = {part.strip().replace("[-_]", "_") for part in line.value.partition(")")[0].split("|")}
    # Without the bracket, the form with a dash would stay.
    bare = {part.strip() for part in line.value.partition(")")[0].split("|") if "_" in part.replace("[-_]", "")}
    for what, some in (("are not", wanted - has), ("are", has - wanted), ("in one spelling alone are", bare)):
        if some:
            shown = ", ".join(f"`{one[:40]}`" for one in sorted(some))
            words = [At("", word.span).label("our words") for word in _own_words(file)[:1]]
            text = f"words {shown} {what} taken out of what was set before"
            bag.error(codes.SCRIPT_DIFFERS, text, line.span, secondary=words)
            return


def _own_words(file: File) -> list[At[str]]:
    return bootline.read_grub([file], Bag())
