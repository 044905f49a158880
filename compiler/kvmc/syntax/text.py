"""What must hold of a text before it is read: its size and its characters."""

from __future__ import annotations

import re

from kvmc.diagnostics import Bag, Fix, Label, Span
from kvmc.diagnostics.codes import syntax as codes

MAX_BYTES = 4 * 1024 * 1024
"""A site of 10,000 guests, each with its own disks, is about 3 MiB."""

_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e007f]|\r(?!\n)"
)
"""Control and format characters: what a reviewer does not see, or sees in another order (Unicode categories Cc, Cf, Zl, Zp)."""


def check_text(name: str, text: str) -> Bag:
    """Errors that make a text unfit for reading: too large, or characters that are not seen. One a line at most."""
    bag = Bag()
    if len(text) > MAX_BYTES:
        bag.error(codes.TOO_LARGE, f"`{name}` has {len(text)} characters, more than {MAX_BYTES}")
        return bag
    line_end = -1
    for match in _UNSEEN.finditer(text):
        start = match.start()
        if start < line_end:
            continue
        if len(bag) == 10:
            break
        line_end = text.find("\n", start) if "\n" in text[start:] else len(text)
        bag.error(
            codes.CONTROL_CHARACTER,
            f"character U+{ord(match[0]):04X} is not text",
            Label(Span(name, start, start + 1), "an invisible or control character"),
            help=["delete it; write the line anew if it was pasted"],
            fixes=[Fix(Span(name, start, start + 1), "", "delete it")],
        )
    return bag
