"""XML from outside: no document type, no entity, no network, bounded size, depth and number of elements."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kvmc.diagnostics.codes import topology as codes
from kvmc.topology.failure import ReadFailure, quoted

if TYPE_CHECKING:
    from lxml import etree

MAX_XML = 32 * 1024**2
MAX_TAGS = 1_000_000
MAX_VALUES = 3_000_000
"""Of `<` and of `=`: hwloc's XML of a host with 8192 CPUs has about 80 000 and 700 000."""

_HEAD = 64 * 1024
_BEFORE_ROOT = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_DOCTYPE = re.compile(rb"<!DOCTYPE\s*([A-Za-z]*)", re.IGNORECASE)
_HWLOC = re.compile(rb'<!DOCTYPE topology SYSTEM "hwloc2?\.dtd">')


def doctype(data: bytes) -> str | None:
    """The root's name in a document type; None where there is none within the first 64 KiB."""
    head = data[:_HEAD]
    start = _BEFORE_ROOT.match(head)
    match = _DOCTYPE.match(head, start.end() if start else 0)
    return None if match is None else match[1].decode("ascii")


def without_hwloc_doctype(data: bytes) -> bytes:
    """hwloc writes a document type into every file. It alone is blanked, lines and places stay; any other is left to be refused."""
    match = _HWLOC.search(data[:_HEAD])
    return data if match is None else data[: match.start()] + b" " * len(match[0]) + data[match.end() :]


def parse_xml(data: bytes) -> etree._Element:
    """The root element. Raises ReadFailure."""
    if len(data) > MAX_XML or data.count(b"<") > MAX_TAGS or data.count(b"=") > MAX_VALUES:
        raise ReadFailure(codes.TOPOLOGY_TOO_LARGE, f"an XML file of {len(data)} bytes is no host's description")
    if doctype(data) is not None:
        raise _no_doctype()

    from lxml import etree  # slow to import, and needed for XML alone

    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        line = error.lineno or 1
        raise ReadFailure(
            codes.TOPOLOGY_DAMAGED,
            f"the XML is truncated or damaged at line {line}: {quoted(error.msg or 'no element').strip('`')}",
        ) from error
    if root.getroottree().docinfo.doctype:
        raise _no_doctype()
    return root


def _no_doctype() -> ReadFailure:
    return ReadFailure(
        codes.TOPOLOGY_UNSAFE,
        "an XML document type (`<!DOCTYPE`), which kvmc never reads: it can name other files",
        help=(
            "remove the document type, or make the file anew with its own tool (`virsh capabilities`, `lstopo --of xml`)",
        ),
    )
