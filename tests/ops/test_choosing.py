"""Are the operators of patterns that choose keys or take inputs what PyTorch expects, and their errors clear?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import attncc
from attncc.dispatch_choosing import ChoosingOperator
from attncc.errors import (
    InputDoesNotFit,
    MissingInput,
    ParameterNameTaken,
    SelectionDoesNotFit,
    UnknownInput,
)
from attncc.lists import RowLists
from attncc.pattern import Chosen
from tests.ops.samples import call, leaves

SLASH = attncc.Pattern.load("vertical_slash", vertical=6, slash=8, first=2, near=3, last=8, tile=16)
BLOCKS = attncc.Pattern.load("block_sparse", block=16, top=2)
DOCUMENTS = attncc.Pattern.load("documents")
TABLE = attncc.Pattern.load("block_table", block=16)


def operator(pattern: attncc.Pattern) -> ChoosingOperator:
    assert isinstance(pattern.operator, ChoosingOperator)
    return pattern.operator


def documents(kv_len: int) -> Tensor:
    return torch.arange(kv_len) // 11


@pytest.mark.parametrize("q_len", [1, 7, 40])
def test_opcheck(q_len: int) -> None:
    query, key, value = leaves(call(q_len=q_len, kv_len=40))
    torch.library.opcheck(SLASH.op, (query, key, value, *SLASH.values), {"scale": 0.3})
    torch.library.opcheck(DOCUMENTS.op, (query, key, value), {"doc": documents(40)})
    kept = operator(SLASH).kept
    plain = (query.detach(), key.detach(), [], *SLASH.values)
    torch.library.opcheck(kept.select_overload, plain, test_utils=("test_schema", "test_faketensor"))
    lists = kept.select_overload(*plain)
    torch.library.opcheck(kept.overload, (query, key, value, lists, [], *SLASH.values), {"scale": 0.3})


@pytest.mark.parametrize("pattern", [SLASH, BLOCKS], ids=lambda pattern: pattern.name)
def test_a_kept_selection_is_the_choice_of_the_call(pattern: attncc.Pattern) -> None:
    query, key, value = call(q_len=40, kv_len=75)
    chosen = pattern.select(query, key)
    out, lse = attncc.attention(query, key, value, pattern, return_lse=True, selection=chosen)
    again, lse_again = attncc.attention(query, key, value, pattern, return_lse=True)
    assert torch.equal(out, again)
    assert torch.equal(lse, lse_again)
    wanted = attncc.reference(query, key, value, pattern, selection=chosen)
    torch.testing.assert_close(out, wanted, rtol=1e-5, atol=2e-6)
    assert not chosen.overflow
    assert torch.equal(pattern.mask(query, key), pattern.mask(query, key, selection=chosen))


def test_sets_that_all_queries_share_serve_later_steps() -> None:
    query, key, value = call(q_len=1, kv_len=75)
    chosen = SLASH.select(query, key[:, :, :60])
    out = attncc.attention(query, key, value, SLASH, selection=chosen)
    torch.testing.assert_close(out, attncc.reference(query, key, value, SLASH, selection=chosen), rtol=1e-5, atol=2e-6)


def test_gradients_are_those_of_the_reference_with_the_same_sets() -> None:
    tensors = leaves(call(q_len=20, kv_len=33))
    chosen = BLOCKS.select(tensors[0], tensors[1])
    wanted = leaves(tuple(tensor.detach().double() for tensor in tensors))
    attncc.reference(*wanted, BLOCKS, selection=chosen).square().sum().backward()
    for out in (attncc.attention(*tensors, BLOCKS), attncc.attention(*tensors, BLOCKS, selection=chosen)):
        found = torch.autograd.grad(out.square().sum(), tensors)
        for gradient, leaf in zip(found, wanted, strict=True):
            torch.testing.assert_close(gradient.double(), leaf.grad, rtol=1e-4, atol=1e-5)


def test_compiles_and_exports_without_a_break() -> None:
    tensors = call(q_len=20, kv_len=33)
    doc = documents(33)

    class Layer(torch.nn.Module):
        def forward(self, query: Tensor, key: Tensor, value: Tensor, doc: Tensor) -> Tensor:
            slash, _ = torch.ops.attncc.vertical_slash(query, key, value, *SLASH.values)
            packed, _ = torch.ops.attncc.documents(query, key, value, doc=doc)
            return slash + packed

    wanted = attncc.attention(*tensors, SLASH) + attncc.attention(*tensors, DOCUMENTS, doc=doc)
    compiled = torch.compile(Layer(), fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*tensors, doc), wanted)
    exported = torch.export.export(Layer(), (*tensors, doc)).module()
    assert torch.equal(exported(*tensors, doc), wanted)


def test_a_call_that_is_dense_by_its_length_chooses_nothing() -> None:
    dense = attncc.Pattern.load("vertical_slash", dense_below=41)
    query, key, value = call(q_len=40, kv_len=40)
    assert all(one.entries.numel() == 0 for one in dense.select(query, key).lists.values())
    causal = attncc.attention(query, key, value, "causal")
    torch.testing.assert_close(attncc.attention(query, key, value, dense), causal)


def test_inputs_per_batch_and_per_head() -> None:
    query, key, value = call(q_len=33, kv_len=33)
    batch, kv_heads, kv_len = key.shape[:3]
    doc = torch.randint(0, 3, (batch, kv_heads, kv_len))
    out = attncc.attention(query, key, value, DOCUMENTS, doc=doc)
    torch.testing.assert_close(out, attncc.reference(query, key, value, DOCUMENTS, doc=doc), rtol=1e-5, atol=2e-6)
    seen = DOCUMENTS.mask(query, key, doc=doc)
    group = query.shape[1] // kv_heads
    wanted = (doc[:, :, :, None] == doc[:, :, None, :]).repeat_interleave(group, 1) & torch.ones(33, 33).tril().bool()
    assert torch.equal(seen, wanted)


WRONG: dict[str, tuple[type[attncc.AttnccError], Callable[[Tensor, Tensor, Tensor], object], str]] = {
    "missing": (MissingInput, lambda q, k, v: attncc.attention(q, k, v, DOCUMENTS), "needs the input 'doc'"),
    "floats": (
        InputDoesNotFit,
        lambda q, k, v: attncc.attention(q, k, v, DOCUMENTS, doc=torch.zeros(40)),
        "it must be integers",
    ),
    "short": (
        InputDoesNotFit,
        lambda q, k, v: torch.ops.attncc.documents(q, k, v, doc=torch.zeros(3, dtype=torch.int64)),
        r"is int64 \[3\]",
    ),
    "huge": (
        InputDoesNotFit,
        lambda q, k, v: attncc.attention(q, k, v, DOCUMENTS, doc=torch.full((40,), 2**31 - 1)),
        "a number of 2147483647",
    ),
    "misspelt": (
        UnknownInput,
        lambda q, k, v: attncc.attention(q, k, v, DOCUMENTS, doc=documents(40), dok=documents(40)),
        "did you mean 'doc'",
    ),
    "none": (UnknownInput, lambda q, k, v: attncc.attention(q, k, v, "causal", doc=documents(40)), "no input 'doc'"),
    "table": (
        InputDoesNotFit,
        lambda q, k, v: attncc.attention(q, k, v, TABLE, table=torch.ones(1, 1, 2, 3)),
        "it must be truth values",
    ),
    "rows": (
        SelectionDoesNotFit,
        lambda q, k, v: attncc.attention(q[:, :, :1], k, v, BLOCKS, selection=BLOCKS.select(q, k)),
        "rows of choices",
    ),
    "heads": (
        SelectionDoesNotFit,
        lambda q, k, v: attncc.attention(q, k, v, BLOCKS, selection=fewer_heads(BLOCKS.select(q, k))),
        "batches of 3 heads",
    ),
}


def fewer_heads(chosen: Chosen) -> Chosen:
    """A selection of three heads."""
    return Chosen(
        {
            name: RowLists(one.entries, one.start[:, :3], one.count[:, :3], one.overflow)
            for name, one in chosen.lists.items()
        }
    )


@pytest.mark.parametrize("case", WRONG)
def test_says_what_is_wrong(case: str) -> None:
    error, run, words = WRONG[case]
    with pytest.raises(error, match=words):
        run(*call(q_len=40, kv_len=40))


def test_an_input_may_not_be_called_like_an_argument() -> None:
    with pytest.raises(ParameterNameTaken, match="selection"):
        attncc.Pattern.from_dict(
            {"pattern": "mine", "inputs": {"selection": "token"}, "mask": "selection[q] == selection[kv]"}
        )
