"""Facts on kernel, sysctl, module, libvirt, QEMU and tuned knobs, as data."""
