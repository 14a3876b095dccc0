"""Does assign recover the heads that were planted, keep its word on time, and say so?"""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from attncc import device, reference
from attncc.errors import BadCandidate, BadShare, CalibrationUnusable, PatternNeedsInputs, UnknownParameter
from attncc.models.assign import exact
from attncc.models.assign.assigned import Assigned
from attncc.models.assign.candidates import defaults, dense, named, written
from attncc.models.assign.exact import Layer
from attncc.models.assign.findings import CELLS, compare, picture
from attncc.models.assign.local import plan_name
from attncc.models.assign.observe import Reader
from attncc.models.assign.page import page
from attncc.models.assign.run import Wanted, assign
from attncc.models.assign.texts import texts as read_texts
from attncc.models.assign.work import work
from attncc.models.plan import DENSE, ModelSizes, Plan
from attncc.models.plan_file import check
from attncc.models.plan_text import text
from attncc.pattern import Pattern
from attncc.spec.origin import Origin
from tests.assign.planted import KV_HEADS, LAYERS, Q_HEADS, RETRIEVAL, VOCABULARY, planted, save, texts
from tests.cli.run import attncc

SIZES = ModelSizes(LAYERS, Q_HEADS, KV_HEADS)
LENGTH = 1024


@pytest.fixture(scope="module")
def found() -> tuple[Plan, tuple[Assigned, ...]]:
    tried = ["a_shape:sink=64,window=64", "vertical_slash:vertical=64,slash=64,first=16,near=64", "block_sparse:top=3"]
    wanted = Wanted(budget=0.6, candidates=written(tried), length=2 * LENGTH, seconds=1.0, dense_below=256)
    return assign(cast(Reader, planted().model), SIZES, list(texts(1, LENGTH, seed=7)), wanted)


def test_the_model_has_learned() -> None:
    assert planted().after < planted().before - 0.2


def test_planted_heads_are_recovered(found: tuple[Plan, tuple[Assigned, ...]]) -> None:
    table = found[0].table(SIZES)
    group = Q_HEADS // KV_HEADS
    recovered = tuple(
        tuple(head for head in range(KV_HEADS) if row[head * group].prefill == DENSE) for row in table.heads
    )
    assert recovered == RETRIEVAL
    assert all(head.decode == DENSE for row in table.heads for head in row)
    assert {head.prefill.dense_below for row in table.heads for head in row if head.prefill != DENSE} == {256}


def test_the_speedup_is_what_was_predicted(found: tuple[Plan, tuple[Assigned, ...]]) -> None:
    (assigned,) = found[1]
    checked = assigned.checked_speedup()
    assert checked is not None
    assert abs(assigned.speedup() / checked - 1) < 0.15
    assert 1 / assigned.speedup() <= 0.6


def test_the_plan_reads_as_it_was_written(found: tuple[Plan, tuple[Assigned, ...]]) -> None:
    plan, _ = found
    assert check(Origin("written", text(plan)), Path()) == plan


def test_the_page_stands_alone_and_shows_every_head(found: tuple[Plan, tuple[Assigned, ...]]) -> None:
    html = page(*found, model="a <model> & more")
    assert "a &lt;model&gt; &amp; more" in html
    assert len(re.findall("(?:src|href)=", html)) == len(re.findall('(?:src|href)="(?:data:|#)', html))
    assert "<script" not in html
    for layer in range(LAYERS):
        for head in range(KV_HEADS):
            assert html.count(f'id="prefill-{layer}-{head}"') == html.count(f'href="#prefill-{layer}-{head}"') == 1
    images = [b64decode(image) for image in re.findall(r"data:image/png;base64,([^\"]+)", html)]
    assert len(images) == LAYERS * KV_HEADS
    for image in images:
        packed = image[image.index(b"IDAT") + 4 : image.index(b"IEND") - 8]
        pixels = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(CELLS, CELLS + 1)[:, 1:]
        assert not pixels[np.triu_indices(CELLS, 1)].any(), "no query attends to later keys"


