"""The shell that root runs: kept apart from the code, so that it can be read as what it is."""

GRUB = """\
# Sourced by grub-mkconfig after /etc/default/grub. The recovery entry does not get these words.
{% for line in comments %}
{{ line }}
{% endfor %}

# Words of the same names that were set before are taken out: of two lists that differ the kernel drops one.
kvmc_without() (
  set -f
  IFS=' \t
'
  kept=
  for word in $1; do
    case $word in
      {{ patterns }}) ;;
      *) kept="${kept:+$kept }$word" ;;
    esac
  done
  printf '%s\\n' "$kept"
)
GRUB_CMDLINE_LINUX=$(kvmc_without "${GRUB_CMDLINE_LINUX-}")
GRUB_CMDLINE_LINUX_DEFAULT=$(kvmc_without "${GRUB_CMDLINE_LINUX_DEFAULT-}")
GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT {{ words }}"
"""
"""comments: lines; patterns: a `case` pattern over our keys; words: our words, safe between double quotes."""

KERNEL_INSTALL = """\
#!/bin/sh
# kernel-install runs this after the boot entry was written (90-loaderentry; 20-grub on Fedora and RHEL):
#   95-kvmc.install add KERNEL-VERSION ENTRY-DIR ...
# It takes out of the entry's options every word whose key is in /etc/kvmc/cmdline or was there when the entry was last
# written (kvmc.keys=, which the kernel ignores), then appends the words of /etc/kvmc/cmdline. Rescue entries are left alone.
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

# Prints the options without what is ours, with what is ours now.
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
  # The boot partition may be FAT, which keeps no mode.
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
