"""The text of locks: the same value back, and hostile text refused with what is wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kvmc.model.cpuset import CpuSet
from kvmc.model.site import Emulator, Pinning, Threads
from kvmc.resolver.locks import HostLock, dumps, loads
from kvmc.resolver.solve import resolve
from support.locking import locks_of
from support.machines import machine, nic
from support.sites import a_host, a_nic, a_site, a_vm, origins_of, vfs

MACHINE = machine(pci=[nic("3b:00.0")])


def a_lock(*gone: str, old: dict[str, HostLock] | None = None) -> HostLock:
    vms = [
        a_vm("z-odd", vcpus=5, nics=[a_nic("n3", device="n3")]),
        a_vm("a-iso", vcpus=3, threads=Threads.ISOLATE),
        a_vm("two", vcpus=4, nodes=2, emulator=Emulator.OWN),
        a_vm("web", pinning=Pinning.SHARED, pages_kib=None),
    ]
    host = a_host("kvm-a", shared_cores=1, devices=[vfs("n3", "3b:00.0", 4)])
    site = a_site([host], [vm for vm in vms if vm.name not in gone])
    placement, _ = resolve(site, {"kvm-a": MACHINE}, {}, origins_of(site), search=True)
    assert placement is not None
    return locks_of(placement, {"kvm-a": MACHINE}, old)["kvm-a"]


def test_the_same_value_comes_back() -> None:
    lock = a_lock()
    text = dumps(lock)
    assert loads(text, "locks/kvm-a.json")[0] == lock
    assert dumps(lock) == text
    assert text.endswith("}\n") and not any(line.endswith(" ") for line in text.splitlines())
    names = list(json.loads(text)["guests"])
    assert names == sorted(names)


def test_guests_that_left_are_retired_until_they_are_back() -> None:
    full = a_lock()
    fewer = a_lock("web", "two", old={"kvm-a": full})
    assert fewer.retired == {vm: full.guests[vm].identity.uuid for vm in ("two", "web")}
    later = a_lock("web", old={"kvm-a": fewer})
    assert list(later.retired) == ["web"]
    assert loads(dumps(later), "x")[0] == later


def broken(path: tuple[Any, ...], value: Any) -> str:
    whole: Any = json.loads(dumps(a_lock()))
    at = whole
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = value
    return json.dumps(whole)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("lock",), 2, "is of version `2`, this release reads 1"),
        (("lock",), True, "is of version `true`"),
        (("host",), "../../etc/x", "host is"),
        (("host",), "a\nb", "host is"),
        (("fingerprint",), "0" * 63, "fingerprint is"),
        (("extra",), 1, 'a field `"extra"` in the lock'),
        (("guests",), [], "guests is `list`, not an object"),
        (("guests", "$(id)"), {}, "a name in guests is"),
        (("guests", "web"), 4, "guests.web is `4`, not an object"),
        (("guests", "web", "cells"), [], "guests.web.cells is"),
        (("guests", "web", "cells", 0, "node"), -1, "guests.web.cells[0].node is `-1`"),
        (("guests", "web", "cells", 0, "node"), True, "guests.web.cells[0].node is `true`"),
        (("guests", "web", "cells", 0, "vcpus"), 10**9, "not a whole number from 0 to 8192"),
        (("guests", "web", "cells", 0, "memory_kib"), 1.5, "guests.web.cells[0].memory_kib is `1.5`"),
        (("guests", "web", "cells", 0, "pins"), "1 2", "has 2 CPU lists for 4 vCPUs"),
        (("guests", "web", "cells", 0, "pins"), "0-999999999", "CPU 999999999 is above 8191"),
        (("guests", "web", "cells", 0, "pins"), 7, "not CPU lists"),
        (("guests", "web", "emulator"), "x", "is not a CPU or a range"),
        (("guests", "web", "devices"), {"disk x": "3b:00.0"}, "no nic and no hostdev"),
        (("guests", "z-odd", "devices", "nic n3"), "3b", "not a PCI address"),
        (("guests", "web", "uuid"), "x", "guests.web.uuid is"),
        (("guests", "web", "macs"), {"eth0": "52:54:00"}, "guests.web.macs.eth0 is"),
        (("guests", "web", "targets"), {"root": "vda;rm"}, "guests.web.targets.root is"),
        (("retired",), {"--all": "x"}, "a name in retired is"),
        (("retired",), {"old": "$(id)"}, "retired.old is"),
    ],
)
def test_each_field_is_checked(path: tuple[Any, ...], value: Any, words: str) -> None:
    lock, bag = loads(broken(path, value), "locks/kvm-a.json")
    assert lock is None
    (error,) = bag
    assert error.message.startswith("`locks/kvm-a.json` ")
    assert words in error.message
    assert error.help and "\n" not in error.message


@pytest.mark.parametrize(
    ("path", "most", "above"),
    [
        (("guests", "web", "cells", 0, "node"), 0, -1),
        (("guests", "web", "cells", 0, "node"), 65535, 65536),
        (("guests", "web", "cells", 0, "vcpus"), 8192, 8193),
        (("guests", "web", "cells", 0, "vcpus"), 1, -1),
        (("guests", "web", "cells", 0, "memory_kib"), 2**53, 2**53 + 1),
        (("guests", "web", "cells", 0, "memory_kib"), 1, 0),
        (("guests", "web", "placed"), 0, -1),
        (("guests", "web", "placed"), 2**53, 2**53 + 1),
        (("guests", "web", "cells", 0, "memory"), {"0": 1}, {"0": 0}),
        (("guests", "web", "cells", 0, "memory"), {"65535": 2**53}, {"65535": 2**53 + 1}),
        (("guests", "web", "cells", 0, "memory"), {"99999": 1}, {"100000": 1}),
        (("guests", "web", "macs"), {"e" * 128: "52:54:00:aa:bb:cc"}, {"e" * 129: "52:54:00:aa:bb:cc"}),
        (("guests", "web", "addresses"), {f"d {'e' * 126}": "00:04.0"}, {f"d {'e' * 127}": "00:04.0"}),
        (("guests", "web", "targets"), {"root": "v" + "d" * 15}, {"root": "v" + "d" * 16}),
        (("topology",), {"a" * 32: "x"}, {"a" * 33: "x"}),
        (("topology",), {"cpus": "x" * 65536}, {"cpus": "x" * 65537}),
        (("guests", "web", "idle"), "0" + ",0" * 32767, "0" + ",0" * 32768),
        (("guests", "web", "idle"), "8191", "8192"),
        (
            ("retired",),
            {"old": "12345678-1234-1234-1234-123456789abc"},
            {"old": "12345678-1234-1234-1234-123456789abcd"},
        ),
    ],
)
def test_the_largest_and_the_least_of_a_field(path: tuple[Any, ...], most: Any, above: Any) -> None:
    lock, bag = loads(broken(path, most), "x")
    assert lock is not None, [one.message for one in bag]
    assert loads(dumps(lock), "x")[0] == lock
    assert loads(broken(path, above), "x")[0] is None


def test_one_cpu_list_is_for_all_vcpus_and_what_is_not_there_is_empty() -> None:
    whole: Any = json.loads(dumps(a_lock()))
    assert whole["guests"]["web"]["cells"] == [{"memory_kib": 4194304, "node": 1, "pins": "17,49", "vcpus": 4}]
    assert whole["guests"]["z-odd"]["devices"] == {"nic n3": "0000:3b:01.0"}
    assert whole["guests"]["two"]["cells"][1]["pins"] == "21 53"
    del whole["retired"], whole["topology"], whole["guests"]["web"]["emulator"], whole["guests"]["web"]["macs"]
    lock, _ = loads(json.dumps(whole), "x")
    assert lock is not None and lock.retired == {} and lock.topology == {}
    web = lock.guests["web"]
    assert (web.placement.emulator, web.placement.idle) == (CpuSet(), CpuSet())
    assert (web.placement.devices, web.identity.macs) == ({}, {})
    assert [len(pin) for pin in web.placement.cells[0].pins] == [2] * 4
    assert lock.guests["two"].placement.cells[1].vcpus == (2, 3), "vCPUs are counted through the nodes"
    del whole["guests"]["web"]["placed"]
    lock, _ = loads(json.dumps(whole), "x")
    assert lock is not None and lock.guests["web"].placed == 0


def test_long_values_are_shown_short() -> None:
    _, bag = loads(broken(("host",), "x" * 37 + "!"), "x")
    assert next(iter(bag)).message == '`x` host is `"' + "x" * 37 + '!"`, not what kvmc writes there'
    _, bag = loads(broken(("host",), "x" * 38 + "!"), "x")
    assert next(iter(bag)).message == '`x` host is `"' + "x" * 36 + "...`, not what kvmc writes there"
    _, bag = loads(broken(("guests", "web", "uuid"), None), "x")
    assert next(iter(bag)).message == "`x` guests.web.uuid is `null`, not what kvmc writes there"


def test_a_merge_that_is_not_done_is_told_by_its_first_line() -> None:
    for mark in ("<<<<<<< HEAD", "=======", ">>>>>>> theirs", "||||||| base"):
        _, bag = loads(f"{{\n\n{mark}\n}}", "locks/x.json")
        (error,) = bag
        assert error.message == "`locks/x.json` holds merge conflict markers, the first on line 3"
    for line in ("<<<<<<", " <<<<<<< HEAD", "========", ">>>>>>>theirs"):
        assert next(iter(loads(f"{{\n{line}\n}}", "x")[1])).code.id == "KVMC0610"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "KVMC0610", "is not JSON: line 1 column 1"),
        ("[]", "KVMC0610", "is not a lock"),
        ("{}", "KVMC0610", "is not a lock"),
        ('{"lock": 1, "lock": 1}', "KVMC0610", "twice"),
        ('{"lock": NaN}', "KVMC0610", "`NaN`"),
        ('{"lock": ' + "9" * 5000 + "}", "KVMC0610", "too many digits"),
        ("[" * 200_000, "KVMC0610", "nested too deeply"),
        ("{\n<<<<<<< HEAD\n}", "KVMC0612", "first on line 2"),
        (" " * (16 * 1024**2 + 1), "KVMC0610", "are read at most"),
    ],
)
def test_garbage(text: str, code: str, words: str) -> None:
    lock, bag = loads(text, "locks/kvm-a.json")
    assert lock is None
    (error,) = bag
    assert (error.code.id, words in error.message) == (code, True), error.message


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_any_value_in_any_field_is_read_or_refused(data: st.DataObject) -> None:
    whole: Any = json.loads(dumps(a_lock()))
    at: Any = whole
    while True:
        steps = list(at) if isinstance(at, dict) else range(len(at))
        step = data.draw(st.sampled_from(list(steps)))
        if not isinstance(at[step], dict | list) or not at[step] or data.draw(st.integers(0, 4)) == 0:
            break
        at = at[step]
    at[step] = data.draw(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.just([]), st.just({}))
    )
    lock, bag = loads(json.dumps(whole), "locks/kvm-a.json")
    assert (lock is None) == bag.has_errors
    if lock is not None:
        assert loads(dumps(lock), "x")[0] == lock
