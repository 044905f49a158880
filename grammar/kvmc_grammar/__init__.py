"""The grammar of kvmt as package data."""


def grammar() -> str:
    """The text of `kvmt.lark`."""
    from importlib.resources import files

    return files(__name__).joinpath("kvmt.lark").read_text(encoding="utf-8")
