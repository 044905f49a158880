"""What all the text formats share: comments that name blocks, and filling in a template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from kvmc.hostconfig.plan import HostSetting


def comment(text: str) -> str:
    """A comment line. Whatever the text holds, it stays one line."""
    return "# " + "".join(char if char.isprintable() else " " for char in text)


def grouped(settings: Iterable[HostSetting]) -> Iterable[tuple[str, Sequence[HostSetting]]]:
    """Neighbours that the same blocks asked for, under the line that names the blocks."""
    for origin, group in groupby(settings, key=lambda setting: setting.origin):
        yield comment(", ".join(origin)), tuple(group)


def fill(template: str, **values: object) -> str:
    """A template filled in: a name without a value is a bug and raises."""
    from jinja2 import Environment, StrictUndefined

    # The texts are shell and INI, not HTML; what goes in was checked before.
    environment = Environment(  # noqa: S701
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(template).render(**values)
