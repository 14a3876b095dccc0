"""Do imports only go down, from floor to lower floor, and never sideways?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import ROOT, imports, module_name, modules

#: Bottom first. A room may import from the floors below its own, and from itself.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"errors", "version"}),
    frozenset({"settings", "device"}),
    frozenset({"ir"}),
    frozenset({"lists", "combines"}),
    frozenset({"selectors"}),
    frozenset({"spec", "patterns", "passes", "ref", "codegen"}),
    frozenset({"library"}),
    frozenset({"compiler"}),
    frozenset({"public"}),
    frozenset({"autotune"}),
    frozenset({"export", "models", "report"}),
    frozenset({"cli"}),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

#: Files beside the folders that belong to a room of another name; the others make up the public names.
ROOM_OF = {"cpuinfo": "device", "private": "settings", "__main__": "cli"}

#: The one way up: the public `tune` starts the tuner when it is called.
LAZY_UPWARDS = {("public", "autotune")}


def room(module: str) -> str:
    """`codegen` for attncc.codegen.cpu.emit."""
    first = f"{module}.".split(".")[1]
    return first if first in FLOOR_OF else ROOM_OF.get(first, "public")


def own_imports(path: Path) -> Iterator[tuple[int, str]]:
    return ((line, name) for line, name in imports(path) if name.split(".")[0] == "attncc")


def test_every_folder_has_a_floor() -> None:
    folders = {path.name for path in (ROOT / "attncc").iterdir() if (path / "__init__.py").exists()}
    assert not folders - set(FLOOR_OF)


def test_imports_go_down() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {here} imports {there}"
        for path in modules()
        for here in [room(module_name(path))]
        for line, name in own_imports(path)
        for there in [room(name)]
        if here != there and FLOOR_OF[there] >= FLOOR_OF[here] and (here, there) not in LAZY_UPWARDS
    ]
    assert not wrong, "\n".join(wrong)


def siblings(folder: str) -> set[str]:
    """The files and folders of a room that must not know each other, as import names."""
    found = {path.stem for path in (ROOT / "attncc" / folder).iterdir() if not path.name.startswith((".", "_"))}
    return {f"attncc.{folder.replace('/', '.')}.{name}" for name in found}


def test_strangers_do_not_know_each_other() -> None:
    """Backends, strategies, selectors and commands are found by folder; one can be taken away without the others."""
    backends = {
        f"attncc.codegen.{path.name}" for path in (ROOT / "codegen").iterdir() if (path / "__init__.py").exists()
    }
    groups = [backends, *(siblings(folder) for folder in ("autotune/strategies", "cli/commands"))]
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: imports {name}"
        for group in groups
        for path in modules()
        for mine in [owner(module_name(path), group)]
        for line, name in own_imports(path)
        if mine is not None and owner(name, group) not in {mine, None}
    ]
    assert not wrong, "\n".join(wrong)


def owner(module: str, group: set[str]) -> str | None:
    return next((name for name in group if module == name or module.startswith(f"{name}.")), None)
