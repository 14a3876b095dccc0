"""Which operator computes a pattern? `torch.ops.attncc.<pattern>`, registered at the first request."""

from __future__ import annotations

import hashlib
import threading

import torch

from attncc.dispatch import Operator
from attncc.dispatch_choosing import ChoosingOperator
from attncc.errors import ParameterNameTaken
from attncc.spec.lower import lower
from attncc.spec.schema import PatternSpec

#: Operators live as long as this object.
LIBRARY = torch.library.Library("attncc", "FRAGMENT")
TAKEN = (
    "query",
    "key",
    "value",
    "scale",
    "grad_out",
    "grad_lse",
    "lse",
    "lists",
    "inputs",
    "selection",
    "pattern",
    "return_lse",
)

#: Operators of the same name as this one's parts mean something else.
PARTS = ("", "_backward", "_select", "_given", "_given_backward")

_operators: dict[tuple[str, str], Operator | ChoosingOperator] = {}
_registering = threading.Lock()


def operator(spec: PatternSpec) -> Operator | ChoosingOperator:
    """The operator of `spec`, registered at the first request under the pattern's name; if that name already means
    something else, with a digest of the meaning behind it. Raises ParameterNameTaken."""
    bound = lower(spec)
    for name in (*(param.name for param in spec.params), *(one.name for one in bound.inputs)):
        if name in TAKEN:
            raise ParameterNameTaken(spec.name, name)
    meaning = _meaning(spec)
    with _registering:
        if (spec.name, meaning) not in _operators:
            free = not any(hasattr(torch.ops.attncc, f"{spec.name}{part}") for part in PARTS)
            kind = ChoosingOperator if bound.inputs or bound.selections else Operator
            _operators[spec.name, meaning] = kind(spec, LIBRARY, spec.name if free else f"{spec.name}_{meaning}")
        return _operators[spec.name, meaning]


def _meaning(spec: PatternSpec) -> str:
    """Eight hex digits that change with what the operator accepts and with what it computes."""
    accepted = [(param.name, param.low, param.high) for param in spec.params]
    return hashlib.sha256(repr((lower(spec).digest(), accepted)).encode()).hexdigest()[:8]
