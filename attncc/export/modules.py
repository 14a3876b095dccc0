"""Which modules of attncc does an export carry along, and how do they find each other there?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath

from attncc.ir.pattern import Pattern

#: The package, and the modules that take the place of those of the same path.
ATTNCC = Path(__file__).parents[1]
OVERLAY = "attncc.export.runtime"

#: What every export runs, and what its test does; what patterns need besides that choose keys or take inputs.
ALWAYS = (
    "ahead",
    "codegen.triton.interpret",
    "combines.softmax",
    "compiler",
    "dispatch",
    "exported",
    "held",
    "ref.dense",
    "spec.schema",
)
CHOOSING = ("dispatch_choosing", "autotune.inputs")

IMPORT = re.compile(r"^( *)from attncc((?:\.\w+)*) import ", re.M)
#: Lines that overlays have in another order than what they replace.
IMPORTS = re.compile(r"(?:^from \.[\w.]* import [^(\n]*\n){2,}", re.M)


def modules(patterns: Sequence[Pattern]) -> Mapping[str, str]:
    """The text of every module that these patterns need, by its path within the export (`ir/expr.py`)."""
    roots = [*ALWAYS, *(CHOOSING * any(choosing(one) for one in patterns))]
    roots += [f"combines.{one.combine.rule}" for one in patterns]
    roots += [f"selectors.{choice.score}" for one in patterns for choice in one.selections]
    names = sorted(_closure(roots))
    folders = sorted({str(folder) for name in names for folder in _path(name).parents})
    files = {str(_path(name)): _relative(name) for name in names}
    return {**files, **{str(PurePosixPath(folder, "__init__.py")): _opening(folder) for folder in folders}}


def choosing(pattern: Pattern) -> bool:
    """Whether its operator chooses keys or takes inputs."""
    return bool(pattern.selections or pattern.inputs)


def _closure(roots: Iterable[str]) -> set[str]:
    """The modules, named within attncc, that `roots` import, directly or not, and they themselves."""
    found: set[str] = set()
    ahead = list(roots)
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead.extend(_imported(name))
    return found


@cache
def _imported(name: str) -> tuple[str, ...]:
    """The modules of attncc that a module imports."""
    froms = [node for node in ast.walk(ast.parse(_text(name))) if isinstance(node, ast.ImportFrom) and node.module]
    mine = [(_within(node.module or ""), node.names) for node in froms if f"{node.module}.".startswith("attncc.")]
    inner = [(module, f"{module}.{alias.name}".lstrip(".")) for module, names in mine for alias in names]
    return tuple(name if _file(name) else module for module, name in inner)


@cache
def _relative(name: str) -> str:
    """The text of a module whose imports of attncc begin at the folder that it stands in."""
    up = "." * len(name.split("."))

    def found(match: re.Match[str]) -> str:
        return f"{match[1]}from {up}{_within('attncc' + match[2])} import "

    return IMPORTS.sub(lambda block: "".join(sorted(block[0].splitlines(True))), IMPORT.sub(found, _text(name)))


def _within(module: str) -> str:
    """The name of a module inside the export: `ir.expr` for attncc.ir.expr; an overlay has the name that it takes."""
    if f"{module}.".startswith(f"{OVERLAY}."):
        return module.removeprefix(OVERLAY).lstrip(".")
    return module.removeprefix("attncc").lstrip(".")


@cache
def _text(name: str) -> str:
    file = _file(name)
    assert file is not None, f"{name} is no module that could be carried along"
    return file.read_text(encoding="utf-8")


def _file(name: str) -> Path | None:
    places = (folder.joinpath(_path(name)) for folder in (_folder_of(OVERLAY), ATTNCC))
    return next((place for place in places if place.is_file()), None)


def _path(name: str) -> PurePosixPath:
    return PurePosixPath(*name.split(".")).with_suffix(".py")


def _folder_of(module: str) -> Path:
    return ATTNCC.joinpath(*module.split(".")[1:])


def _opening(folder: str) -> str:
    """A folder keeps what it says of itself; what it would import may have stayed behind."""
    home = _folder_of(OVERLAY) if folder == "." else ATTNCC / folder
    text = (home / "__init__.py").read_text(encoding="utf-8")
    words = ast.get_docstring(ast.parse(text))
    return f'"""{words}"""\n' if words else ""
