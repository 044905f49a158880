"""What the examples generate, put before the real consumers one file at a time."""

from __future__ import annotations

import pytest

from lab.bootloader import entry_options, grub_menu, grub_words, kernel_install_entry
from lab.examples import EXAMPLES, Host, hosts, sites
from lab.libvirtd import Libvirtd
from lab.needs import needs
from lab.texts import rng_errors, shell_error, sysctl_error, unit_errors
from lab.tuned import apply, load_profile
from support.xmleq import differences

HOSTS = hosts()
DOMAINS = [pytest.param(text, id=f"{host}/{path}") for host in HOSTS for path, text in host.domains.items()]

X86 = [one for one in DOMAINS if 'arch="x86_64"' in str(one.values[0])]
"""libvirt asks the guest's own QEMU what it can, and of those only x86's is installed."""

each_host = pytest.mark.parametrize("host", HOSTS, ids=str)
each_domain = pytest.mark.parametrize("xml", DOMAINS)


def test_every_example_has_a_generated_tree_with_guests() -> None:
    """So that the tests below are not green for want of a case."""
    assert {site.name for site in sites()} == {host.example for host in HOSTS}, f"below {EXAMPLES.name}"
    assert DOMAINS
    assert any(host.grub_drop_ins for host in HOSTS)
    assert any(host.tuned_profiles for host in HOSTS)
    assert any(host.sysctl_text for host in HOSTS)


@needs("libvirt-schema")
@each_domain
def test_domain_is_valid_against_libvirts_schema(xml: str) -> None:
    assert rng_errors(xml) == ()


@needs("libvirtd")
@pytest.mark.parametrize("xml", X86)
def test_domain_is_defined_and_means_the_same_after(xml: str, libvirtd: Libvirtd) -> None:
    assert libvirtd.define_validate(xml) is None
    (name,) = libvirtd.domains()
    try:
        assert differences(xml, libvirtd.dumpxml(name)) == []
    finally:
        libvirtd.undefine(name)


@needs("tuned", "scratch")
@each_host
def test_tuned_loads_the_profile_and_knows_all_that_is_in_it(host: Host) -> None:
    for name, text in host.tuned_profiles.items():
        files = host.installed | {f"/etc/tuned/{name}/tuned.conf": text}
        units = load_profile(name, files)
        assert units
        assert apply(name, files).unknown == ()


@needs("grub", "scratch")
@each_host
def test_grub_boots_the_words_of_the_drop_in(host: Host) -> None:
    drop_ins = host.grub_drop_ins
    if not drop_ins:
        return  # a host without a word to add, or one that boots by other means, which the next tests cover
    for text in drop_ins.values():
        assert shell_error(text) is None
        assert grub_words(text) == host.line
    keys = {word.partition("=")[0] for word in host.line}
    assert keys.isdisjoint(word.partition("=")[0] for word in grub_menu(drop_ins).recovery)


@needs("kernel-install", "scratch")
@each_host
def test_kernel_install_boots_the_words_of_its_file(host: Host) -> None:
    if "etc/kvmc/cmdline" not in host.files:
        return
    base = {"/etc/kernel/cmdline": "root=/dev/sda1 ro quiet\n"}
    before = entry_options(kernel_install_entry(base))
    after = entry_options(kernel_install_entry(base | host.installed))
    assert set(after) - set(before) - {word for word in after if word.startswith("kvmc.")} == set(host.line)
    assert set(before) <= set(after)


@needs("procps")
@each_host
def test_procps_reads_the_sysctls(host: Host) -> None:
    assert not host.sysctl_text or sysctl_error(host.sysctl_text) is None


@needs("systemd-analyze", "scratch")
@each_host
def test_systemd_takes_the_units(host: Host) -> None:
    assert unit_errors(host.installed) == ()


@each_host
def test_the_shell_reads_the_scripts(host: Host) -> None:
    scripts = {path: text for path, text in host.files.items() if text.startswith("#!/bin/sh")}
    assert {path: error for path, text in scripts.items() if (error := shell_error(text))} == {}
