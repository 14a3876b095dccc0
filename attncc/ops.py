"""Which operator computes a pattern? `torch.ops.attncc.<pattern>`, registered at the first request."""

from __future__ import annotations

import hashlib
import threading

import torch

from attncc.dispatch import Operator
from attncc.errors import ParameterNameTaken
from attncc.spec.lower import lower
from attncc.spec.schema import PatternSpec

#: Operators live as long as this object.
LIBRARY = torch.library.Library("attncc", "FRAGMENT")
TAKEN = ("query", "key", "value", "scale", "grad_out", "grad_lse", "lse")

_operators: dict[tuple[str, str], Operator] = {}
_registering = threading.Lock()


def operator(spec: PatternSpec) -> Operator:
    """The operator of `spec`, registered at the first request under the pattern's name; if that name already means
    something else, with a digest of the meaning behind it. Raises ParameterNameTaken."""
    for param in spec.params:
        if param.name in TAKEN:
            raise ParameterNameTaken(spec.name, param.name)
    meaning = _meaning(spec)
    with _registering:
        if (spec.name, meaning) not in _operators:
            free = not any(hasattr(torch.ops.attncc, name) for name in (spec.name, f"{spec.name}_backward"))
            _operators[spec.name, meaning] = Operator(spec, LIBRARY, spec.name if free else f"{spec.name}_{meaning}")
        return _operators[spec.name, meaning]


def _meaning(spec: PatternSpec) -> str:
    """Eight hex digits that change with what the operator accepts and with what it computes."""
    accepted = [(param.name, param.low, param.high) for param in spec.params]
    return hashlib.sha256(repr((lower(spec).digest(), accepted)).encode()).hexdigest()[:8]
