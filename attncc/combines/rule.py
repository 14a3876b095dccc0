"""What a rule of combination is: the names that a file of this room offers, and how the files are found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

from attncc.combines.in_c import InC

if TYPE_CHECKING:
    from torch import Tensor

#: What an option of a rule is: a positive integer, or the name of an input that holds a number for each query head.
OptionKind: TypeAlias = Literal["int", "head"]
Option: TypeAlias = "int | Tensor"


@dataclass(frozen=True, slots=True)
class TritonText:
    """What a Triton kernel does by a rule: statements and expressions, one of them where the field says so.

    They may speak of score [BLOCK_M, BLOCK_N], -inf where the mask leaves a pair out; of acc; of what `start` sets; of
    LOG2E and LN2; and of options: a number is the constant <RULE>_<OPTION>, an input is `<option>`, one number or
    [BLOCK_M]. `{factor}` stands for what score is to be multiplied by to be in units of log 2; it is above 0.

    `start`: what each row begins with. `step`: sets weight, like score, and brings the rows up to date. `carried`: what
    is left of acc before the weighted values of the step are added. `total`: sets total [BLOCK_M], which acc is divided
    by in the end. `lse`: the expression for it. `functions`: those that only this rule calls, by name.
    `unit`: the option that says how many keys make a unit; then every step takes one whole unit, whose first key is
    `start`, a number, and lanes of no key have a score of -inf.
    """

    start: str
    step: str
    carried: str
    total: str
    lse: str
    functions: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None


class Rule(Protocol):
    """The public names of a file of this room; its docstring says what the rule computes and where it is from. The
    files import neither PyTorch nor Triton."""

    OPTIONS: Mapping[str, OptionKind]
    TRITON: TritonText
    IN_C: InC

    def weights(self, score: Tensor, q: Tensor, kv: Tensor, options: Mapping[str, Option]) -> tuple[Tensor, Tensor]:
        """(weight, lse): the share of each key in its row, like `score`, and the logarithm of each row's normalizer.

        score is [batch, q_heads, rows, keys], -inf for pairs that the mask leaves out, of any float type, for the
        positions q [rows] and kv [keys], ascending from 0 without gaps. Rows without a key have weights of 0. An option
        of kind head is a tensor [q_heads]. Differentiable.
        """
        ...


#: Files of this room that are no rules.
OTHERS = ("rule", "in_c")


@cache
def rules() -> Mapping[str, Rule]:
    """Every file of this room that is a rule, by name."""
    found = sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    named = [name for name in found if name not in OTHERS]
    return {name: cast(Rule, importlib.import_module(f"{__package__}.{name}")) for name in named}
