"""What a rule of combination is: the names that a file of this room offers, and how the files are found."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, cast

import attncc.combines
from attncc.combines.in_c import InC

if TYPE_CHECKING:
    from torch import Tensor

#: What an option of a rule is: a positive integer, or the name of an input that holds a number for each query head.
OptionKind: TypeAlias = Literal["int", "head"]
Option: TypeAlias = "int | Tensor"


class Rule(Protocol):
    """The public names of a file of this room; its docstring says what the rule computes and where it is from. The
    files import neither PyTorch nor Triton."""

    OPTIONS: Mapping[str, OptionKind]
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
    found = sorted(module.name for module in pkgutil.iter_modules(attncc.combines.__path__))
    named = [name for name in found if name not in OTHERS]
    return {name: cast(Rule, importlib.import_module(f"attncc.combines.{name}")) for name in named}
