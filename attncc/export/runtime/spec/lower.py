"""Which pattern is a spec whose parameters are settled?"""

from __future__ import annotations

from collections.abc import Mapping

from attncc.export.runtime.spec.schema import PatternSpec
from attncc.ir.pattern import Pattern


def lower(spec: PatternSpec, overrides: Mapping[str, object] | None = None) -> Pattern:
    """The pattern; there is nothing left to override."""
    assert not overrides, "kernels of a package are generated for fixed parameters"
    return spec.pattern
