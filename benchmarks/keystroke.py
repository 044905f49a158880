"""What a keystroke costs in a 2,000-line site: from the change to its diagnostics, over standard input and output.

    python benchmarks/keystroke.py [--runs N]

Compared with a cold parse and lower of the same file in a fresh process; medians of the same run. Exits 1 above 2.0.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from language import kvmt
from lsprotocol import types
from pygls import uris
from pygls.lsp.client import LanguageClient

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 2.0
ROOTS = os.pathsep.join(str(ROOT / name) for name in ("compiler", "grammar", "targets"))
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join((ROOTS, os.environ.get("PYTHONPATH", "")))}

_COLD = """
import gc, sys, time
from pathlib import Path
gc.set_threshold(100_000)  # as the command does
from kvmc.model.load import load_site
start = time.perf_counter()
assert load_site(Path(sys.argv[1])).site is not None
print(time.perf_counter() - start)
"""


def cold(site: Path) -> float:
    """Seconds of a parse and lower with nothing warm but the imports."""
    done = subprocess.run(
        [sys.executable, "-c", _COLD, str(site)], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


async def keystrokes(site: Path, runs: int) -> tuple[list[float], list[float]]:
    """Seconds from each change to its diagnostics, and those of a cold load between each two."""
    client = LanguageClient("benchmark", "1")
    told: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()

    @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]
    def _told(params: types.PublishDiagnosticsParams) -> None:
        told.put_nowait(params)

    await client.start_io(sys.executable, "-m", "kvmc.cli", "lsp", env=ENVIRONMENT)
    await client.initialize_async(types.InitializeParams(types.ClientCapabilities()))
    uri, text = str(uris.from_fs_path(str(site))), site.read_text()
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(uri, "kvmt", 0, text)))
    await told.get()
    warm, colds = [], []
    for version in range(1, runs + 1):
        colds.append(cold(site))
        changed = text.replace("memory  = 1GiB", f"memory  = {version}G", 1)
        start = time.perf_counter()
        client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(version, uri),
                [types.TextDocumentContentChangeWholeDocument(changed)],
            )
        )
        found = await told.get()
        warm.append(time.perf_counter() - start)
        assert found.version == version and len(found.diagnostics) == 1
    await client.shutdown_async(None)
    client.exit(None)
    await client.stop()  # type: ignore[no-untyped-call]
    return warm, colds


def main() -> None:
    options = argparse.ArgumentParser(description="measure a keystroke's diagnostics")
    options.add_argument("--runs", type=int, default=15)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        site = Path(name) / "site.kvmt"
        site.write_text(kvmt(2_000))
        warm, colds = (statistics.median(times) for times in asyncio.run(keystrokes(site, chosen.runs)))
    ratio = warm / colds
    print(
        f"keystroke {warm * 1000:.0f} ms, cold parse and lower {colds * 1000:.0f} ms, ratio {ratio:.2f} (limit {LIMIT})"
    )
    sys.exit(ratio > LIMIT)


if __name__ == "__main__":
    main()
