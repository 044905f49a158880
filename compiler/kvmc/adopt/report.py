"""import.md: what was taken, what was not, and every difference between the originals and what is built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kvmc.adopt.compare import Difference
from kvmc.adopt.site import Draft
from kvmc.diagnostics import Diagnostic, Sources
from kvmc.diagnostics.text import counted, visible


def report(
    draft: Draft,
    found: Mapping[str, Sequence[Difference]] | None,
    moved: Sequence[tuple[str, str]],
    told: Sequence[Diagnostic],
    sources: Sources,
) -> str:
    """found: by guest; None where the site does not build. moved: guest and why. told: all diagnostics, with their places."""
    lines = [f"# Import of `{draft.host}`", "", f"{counted(len(draft.guests), 'guest')} from these files:", ""]
    lines += [f"- `{guest.name}`: `{visible(guest.file)}`" for guest in draft.guests]
    lines += ["", "## What is wrong, or was not taken over as it is", ""]
    lines += [f"- {_place(one, sources)}{visible(one.message)} ({one.code.id})" for one in told] or ["Nothing."]
    notes = [f"- {note}" for note in draft.pool.notes] + [f"- {what}: {visible(why)}" for what, why in draft.refused]
    if notes:
        lines += ["", "## What the site cannot say", "", *notes]
    lines += ["", "## Placement", ""]
    lines += [f"- `{name}` is placed anew: {why}" for name, why in moved] or ["All pinned guests keep their CPUs."]
    lines += ["", "## Raw settings", ""]
    raws = [f"- `{name}`: `<{raw.label}>` in `{raw.at}`" for name, some in draft.raws.items() for raw in some]
    lines += [*raws, *(f"- host: {raw.carrier} `{raw.key}`" for raw in draft.host_raws)] or ["None."]
    lines += ["", "## Differences", ""]
    if found is None:
        lines += ["The site does not build as it is; what the build says stands above. Nothing could be compared."]
    common = _common(found or {})
    if common:
        lines += ["Added to most guests, and not repeated below:", ""]
        lines += ["| where | built | why | but not to |", "|---|---|---|---|"]
        for row, without in common.items():
            lines.append(f"| {_cell(row.path)} | {_cell(row.built)} | {row.reason} | {', '.join(without) or '-'} |")
        lines.append("")
    for name, rows in (found or {}).items():
        lines += [f"### {name}", ""]
        if not rows:
            lines += ["Built equal by meaning.", ""]
            continue
        lost = [row for row in rows if not row.added]
        own = [row for row in rows if row.added and row not in common]
        of = f"{len(lost)} of what the original says differ" if lost else "All that the original says is built"
        lines += [
            f"{of}, {counted(len(rows) - len(lost), 'thing')} {'is' if len(rows) - len(lost) == 1 else 'are'} added.",
            "",
        ]
        if lost or own:
            lines += [*_table([*lost, *own]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _common(found: Mapping[str, Sequence[Difference]]) -> dict[Difference, list[str]]:
    """What is added in the same words to more than half of several guests, with the guests that it is not added to."""
    having: dict[Difference, set[str]] = {}
    for name, rows in found.items():
        for row in rows:
            if row.added:
                having.setdefault(row, set()).add(name)
    most = {row: names for row, names in having.items() if len(names) > max(1, len(found) // 2)}
    return {row: [name for name in found if name not in names] for row, names in most.items()}


def _table(rows: Sequence[Difference]) -> list[str]:
    cells = [f"| {_cell(r.path)} | {_cell(r.original)} | {_cell(r.built)} | {r.reason} |" for r in rows]
    return ["| where | original | built | why |", "|---|---|---|---|", *cells]


def _place(one: Diagnostic, sources: Sources) -> str:
    if one.primary is None or one.primary.span.file not in sources.texts:
        return ""
    span = one.primary.span
    return f"`{visible(span.file)}:{sources.texts[span.file].count(chr(10), 0, span.start) + 1}`: "


def _cell(text: str) -> str:
    """As code in a table's cell: no bar ends it, no grave accent."""
    safe = visible(text).replace("|", "\\|").replace("`", "'")
    return f"`{safe}`" if safe else "-"
