"""Pages that are made when the docs are built: one a code, from the same text that `kvmc explain CODE` shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

DOCS = Path(__file__).resolve().parent
PAGES = DOCS.parent / "compiler/kvmc/diagnostics/explain"
_OUTSIDE = re.compile(r"\[([^\]]*)\]\((\.\./[^)]*)\)")


def on_files(files: Files, config: Any) -> Files:
    pages = sorted(PAGES.glob("KVMC*.md"))
    lines = ["# Codes", "", "What `kvmc explain CODE` prints, one page each.", ""]
    for page in pages:
        text = page.read_text("utf-8")
        title = text.partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{title}]({page.name})")
        files.append(File.generated(config, f"codes/{page.name}", content=text))
    files.append(File.generated(config, "codes/index.md", content="\n".join(lines) + "\n"))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Files of the repository that are no pages are named and not linked; one that is not there is an error."""
    folder = (DOCS / page.file.src_uri).parent

    def named(match: re.Match[str]) -> str:
        if not (folder / match[2].partition("#")[0]).exists():
            raise PluginError(f"{page.file.src_uri} links to {match[2]}, which is not there")
        return match[1]

    return _OUTSIDE.sub(named, markdown)
