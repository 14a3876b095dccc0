"""Does attention stay one operator under `torch.compile` and `torch.export`, with gradients and any length?"""

from __future__ import annotations

import io

import pytest
import torch
from torch import Tensor, nn

import attncc
from tests.ops.samples import Call, call, distance, leaves

A_SHAPE = attncc.Pattern.load("a_shape", sink=2, window=5)
MINE = attncc.Pattern.from_dict({"pattern": "mine", "params": {"step": 3}, "mask": "kv <= q and (q - kv) % step == 0"})


class Layer(nn.Module):
    def __init__(self, pattern: attncc.Pattern) -> None:
        super().__init__()
        self.pattern = pattern

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        out, lse = attncc.attention(query * 2, key, value, self.pattern, return_lse=True)
        return out.sin(), lse


def gradients(outputs: tuple[Tensor, Tensor], tensors: Call) -> tuple[Tensor, ...]:
    return torch.autograd.grad(outputs[0].sum() + outputs[1].sum(), tensors)


@pytest.fixture(autouse=True)
def no_graphs_left() -> None:
    torch.compiler.reset()


@pytest.mark.parametrize("pattern", [A_SHAPE, MINE], ids=["shipped", "mine"])
def test_whole_graph_with_gradients_and_other_lengths(pattern: attncc.Pattern) -> None:
    layer = Layer(pattern)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    for q_len, kv_len in ((33, 33), (20, 41)):
        tensors = leaves(call(q_len=q_len, kv_len=kv_len))
        ours, theirs = compiled(*tensors), layer(*tensors)
        for one, other in zip((*ours, *gradients(ours, tensors)), (*theirs, *gradients(theirs, tensors)), strict=True):
            assert distance(one, other) < 1e-6


def test_inductor() -> None:
    query, key, value = (t.transpose(1, 2).contiguous().transpose(1, 2) for t in call(head_dim=64))
    compiled = torch.compile(Layer(A_SHAPE), fullgraph=True)
    for ours, theirs in zip(compiled(query, key, value), Layer(A_SHAPE)(query, key, value), strict=True):
        assert distance(ours, theirs) < 1e-6


def test_decoding_does_not_recompile_for_every_length() -> None:
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(Layer(A_SHAPE), fullgraph=True, backend="aot_eager")
    for kv_len in range(40, 60):
        compiled(*call(q_len=1, kv_len=kv_len))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] <= 2


@pytest.mark.parametrize("strict", [False, True])
def test_export_keeps_one_operator_and_any_length(strict: bool) -> None:
    length = torch.export.Dim("length", min=2, max=4096)
    program = torch.export.export(Layer(A_SHAPE), call(), dynamic_shapes=({2: length},) * 3, strict=strict)
    nodes = [node for node in program.graph.nodes if node.target is torch.ops.attncc.a_shape.default]
    assert [node.args[3:] for node in nodes] == [(2, 5)]
    stored = io.BytesIO()
    torch.export.save(program, stored)
    stored.seek(0)
    again, other = torch.export.load(stored).module(), call(q_len=57, kv_len=57)
    assert distance(again(*other)[0], Layer(A_SHAPE)(*other)[0]) < 1e-6
