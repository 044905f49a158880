"""Mutants of a module: one small change each, of the standard kinds.

Left alone, since no test of what kvmc does can or should tell: annotations, docstrings, decorators, asserts, imports, `strict=` of
zip, and texts for people (strings of two words and more, f-strings with a word beside a space, whatever is between backticks).
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

_SHOWN = 80
_SKIPPED_FIELDS = {"annotation", "returns", "decorator_list", "type_params", "bases"}
_SKIPPED_NODES = (ast.Import, ast.ImportFrom, ast.Assert, ast.Global, ast.Nonlocal, ast.Pass)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_PROSE = re.compile(r"[A-Za-z`'(]{2,}[`',:;)]* +[`'(]*[A-Za-z]{2,}|`")
_PROSE_PART = re.compile(r"[a-z]{2} | [a-z]{2}|`")

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.Pow: ast.Mult,
}


@dataclass(frozen=True, slots=True)
class Mutant:
    """number: its place among the module's; lines: first and last of the statement, or of the head of a compound one;
    function: the qualified name, empty at the module's own level; late: it runs when the function is called, not when the module is
    imported; before, after: the code, shortened."""

    number: int
    kind: str
    function: str
    late: bool
    lines: tuple[int, int]
    before: str
    after: str

    @property
    def key(self) -> str:
        """What it is, whatever the line: for the list of equivalent ones."""
        return f"{self.function or '<module>'} | {self.kind} | {self.before} | {self.after}"


@dataclass(slots=True)
class _Place:
    """Where a node hangs: `holder.field`, or one of its list."""

    node: ast.AST
    holder: ast.AST
    field: str
    index: int | None
    function: str
    late: bool
    lines: tuple[int, int]
    prose: bool

    def put(self, new: ast.AST) -> None:
        if self.index is None:
            setattr(self.holder, self.field, new)
        else:
            getattr(self.holder, self.field)[self.index] = new


def _head(node: ast.stmt) -> tuple[int, int]:
    body = getattr(node, "body", None) or getattr(node, "cases", None)
    if not body:
        return node.lineno, node.end_lineno or node.lineno
    first = body[0].pattern if isinstance(body[0], ast.match_case) else body[0]
    return node.lineno, max(node.lineno, first.lineno - 1)


def _is_prose(node: ast.AST) -> bool:
    texts = [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    found = _PROSE if isinstance(node, ast.Constant) else _PROSE_PART
    return any(found.search(text) for text in texts)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _places(
    holder: ast.AST, function: str = "", *, late: bool = False, lines: tuple[int, int] = (0, 0), prose: bool = False
) -> Iterator[_Place]:
    for field, value in ast.iter_fields(holder):
        if field in _SKIPPED_FIELDS or (isinstance(holder, ast.ClassDef) and field == "keywords"):
            continue
        if isinstance(holder, ast.FormattedValue) and field == "format_spec":
            continue
        for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(node, ast.AST) or isinstance(node, _SKIPPED_NODES) or _is_docstring(node):
                continue
            if isinstance(node, ast.keyword) and node.arg == "strict":
                continue
            here, told, inside, called = lines, prose, function, late
            if isinstance(node, ast.stmt):
                here = _head(node)
            if isinstance(node, ast.JoinedStr | ast.Constant):
                told = prose or _is_prose(node)
            if field == "body" and isinstance(holder, _DEFINITIONS):
                inside = f"{function}.{holder.name}" if function else holder.name
                called = late or not isinstance(holder, ast.ClassDef)
            yield _Place(node, holder, field, index, inside, called, here, told)
            yield from _places(node, inside, late=called, lines=here, prose=told)


def _changes(place: _Place) -> Iterator[tuple[str, ast.AST]]:
    """The kind of each change of a node, and what stands there instead."""
    node = place.node
    if isinstance(node, ast.Compare):
        for index, operator in enumerate(node.ops):
            new = copy.copy(node)
            new.ops = [*node.ops[:index], _COMPARE[type(operator)](), *node.ops[index + 1 :]]
            yield "comparison", new
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        new_one = copy.copy(node)
        new_one.op = _ARITHMETIC[type(node.op)]()
        yield "arithmetic", new_one
    elif isinstance(node, ast.BoolOp):
        turned = copy.copy(node)
        turned.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        yield "boolean", turned
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield "boolean" if isinstance(node.op, ast.Not) else "arithmetic", node.operand
    elif isinstance(node, ast.Constant):
        yield from _constants(place, node)
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield "return", ast.Return(ast.Constant(None))
    yield from _conditions(place)
    if _is_removable(node):
        yield "removal", ast.Pass()


def _constants(place: _Place, node: ast.Constant) -> Iterator[tuple[str, ast.AST]]:
    if isinstance(node.value, bool):
        yield "constant", ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield "constant", ast.Constant(node.value + 1)
    elif isinstance(node.value, str) and not place.prose:
        yield "constant", ast.Constant("XX" if not node.value else f"XX{node.value}")


def _conditions(place: _Place) -> Iterator[tuple[str, ast.AST]]:
    """A condition turned round, where no change of another kind says the same."""
    where = (place.holder, place.field)
    tests = isinstance(where[0], ast.If | ast.While | ast.IfExp) and where[1] == "test"
    tests = tests or (isinstance(where[0], ast.comprehension) and where[1] == "ifs")
    tests = tests or (isinstance(where[0], ast.match_case) and where[1] == "guard")
    node = place.node
    if not tests or not isinstance(node, ast.expr) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
        return
    same = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], same):
        return
    yield "condition", ast.UnaryOp(ast.Not(), node)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_removable(node: ast.AST) -> bool:
    """Statements whose lack leaves code that runs: an assignment to a name would only leave a name that is not there."""
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets)
    return isinstance(node, ast.Expr | ast.AugAssign | ast.Continue | ast.Break | ast.Raise | ast.Delete)


def _all(tree: ast.Module) -> Iterator[tuple[_Place, str, ast.AST]]:
    for place in list(_places(tree)):
        for kind, new in _changes(place):
            yield place, kind, new


def _short(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


@cache
def mutants(source: str) -> list[Mutant]:
    """All mutants of a module's text, in its order."""
    found = enumerate(_all(ast.parse(source)))
    return [
        Mutant(n, kind, at.function, at.late, at.lines, _short(at.node), _short(new)) for n, (at, kind, new) in found
    ]


def mutated(source: str, number: int) -> ast.Module:
    """The module's tree with one mutant in it."""
    tree = ast.parse(source)
    place, _, new = next(one for n, one in enumerate(_all(tree)) if n == number)
    place.put(ast.copy_location(new, place.node))
    return ast.fix_missing_locations(tree)
