"""The Python that every exported package has of its own: its functions, operators, layers and patterns."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from attncc.export.modules import choosing
from attncc.export.request import layer
from attncc.export.runtime.carried import Carried
from attncc.export.values import classes, written
from attncc.ir.pattern import Pattern
from attncc.version import VERSION

WIDTH = 120

ABOUT = """\
Each function attends from query [batch, q_heads, q_len, head_dim] to key and value [batch, kv_heads, kv_len, head_dim],
all of one element type, with a contiguous last dimension; q_heads is a multiple of kv_heads, and the last query is at
the last key. `scale` multiplies the scores; it is head_dim ** -0.5 unless given. Returns out, like query; the functions
with lse also return lse, float32 [batch, q_heads, q_len], the natural logarithm of each row's sum of exponentials. A
row that sees no key gives 0 and -inf. Gradients go through both; PyTorch's own operators compute them.
"""

OPERATORS = '''\
"""The operators of this package: torch.ops.{namespace}.<pattern>, which return (out, lse)."""

from __future__ import annotations

import torch

{imports}

NAMESPACE = "{namespace}"

#: Operators live as long as this object.
LIBRARY = torch.library.Library(NAMESPACE, "FRAGMENT")

PATTERNS = {{one.pattern.name: one.pattern for one in EXPORTED}}

OPERATORS: dict[str, {kinds}] = {{
{rows}
}}

ops = getattr(torch.ops, NAMESPACE)


def add_op_namespace_prefix(name: str) -> str:
    """The full name of an operator, as `torch.library` takes it."""
    return f"{{NAMESPACE}}::{{name}}"
'''

FUNCTION = '''\
{plain}
    """{about}"""
    return {name}_with_lse({passed})[0]


{with_lse}
    """(out, lse) of `{name}`."""
    return cast("tuple[Tensor, Tensor]", OPERATORS["{name}"].overload({passed}))
'''

AHEAD = '''\
"""`python -m {name}.ahead OUT` compiles a module for each pattern with AOTInductor, for the devices that are here."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from ._ops import OPERATORS, PATTERNS
{imports}

def main(out: Path) -> None:
    """Writes `<pattern>_<dtype>_<head_dim>_<device>.pt2` for everything that there are kernels for."""
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for name, operator in OPERATORS.items():
        for device in devices:
            backend = "cpu" if device == "cpu" else "triton"
            for operands in operands_of(one for one in listing() if (one.pattern, one.backend) == (name, backend)):
                path = out / f"{{name}}_{{operands.dtype}}_{{operands.head_dim}}_{{device}}.pt2"
                {call}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
'''

#: What is imported, and the call, without and with patterns that may have inputs.
AHEAD_STATIC = (
    "from .runtime.ahead import compile_ahead\nfrom .runtime.held import listing, operands_of\n",
    "compile_ahead(operator.overload, PATTERNS[name], operands, device, path)",
)
AHEAD_CHOSEN = (
    """\
from .runtime.ahead import TRACED, compile_ahead
from .runtime.autotune.inputs import drawn
from .runtime.held import listing, operands_of
from .runtime.ir.schedule import Shape
""",
    """\
shape, generator = Shape(*TRACED, operands.head_dim), torch.Generator().manual_seed(0)
                inputs = [drawn(one, shape, generator).to(device) for one in PATTERNS[name].inputs]
                compile_ahead(operator.overload, PATTERNS[name], operands, device, path, inputs)""",
)

LAYER = '''\
class {layer}(nn.Module):
    """`{name}` as a layer without state."""

    has_backward = True
    can_torch_compile = True

{forward}
        return {name}({passed})
