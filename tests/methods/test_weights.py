"""Do scores become weights as gpt-oss and LSSA say?"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import attncc
from tests.methods.retold import SIZES, sequences
from tests.selectors.cases import Sizes, tensors


@pytest.mark.parametrize("sizes", SIZES)
def test_a_sink_takes_a_part_of_every_row(sizes: Sizes) -> None:
    query, key = tensors(sizes)
    value = torch.randn(key.shape, generator=torch.Generator().manual_seed(1))
    logit = torch.linspace(-3, 3, sizes.q_heads)
    pattern = attncc.Pattern.load("gpt_oss", window=9)
    out, lse = attncc.reference(query.double(), key.double(), value.double(), pattern, sink=logit, return_lse=True)
    kernel = attncc.attention if sizes.batch == 2 else attncc.reference
    close = kernel(query, key, value, pattern, sink=logit)
    for one in sequences(query, key):
        for head in one.heads:
            for row, q in enumerate(one.positions):
                seen = slice(max(0, q - 8), q + 1)
                term = np.exp(one.scores(head, q)[seen])
                total = term.sum() + np.exp(float(logit[head]))
                told = term / total @ value[one.batch, head // one.group, seen].double().numpy()
                np.testing.assert_allclose(out[one.batch, head, row].numpy(), told, rtol=0, atol=1e-12)
                np.testing.assert_allclose(close[one.batch, head, row].numpy(), told, rtol=0, atol=1e-5)
                assert abs(float(lse[one.batch, head, row]) - np.log(total)) < 1e-12


@pytest.mark.parametrize("sizes", SIZES)
def test_softplus_is_divided_by_its_sum(sizes: Sizes) -> None:
    query, key = tensors(sizes)
    value = torch.randn(key.shape, generator=torch.Generator().manual_seed(1))
    out, lse = attncc.reference(query.double(), key.double(), value.double(), "softplus_attention", return_lse=True)
    kernel = attncc.attention if sizes.batch == 2 else attncc.reference
    close = kernel(query, key, value, "softplus_attention")
    for one in sequences(query, key):
        for head in one.heads:
            for row, q in enumerate(one.positions):
                term = np.log1p(np.exp(one.scores(head, q)[: q + 1]))
                told = term / term.sum() @ value[one.batch, head // one.group, : q + 1].double().numpy()
                np.testing.assert_allclose(out[one.batch, head, row].numpy(), told, rtol=0, atol=1e-12)
                np.testing.assert_allclose(close[one.batch, head, row].numpy(), told, rtol=0, atol=1e-5)
                assert abs(float(lse[one.batch, head, row]) - np.log(term.sum())) < 1e-12
