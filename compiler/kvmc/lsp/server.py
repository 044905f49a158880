"""The protocol's side: requests in, answers out, diagnostics after each change."""

from __future__ import annotations

import asyncio
import os

from lsprotocol import types
from pygls import uris
from pygls.exceptions import JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer

from kvmc import __version__
from kvmc.lsp import edits
from kvmc.lsp.completion import complete
from kvmc.lsp.convert import Converter
from kvmc.lsp.hover import hover
from kvmc.lsp.sites import Sites, View
from kvmc.lsp.symbols import at, span_of


class Server(LanguageServer):
    """State of one connection. Texts come whole: a change by ranges would depend on what else counts as an end of a line."""

    def __init__(self) -> None:
        super().__init__("kvmc", __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
        self.sites = Sites()
        self.told: dict[str, set[str]] = {}
        """The files of each site that have diagnostics in the editor now."""
        self.changed: set[str] = set()
        self.versions: dict[str, int] = {}
        self._converters: dict[int, Converter] = {}

    @property
    def encoding(self) -> str:
        agreed = self.server_capabilities.position_encoding
        return str(agreed.value if isinstance(agreed, types.PositionEncodingKind) else agreed or "utf-16")

    def converter(self, view: View) -> Converter:
        found = self._converters.get(id(view))
        if found is None or found.view is not view:
            self._converters = {id(view): (found := Converter(view, self.encoding))}
        return found

    def place(self, uri: str, position: types.Position) -> tuple[View, Converter, str, int] | None:
        """The view, its converter, the file's shown name and the offset of a position; None for what is no file of ours."""
        path = path_of(uri)
        view = self.sites.view(path)
        file = view.shown(path)
        if file is None:
            return None
        converter = self.converter(view)
        return view, converter, file, converter.lines(file).offset(position.line, position.character)

    async def change(self, uri: str, text: str | None, version: int = 0) -> None:
        """Take a text, and tell what is wrong once no newer one waits."""
        path = path_of(uri)
        self.versions[path] = version
        self.sites.change(path, text)
        self.changed.add(path)
        await asyncio.sleep(0)
        if path in self.changed:
            self.publish()

    def publish(self) -> None:
        """Tell the diagnostics of the sites of all files that changed; those of files that have none any more are cleared."""
        changed, self.changed = self.changed, set()
        seen: set[int] = set()
        for path in sorted(changed):
            view = self.sites.view(path)
            if id(view) in seen:
                continue
            seen.add(id(view))
            found = self.converter(view).diagnostics()
            key = str(view.path)
            for uri in sorted(self.told.get(key, set()) - set(found)):
                self._tell(uri, [])
            for uri, items in found.items():
                if items or uri in self.told.get(key, ()) or path_of(uri) in self.sites.texts:
                    self._tell(uri, items)
            self.told[key] = {uri for uri, items in found.items() if items}

    def _tell(self, uri: str, items: list[types.Diagnostic]) -> None:
        path = path_of(uri)
        version = self.versions.get(path) if path in self.sites.texts else None
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, items, version))


def path_of(uri: str) -> str:
    """The absolute, normal path of a document."""
    path = uris.to_fs_path(uri)
    return os.path.normpath(path if path is not None else uri)


def serve() -> None:
    """Serve standard input and output until the client says exit."""
    made().start_io()


def made() -> Server:
    """A server with all its features."""
    server = Server()

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def did_open(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
        await ls.change(params.text_document.uri, params.text_document.text, params.text_document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def did_change(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
        await ls.change(params.text_document.uri, params.content_changes[-1].text, params.text_document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    async def did_close(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
        await ls.change(params.text_document.uri, None)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def did_save(ls: Server, params: types.DidSaveTextDocumentParams) -> None:
        ls.sites.forget_disk()
        ls.changed.add(path_of(params.text_document.uri))
        ls.publish()

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_files(ls: Server, _params: types.DidChangeWatchedFilesParams) -> None:
        ls.sites.forget_disk()
        ls.changed |= set(ls.sites.texts)
        ls.publish()

    @server.feature(
        types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=["=", ":", " ", "[", ",", '"'])
    )
    def completion(ls: Server, params: types.CompletionParams) -> types.CompletionList | None:
        place = ls.place(params.text_document.uri, params.position)
        if place is None:
            return None
        view, converter, file, offset = place
        return converter.completion(file, complete(view, file, offset))

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def on_hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
        place = ls.place(params.text_document.uri, params.position)
        if place is None:
            return None
        view, converter, file, offset = place
        found = hover(view, file, offset)
        if found is None:
            return None
        content = types.MarkupContent(types.MarkupKind.Markdown, found.text)
        return types.Hover(content, converter.range(found.span))

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    def definition(ls: Server, params: types.DefinitionParams) -> list[types.Location] | None:
        place = ls.place(params.text_document.uri, params.position)
        if place is None:
            return None
        view, converter, file, offset = place
        imported = edits.imported(view, file, offset)
        if imported is not None:
            uri = uris.from_fs_path(imported) or ""
            return [types.Location(uri, types.Range(types.Position(0, 0), types.Position(0, 0)))]
        found = at(view.occurrences, file, offset)
        if found is None:
            return None
        return [
            converter.location(one.word.span)
            for one in view.occurrences
            if one.block is not None and one.symbol == found.symbol
        ]

    @server.feature(types.TEXT_DOCUMENT_REFERENCES)
    def references(ls: Server, params: types.ReferenceParams) -> list[types.Location] | None:
        place = ls.place(params.text_document.uri, params.position)
        if place is None:
            return None
        view, converter, file, offset = place
        found = at(view.occurrences, file, offset)
        if found is None:
            return None
        return [
            converter.location(one.word.span)
            for one in view.occurrences
            if one.symbol == found.symbol and (one.block is None or params.context.include_declaration)
        ]

    @server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare_rename(ls: Server, params: types.PrepareRenameParams) -> types.Range | None:
        place = ls.place(params.text_document.uri, params.position)
        found = edits.renamable(place[0], place[2], place[3]) if place else None
        return place[1].range(span_of(found.word)) if place and found else None

    @server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
    def rename(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit | None:
        place = ls.place(params.text_document.uri, params.position)
        if place is None:
            return None
        view, converter, file, offset = place
        try:
            return converter.edits(edits.rename(view, file, offset, params.new_name))
        except edits.Refused as refused:
            raise JsonRpcInvalidParams(str(refused)) from None

    @server.feature(types.TEXT_DOCUMENT_FORMATTING)
    def formatting(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
        place = ls.place(params.text_document.uri, types.Position(0, 0))
        if place is None:
            return None
        view, converter, file, _ = place
        text = view.reader.texts[file]
        return [types.TextEdit(converter.range(edit.span), edit.text) for edit in edits.formatting(file, text)]

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
    )
    def code_action(ls: Server, params: types.CodeActionParams) -> list[types.CodeAction] | None:
        place = ls.place(params.text_document.uri, params.range.start)
        if place is None:
            return None
        view, converter, file, start = place
        end = converter.lines(file).offset(params.range.end.line, params.range.end.character)
        actions: list[types.CodeAction] = []
        first: object = None
        for item, fix in edits.fixes(view, file, start, end):
            actions.append(
                types.CodeAction(
                    title=fix.title,
                    kind=types.CodeActionKind.QuickFix,
                    diagnostics=[converter.diagnostic(item)],
                    is_preferred=item is not first,
                    edit=converter.edits([edits.Edit(fix.span, fix.text)]),
                )
            )
            first = item
        return actions

    return server
