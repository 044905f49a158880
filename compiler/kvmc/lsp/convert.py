"""Values of ours to values of the protocol."""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol import types
from pygls import uris

from kvmc.diagnostics import Diagnostic, Severity, Span
from kvmc.lsp.completion import Offers, What
from kvmc.lsp.edits import Edit
from kvmc.lsp.positions import Lines
from kvmc.lsp.sites import View

_SEVERITY = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.NOTE: types.DiagnosticSeverity.Information,
}

_KINDS = {
    What.SETTING: types.CompletionItemKind.Property,
    What.BLOCK: types.CompletionItemKind.Struct,
    What.WORD: types.CompletionItemKind.EnumMember,
    What.VALUE: types.CompletionItemKind.Value,
    What.NAME: types.CompletionItemKind.Reference,
    What.DEVICE: types.CompletionItemKind.Unit,
    What.FILE: types.CompletionItemKind.File,
}


class Converter:
    """One view's spans as locations; each text's lines are found once."""

    def __init__(self, view: View, encoding: str) -> None:
        self.view = view
        self.encoding = encoding
        self._lines: dict[str, Lines] = {}

    def lines(self, file: str) -> Lines:
        found = self._lines.get(file)
        if found is None:
            opened = self.view.reader.open_texts.get(self.view.absolute(file), "")
            text = self.view.reader.texts.get(file, "")
            found = self._lines[file] = Lines(text, self.encoding, marked=opened.startswith("\ufeff"))
        return found

    def uri(self, file: str) -> str:
        return str(uris.from_fs_path(self.view.absolute(file)))

    def range(self, span: Span) -> types.Range:
        lines = self.lines(span.file)
        return types.Range(types.Position(*lines.position(span.start)), types.Position(*lines.position(span.end)))

    def location(self, span: Span) -> types.Location:
        return types.Location(self.uri(span.file), self.range(span))

    def diagnostic(self, item: Diagnostic) -> types.Diagnostic:
        """Notes and helps are lines of the message: editors have no other place for them."""
        label = f": {item.primary.text}" if item.primary and item.primary.text else ""
        more = [f"note: {text}" for text in item.notes] + [f"help: {text}" for text in item.help]
        related = [
            types.DiagnosticRelatedInformation(self.location(one.span), one.text or "see here")
            for one in item.secondary
            if one.span.file in self.view.reader.texts
        ]
        return types.Diagnostic(
            range=self.range(item.primary.span)
            if item.primary
            else types.Range(types.Position(0, 0), types.Position(0, 0)),
            message="\n".join((item.message + label, *more)),
            severity=_SEVERITY[item.severity],
            code=item.code.id,
            source="kvmc",
            related_information=related or None,
        )

    def diagnostics(self) -> dict[str, list[types.Diagnostic]]:
        """By URI, an empty list for each file without any. What is of no file of the site's is told at the site file's start."""
        site = self.view.path.name
        found: dict[str, list[types.Diagnostic]] = {file: [] for file in self.view.reader.texts}
        for item in self.view.diagnostics:
            file = item.primary.span.file if item.primary else site
            found.setdefault(file if file in found else site, []).append(self.diagnostic(item))
        return {self.uri(file): items for file, items in found.items()}

    def edits(self, edits: Iterable[Edit]) -> types.WorkspaceEdit:
        changes: dict[str, list[types.TextEdit]] = {}
        for edit in edits:
            changes.setdefault(self.uri(edit.span.file), []).append(types.TextEdit(self.range(edit.span), edit.text))
        return types.WorkspaceEdit(changes=changes)

    def completion(self, file: str, found: Offers) -> types.CompletionList:
        span = self.range(Span(file, found.start, found.end))
        items = [
            types.CompletionItem(
                label=offer.label or offer.text,
                kind=_KINDS[offer.what],
                detail=offer.detail or None,
                documentation=offer.doc or None,
                sort_text=f"{index:05}",
                filter_text=offer.text,
                text_edit=types.TextEdit(span, offer.text),
            )
            for index, offer in enumerate(found.offers)
        ]
        return types.CompletionList(is_incomplete=False, items=items)
