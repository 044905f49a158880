"""How much is read, and how far numbers go: at the limit, and one beyond it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from audit.small_tree import DU, RT
from audit.support import topology
from kvmc.audit import jsonplaces, locktexts, reading, tree, xml
from kvmc.audit.domain import read_domain
from kvmc.audit.elements import Reader
from kvmc.audit.source import At, File, integer, unreadable
from kvmc.diagnostics import Bag, Span
from kvmc.diagnostics.codes import audit as codes
from kvmc.model.cpuset import MAX_CPU, CpuSet
from kvmc.model.values import PciAddress


def write(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_so_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a__1="x", a__2="x", a__3="x", b__1="x")
    for limit, empty in ((4, []), (3, ["b/1"]), (2, ["a/3", "b/1"])):
        monkeypatch.setattr(tree, "MAX_FILES", limit)
        found = tree.read_tree(tmp_path)
        assert [f"{host}/{name}" for host, files in found.items() for name, text in files.items() if not text] == empty
    assert list(tree.read_texts(tmp_path)) == ["a/1", "a/2"]
    monkeypatch.setattr(tree, "MAX_FILES", 4)
    assert list(tree.read_texts(tmp_path)) == ["a/1", "a/2", "a/3", "b/1"]


def test_a_folder_of_too_many_is_left_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are read until there are more files than are taken, and no further."""
    write(tmp_path, h__c__1="x", h__b__1="x", h__b__2="x", h__a__1="x")
    monkeypatch.setattr(tree, "MAX_FILES", 2)
    assert set(tree.read_tree(tmp_path)["h"]) == {"c/1", "b/1", "b/2"}


def test_so_many_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, a__1="123456", a__2="1234", a__3="1", b__1="1")
    monkeypatch.setattr(tree, "MAX_FILE_BYTES", 6)
    assert tree.read_tree(tmp_path)["a"]["1"] == tree.read_texts(tmp_path)["a/1"] == "123456"
    monkeypatch.setattr(tree, "MAX_FILE_BYTES", 5)
    assert tree.read_tree(tmp_path)["a"] == {"1": "", "2": "1234", "3": "1"}
    monkeypatch.setattr(tree, "MAX_FILE_BYTES", 6)
    monkeypatch.setattr(tree, "MAX_TOTAL_BYTES", 11)
    wanted = {"a": {"1": "123456", "2": "1234", "3": "1"}, "b": {"1": ""}}
    assert tree.read_tree(tmp_path) == wanted
    assert list(tree.read_texts(tmp_path).values()) == ["123456", "1234", "1", ""]


def test_what_is_read_of_a_folder(tmp_path: Path) -> None:
    write(tmp_path, a__x="1", a__x_kvmc_new="2", hidden="3")
    (tmp_path / "a/y.kvmc-new").write_text("z")
    (tmp_path / ".h").mkdir()
    (tmp_path / ".h/x").write_text("h")
    (tmp_path / "a/.z").write_text("z")
    (tmp_path / "a/link").symlink_to("x")
    (tmp_path / "named").symlink_to("a/x")
    assert tree.read_tree(tmp_path) == {"a": {".z": "z", "link": "", "x": "1", "x_kvmc_new": "2"}}
    assert tree.read_texts(tmp_path) == {"a/x": "1", "a/x_kvmc_new": "2", "hidden": "3"}
    assert tree.read_texts(tmp_path / "named") == {"": "1"}
    assert tree.read_texts(tmp_path / "none") == {"": ""}


@pytest.mark.parametrize(("depth", "right"), [(32, True), (33, False)])
def test_so_deep_is_json(depth: int, right: bool) -> None:
    bag = Bag()
    found = jsonplaces.parse(File("f", "f", "[" * depth + "1" + "]" * depth), bag)
    assert (found is not None) is right and bool(list(bag)) is not right


def test_json_by_its_parts() -> None:
    text = '{"a": {"b": [1, "x"]}, "c": "d", "e": [2]}'
    root = jsonplaces.parse(File("f", "f", text), Bag())
    assert root is not None
    assert root.get("c") == "d" and root.get("none") is None
    assert root.below("e")[0].plain == 2 and root.below("none") == () == root.below("c")
    assert text[root.place("c").start : root.place("c").end] == '"d"' and root.place("none") == root.span
    assert (root.span.start, root.span.end) == (0, 1)
    bag = Bag()
    assert list(jsonplaces.texts(root.fields["a"].fields["b"], bag)) == ["x"]
    assert [item.message for item in bag] == ["`1` is not a text"]


