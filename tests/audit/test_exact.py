"""The comparison to the last line, on a tree that kvmc built: what the mutants do not draw."""

from __future__ import annotations

import json

import pytest

from audit.mutation.trees import EXAMPLES, Built, build
from kvmc.audit import jsonplaces, shell
from kvmc.audit.check import audit_host, audit_site
from kvmc.audit.source import File
from kvmc.diagnostics import Bag, Diagnostic
from kvmc.diagnostics.codes import audit as codes

HOST, OTHER = "edge-17a", "edge-17b"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(EXAMPLES / "telco-edge", tmp_path_factory.mktemp("exact") / "edge")


def changed(edge: Built, **files: str | None) -> dict[str, dict[str, str]]:
    """The trees with files of HOST anew (`__` for `/`), or without those that are None."""
    tree = dict(edge.trees[HOST])
    for name, text in files.items():
        path = next(
            (path for path in tree if path.replace("/", "__").replace(".", "_").replace("-", "_") == name), name
        )
        if text is None:
            del tree[path]
        else:
            tree[path] = text
    return {**edge.trees, HOST: tree}


def ids(found: list[Diagnostic]) -> list[str]:
    return [item.code.id for item in found]


def test_a_host_alone_is_judged_by_the_rule_of_names(edge: Built) -> None:
    assert not list(audit_host(HOST, edge.trees[HOST], edge.topologies[HOST], edge.site))
    other = edge.site.model_copy(update={"identity": "another.example.net"})
    found = list(audit_host(HOST, edge.trees[HOST], edge.topologies[HOST], other))
    assert {item.code for item in found} == {codes.GUEST_DIFFERS}
    assert sum("is to have the uuid" in item.message for item in found) == 3


def test_an_adopted_identity_is_known_by_the_lock(edge: Built) -> None:
    text = edge.trees[HOST]["domains/upf-1.xml"]
    uuid = json.loads(edge.locks[HOST])["guests"]["upf-1"]["uuid"]
    new = "4dea22b3-1d52-48f3-9516-782e98ab3fa0"
    trees = changed(edge, domains__upf_1_xml=text.replace(uuid, new))
    assert ids(edge.audit(trees)) == [codes.GUEST_DIFFERS.id]
    locks = {**edge.locks, HOST: edge.locks[HOST].replace(uuid, new)}
    assert not list(audit_site(trees, edge.topologies, edge.site, locks))


def test_a_retired_guest_is_undefined_first(edge: Built) -> None:
    lock = json.loads(edge.locks[HOST]) | {"retired": {"old": "4dea22b3-1d52-48f3-9516-782e98ab3fa0"}}
    locks = {**edge.locks, HOST: json.dumps(lock)}
    found = list(audit_site(edge.trees, edge.topologies, edge.site, locks))
    assert ids(found) == [codes.APPLY_WRONG.id] and "undefine --keep-nvram 4dea22b3" in found[0].message
    table = json.loads(edge.trees[HOST]["apply.json"])
    argv = ["virsh", "-c", "qemu:///system", "undefine", "--keep-nvram", "4dea22b3-1d52-48f3-9516-782e98ab3fa0"]
    step = {"phase": "guests", "run": argv, "effect": "restart"}
    table["steps"].append(step)
    late = list(audit_site(changed(edge, apply_json=json.dumps(table) + "\n"), edge.topologies, edge.site, locks))
    assert ids(late) == [codes.APPLY_WRONG.id] and "comes behind" in late[0].message
    at = next(index for index, one in enumerate(table["steps"]) if one["phase"] == "guests")
    table["steps"].insert(at, table["steps"].pop())
    trees = changed(edge, apply_json=json.dumps(table) + "\n")
    assert not list(audit_site(trees, edge.topologies, edge.site, locks))
    assert ids(edge.audit(trees)) == [codes.APPLY_WRONG.id], "the lock knows of no such guest"


def test_a_guest_on_another_host_than_its_lock_says(edge: Built) -> None:
    here = dict(edge.trees[HOST])
    moved = here.pop("domains/ems-1.xml")
    trees = {HOST: here, OTHER: {**edge.trees[OTHER], "domains/ems-1.xml": moved}}
    found = edge.audit(trees)
    assert any("its lock on `edge-17a`" in item.message for item in found)


def test_a_lock_that_cannot_be_read_is_as_if_it_were_not_there(edge: Built) -> None:
    found = list(audit_site(edge.trees, edge.topologies, edge.site, {HOST: "{", OTHER: '{"guests": {"x": {}}}'}))
    assert ids(found) == [codes.FILE_UNREADABLE.id] * 2


def test_an_apply_list_that_is_no_list(edge: Built) -> None:
    for text in ("[1]\n", '"x"\n', "{}\n", '{"files": 3, "steps": [4, {"run": 5}]}\n'):
        assert codes.APPLY_WRONG.id in ids(edge.audit(changed(edge, apply_json=text))), text
    assert ids(edge.audit(changed(edge, apply_json="{")))[0] == codes.FILE_CUT_OFF.id
    assert codes.FILE_UNREADABLE.id in ids(edge.audit(changed(edge, apply_json="[" * 99999 + "\n")))


def test_no_apply_list(edge: Built) -> None:
    (told,) = edge.audit(changed(edge, apply_json=None))
    assert told.code is codes.APPLY_WRONG and f"{HOST}/apply.json" in told.message


def test_a_file_that_is_one_too_many_is_told_once(edge: Built) -> None:
    trees = {**edge.trees, HOST: {**edge.trees[HOST], "etc/cron.d/x": "y\n"}}
    (told,) = edge.audit(trees)
    assert told.code is codes.FILE_UNLISTED and told.primary is not None
    assert told.primary.span.file == f"{HOST}/etc/cron.d/x"


def test_json_values_are_read_where_they_stand() -> None:
    text = '{ "a": [1, {"b\\u00e9": "x\\ny"}, null], "c": true, "a\\"": -1.5e3 }'
    bag = Bag()
    root = jsonplaces.parse(File("f", "f", text), bag)
    assert root is not None and root.plain == json.loads(text) and not list(bag)
    inner = root.fields["a"].items[1].fields["bé"]
    assert text[inner.span.start : inner.span.end] == '"x\\ny"'
    assert jsonplaces.parse(File("f", "f", '{"a": 1, "a": 2}'), bag) is not None
    assert [item.code for item in bag] == [codes.REPEATED]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a  b # c\n\n#d\n  e\\\n f\n", ["a b", "e f"]),
        ("echo '# no  comment'\n", ["echo '# no  comment'"]),
        ('IFS=\' \t\n\'\nx="a\\"  b"\n', ["IFS=' \t\n'", 'x="a\\"  b"']),
        ("${x#y} $# a#b\n", ["${x#y} $# a#b"]),
        ("", []),
    ],
)
def test_shell_is_taken_by_its_words(text: str, expected: list[str]) -> None:
    assert [line.value for line in shell.lines(File("f", "f", text))] == expected