'''


def package(patterns: Sequence[Pattern]) -> str:
    """`__init__.py`: two functions for each pattern."""
    names = sorted(name for one in patterns for name in (one.name, f"{one.name}_with_lse"))
    shown = "\n".join(f'    "{name}",' for name in sorted(("layers", *names)))
    listed = ", ".join(one.name for one in patterns)
    title = textwrap.fill(f"Sparse attention kernels: {listed}. Written by attncc {VERSION}.", WIDTH - 4)
    imports = f"from . import layers\n{_imported('functions', names)}"
    return (
        f'"""{title}\n\n{ABOUT}"""\n\nfrom __future__ import annotations\n\n{imports}\n\n'
        f'__version__ = "{VERSION}"\n\n__all__ = [\n{shown}\n]\n'
    )


def functions(patterns: Sequence[Pattern]) -> str:
    """`functions.py`: what the package offers."""
    head = (
        '"""What a model calls: attention with each pattern of this package."""\n\nfrom __future__ import annotations\n'
    )
    imports = "from typing import cast\n\nfrom torch import Tensor\n\nfrom ._ops import OPERATORS\n"
    return "\n".join([head, imports, *(f"\n{_function(one)}" for one in patterns)])


def _function(pattern: Pattern) -> str:
    arguments, both = _arguments(pattern), "tuple[Tensor, Tensor]"
    return FUNCTION.format(
        name=pattern.name,
        plain=_def(pattern.name, arguments, "Tensor"),
        with_lse=_def(f"{pattern.name}_with_lse", arguments, both),
        about=_about(pattern),
        passed=_passed(pattern),
    )


def layers(patterns: Sequence[Pattern]) -> str:
    """`layers.py`: a module for each pattern."""
    head = (
        '"""The same as layers: without state, to take the place of others."""\n\nfrom __future__ import annotations\n'
    )
    imports = f"from torch import Tensor, nn\n\n{_imported('functions', sorted(one.name for one in patterns))}\n"
    return "\n".join([head, imports, *(f"\n{_layer(one)}" for one in patterns)])


def _layer(pattern: Pattern) -> str:
    forward = _def("forward", ["self", *_arguments(pattern)], "Tensor", indent="    ")
    return LAYER.format(name=pattern.name, layer=layer(pattern), forward=forward, passed=_passed(pattern))


def _def(name: str, arguments: Sequence[str], result: str, indent: str = "") -> str:
    """The first lines of a function, on one line if it fits."""
    line = f"{indent}def {name}({', '.join(arguments)}) -> {result}:"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{indent}def {name}(", *(f"{indent}    {one}," for one in arguments), f"{indent}) -> {result}:"])


def operators(namespace: str, patterns: Sequence[Pattern]) -> str:
    """`_ops.py`: registers the operators in `namespace`."""
    kinds = {one.name: "ChoosingOperator" if choosing(one) else "Operator" for one in patterns}
    imports = [
        *(["from .runtime.dispatch import Operator"] if "Operator" in kinds.values() else []),
        *(["from .runtime.dispatch_choosing import ChoosingOperator"] if "ChoosingOperator" in kinds.values() else []),
        "from .runtime.exported import EXPORTED",
        "from .runtime.spec.schema import PatternSpec",
    ]
    rows = [
        f'    "{name}": {kind}(PatternSpec(PATTERNS["{name}"]), LIBRARY, "{name}"),' for name, kind in kinds.items()
    ]
    union = " | ".join(sorted(set(kinds.values()), reverse=True))
    return OPERATORS.format(namespace=namespace, imports="\n".join(imports), rows="\n".join(rows), kinds=union)


def ahead(name: str, patterns: Sequence[Pattern]) -> str:
    """`ahead.py`: compiles the package `name` ahead of time."""
    imports, call = AHEAD_CHOSEN if any(choosing(one) for one in patterns) else AHEAD_STATIC
    return AHEAD.format(name=name, imports=imports, call=call)


def exported(carried: Sequence[Carried]) -> str:
    """`runtime/exported.py`: the patterns as values."""
    whole = tuple(carried)
    needed: dict[str, set[str]] = {}
    for module, name in classes(whole):
        place = module.removeprefix("attncc.").removeprefix("export.runtime.")
        needed.setdefault(place, set()).add(name)
    imports = "\n".join(_imported(place, sorted(names)) for place, names in sorted(needed.items()))
    head = '"""Which patterns this package holds, as the compiler saw them."""\n\nfrom __future__ import annotations\n'
    before = "EXPORTED: tuple[Carried, ...] = "
    return f"{head}\n{imports}\n\n{before}{written(whole, 0, len(before))}\n"


def _imported(place: str, names: Sequence[str]) -> str:
    line = f"from .{place} import {', '.join(names)}"
    listing = "".join(f"    {name},\n" for name in names)
    return line if len(line) <= WIDTH else f"from .{place} import (\n{listing})"


def _arguments(pattern: Pattern) -> list[str]:
    inputs = [f"{one.name}: Tensor" for one in pattern.inputs]
    return ["query: Tensor", "key: Tensor", "value: Tensor", "*", *inputs, "scale: float | None = None"]


def _passed(pattern: Pattern) -> str:
    return "".join(["query, key, value, scale=scale", *(f", {one.name}={one.name}" for one in pattern.inputs)])


def _about(pattern: Pattern) -> str:
    """The pattern in words: what a query sees, by which formula, from which source; what the inputs are."""
    params = ", ".join(f"{name} = {value}" for name, value in pattern.params)
    lines = [
        pattern.about,
        "",
        f"mask: {pattern.formula()}",
        *([f"with {params}"] if params else []),
        *(f"chosen at each call: {one.words()}" for one in pattern.selections),
        *(f"{one.name}: {one.about} (one per {one.per})" for one in pattern.inputs),
        f"source: {pattern.source}",
    ]
    wrapped = [part for line in lines for part in textwrap.wrap(line, WIDTH - 10, break_on_hyphens=False) or [""]]
    text = "\n    ".join(_plain(line) for line in wrapped)
    return f"{text}\n    ".replace("\n    \n", "\n\n")


def _plain(words: str) -> str:
    """Words of a pattern file, unable to end the string that they stand in."""
    return words.replace("\\", "/").replace('"', "'")