def test_numbers() -> None:
    assert [integer(text) for text in ("7", " 7 ", "9" * 18, "9" * 19, "", "-1", "+1", "1_0", "0x1", "٣")] == [
        *(7, 7, int("9" * 18)),
        *[None] * 7,
    ]
    place = Span("f", 0, 1)
    for number, told in ((MAX_CPU + 1, 0), (MAX_CPU + 2, 1)):
        bag = Bag()
        assert Reader(bag).threads(At(str(number), place)) == (None if told else number)
        assert len(list(bag)) == told
    bag = Bag()
    unreadable(bag, place, "a size", "x" * 40)
    unreadable(bag, Span("f", 1, 2), "a size", "x" * 41)
    assert [item.message for item in bag] == [f"`{'x' * 40}` is not a size", f"`{'x' * 40}...` is not a size"]


def test_so_long_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "vm.swappiness = 1\n"
    for limit, right in ((len(text), True), (len(text) - 1, False)):
        monkeypatch.setattr(reading, "MAX_LENGTH", limit)
        bag = Bag()
        value = reading.read_files("h", [File("h/etc/sysctl.d/1.conf", "etc/sysctl.d/1.conf", text)], topology(), bag)
        assert [knob.value for knob in value.knobs] == (["1"] if right else [])
        assert [item.code for item in bag] == ([] if right else [codes.FILE_UNREADABLE])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("<a><!-- <b x='1'> --><b y='2'/></a>", None),
        ("<a><![CDATA[<c>]]><b/></a>", None),
        ("<?xml version='1.0'?><?p <x> ?><a><b/></a>", None),
        ("<!DOCTYPE a><a/>", "has a document type"),
        ("<a><!ELEMENT b></a>", "has a document type"),
        ("<a><b></a>", "is not well-formed XML"),
        ("<a", "is not well-formed XML"),
        ("<a>&x;</a>", "is not well-formed XML"),
        ("<a><!-- ", "is not well-formed XML"),
        ("", "is not well-formed XML"),
    ],
)
def test_markup(text: str, told: str | None) -> None:
    bag = Bag()
    root = xml.parse(File("f", "f", text), bag)
    assert [item.message for item in bag] == (
        [f"`f` {told}" + (", which no artifact needs" if "type" in told else "")] if told else []
    )
    assert (root is None) is (told is not None)
    if root is not None:
        child = root.child("b")
        assert child is not None and text[child.span.start : child.span.end].startswith("<b")


def test_an_element_by_its_parts() -> None:
    text = "<a x='1'\n y = \"2\" z=''>  t  <b/>u<c>v</c><c n='2'><d/></c></a>"
    root = xml.parse(File("f", "f", text), Bag())
    assert root is not None

    def shown(span: Span) -> str:
        return text[span.start : span.end]

    assert {name: (at.value, shown(at.span)) for name in "xyz" if (at := root.attribute(name))} == {
        "x": ("1", "1"),
        "y": ("2", "2"),
        "z": ("", ""),
    }
    assert (
        root.attribute("w") is None and root.get("w") == "" and root.get("w", "d") == "d" and root.get("x", "d") == "1"
    )
    assert (root.text().value, shown(root.text().span)) == ("t", "t")
    assert [node.tag for node in root.elements()] == ["b", "c", "c"]
    last = [*root.children("c")][1]
    assert last.text().value == "" and shown(last.text().span) == "<c n='2'>"
    assert root.child("c", "d") is None and root.child() is root and root.child("x", "y") is None
    assert [node.tag for node in root.all("c", "d")] == ["d"]


def test_fragments() -> None:
    assert xml.fragment("<a/>") is not None
    assert xml.fragment("<a/><b/>") is None and xml.fragment("") is None and xml.fragment("<!DOCTYPE a><a/>") is None


def test_the_place_of_what_is_not_well_formed() -> None:
    for text, line in (("<a>\n  <b>\n</a>\n", "</a>"), ("<a>\n\n", "")):
        bag = Bag()
        assert xml.parse(File("f", "f", text), bag) is None
        (item,) = bag
        assert item.primary is not None and text[item.primary.span.start : item.primary.span.end] == line
        assert item.notes and ", line" not in item.notes[0]


