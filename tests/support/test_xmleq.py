"""The judge judged: what means the same passes, what does not is found."""

from __future__ import annotations

import pytest

from support.xmleq import differences


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<domain><memory unit='GiB'>2</memory></domain>", "<domain><memory>2097152</memory></domain>"),
        ("<domain a='1' b='2'/>", "<domain b='2' a='1'/>"),
        ("<domain><name>x</name><uuid>AB-c</uuid></domain>", "<domain><!-- s --><uuid>abc</uuid>\n<name>x</name></domain>"),
        ("<d><vcpupin vcpu='0' cpuset='1,2,3'/><vcpupin vcpu='1' cpuset='0-4,^2'/></d>",
         "<d><vcpupin vcpu='1' cpuset='0-1,3-4'/><vcpupin vcpu='0' cpuset='1-3'/></d>"),
        ("<d><address bus='0x0a'/></d>", "<d><address bus='10'/></d>"),
        ("<d><vcpusched vcpus='0-1' priority='1'/></d>",
         "<d><vcpusched vcpus='1' priority='1'/><vcpusched vcpus='0' priority='1'/></d>"),
        ("<numa><cell id='0' memory='1' unit='GiB'/></numa>", "<numa><cell id='0' memory='1048576' unit='KiB'/></numa>"),
        ("<h><page size='1' unit='G' nodeset='0'/></h>", "<h><page size='1048576' unit='KiB' nodeset='0'/></h>"),
        ("<i><mac address='52:54:00:AA:bb:cc'/></i>", "<i><mac address='52:54:00:aa:bb:cc'/></i>"),
    ],
)  # fmt: skip
def test_same(one: str, other: str) -> None:
    assert differences(one, other) == []


@pytest.mark.parametrize(
    ("one", "other", "path"),
    [
        ("<domain/>", "<network/>", "/domain"),
        ("<d><memory>2</memory></d>", "<d><memory unit='MiB'>2</memory></d>", "/d/memory"),
        ("<d a='1'/>", "<d/>", "/d/@a"),
        ("<d><vcpupin vcpu='0' cpuset='1'/></d>", "<d><vcpupin vcpu='0' cpuset='1-2'/></d>", "/d/vcpupin/@cpuset"),
        ("<d><vcpupin vcpu='0' cpuset='1'/></d>", "<d><vcpupin vcpu='1' cpuset='1'/></d>", "/d/vcpupin"),
        ("<d><vcpusched vcpus='0-1'/></d>", "<d><vcpusched vcpus='0'/></d>", "/d/vcpusched"),
        ("<d/>", "<d><memballoon model='virtio'/></d>", "/d/memballoon"),
        ("<os><boot dev='hd'/><boot dev='network'/></os>", "<os><boot dev='network'/><boot dev='hd'/></os>", "/os/boot/@dev"),
        ("<d><address bus='0x0a'/></d>", "<d><address bus='0x10'/></d>", "/d/address/@bus"),
        ("<d><title>a b</title></d>", "<d><title>a  b</title></d>", "/d/title"),
        ("<d><disk><target dev='vda'/></disk></d>", "<d><disk><target dev='vdb'/></disk></d>", "/d/disk"),
        ("<d><disk><target dev='vda'/></disk></d>",
         "<d><disk><target dev='vda'/></disk><disk><target dev='vda'/></disk></d>", "/d/disk"),
        ("<d xmlns:k='a'><k:b/></d>", "<d xmlns:k='c'><k:b/></d>", "/d/{a}b"),
        ("<d><backend>/dev/random</backend></d>", "<d><backend>/dev/urandom</backend></d>", "/d/backend"),
    ],
)  # fmt: skip
def test_different(one: str, other: str, path: str) -> None:
    assert differences(one, other)[0].startswith(path)
    assert differences(other, one)
