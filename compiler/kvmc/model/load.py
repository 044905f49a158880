"""The front end: a site file and its imports to a `Site`, with every error that can be told in one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from kvmc.diagnostics import Bag, Sources, Span
from kvmc.diagnostics.codes import schema as codes
from kvmc.model.checks import check_merged
from kvmc.model.imports import SourceReader
from kvmc.model.inherit import inherit
from kvmc.model.loaded import Loaded
from kvmc.model.lower import lower, trace
from kvmc.model.names import NearNames
from kvmc.model.nodes import Tables
from kvmc.model.origins import Origins
from kvmc.model.references import check_references
from kvmc.model.schema import check_blocks


class Analysis(NamedTuple):
    """The blocks of a site: as written, and with their ancestors; lineage as `inherit` gives it."""

    tables: Tables
    merged: Tables
    lineage: Mapping[tuple[str, str], tuple[str, ...]]
    bag: Bag


def analyse(reader: SourceReader) -> Analysis:
    """Judge the items of a reader that has read all. What could not be read is missing: then errors here may be its echo."""
    bag, near = Bag(), NearNames()
    tables = check_blocks(reader.items, near, bag)
    if not tables["site"]:
        text = "no `site` block in the source"
        start = Span(reader.path.name, 0, min(1, len(reader.texts.get(reader.path.name, ""))))
        bag.error(codes.NO_SITE, text, start, help=['write `site NAME {`, `identity = "..."`, `}`'])
    merged, lineage = inherit(tables, near, bag)
    check_references(tables, merged, near, bag)
    check_merged(merged, bag)
    return Analysis(tables, merged, lineage, bag)


def load_site(path: Path) -> Loaded:
    """Read a site. Files are shown by their paths relative to the site file's folder.

    Where a file cannot be read or parsed, blocks are not judged: what they miss may stand in what was not read.
    """
    reader = SourceReader(path)
    reader.read_all()
    sources = Sources(reader.texts)
    if reader.bag.has_errors:
        return Loaded(None, Origins({}), sources, reader.bag)
    found = analyse(reader)
    bag = reader.bag
    bag.extend(found.bag)
    site = None if bag.has_errors else lower(found.merged, found.lineage)
    return Loaded(site, Origins(trace(found.merged)), sources, bag)
