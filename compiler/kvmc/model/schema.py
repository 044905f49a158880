"""The schema pass: each block against the table of settings. What can be judged in one block alone is judged here, once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from kvmc.diagnostics import Bag, Fix, Label, Span
from kvmc.diagnostics.codes import schema as codes
from kvmc.model.blocks import BLOCKS
from kvmc.model.kinds import BadValue, elements
from kvmc.model.names import NAME_HELP, NearNames, name_problem, raw_problem, shown, write_one_of
from kvmc.model.nodes import UNKNOWN, Given, Node, Tables
from kvmc.model.settings import ROWS, blocks, children, settings
from kvmc.model.table import BlockRow
from kvmc.syntax.tree import Block, ListValue, Setting, Word

_CASELESS = ("host", "vm")
"""Kinds whose names become file names: some file systems do not tell letter case apart."""


def check_blocks(items: Iterable[Setting | Block], near: NearNames, bag: Bag) -> Tables:
    """Type the top-level items of all files, in order. Blocks whose label cannot be a name are left out."""
    schema = _Schema(near, bag)
    tables: Tables = {row.name: {} for row in children("")}
    folded: dict[tuple[str, str], Node] = {}
    for item in items:
        if isinstance(item, Setting):
            schema.misplaced_setting(item, "")
            continue
        node = schema.block(item, None)
        if node is None or not node.name:
            continue
        kind = node.row.name
        known = tables[kind]
        first = known.get(node.name) or (next(iter(known.values()), None) if node.row.single else None)
        if first is not None:
            schema.twice(node, first)
            continue
        known[node.name] = node
        if kind in _CASELESS:
            twin = folded.setdefault((kind, node.name.casefold()), node)
            if twin is not node:
                bag.error(
                    codes.LETTER_CASE,
                    f"{kind}s `{twin.name}` and `{node.name}` differ in letter case alone",
                    Label(node.label),
                    secondary=[Label(twin.label, "the other one")],
                    help=["rename one: their names become file names"],
                )
    return tables


class _Schema:
    def __init__(self, near: NearNames, bag: Bag) -> None:
        self.near = near
        self.bag = bag

    def block(self, block: Block, around: Node | None) -> Node | None:
        """The typed block; None where it cannot stand here."""
        within = around.row.name if around else ""
        row = next((row for row in children(within) if row.name == block.kind.text), None)
        if row is None:
            meant = self.misplaced_block(block, within)
            return self.as_meant(block, meant, around) if meant else None
        label = self.label(block, row, around)
        name = label.text if label else ""
        node = Node(
            row=row,
            name=name,
            label=label.span if label else block.kind.span,
            header=block.header,
            top=around.top if around else f"{row.name} {name}",
            parent=self.parent(block, row),
            word=block.labels[0].text if len(row.labels) > 1 and block.labels else "",
        )
        meant_settings: dict[str, Setting] = {}
        for item in block.items:
            if isinstance(item, Setting):
                meant = self.setting(item, node)
                if meant:
                    meant_settings.setdefault(meant, item)
            else:
                child = self.block(item, node)
                if child is not None and (child.name or not child.row.labels):
                    first = node.children.setdefault((child.row.name, child.name), child)
                    if first is not child:
                        self.twice(child, first)
        for name, item in meant_settings.items():
            # it was misspelled and told so: it is set, to what nobody knows yet
            node.values.setdefault(name, Given(UNKNOWN, item.span, item.value.span, (), node.top))
        return node

    def as_meant(self, block: Block, kind: str, around: Node | None) -> Node | None:
        """A block whose kind was misspelled, as one of the kind that it looks like: what refers to it shall find it. What is wrong
        in it is told once its kind is known."""
        bag, self.bag = self.bag, Bag()
        node = self.block(replace(block, kind=replace(block.kind, text=kind)), around)
        self.bag = bag
        if node is not None:
            node.complete = False
        return node

    def label(self, block: Block, row: BlockRow, around: Node | None) -> Word | None:
        """The label that names the block, if it has the labels it needs and that one can be a name."""
        if row.words and around is not None:
            return self.raw_label(block, row, row.words[around.row.name])
        usage = f"`{' '.join((row.name, *row.labels))}`"
        for index, fixed in enumerate(row.labels[:-1]):
            if index < len(block.labels) and block.labels[index].text not in fixed.split("|"):
                found = block.labels[index]
                text = f"`{row.name}` has no relation {shown(found.text)}"
                self.bag.error(codes.BAD_LABELS, text, found.span, help=[f"write {usage}"])
                return None
        if len(block.labels) < len(row.labels):
            text = f"`{row.name}` needs {'a name' if len(row.labels) == 1 else 'two labels'}"
            self.bag.error(codes.BAD_LABELS, text, block.header, help=[f"write {usage}"])
            return None
        if len(block.labels) > len(row.labels):
            extra = block.labels[len(row.labels)]
            takes = ("no label", "one label", "two labels")[len(row.labels)]
            text = f"`{row.name}` takes {takes}, {shown(extra.text)} is one more"
            self.bag.error(codes.BAD_LABELS, text, extra.span, help=[f"write {usage}"])
        if not row.labels:
            return None
        word = block.labels[len(row.labels) - 1]
        problem = name_problem(word.text)
        if problem is not None:
            self.bag.error(codes.BAD_NAME, problem, word.span, help=[NAME_HELP])
            return None
        return word

    def raw_label(self, block: Block, row: BlockRow, words: tuple[str, ...]) -> Word | None:
        """Both labels as one, `sysctl vm.swappiness`: they name the block together. A knob's name has dots and slashes."""
        usage = f"`{row.name} {' | '.join(words)} NAME`"
        first, last = block.labels[0] if block.labels else block.kind, block.labels[-1] if block.labels else block.kind
        if len(block.labels) != 2 or first.text not in words:
            named = f", not {shown(first.text)}" if len(block.labels) == 2 else ""
            text = f"`{row.name}` takes {' or '.join(f'`{word}`' for word in words)} and a name here{named}"
            near = self.near.help(first.text, words) if named else ()
            self.bag.error(codes.BAD_LABELS, text, first.span, help=near or [f"write {usage}"])
            return None
        problem = raw_problem(last.text)
        if problem is not None:
            self.bag.error(codes.BAD_NAME, problem, last.span)
            return None
        return Word(f"{first.text} {last.text}", last.span)

    def parent(self, block: Block, row: BlockRow) -> Word | None:
        if block.parent is not None and row.parents is None:
            text = f"a `{row.name}` block has no parent"
            end = [block.kind, *block.labels][-1].span.end
            fix = Fix(Span(block.header.file, end, block.header.end), "", "delete it, with its `:`")
            self.bag.error(codes.WRONG_PARENT, text, block.parent.span, help=["delete it, with its `:`"], fixes=[fix])
            return None
        return block.parent

    def setting(self, item: Setting, node: Node) -> str:
        """Take a setting; for a misspelled one, the name of the one that was meant."""
        name = item.name.text
        row = settings(node.row.name).get(name)
        if row is None:
            return self.misplaced_setting(item, node.row.name)
        first = node.values.get(name)
        if first is not None:
            self.bag.error(
                codes.SET_TWICE,
                f"`{name}` is set twice in this block",
                item.span,
                secondary=[Label(first.span, "first here")],
                help=["keep one of them"],
                fixes=[Fix(item.span, "", "keep the first"), Fix(first.span, "", "keep this one")],
            )
            return ""
        parts: tuple[Span, ...] = ()
        value: object = UNKNOWN
        try:
            value = row.kind.read(item.value)
            if isinstance(item.value, ListValue):
                parts = tuple(part.span for part in elements(item.value))
        except BadValue as bad:
            for problem in bad.problems:
                self.bag.error(
                    problem.code,
                    problem.message,
                    Label(problem.span, f"value of `{name}`"),
                    secondary=problem.secondary,
                    help=problem.help,
                    fixes=(*write_one_of(problem.write, problem.span), *problem.fixes),
                )
        node.values[name] = Given(value, item.span, item.value.span, parts, node.top)
        return ""

    def misplaced_setting(self, item: Setting, within: str) -> str:
        """A setting that its block does not have. Gives the name of the one that was meant, if that is likely."""
        name = item.name.text
        if any(row.name == name for row in children(within)):
            text = f"`{name}` is a block, not a setting"
            self.bag.error(
                codes.MISPLACED, text, item.span, help=[f"write `{' '.join((name, *blocks()[name].labels))} {{`"]
            )
            return ""
        where = f"in `{within}`" if within else "outside of blocks"
        homes = list(dict.fromkeys(row.block for row in ROWS if row.name == name))
        if homes:
            text = f"setting `{name}` cannot stand {where}"
            help: tuple[str, ...] = (f"it belongs in {' or '.join(f'`{home}`' for home in homes)}",)
            self.bag.error(codes.MISPLACED, text, item.name.span, help=help)
            return ""
        known = settings(within) if within else {}
        help = self.near.help(name, known)
        meant = next(iter(self.near.names(name, known)), "")
        if not help:
            other = self.near.help(name, (row.name for row in ROWS))
            help = tuple(f"{text} it belongs in another block" for text in other)
        self.bag.error(codes.UNKNOWN_SETTING, f"no setting {shown(name)} {where}", item.name.span, help=help)
        return meant

    def misplaced_block(self, block: Block, within: str) -> str:
        """A block that cannot stand here. Gives the kind that was meant, if it is likely and can stand here."""
        kind = block.kind.text
        where = f"in `{within}`" if within else "outside of blocks"
        if kind in ("import", "kvmt"):
            place = "at the top level" if kind == "import" else "as the first line of a file"
            self.bag.error(codes.MISPLACED, f"`{kind}` stands {place} alone", block.header)
        elif kind in blocks():
            homes = blocks()[kind].within
            help = [
                f"it belongs in {' or '.join(f'`{home}`' for home in homes)}"
                if homes
                else "it belongs outside of other blocks"
            ]
            self.bag.error(codes.MISPLACED, f"block `{kind}` cannot stand {where}", block.header, help=help)
        elif within and kind in settings(within):
            text = f"`{kind}` is a setting, not a block"
            example = block.labels[0].text if len(block.labels) == 1 else settings(within)[kind].example
            self.bag.error(codes.MISPLACED, text, block.header, help=[f"write `{kind} = {example}`"])
        else:
            here = [row.name for row in children(within)]
            near = self.near.help(kind, here) or self.near.help(kind, (row.name for row in BLOCKS))
            self.bag.error(codes.UNKNOWN_BLOCK, f"no block {shown(kind)} {where}", block.kind.span, help=near)
            return next(iter(self.near.names(kind, here)), "")
        return ""

    def twice(self, second: Node, first: Node) -> None:
        kind = second.row.name
        if second.row.single:
            text = f"there is more than one `{kind}` block" + ("" if second.row.within else " in the source")
        else:
            text = f"{kind} `{second.name}` is defined twice"
        self.bag.error(
            codes.DUPLICATE,
            text,
            Label(second.header),
            secondary=[Label(first.header, "first here")],
            help=["rename one of them" if second.name and not second.row.single else "keep one of them"],
        )
