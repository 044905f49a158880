"""One self-contained script that scans a host where kvmc is not installed: the modules of `scan` themselves, in one file.

What Python 3.6 lacks is written in its older form on the way: the modules are the same, the bytes that they write as well.
"""

from __future__ import annotations

import ast
from importlib.resources import files

_MODULES = (
    *(
        "diagnostics.model",
        "diagnostics.text",
        "diagnostics",
        "diagnostics.codes.topology",
        "model.cpuset",
        "model.values",
    ),
    *("topology.model", "topology.failure", "topology.groups", "topology.dump", "topology.cgroup", "topology.cpuinfo"),
    *("topology.folder", "topology.sysfs_pci", "topology.resctrl", "topology.sysfs", "topology.snapshot_write"),
    *("topology.cpu_models", "topology.check", "topology.facts", "topology.scan"),
)
_EMPTY = ("model", "topology", "diagnostics.codes")
"""Packages whose own `__init__` would pull in more than a scan needs."""

_HEAD = '''#!/usr/bin/env python3
"""Write kvmc's snapshot of this host: `python3 kvmc-scan.py -o HOST.json`.

kvmc {version} made this file from its own modules (`kvmc topology scan --script`). It needs Python 3.6 or newer and nothing
else, writes only the file that -o names, and reads /sys, /proc and /boot/config-*; it asks libvirtd, QEMU, tuned and virsh for
their versions and capabilities. Copyright of kvmc's authors, Apache-2.0.
"""

import enum
import importlib.abc
import importlib.util
import sys
import types

if not hasattr(enum, "StrEnum"):

    class _StrEnum(str, enum.Enum):
        def __str__(self):
            return str(self.value)

    enum.StrEnum = _StrEnum

try:
    import dataclasses
except ImportError:  # Python 3.6

    class _Field:
        def __init__(self, factory):
            self.factory = factory

    def _dataclass(**options):
        def wrap(cls):
            names = list(cls.__dict__.get("__annotations__", {{}}))
            defaults = {{name: cls.__dict__[name] for name in names if name in cls.__dict__}}

            def __init__(self, *values, **named):
                for name, value in dict(zip(names, values), **named).items():
                    object.__setattr__(self, name, value)
                for name in names[len(values) :]:
                    if name not in named:
                        default = defaults[name]
                        value = default.factory() if isinstance(default, _Field) else default
                        object.__setattr__(self, name, value)

            def key(self):
                return tuple(getattr(self, name) for name in names)

            cls.__init__ = __init__
            cls.__eq__ = lambda self, other: type(self) is type(other) and key(self) == key(other)
            cls.__lt__ = lambda self, other: key(self) < key(other)
            cls.__hash__ = lambda self: hash(key(self))
            cls.__fields__ = names
            return cls

        return wrap

    def _replace(value, **changes):
        return type(value)(**dict({{name: getattr(value, name) for name in value.__fields__}}, **changes))

    dataclasses = types.ModuleType("dataclasses")
    dataclasses.dataclass, dataclasses.replace = _dataclass, _replace
    dataclasses.field = lambda default_factory: _Field(default_factory)
    sys.modules["dataclasses"] = dataclasses

MODULES = {{}}
'''

_TAIL = '''

class _Modules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports kvmc's modules from this file."""

    def find_spec(self, name, path, target=None):
        if name not in MODULES:
            return None
        package = any(other.startswith(name + ".") for other in MODULES)
        return importlib.util.spec_from_loader(name, self, is_package=package)

    def exec_module(self, module):
        exec(compile(MODULES[module.__name__], module.__name__, "exec"), module.__dict__)


sys.meta_path.insert(0, _Modules())

if __name__ == "__main__":
    from kvmc.topology.scan import main

    sys.exit(main(sys.argv[1:]))
'''


def scan_script() -> str:
    """The script's text: the same for one release of kvmc."""
    from kvmc import __version__

    parts = [_HEAD.format(version=__version__)]
    parts += [f'MODULES["kvmc{"." if name else ""}{name}"] = ""\n' for name in ("", *_EMPTY)]
    for name in _MODULES:
        path = files("kvmc").joinpath(*name.split("."))
        source = path.joinpath("__init__.py") if path.is_dir() else path.parent.joinpath(f"{path.name}.py")  # type: ignore[attr-defined]
        text = lowered(source.read_text(encoding="utf-8"))
        parts.append(f'\nMODULES["kvmc.{name}"] = {_quoted(text)}\n')
    return "".join((*parts, _TAIL))


def _quoted(text: str) -> str:
    """As it is where that can be: someone will read the script before he runs it."""
    if "'''" not in text and not text.endswith(("'", "\\")):
        return f"r'''{text}'''"
    escaped = text.replace("\\", "\\\\").replace("'''", "\\'\\'\\'")
    return f"'''{escaped}\n'''"


def lowered(source: str) -> str:
    """A module's text for Python 3.6, without comments."""
    tree = _Lower().visit(ast.parse(source))
    return ast.unparse(ast.fix_missing_locations(tree))


class _Lower(ast.NodeTransformer):
    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST | None:
        return None if node.module == "__future__" else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """No annotations: they are evaluated there."""
        arguments = node.args
        for argument in (
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ):
            if argument is not None:
                argument.annotation = None
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """A text as annotation: dataclasses and named tuples need one, and nothing evaluates it."""
        self.generic_visit(node)
        node.annotation = ast.Constant("object")
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        node.keywords = [
            one for one in node.keywords if (name, one.arg) not in (("zip", "strict"), ("dataclass", "slots"))
        ]
        if isinstance(node.func, ast.Attribute):
            value = node.func.value
            if node.func.attr == "bit_count":
                ones = ast.Call(ast.Name("bin", ast.Load()), [value], [])
                return ast.Call(ast.Attribute(ones, "count", ast.Load()), [ast.Constant("1")], [])
            if node.func.attr == "removeprefix":
                # every prefix that these modules take off is one that may stand there once
                first = ast.Call(ast.Attribute(value, "startswith", ast.Load()), node.args, [])
                rest = ast.Subscript(
                    value, ast.Slice(ast.Call(ast.Name("len", ast.Load()), node.args, []), None, None), ast.Load()
                )
                return ast.IfExp(first, rest, value)
        return node