LOCK = {
    "retired": {"old": "AB-1"},
    "guests": {
        "a": {
            "uuid": "AB-2",
            "macs": {"n": "52:54:00:AA:00:01"},
            "addresses": {"disk root": "0000:01:00.0"},
            "targets": {"root": "vda"},
            "devices": {"nic n": "0000:3b:00.1"},
            "emulator": "0,12",
            "cells": [
                {"node": 0, "vcpus": 2, "pins": "1-2"},
                {"node": 1, "vcpus": 2, "pins": "3 4", "memory": {"2": 7}},
                {"node": 1, "vcpus": 1, "pins": "5", "memory": {"1": 3, "2": 7}},
            ],
        },
        "b": {"uuid": "x", "emulator": "1", "cells": []},
    },
}


def test_a_lock_as_the_audit_reads_it() -> None:
    bag = Bag()
    lock = locktexts.read("h", json.dumps(LOCK), bag)
    assert lock is not None and not list(bag) and lock.retired == {"old": "ab-1"}
    both, three, four, five = (CpuSet.parse(text) for text in ("1-2", "3", "4", "5"))
    assert lock.guests["a"] == locktexts.Locked(
        "ab-2",
        {"n": "52:54:00:aa:00:01"},
        {"disk root": PciAddress.parse("0000:01:00.0")},
        {"root": "vda"},
        {"nic n": PciAddress.parse("0000:3b:00.1")},
        (both, both, three, four, five),
        (0, 2, 1),
        CpuSet.parse("0,12"),
    )
    assert lock.guests["b"].macs == {} and lock.guests["b"].pins == ()
    assert locktexts.read("h", "{}", bag) == locktexts.Lock()


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "3", "{", '{"guests": 3}', '{"guests": {"a": 3}}', '{"retired": []}'),
        '{"guests": {"a": {"uuid": "x", "cells": []}}}',
        json.dumps(LOCK).replace('"macs": {"n"', '"macs": 3, "x": {"n"'),
    ],
)
def test_a_lock_that_says_nothing(text: str) -> None:
    bag = Bag()
    assert locktexts.read("h", text, bag) is None
    (item,) = bag
    assert item.code is codes.FILE_UNREADABLE and item.message.startswith("`locks/h.json` cannot be read")


ONE = "<iothreads>1</iothreads>"


@pytest.mark.parametrize(
    ("old", "new", "ids", "told"),
    [
        (ONE, "<iothreads>3</iothreads>", {1, 2, 3}, 0),
        (ONE, "<iothreads>3</iothreads><iothreadids><iothread id='2'/></iothreadids>", {1, 2, 3}, 0),
        (ONE, "<iothreads>2</iothreads><iothreadids><iothread id='9'/></iothreadids>", {1, 9}, 0),
        (ONE, "<iothreadids><iothread id='4'/><iothread id='5'/></iothreadids><iothreads>1</iothreads>", {4, 5}, 0),
        (ONE, "<iothreadids><iothread id='4'/></iothreadids>", {4}, 0),
        (ONE, "<iothreads>0</iothreads>", set(), 0),
        (ONE, "", None, 0),
        (ONE, f"<iothreads>{MAX_CPU + 2}</iothreads>", None, 1),
    ],
)  # fmt: skip
def test_the_ids_of_io_threads(old: str, new: str, ids: set[int] | None, told: int) -> None:
    bag = Bag()
    domain = read_domain(File("f", "f", RT.replace(old, new)), bag)
    assert domain is not None and (set(domain.iothreads.value) if domain.iothreads else None) == ids
    assert len(list(bag)) == told


@pytest.mark.parametrize(
    ("old", "new", "off"),
    [
        (">2</vcpu>", ">2</vcpu>", ""),
        ("<vcpu placement", "<vcpu current='1' placement", "1"),
        ("<vcpu placement", "<vcpu current='2' placement", ""),
        ("<vcpu placement", "<vcpu current='0' placement", "0-1"),
        ("</vcpu>", "</vcpu><vcpus><vcpu id='0' enabled='no'/><vcpu id='1' enabled='yes'/></vcpus>", "0"),
        ("</vcpu>", "</vcpu><vcpus><vcpu id='1' enabled='no'/><vcpu id='2' enabled='no'/></vcpus>", "1"),
    ],
)
def test_vcpus_that_are_kept_for_later(old: str, new: str, off: str) -> None:
    domain = read_domain(File("f", "f", DU.replace(old, new)), Bag())
    assert domain is not None and str(domain.unplugged) == off
