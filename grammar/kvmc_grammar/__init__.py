"""The grammar of kvmt as package data."""

from importlib.resources import files


def grammar() -> str:
    """The text of `kvmt.lark`."""
    return files(__name__).joinpath("kvmt.lark").read_text(encoding="utf-8")
