"""What puts interrupts on CPUs, and what runs it.

Interrupts come and go while a host runs: a guest sets up those of its devices when its driver starts, a NIC when its link or its
channels change. Nothing tells when, so a timer runs the script again. A new interrupt begins on the default affinity, which the
kernel cuts down to its device's node (kernel/irq/manage.c, irq_setup_affinity): the script mends what drivers asked for instead.
"""

IRQS_TIMER = """\
{% for line in heads %}
{{ line }}
{% endfor %}
# Interrupts are set up anew whenever a driver or a guest starts, and nothing tells when.
[Unit]
Description=Place interrupts by NUMA node, again and again

[Timer]
OnActiveSec=1s
OnUnitInactiveSec=30s
AccuracySec=1s

[Install]
WantedBy=timers.target
"""

IRQS_UNIT = """\
{% for line in heads %}
{{ line }}
{% endfor %}
# The log has what it moved, and not that it ran.
[Unit]
Description=Place interrupts by NUMA node

[Service]
Type=oneshot
ExecStart=/etc/kvmc/place-irqs
SyslogLevel=notice
LogLevelMax=notice
"""

IRQS_ASKED = """\
{% for line in heads %}
{{ line }}
{% endfor %}
# Where the interrupts of passed devices go by their guests' own wish.
{% for guest in guests %}
{{ comment(guest.blocks | join(', ')) }}
{% for address in guest.passed %}
{{ address }} {{ guest.irqs }}
{% endfor %}
{% endfor %}
"""

IRQS_SCRIPT = """\
#!/bin/sh
{% for line in heads %}
{{ line }}
{% endfor %}
# Puts each interrupt on the housekeeping CPUs of its device's node. Those that the kernel keeps to itself (managed: queues of NVMe;
# per CPU: timers) refuse, which is no fault. Fails where it can move none at all.
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
{% for node, cpus in nodes %}
place_node {{ node }} {{ cpus }}
{% endfor %}
place_rest {{ rest }} {{ mask }}
if [ -n "$moved" ]; then
  echo "kvmc: moved interrupts$moved; $right were right, $refused are the kernel's own"
elif [ "$right" = 0 ]; then
  complain "not one interrupt can be moved"
fi
exit "$failed"
"""
"""KVMC_ROOT is a prefix of /proc, /sys and /etc, for trying it elsewhere."""
