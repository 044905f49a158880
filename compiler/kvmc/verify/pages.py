"""Huge pages that the host keeps, by node and size, and those that are free for guests that do not run."""

from __future__ import annotations

import re

from kvmc.audit.context import cells_of, nodes_for
from kvmc.audit.domain import DEFAULT_PAGE, Domain
from kvmc.diagnostics import Span
from kvmc.model.values import PageCount, size_text
from kvmc.verify import meaning
from kvmc.verify.boot import words_of
from kvmc.verify.case import Case
from kvmc.verify.difference import Effect, Kind

_FOLDER = re.compile(r"sys/devices/system/node/node([0-9]{1,4})/hugepages/hugepages-([0-9]{1,10})kB/nr_hugepages")


def check(case: Case, running: set[str]) -> None:
    """running: names of guests that run, and so have their pages already."""
    wanted = meaning.pages_of(case.files)
    places = {(one.node, one.size_kib): one.span for one in case.files.pages}
    there: dict[tuple[int | None, int], int] = {}
    for path in case.root.find("sys/devices/system/node/node*/hugepages/hugepages-*/nr_hugepages"):
        match, text = _FOLDER.fullmatch(path), case.value(path)
        if match is not None and text is not None and text.isdecimal() and len(text) < 16:
            there[int(match[1]), int(match[2])] = int(text)
    by_line = _of_line(case) if "hugepages" in case.boot_differs else {}
    sizes = {size for node, size in wanted if node is None}
    for size in sorted(sizes):
        count = sum(number for (_, one), number in there.items() if one == size)
        _compare(case, f"of {size_text(size)} on all nodes", count, wanted[None, size], places.get((None, size)), size)
    rest = {key for key in wanted.keys() | there.keys() if key[1] not in sizes}
    for node, size in sorted(rest, key=lambda key: (key[0] or 0, key[1])):
        key = (node, size)
        if key in wanted and key not in there:
            subject = f"the number of huge pages of {size_text(size)} on node {node}"
            case.missing(subject, str(PageCount(wanted[key], size)), places.get(key))
        elif "hugepages" not in case.boot_differs or by_line.get(key, 0) != there[key]:
            where = f"of {size_text(size)} on node {node}"
            _compare(case, where, there[key], wanted.get(key, 0), places.get(key), size)
    _free(case, running)


def _of_line(case: Case) -> dict[tuple[int | None, int], int]:
    """What the running line asks for: where that differs, it was told already."""
    return meaning.pages_of(meaning.boot_words(words_of(case.value("proc/cmdline") or "")))


def _compare(case: Case, where: str, runs: int, compiled: int, place: Span | None, size: int) -> None:
    if runs == compiled:
        return
    source = case.source(place)
    by_unit = not source.startswith(("etc/default/", "etc/kvmc/cmdline", "usr/lib/bootc/"))
    unit = case.apply.step("kvmc-hugepages.service") if by_unit else ()
    why = "too little memory on the node was whole at boot, or someone wrote nr_hugepages"
    case.add(
        Kind.PAGES,
        f"the number of huge pages {where}",
        str(runs),
        str(compiled),
        place,
        Effect.LIVE if unit else Effect.REBOOT,
        unit
        or (
            "reboot; pages of 1GiB are found whole at boot alone"
            if size >= 1 << 20
            else "reboot, or write nr_hugepages",
        ),
        (why if runs < compiled else "sysctl vm.nr_hugepages, a script or a person took more",),
    )


def _free(case: Case, running: set[str]) -> None:
    """Whether what is free holds the guests that are to start, where each cell has one node."""
    needs: dict[tuple[int, int], list[tuple[Domain, int, Span]]] = {}
    for domain in case.files.domains:
        if domain.name in running:
            continue
        for cell in cells_of(domain):
            page = next(
                (one for one in domain.pages if one.value.cells is None or cell.value.id in one.value.cells), None
            )
            nodes = nodes_for(domain, cell.value.id)
            if page is None or nodes is None or len(nodes.value) != 1:
                continue
            size = case.files.default_page_kib if page.value.size_kib == DEFAULT_PAGE else page.value.size_kib
            needs.setdefault((nodes.value.first, size), []).append(
                (domain, -(-cell.value.memory_kib // size), page.span)
            )
    for (node, size), some in sorted(needs.items(), key=lambda item: item[0]):
        base = f"sys/devices/system/node/node{node}/hugepages/hugepages-{size}kB"
        free, kept = case.value(f"{base}/free_hugepages"), case.value(f"{base}/nr_hugepages")
        need = sum(count for _, count, _ in some)
        if free is None or not free.isdecimal() or not (kept or "").isdecimal() or int(kept or 0) < need:
            continue  # too few kept was told already
        if int(free) < need:
            names = ", ".join(f"`{domain.name}`" for domain, _, _ in some)
            case.add(
                Kind.PAGES_FREE,
                f"of huge pages of {size_text(size)} on node {node}, what is free",
                free,
                f"{need} for {names}",
                some[0][2],
                Effect.LIVE,
                ("find who has them: `grep -l huge /proc/*/numa_maps`, other domains, files in hugetlbfs",),
            )
