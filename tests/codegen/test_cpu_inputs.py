"""Do C kernels ask inputs for the numbers of the right positions and heads?"""

from __future__ import annotations

import pytest

from attncc.codegen.kernel import Phase
from attncc.ir.expr import And, Attribute, BoolExpr, Compare, Int, Or
from attncc.ir.schedule import DTYPES, DType, Shape
from attncc.ir.selection import Geometry
from tests.codegen.cpu_samples import ARCHES, HOST, check_given
from tests.codegen.given_samples import CAUSAL, columns, pattern, same, within, world

COLUMNS = Geometry(1, None, None)
KIND: BoolExpr = Compare("==", Attribute("kind", "kv"), Int(1))
PATTERNS = {
    "documents": pattern(And(CAUSAL, same()), tokens=("doc",)),
    "documents_or_window": pattern(And(CAUSAL, Or(within(20), same())), tokens=("doc",)),
    "kinds_of_keys": pattern(And(CAUSAL, KIND), tokens=("kind",)),
    "columns_in_documents": pattern(And(CAUSAL, And(columns(), same())), {"columns": COLUMNS}, tokens=("doc",)),
    "both": pattern(And(CAUSAL, Or(same(), And(columns(), KIND))), {"columns": COLUMNS}, tokens=("doc", "kind")),
}
CALLS: list[tuple[Phase, Shape]] = [("prefill", Shape(2, 4, 2, 70, 150, 24)), ("decode", Shape(2, 6, 2, 3, 130, 80))]


@pytest.mark.parametrize(("phase", "shape"), CALLS, ids=["prefill", "decode"])
@pytest.mark.parametrize("name", PATTERNS)
def test_every_kind_of_question(name: str, phase: Phase, shape: Shape) -> None:
    for at, heads in enumerate((1, shape.kv_heads, shape.q_heads)):
        given = world(PATTERNS[name], shape, batches=(1, 2, 2)[at], heads=heads, seed=at)
        check_given(given, phase, "float32", HOST.arch)


@pytest.mark.parametrize(("phase", "shape"), CALLS, ids=["prefill", "decode"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("arch", ARCHES)
def test_every_type(arch: str, dtype: DType, phase: Phase, shape: Shape) -> None:
    check_given(world(PATTERNS["documents"], shape, heads=2), phase, dtype, arch)


@pytest.mark.parametrize("phase", ["prefill", "decode"])
def test_more_queries_than_keys(phase: Phase) -> None:
    given = world(PATTERNS["documents_or_window"], Shape(1, 2, 1, 90, 40, 32), heads=2)
    check_given(given, phase, "float32", HOST.arch)
