"""What is to be exported: patterns with their parameters in force, for which operands, on which hardware."""

from __future__ import annotations

import keyword
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attncc import device
from attncc.device import CPU_ARCHES, DeviceModel
from attncc.errors import BadPackageName, NotExportable
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import Operands
from attncc.spec import load, lower

#: What `--target` may say besides the name of a GPU: every instruction set of the C backend.
CPU = "cpu"

#: Names of the files and functions that every package has; its functions are named like its patterns.
TAKEN = frozenset({"ahead", "cast", "functions", "kernels", "layers", "nn", "runtime"})
#: Arguments that every function has, and what it calls.
ARGUMENTS = frozenset({"cast", "key", "query", "scale", "self", "value"})


@dataclass(frozen=True, slots=True)
class Request:
    """`name` is what the package is imported as; `devices` are what kernels are generated for; the tuned schedules of
    `library`, and those that come with attncc, go in where they are for such hardware. `named` are the devices that
    somebody asked for by name."""

    name: str
    patterns: tuple[Pattern, ...]
    operands: tuple[Operands, ...]
    devices: tuple[DeviceModel, ...]
    library: Path
    named: tuple[DeviceModel, ...] = ()


def patterns(names: Sequence[str], overrides: Mapping[str, int]) -> tuple[Pattern, ...]:
    """The patterns of these names or paths; each takes those `overrides` that it knows, one of them at least.

    Raises what `load.find` and `lower` raise, and NotExportable for names that cannot be functions.
    """
    specs = [load.find(name) for name in dict.fromkeys(names)]
    known = {param.name for spec in specs for param in spec.params}
    # What nobody knows is the mistake of all of them.
    lower.lower(specs[0], {name: value for name, value in overrides.items() if name not in known})
    found = [
        lower.lower(spec, {name: value for name, value in overrides.items() if name in spec.defaults()})
        for spec in specs
    ]
    for at, pattern in enumerate(found):
        reason = _reason(pattern, found[:at])
        if reason:
            raise NotExportable(pattern.name, reason)
    return tuple(found)


def _reason(pattern: Pattern, before: Sequence[Pattern]) -> str | None:
    """Why there can be no function for the pattern beside those `before` it; None if there can."""
    if pattern.name in TAKEN:
        return "a function of the package would have its name, which means something else"
    if any(_names(pattern) & _names(other) for other in before):
        return f"another pattern has the names {' and '.join(sorted(_names(pattern)))} too, or one of them"
    wrong = [one.name for one in pattern.inputs if one.name in ARGUMENTS]
    return f"its function cannot have an argument called {wrong[0]}" if wrong else None


def _names(pattern: Pattern) -> set[str]:
    """What the package calls after it."""
    return {pattern.name, f"{pattern.name}_with_lse", layer(pattern)}


def layer(pattern: Pattern) -> str:
    """The name of its layer: `AShape` for a_shape."""
    return "".join(part.capitalize() for part in pattern.name.split("_"))


def devices(targets: Sequence[str]) -> tuple[DeviceModel, ...]:
    """Hardware by name: `cpu` is every instruction set. Without targets, one device of each kind that there is. Raises
    UnknownTarget."""
    wanted = targets or (CPU, *dict.fromkeys(model.arch for model in device.NAMED.values()))
    found: list[DeviceModel] = []
    for target in wanted:
        found += _cpus() if target.lower() == CPU else [device.named(target)]
    return tuple(dict.fromkeys(found))


def with_oldest(asked: Sequence[DeviceModel]) -> tuple[DeviceModel, ...]:
    """`asked`, each GPU after the oldest one of its maker, whose kernels run on all that nobody asked for."""
    models = tuple(device.NAMED.values())
    pairs = [(next((old for old in models if old.kind == one.kind), one), one) for one in asked]
    return tuple(dict.fromkeys(one for pair in pairs for one in pair))


def _cpus() -> list[DeviceModel]:
    return [DeviceModel("cpu", arch, arch, 1, present=False) for arch in CPU_ARCHES]


def package_name(name: str) -> str:
    """`name`, if it can be imported and is not the name of something else. Raises BadPackageName."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise BadPackageName(name, "it is no name that Python imports")
    if keyword.iskeyword(name) or name in sys.stdlib_module_names or name in ("attncc", "torch", "triton", "numpy"):
        raise BadPackageName(name, "it means something else to Python")
    return name