def layer(length: int = 300) -> Layer:
    torch.manual_seed(3)
    return Layer(torch.randn(1, 4, length, 32), torch.randn(1, 2, length, 32), torch.randn(1, 2, length, 32), 0.2)


@pytest.mark.parametrize("candidate", [named("a_shape", {"sink": 3, "window": 40}), named("block_sparse", {"top": 2})])
def test_errors_and_mass_are_those_of_the_definition(candidate: object) -> None:
    """Against the mask itself, in float64: what is lost of the attention, and what that does to the output."""
    assert isinstance(candidate, type(dense()))
    one = layer()
    out, lse = exact.attention(one)
    square, kept = compare(one, candidate, out, lse)
    sparse = reference(one.query.double(), one.key.double(), one.value.double(), candidate.pattern, scale=one.scale)
    mask = candidate.pattern.mask(one.query, one.key, scale=one.scale)
    weight = (one.query.double() @ one.key.double().repeat_interleave(2, 1).transpose(2, 3) * one.scale).masked_fill(
        ~torch.ones(300, 300, dtype=torch.bool).tril(), -torch.inf
    ).softmax(3)  # fmt: skip
    whole = weight @ one.value.double().repeat_interleave(2, 1)
    torch.testing.assert_close(square, (sparse - whole).square().sum((2, 3))[0], rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(kept, (weight * mask).sum(3).mean(2)[0], rtol=1e-4, atol=1e-5)


def test_a_picture_is_mean_attention() -> None:
    found = picture(layer())
    torch.testing.assert_close(found.sum(2), torch.ones(4, CELLS))
    assert not found[:, torch.ones(CELLS, CELLS).triu(2).bool()].any()


def test_work_follows_the_mask_and_the_choice() -> None:
    one = layer(512)
    whole, near = work(one, dense()), work(one, named("sliding_window", {"window": 64}))
    assert set(whole) == {whole[0]}
    assert near[0] < whole[0] / 2
    assert work(one, named("block_sparse", {"top": 2}))[0] < whole[0]


def test_decode_looks_at_the_last_queries() -> None:
    wanted = Wanted(
        budget=0.9, phases=("decode",), candidates=written(["a_shape:sink=4,window=64", "quest:top=8"]),
        target=device.named("H100"),
    )  # fmt: skip
    plan, (assigned,) = assign(cast(Reader, planted().model), SIZES, list(texts(1, 512, seed=8)), wanted)
    assert assigned.checked is None
    assert assigned.costs.kind == "predicted"
    assert all(head.prefill == DENSE for row in plan.table(SIZES).heads for head in row)
    error = assigned.findings.error()
    streaming = [(layer, head) for layer in range(LAYERS) for head in range(KV_HEADS) if head not in RETRIEVAL[layer]]
    assert max(error[*each, 1] for each in streaming) < 0.02
    assert min(error[layer, head, 1] for layer, heads in enumerate(RETRIEVAL) for head in heads) > 0.1
    assert "predicted" in page(plan, (assigned,), "model")


@pytest.mark.parametrize("phase", ["prefill", "decode"])
@pytest.mark.parametrize("length", [256, 1024, 4096, 65536])
def test_candidates_have_names_of_their_own_and_see_less_than_all(phase: str, length: int) -> None:
    assert phase in ("prefill", "decode")
    found = defaults("prefill" if phase == "prefill" else "decode", length)
    assert len({candidate.name for candidate in found}) == len(found) >= 4
    for candidate in found[1:]:
        assert re.fullmatch("[a-z][a-z0-9_]{0,63}", candidate.name)
        assert dict(candidate.use.params).get("window", 0) <= length // 2


def test_candidates_of_ones_own() -> None:
    found = written(["a_shape", "a_shape:sink=4, window=512", "hip"])
    assert [candidate.name for candidate in found] == ["dense", "a_shape", "a_shape_4_512", "hip"]
    assert found[2].use.params == (("sink", 4), ("window", 512))
    with pytest.raises(BadCandidate, match="'a_shape:window' is no candidate"):
        written(["a_shape:window"])
    with pytest.raises(UnknownParameter):
        written(["a_shape:windw=5"])
    with pytest.raises(PatternNeedsInputs, match="needs the input"):
        written([next(name for name in ("documents", "padded") if Pattern.load(name).bound.inputs)])


def test_a_budget_is_a_share() -> None:
    with pytest.raises(BadShare, match="the budget is 20; it must be a share"):
        assign(cast(Reader, planted().model), SIZES, [], Wanted(budget=20))


def test_texts_are_spread_over_the_file(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.arange(3000) % VOCABULARY)
    found = read_texts(tmp_path / "one.npy", None, 256, 4, VOCABULARY)
    assert [one.shape for one in found] == [(1, 256)] * 4
    assert [int(one[0, 0]) for one in found] == [start % VOCABULARY for start in (0, 2 * 256, 5 * 256, 8 * 256)]
    (tmp_path / "words.txt").write_text("word " * 1000)
    (words,) = read_texts(tmp_path / "words.txt", lambda text: {"input_ids": [7] * text.count("word")}, 512, 1, 9)
    assert words.unique().tolist() == [7]


@pytest.mark.parametrize(
    ("values", "tokens", "reason"),
    [
        (np.arange(300), 512, "it has 300 tokens in a row, and a text is to have 512"),
        (np.full(600, 256), 512, "it has tokens that the model does not know; they must be below 256"),
        (np.full(600, -1), 512, "it has tokens that the model does not know"),
        (np.zeros(600), 512, r"it holds float64 \[600\]; give integers in one or two dimensions"),
        (np.arange(600), 100, "100 tokens are too few to tell patterns apart; give 256 or more"),
    ],
)
def test_texts_that_cannot_be_used(
    values: np.ndarray[tuple[int, ...], np.dtype[np.int64]], tokens: int, reason: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "tokens.npy", values)
    with pytest.raises(CalibrationUnusable, match=reason):
        read_texts(tmp_path / "tokens.npy", None, tokens, 1, 256)


def test_text_needs_a_tokenizer(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("word")
    with pytest.raises(CalibrationUnusable, match=r"the model has no tokenizer; give an array of its tokens \(.npy\)"):
        read_texts(tmp_path / "words.txt", None, 256, 1, 256)
    with pytest.raises(CalibrationUnusable, match="No such file"):
        read_texts(tmp_path / "none.txt", lambda text: {"input_ids": []}, 256, 1, 256)


def test_the_command_writes_a_plan_and_its_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "Small-Llama.1")
    np.save(tmp_path / "tokens.npy", torch.cat(list(texts(1, 512))).numpy())
    run = attncc(
        "assign", "Small-Llama.1", "--data", "tokens.npy", "--tokens", "512", "--texts", "1", "--budget", "0.9",
        "--candidate", "a_shape:sink=4,window=64", "--target", "H100", "--json",
    )  # fmt: skip
    assert run.status == 0, run.err
    assert {row["runs"] for row in json.loads(run.out)} == {"dense", "a_shape_4_64"}
    plan = check(Origin("written", Path("Small-Llama.1.plan.yaml").read_text()), Path())
    assert plan.name == "small_llama_1"
    assert plan.sizes == SIZES
    assert "nvidia-h100" in Path("Small-Llama.1.plan.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("nowhere", "--data", "x.npy"),
            "holds no model that a plan can be found for: it is not a folder with a config",
        ),
        (("nowhere", "--data", "x.npy", "--target", "H1000"), "H1000"),
        (("nowhere", "--data", "x.npy", "--candidate", "a_shap"), "did you mean 'a_shape'?"),
    ],
)
def test_wrong_requests_get_a_sentence(arguments: tuple[str, ...], said: str) -> None:
    run = attncc("assign", *arguments)
    assert run.status == 2
    assert said in run.err
    assert "Traceback" not in run.err


def test_names_of_plans() -> None:
    assert plan_name("Llama-3.1-8B") == "llama_3_1_8b"
    assert plan_name("7B") == "model_7b"
