#!/bin/sh
# Installs the real consumers that the tests ask, and unpacks a kernel image into the lab's cache. As root on a Debian-like machine;
# only what is missing, so a second run takes no time. Says in one line what it can't do, and then ends with 3.
set -eu

cache=${KVMC_LAB:-${XDG_CACHE_HOME:-$HOME/.cache}/kvmc-lab}
packages="qemu-system-x86 qemu-utils ovmf busybox-static cpio libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu
    libvirt-daemon-system libxml2-utils hwloc numactl tuned procps grub-common systemd kmod iproute2 locales chromium
    fio stress-ng rt-tests sysstat linux-perf linux-cpupower"

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "consumers: not installed, this is no Debian-like machine"
    exit 3
fi

updated=
update() {
    [ -n "$updated" ] || apt-get update -q >/dev/null
    updated=1
}

missing=
for package in $packages; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || :)
    [ "$state" = installed ] || missing="$missing $package"
done
if [ -n "$missing" ]; then
    if [ "$(id -u)" != 0 ]; then
        echo "consumers: not installed for want of root:$missing"
        exit 3
    fi
    # Nothing that is installed here is to start: the tests start what they need, in a copy of the machine.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    echo "consumers: installing$missing"
    update
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null
fi

if ! ls "$cache"/kernel/boot/vmlinuz-* >/dev/null 2>&1; then
    meta=linux-image-cloud-$(dpkg --print-architecture)
    [ "$(id -u)" != 0 ] || update
    image=$(apt-cache depends "$meta" 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)
    if [ -z "$image" ]; then
        echo "consumers: no kernel image, apt knows no $meta"
        exit 3
    fi
    echo "consumers: unpacking $image"
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/new.XXXXXX")
    (cd "$work" && apt-get download -q "$image" >/dev/null 2>&1 && dpkg -x ./*.deb kernel)
    rm -rf "$cache/kernel"
    mv "$work/kernel" "$cache/kernel"
    rm -rf "$work"
fi
