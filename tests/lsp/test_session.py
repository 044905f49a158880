"""A whole session over standard input and output, with pygls' own client: what an editor asks, and what it must be told."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

pytest.importorskip("pygls", reason="the language server's extra is not installed")

from lsprotocol import types
from pygls import uris
from pygls.lsp.client import LanguageClient

from kvmc import std

ROOT = Path(__file__).parents[2]


class Editor:
    """A client that remembers diagnostics and edits its own copy of the texts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = LanguageClient("test", "1")
        self.told: dict[str, list[types.Diagnostic]] = {}
        self.versions: dict[str, int | None] = {}
        self.news = asyncio.Event()
        self.version = 0
        self.texts: dict[str, str] = {}

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]
        def _told(params: types.PublishDiagnosticsParams) -> None:
            self.told[params.uri] = list(params.diagnostics)
            self.versions[params.uri] = params.version
            self.news.set()

    async def start(self, encodings: list[types.PositionEncodingKind | str] | None = None) -> types.InitializeResult:
        roots = os.pathsep.join(str(ROOT / name) for name in ("compiler", "grammar", "targets"))
        environment = {**os.environ, "PYTHONPATH": roots + os.pathsep + os.environ.get("PYTHONPATH", "")}
        await self.client.start_io(sys.executable, "-m", "kvmc.cli", "lsp", env=environment)
        general = types.GeneralClientCapabilities(position_encodings=encodings) if encodings else None
        made = await self.client.initialize_async(
            types.InitializeParams(types.ClientCapabilities(general=general), root_uri=self.uri(""))
        )
        self.client.initialized(types.InitializedParams())
        return made

    async def stop(self) -> int | None:
        await self.client.shutdown_async(None)
        self.client.exit(None)
        process = self.client._server
        await asyncio.wait_for(self.client.stop(), 10)  # type: ignore[no-untyped-call]
        return process.returncode if process else None

    def uri(self, name: str) -> str:
        return str(uris.from_fs_path(str(self.folder / name)))

    def document(self, name: str) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri(name))

    async def open(self, name: str, text: str | None = None) -> None:
        self.texts[name] = (self.folder / name).read_text() if text is None else text
        self.client.text_document_did_open(
            types.DidOpenTextDocumentParams(types.TextDocumentItem(self.uri(name), "kvmt", 1, self.texts[name]))
        )
        await self.wait(name)

    async def change(self, name: str, text: str) -> list[types.Diagnostic]:
        """Put a text in place of the file's; the diagnostics that come for it."""
        self.version += 1
        self.texts[name] = text
        self.client.text_document_did_change(
            types.DidChangeTextDocumentParams(
                types.VersionedTextDocumentIdentifier(self.version + 1, self.uri(name)),
                [types.TextDocumentContentChangeWholeDocument(text)],
            )
        )
        return await self.wait(name, self.version + 1)

    async def wait(self, name: str, version: int | None = None) -> list[types.Diagnostic]:
        """The next diagnostics of a file, of that version of it if one is given."""
        uri = self.uri(name)
        self.told.pop(uri, None)
        while uri not in self.told or (version is not None and self.versions[uri] != version):
            self.news.clear()
            await asyncio.wait_for(self.news.wait(), 20)
        return self.told[uri]

    def at(self, name: str, mark: str, shift: int = 0) -> types.Position:
        """The position behind the first `mark` in a file, in UTF-16 units."""
        text = self.texts[name]
        offset = text.index(mark) + len(mark) + shift
        line = text.count("\n", 0, offset)
        start = text.rfind("\n", 0, offset) + 1
        return types.Position(line, len(text[start:offset].encode("utf-16-le")) // 2)

    def covered(self, name: str, range: types.Range) -> str:
        """The text that a range of UTF-16 units covers."""

        def offset(position: types.Position) -> int:
            lines = self.texts[name].split("\n")
            before = sum(len(line) + 1 for line in lines[: position.line])
            return before + len(lines[position.line].encode("utf-16-le")[: 2 * position.character].decode("utf-16-le"))

        return self.texts[name][offset(range.start) : offset(range.end)]

    def apply(self, name: str, edits: list[types.TextEdit]) -> str:
        lines = self.texts[name].split("\n")

        def offset(position: types.Position) -> int:
            line = lines[position.line].encode("utf-16-le")[: 2 * position.character].decode("utf-16-le")
            return sum(len(one) + 1 for one in lines[: position.line]) + len(line)

        text = self.texts[name]
        for edit in sorted(edits, key=lambda one: offset(one.range.start), reverse=True):
            text = text[: offset(edit.range.start)] + edit.new_text + text[offset(edit.range.end) :]
        return text

    async def complete(self, name: str, before: str, typed: str) -> dict[str, types.CompletionItem]:
        """The offers where `typed` was put behind `before`."""
        text = self.texts[name]
        at = text.index(before) + len(before)
        await self.change(name, text[:at] + typed + text[at:])
        found = await self.client.text_document_completion_async(
            types.CompletionParams(self.document(name), self.at(name, before + typed))
        )
        await self.change(name, text)
        assert isinstance(found, types.CompletionList)
        return {item.label: item for item in found.items}


def session(folder: Path, steps: Callable[[Editor], Awaitable[None]]) -> None:
    """Run the steps against a server of their own, which must end with status 0."""

    async def run() -> None:
        editor = Editor(folder)
        await editor.start()
        try:
            await steps(editor)
        finally:
            assert await editor.stop() == 0

    asyncio.run(run())


@pytest.fixture
def ceph(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples/database-ceph", tmp_path / "site")
    return tmp_path / "site"


@pytest.fixture
def telco(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples/telco-edge", tmp_path / "site")
    return tmp_path / "site"


def test_diagnostics_follow_each_change_and_cover_the_whole_site(ceph: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.open("classes.kvmt")
        assert editor.told[editor.uri("classes.kvmt")] == []
        good = editor.texts["classes.kvmt"]
        (found,) = await editor.change("classes.kvmt", good.replace("memory  = 64GiB", "memory  = 64GB"))
        assert (found.code, found.severity, found.source) == ("KVMC0223", types.DiagnosticSeverity.Error, "kvmc")
        assert "help: write `64GiB`" in found.message
        assert editor.covered("classes.kvmt", found.range) == "64GB"
        # an error here that shows in another file, which is not open
        assert await editor.change("classes.kvmt", good.replace("class pg :", "class pgx :")) != []
        other = editor.told[editor.uri("site.kvmt")]
        assert {one.code for one in other} == {"KVMC0211"} and len(other) == 3
        assert await editor.change("classes.kvmt", good) == []
        assert editor.told[editor.uri("site.kvmt")] == []
        # what is saved nowhere counts; what is closed is read from the disk again
        await editor.change("classes.kvmt", good + "class x {\n  a = = 1\n}\n")
        assert [one.code for one in editor.told[editor.uri("classes.kvmt")]] == ["KVMC0101"]
        editor.client.text_document_did_close(types.DidCloseTextDocumentParams(editor.document("classes.kvmt")))
        assert await editor.wait("classes.kvmt") == []

    session(ceph, steps)


def test_a_broken_topology_is_told_where_the_site_names_it(ceph: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.open("site.kvmt")
        (ceph / "hosts/epyc-7543.json").write_text("{}")
        editor.client.workspace_did_change_watched_files(
            types.DidChangeWatchedFilesParams(
                [types.FileEvent(editor.uri("hosts/epyc-7543.json"), types.FileChangeType.Changed)]
            )
        )
        found = await editor.wait("site.kvmt")
        assert found and all(str(one.code).startswith("KVMC03") for one in found)
        assert editor.covered("site.kvmt", found[0].range) == 'topology = "hosts/epyc-7543.json"'

    session(ceph, steps)


def test_completion_knows_settings_values_names_and_devices(telco: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.open("site.kvmt")

        async def offers(before: str, typed: str) -> dict[str, types.CompletionItem]:
            return await editor.complete("site.kvmt", before, typed)

        found = await offers("class upf : realtime {\n", "  ")
        assert {"nodes", "firmware", "disk", "nic", "hostdev"} <= set(found)
        assert not {"vcpus", "memory", "uuid", "kernel", "bridge"} & set(found)
        assert found["nodes"].detail == "default 1"
        assert set(await offers("class upf : realtime {\n", "  firmware = ")) == {"bios", "uefi"}
        found = await offers("class upf : realtime {\n", "  firmware = ue")
        edit = found["uefi"].text_edit
        assert isinstance(edit, types.TextEdit) and edit.range.end.character - edit.range.start.character == 2
        assert set(await offers("class upf : realtime {\n", "  pmu = ")) == {"true", "false"}
        assert {"64GiB", "256MiB"} <= set(await offers("class upf : realtime {\n", "  memory = "))
        assert {"none", "1GiB", "2MiB"} <= set(await offers("class upf : realtime {\n", "  pages = "))
        assert set(await offers("class upf : realtime {\n", "  pool = ")) == {"edge"}
        assert set(await offers("  nic n3 {\n", "    network = ")) == {"oam"}
        assert set(await offers("  nic n3 {\n", "    device = ")) == {"n3", "fronthaul"}
        assert set(await offers("  disk root {\n", "    storage = ")) == {"local"}
        assert set(await offers("vm upf-1 : upf\n", "vm new : ")) == {"cnf", "realtime", "upf", "du", "oam"}
        assert set(await offers("vm upf-1 : upf\n", "host new : ")) == {"edge"}
        assert set(await offers("vm upf-1 : upf\n", "vm new : upf {\n  host = ")) == {"edge-17a", "edge-17b"}
        assert set(await offers("vm upf-1 : upf\n", "vm new : upf {\n  nic ")) == {"oam", "n3", "n6"}
        assert "upf-1" not in await offers("vms    = [upf-1, ", "")
        assert {"du-1", "ems-2"} <= set(await offers("vms    = [upf-1, ", ""))
        found = await offers("devices n3 {\n", "    parent = ")
        assert '"0000:3b:00.0"' in found and "SR-IOV" in str(found['"0000:3b:00.0"'].detail)
        assert {"class", "vm", "place", "import"} <= set(await offers("vm upf-1 : upf\n", ""))
        assert await offers("vm upf-1 : upf\n", "# memory = ") == {}

    session(telco, steps)


def test_hover_tells_the_doc_the_default_and_what_holds_here(ceph: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.open("site.kvmt")

        async def at(mark: str, shift: int = 0) -> str:
            place = types.HoverParams(editor.document("site.kvmt"), editor.at("site.kvmt", mark, shift))
            found = await editor.client.text_document_hover_async(place)
            assert found is not None and isinstance(found.contents, types.MarkupContent)
            return found.contents.value

        text = await at("vm pg-3 : pg {\n  mem")
        assert "The guest's memory" in text and "a size such as `64GiB`" in text and "required" in text
        assert "Here `96GiB`, set by vm pg-3 at site.kvmt:" in text
        assert "overrides `64GiB` of class pg at classes.kvmt:18" in text
        assert "default `none`" in await at("  pag")
        text = await at("vm reports : ware")
        assert "class warehouse : pg {" in text and "# classes.kvmt:38" in text and "# default" in text
        assert "storage fast {" in await at("storage fa")
        assert "A guest." in await at("\nv", 1)
        text = await at('addresses = ["0000:4')
        assert "db-a" in text and "node" in text
        nothing = await editor.client.text_document_hover_async(
            types.HoverParams(editor.document("site.kvmt"), types.Position(0, 3))
        )
        assert nothing is None

    session(ceph, steps)


def test_definition_references_and_rename_span_all_files(ceph: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.open("site.kvmt")
        await editor.open("classes.kvmt")
        place = editor.at("site.kvmt", "vm pg-1 : p")
        document = editor.document("site.kvmt")
        found = await editor.client.text_document_definition_async(types.DefinitionParams(document, place))
        assert isinstance(found, list)
        (location,) = found
        assert isinstance(location, types.Location) and location.uri == editor.uri("classes.kvmt")
        assert editor.covered("classes.kvmt", location.range) == "pg"
        context = types.ReferenceContext(include_declaration=True)
        places = await editor.client.text_document_references_async(types.ReferenceParams(context, document, place))
        assert places is not None and [one.uri.rpartition("/")[2] for one in places].count("classes.kvmt") == 2
        assert len(places) == 5
        assert {editor.covered(one.uri.rpartition("/")[2], one.range) for one in places} == {"pg"}
        ready = await editor.client.text_document_prepare_rename_async(types.PrepareRenameParams(document, place))
        assert isinstance(ready, types.Range) and editor.covered("site.kvmt", ready) == "pg"
        edit = await editor.client.text_document_rename_async(types.RenameParams(document, place, "postgres"))
        assert edit is not None and edit.changes is not None and len(edit.changes) == 2
        texts = {name: editor.apply(name, list(edit.changes[editor.uri(name)])) for name in editor.texts}
        assert "class postgres : base" in texts["classes.kvmt"] and "warehouse : postgres {" in texts["classes.kvmt"]
        assert texts["site.kvmt"].count(": postgres") == 3
        for name, text in texts.items():
            last = await editor.change(name, text)
        assert last == [] and editor.told[editor.uri("site.kvmt")] == []
        for name in ("osd", "no name", "../x", ""):
            place = editor.at("site.kvmt", "vm pg-1 : p")
            with pytest.raises(Exception, match=r"already|name"):
                await editor.client.text_document_rename_async(types.RenameParams(document, place, name))
        # a device pool, an import, a topology
        edit = await editor.client.text_document_rename_async(
            types.RenameParams(document, editor.at("site.kvmt", "devices nv"), "drives")
        )
        assert edit is not None and edit.changes is not None
        assert {uri.rpartition("/")[2]: len(edits) for uri, edits in edit.changes.items()} == {
            "site.kvmt": 1,
            "classes.kvmt": 2,
        }
        for mark, target in (('import "cl', "classes.kvmt"), ('topology = "ho', "hosts/epyc-7543.json")):
            found = await editor.client.text_document_definition_async(
                types.DefinitionParams(document, editor.at("site.kvmt", mark))
            )
            assert isinstance(found, list) and isinstance(found[0], types.Location)
            assert found[0].uri == editor.uri(target)

    session(ceph, steps)


def test_formatting_gives_the_canonical_form(telco: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.open("site.kvmt")
        good = editor.texts["site.kvmt"]
        options = types.FormattingOptions(tab_size=2, insert_spaces=True)
        params = types.DocumentFormattingParams(editor.document("site.kvmt"), options)
        assert not await editor.client.text_document_formatting_async(params)
        await editor.change("site.kvmt", good.replace("  vcpus  = 16", "\tvcpus=16 ").replace("\n\n", "\n\n\n"))
        edits = await editor.client.text_document_formatting_async(params)
        assert edits and editor.apply("site.kvmt", list(edits)) == good
        await editor.change("site.kvmt", good.replace("  vcpus  = 16", "\tvcpus= = 16 "))
        assert not await editor.client.text_document_formatting_async(params)

    session(telco, steps)


def test_a_code_action_applies_the_help_and_the_error_goes(ceph: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.open("site.kvmt")
        good = editor.texts["site.kvmt"]
        damages = {
            "memory = 96GiB": ["memory = 96GB", "memroy = 96GiB", "memory = 96"],
            "vm pg-1 : pg": ["vm pg-1 : warehous"],
            "profile  = throughput": ["profile  = troughput"],
        }
        for right, wrongs in damages.items():
            for wrong in wrongs:
                (found,) = await editor.change("site.kvmt", good.replace(right, wrong))
                actions = await editor.client.text_document_code_action_async(
                    types.CodeActionParams(
                        editor.document("site.kvmt"), found.range, types.CodeActionContext(diagnostics=[found])
                    )
                )
                assert actions and isinstance(actions[0], types.CodeAction), wrong
                first = actions[0]
                assert first.is_preferred and first.kind == types.CodeActionKind.QuickFix
                assert list(first.diagnostics or ()) == [found]
                assert first.edit is not None and first.edit.changes is not None
                mended = editor.apply("site.kvmt", list(first.edit.changes[editor.uri("site.kvmt")]))
                assert await editor.change("site.kvmt", mended) == [], wrong

    session(ceph, steps)


def test_positions_are_utf_16_with_text_outside_of_ascii(tmp_path: Path) -> None:
    text = 'kvmt 1\r\nsite s {\r\n  identity = "é𝄞é" # 𝄞\r\n  targets  = ["𝄞", libvirt, libvrit, libvirt]\r\n}\r\n'

    async def steps(editor: Editor) -> None:
        for mark in ("", "\ufeff"):
            await editor.open("site.kvmt", mark + text)
            found = {one.code: one for one in editor.told[editor.uri("site.kvmt")]}
            assert editor.covered("site.kvmt", found["KVMC0231"].range) == "libvirt"
            assert found["KVMC0231"].range.start == types.Position(3, len('  targets  = ["𝄞", libvirt, libvrit, ') + 1)
            assert editor.covered("site.kvmt", found["KVMC0206"].range) == '"𝄞"'
            await editor.change("site.kvmt", mark + 'kvmt "𝄞" 1 = 2\r\n')
            (one,) = editor.told[editor.uri("site.kvmt")]
            assert editor.covered("site.kvmt", one.range) == "="
            editor.client.text_document_did_close(types.DidCloseTextDocumentParams(editor.document("site.kvmt")))
            await editor.wait("site.kvmt")

    session(tmp_path, steps)


def test_a_file_of_no_site_is_judged_alone(tmp_path: Path) -> None:
    async def steps(editor: Editor) -> None:
        await editor.open("lib.kvmt", "kvmt 1\nclass a : b {\n  memory = 1GB\n  vcpu = 1\n}\n")
        assert [one.code for one in editor.told[editor.uri("lib.kvmt")]] == ["KVMC0223", "KVMC0201"]

    session(tmp_path, steps)


def test_the_standard_library_is_completed_shown_and_left_alone(tmp_path: Path) -> None:
    text = 'kvmt 1\nimport "std/throughput.kvmt"\n\nsite s {\n  identity = "s"\n}\n\nclass mine : throughput\n'
    library = std.path("std/throughput.kvmt")

    async def steps(editor: Editor) -> None:
        await editor.open("site.kvmt", text)
        document = editor.document("site.kvmt")
        for mark in ('import "std/thr', "mine : thr"):
            found = await editor.client.text_document_definition_async(
                types.DefinitionParams(document, editor.at("site.kvmt", mark))
            )
            assert isinstance(found, list) and isinstance(found[0], types.Location)
            assert found[0].uri == uris.from_fs_path(str(library))
        params = types.HoverParams(document, editor.at("site.kvmt", "mine : thr"))
        shown = await editor.client.text_document_hover_async(params)
        assert shown is not None and isinstance(shown.contents, types.MarkupContent)
        assert "class throughput {" in shown.contents.value and "# std/throughput.kvmt:" in shown.contents.value
        with pytest.raises(Exception, match="site's own"):
            await editor.client.text_document_rename_async(
                types.RenameParams(document, editor.at("site.kvmt", "mine : thr"), "fast")
            )
        await editor.change("site.kvmt", text.replace('import "std/throughput.kvmt"\n', ""))
        offers = await editor.complete("site.kvmt", "kvmt 1\n", 'import "')
        assert offers['"std/throughput.kvmt"'].detail == "standard library"
        await editor.change("site.kvmt", text)
        # the file itself, opened from the definition: it belongs to the site that imports it
        await editor.open(str(library), library.read_text().replace("pinning  =", "pinning ="))
        params = types.HoverParams(editor.document(str(library)), editor.at(str(library), "class thr"))
        assert await editor.client.text_document_hover_async(params) is not None
        options = types.FormattingOptions(tab_size=2, insert_spaces=True)
        edits = await editor.client.text_document_formatting_async(
            types.DocumentFormattingParams(editor.document(str(library)), options)
        )
        assert not edits

    session(tmp_path, steps)
