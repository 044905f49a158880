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
    for name, rows in (found or {}).items():
        lines += [f"### {name}", ""]
        if not rows:
            lines += ["Built equal by meaning.", ""]
            continue
        lost = sum(not row.added for row in rows)
        lines += [f"{lost} of what the original says differ, {len(rows) - lost} are added.", ""]
        lines += ["| where | original | built | why |", "|---|---|---|---|"]
        lines += [f"| {_cell(r.path)} | {_cell(r.original)} | {_cell(r.built)} | {r.reason} |" for r in rows]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _place(one: Diagnostic, sources: Sources) -> str:
    if one.primary is None or one.primary.span.file not in sources.texts:
        return ""
    span = one.primary.span
    return f"`{visible(span.file)}:{sources.texts[span.file].count(chr(10), 0, span.start) + 1}`: "


def _cell(text: str) -> str:
    """As code in a table's cell: no bar ends it, no grave accent."""
    safe = visible(text).replace("|", "\\|").replace("`", "'")
    return f"`{safe}`" if safe else "-"
