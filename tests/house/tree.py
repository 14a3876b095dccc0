"""Which files the project consists of, and what is defined in them."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINKED = ("autotune", "codegen", "patterns")
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def package_files() -> list[Path]:
    """Every file of the package, as reached through `attncc/` (links followed)."""
    return sorted(_walk(ROOT / "attncc"))


def modules() -> list[Path]:
    """Every Python file of the package."""
    return [path for path in package_files() if path.suffix == ".py"]


def sources() -> list[Path]:
    """Every Python file written by hand: the package, the bench, the examples and the tests."""
    written = [*_walk(ROOT / "bench"), *_walk(ROOT / "examples"), *_walk(ROOT / "tests")]
    return modules() + sorted(p for p in written if p.suffix == ".py" and "golden" not in p.parts[:-1])


def texts() -> list[Path]:
    """Every committed text file; without git, everything that a commit would hold."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name] if listed.returncode == 0 else list(_walk(ROOT))
    return [path for path in paths if path.is_file() and path.suffix not in {".png", ".pdf"}]


def module_name(path: Path) -> str:
    """The import name of a file of the package: `attncc.codegen.cpu.emit`; a folder's `__init__` is the folder."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def definitions(path: Path) -> Iterator[Definition]:
    """Every function and class of a file, nested ones included."""
    return (node for node in ast.walk(parsed(path)) if isinstance(node, Definition))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, imported module) for every import of a file, those for types and those inside functions included."""
    for node in ast.walk(parsed(path)):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=str(module), names=names):
                yield from ((node.lineno, f"{module}.{alias.name}") for alias in names)
            case _:
                pass


def _walk(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in {"__pycache__", "build", "dist"} or path.suffix == ".egg-info":
            continue
        if path.is_dir():
            yield from _walk(path)
        else:
            yield path
