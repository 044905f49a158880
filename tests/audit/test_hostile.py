"""Whatever stands in the files: findings, never an exception, and every place inside its text."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.small_tree import HOST, tree
from audit.support import findings, shown
from kvmc.diagnostics import Diagnostic
from kvmc.diagnostics.codes import audit as codes

PIECES = (
    "\0", "\ud800", "<", ">", "&", "&x;", "'", '"', "\\", "$(id)", "`id`", "${f:exec:id}", "=", ",", "-", "^", ":", "[", "]", "#",
    "\n", "\t", "²", "९", "0x", "99999999999999999999999999", "-1", "4294967296", "all", "N", "<!--", "-->", "<![CDATA[", "]]>",
    "<!DOCTYPE a [<!ENTITY a 'b'>]>", "<?xml version='1.0'?>", "<vcpu>", "</domain>", "hugepages=0:1", "isolcpus=", "1G",
)  # fmt: skip


def check(files: dict[str, str]) -> list[Diagnostic]:
    found = findings(files) + findings(files, with_site=False)
    for item in found:
        for label in (item.primary, *item.secondary):
            if label is not None:
                text = files[label.span.file.removeprefix(f"{HOST}/")]
                assert 0 <= label.span.start <= label.span.end <= len(text), item
        assert "\n" not in item.message
    return found


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(sorted(tree())), st.randoms(use_true_random=False), st.integers(1, 6))
def test_random_changes_never_raise(file: str, rng: random.Random, number: int) -> None:
    files = tree()
    text = files[file]
    for _ in range(number):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.choice([0, 0, 1, 2, 5, 40]))
        text = text[:start] + rng.choice((*PIECES, text[start : start + 30] * 2)) + text[end:]
    files[file] = text
    check(files)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(tree())), st.text(max_size=400))
def test_any_text_never_raises(file: str, text: str) -> None:
    check(tree() | {file: text})


@pytest.mark.parametrize("file", sorted(tree()))
def test_each_file_cut_off_is_told(file: str) -> None:
    """In the middle of a word: nothing that follows can be what it was."""
    files = tree()
    files[file] = files[file][: len(files[file]) // 2].rstrip()
    assert check(files), file


HOSTILE = {
    "deep": "<domain>" + "<a>" * 100_000,
    "entities": "<!DOCTYPE d ["
    + "".join(f"<!ENTITY a{n} '&a{n - 1};&a{n - 1};'>" for n in range(1, 40))
    + "]><domain>&a39;</domain>",
    "an external entity": "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain><name>&x;</name></domain>",
    "an entity without a document type": "<domain><name>&x;</name></domain>",
    "huge": "<domain>" + " " * (1 << 20) + "</domain>",
    "many attributes": "<domain " + " ".join(f"a{n}='1'" for n in range(20_000)) + "/>",
    "an open comment": "<!-- <domain/>",
    "nothing": "",
    "another encoding": "<?xml version='1.0' encoding='utf-16'?><domain><name>x</name></domain>",
    "a name space": "<d:domain xmlns:d='urn:x'><d:name>x</d:name></d:domain>",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_xml_is_unreadable(name: str) -> None:
    found = check(tree() | {"domains/x.xml": HOSTILE[name]})
    mine = [item for item in found if item.primary is not None and item.primary.span.file.endswith("x.xml")]
    assert mine and mine[0].code is codes.FILE_UNREADABLE, shown(found, tree())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (">4</vcpu>", ">999999999999</vcpu>"),
        ("<iothreads>1<", "<iothreads>999999999999<"),
        ("vcpu='0' cpuset='3'", "vcpu='999999999999999999' cpuset='3'"),
        ("iothread='1' cpuset", "iothread='999999999999999999' cpuset"),
        ("cpuset='3'", "cpuset='0-999999999'"),
        (">8388608<", ">999999999999999999<"),
        ("unit='KiB'>8388608<", "unit='EiB'>999999999999999999<"),
        ("page size='1048576'", "page size='0'"),
        ("threads='2'", "threads='999999999999999999'"),
        ("threads='2'", "threads='0'"),
        ("cell id='0'", "cell id='999999999999999999'"),
        ("bus='0x3b'", "bus='0x" + "f" * 9000 + "'"),
        ("bus='0x3b'", "bus='" + "9" * 9000 + "'"),
    ],
)
def test_numbers_out_of_reason_are_told(old: str, new: str) -> None:
    files = tree()
    assert old in files["domains/rt-1.xml"]
    files["domains/rt-1.xml"] = files["domains/rt-1.xml"].replace(old, new)
    assert check(files)


@pytest.mark.parametrize(
    "text",
    [
        "GRUB_CMDLINE_LINUX_DEFAULT=$(" * 5000 + "\n",
        'GRUB_CMDLINE_LINUX_DEFAULT="' + "${" * 20_000 + '"\n',
        "GRUB_CMDLINE_LINUX_DEFAULT=" + "\\" * 50_001 + "\n",
        "GRUB_CMDLINE_LINUX_DEFAULT='isolcpus=" + "1-2," * 50_000 + "'\n",
        "GRUB_CMDLINE_LINUX_DEFAULT='isolcpus=0-8191:1/8191 hugepages=" + "0:1," * 10_000 + "0:1'\n",
        "GRUB_CMDLINE_LINUX_DEFAULT='hugepagesz=999999999999T hugepages=999999999999999999'\n",
        "source /etc/x\n",
    ],
)
def test_hostile_shell_is_told(text: str) -> None:
    assert check(tree() | {"etc/default/grub.d/zzz.cfg": text})
