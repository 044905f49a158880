"""The front end: a site file and its imports to a `Site`, with every error that can be told in one run."""

from __future__ import annotations

from pathlib import Path

from kvmc.diagnostics import Sources, Span
from kvmc.diagnostics.codes import schema as codes
from kvmc.model.checks import check_merged
from kvmc.model.imports import read_sources
from kvmc.model.inherit import inherit
from kvmc.model.loaded import Loaded
from kvmc.model.lower import lower, trace
from kvmc.model.names import NearNames
from kvmc.model.origins import Origins
from kvmc.model.references import check_references
from kvmc.model.schema import check_blocks


def load_site(path: Path) -> Loaded:
    """Read a site. Files are shown by their paths relative to the site file's folder.

    Where a file cannot be read or parsed, blocks are not judged: what they miss may stand in what was not read.
    """
    items, texts, bag = read_sources(path)
    sources = Sources(texts)
    if bag.has_errors:
        return Loaded(None, Origins({}), sources, bag)
    near = NearNames()
    tables = check_blocks(items, near, bag)
    if not tables["site"]:
        text = "no `site` block in the source"
        bag.error(codes.NO_SITE, text, Span(path.name, 0, 1), help=['write `site NAME {`, `identity = "..."`, `}`'])
    merged, lineage = inherit(tables, near, bag)
    check_references(tables, merged, near, bag)
    check_merged(merged, bag)
    origins = Origins(trace(merged))
    return Loaded(None if bag.has_errors else lower(merged, lineage), origins, sources, bag)
