"""Does a plan say for each head of any model what runs, and does its text say the same?"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attncc.errors import PlanDoesNotFit, UnknownPlan
from attncc.models.plan import DENSE, DENSE_NAME, PHASES, ModelSizes, Phase, Plan, Rule, Use
from attncc.models.plan_file import check
from attncc.models.plan_find import find, read, shipped
from attncc.models.plan_rules import rules_for
from attncc.models.plan_spans import All, At, Every, Part, Range, Span, covering, places, read_span, span_text
from attncc.models.plan_text import text
from attncc.pattern import Pattern
from attncc.spec.origin import Origin

LLAMA = ModelSizes(32, 32, 8)


def reread(plan: Plan) -> Plan:
    return check(Origin("written", text(plan)), Path())


@pytest.mark.parametrize("name", shipped())
@pytest.mark.parametrize("sizes", [LLAMA, ModelSizes(8, 6, 3), ModelSizes(80, 64, 8), ModelSizes(3, 1, 1)])
def test_shipped_plans_suit_any_model(name: str, sizes: ModelSizes) -> None:
    plan = find(name)
    table = plan.table(sizes)
    assert plan.name == name
    assert plan.about
    assert "arXiv" in plan.source
    assert [len(row) for row in table.heads] == [sizes.q_heads] * sizes.layers
    if sizes.layers > 5 and sizes.kv_heads > 1:
        assert any(head.use(phase) != DENSE for row in table.heads for head in row for phase in PHASES)


@pytest.mark.parametrize("name", shipped())
def test_shipped_plans_run_patterns_that_exist(name: str) -> None:
    for _, use in find(name).uses:
        assert use.pattern is not None
        Pattern.load(use.pattern, **dict(use.params))


@pytest.mark.parametrize("name", shipped())
def test_a_written_plan_is_the_same(name: str) -> None:
    assert reread(find(name)) == find(name)


def test_what_the_published_plans_say_of_a_model_of_32_layers() -> None:
    def kinds(name: str, phase: Phase) -> list[str | None]:
        return [row[0].use(phase).pattern for row in find(name).table(LLAMA).heads]

    assert kinds("longgen", "prefill") == ["longgen"] * 10 + [None] * 12 + ["longgen"] * 10
    assert kinds("masformer", "prefill") == [None] * 10 + ["masformer"] * 22
    assert kinds("hip", "decode") == [None] * 4 + ["hip"] * 27 + [None]
    assert kinds("tidal_decode", "prefill") == [None] * 32
    assert kinds("tidal_decode", "decode") == [None] * 2 + ["tidal_decode"] * 30
    assert kinds("quest", "decode") == [None] * 2 + ["quest"] * 30
    roles = [(row[0].decode.share, row[0].decode.reuse) for row in find("tidal_decode").table(LLAMA).heads]
    assert [layer for layer, (share, _) in enumerate(roles) if share] == [2, 13]
    assert [layer for layer, (_, reuse) in enumerate(roles) if reuse] == [*range(3, 13), *range(14, 32)]
    assert find("hip").table(LLAMA).heads[4][0].prefill.dense_below == 8192
    assert find("hip").table(LLAMA).heads[4][0].decode.refresh == 8


def test_heads_that_run_alike_are_one_group() -> None:
    table = find("lserve").table(LLAMA)
    for phase in PHASES:
        groups = table.groups(5, phase)
        assert [group.heads for group in groups] == [tuple(range(16)), tuple(range(16, 32))]
        assert [group.use for group in groups] == [table.heads[5][0].use(phase), table.heads[5][31].use(phase)]


def test_a_later_rule_applies_over_an_earlier_one_and_leaves_the_other_phase_alone() -> None:
    streaming, blocks = Use("a_shape"), Use("block_sparse")
    rules = (
        Rule((All(),), (All(),), "streaming", "streaming"),
        Rule((Range(1, 1),), (Range(0, 0),), "blocks", None),
        Rule((All(),), (Range(-1, -1),), None, DENSE_NAME),
    )
    plan = Plan("mine", "", "", "kv", (("streaming", streaming), ("blocks", blocks)), rules)
    heads = plan.table(ModelSizes(2, 4, 2)).heads
    assert [head.prefill for head in heads[0]] == [streaming] * 4
    assert [head.prefill for head in heads[1]] == [blocks, blocks, streaming, streaming]
    assert [head.decode for head in heads[0]] == [streaming, streaming, DENSE, DENSE]


def test_a_plan_for_a_model_refuses_another() -> None:
    plan = Plan("mine", "", "", "kv", (), (), ModelSizes(2, 4, 2))
    assert plan.table(ModelSizes(2, 4, 2)).heads[1][3].decode == DENSE
    with pytest.raises(PlanDoesNotFit, match=r"it is for 2 layers of 4 heads \(2 KV heads\), the model has 3 layers"):
        plan.table(ModelSizes(3, 4, 2))


def test_a_layer_that_is_not_there() -> None:
    plan = Plan("mine", "", "", "q", (), (Rule((Range(0, 5),), (All(),), DENSE_NAME, None),))
    with pytest.raises(PlanDoesNotFit, match="it names layer 5, the model has 4"):
        plan.table(ModelSizes(4, 4, 2))
    with pytest.raises(PlanDoesNotFit, match="plan 'tidal_decode' does not fit the model: it names layer 2"):
        find("tidal_decode").table(ModelSizes(2, 4, 2))


def test_a_choice_that_nobody_made() -> None:
    uses = (("best", Use("quest", share="pages")), ("same", Use("quest", reuse="pages")))
    rules = (Rule((All(),), (All(),), None, "same"), Rule((Range(1, 1),), (Range(0, 0),), None, "best"))
    with pytest.raises(PlanDoesNotFit, match="layer 0, head 0 takes over 'pages' in decode, which no earlier layer"):
        Plan("mine", "", "", "q", uses, rules).table(ModelSizes(3, 2, 2))


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownPlan, match=r"unknown plan 'long_gen', and no such file; did you mean 'longgen'\?"):
        find("long_gen")


def test_patterns_of_ones_own_are_seen_from_the_plan_file(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("pattern: mine\nmask: kv <= q and q - kv < 5\n")
    (tmp_path / "plan.yaml").write_text("plan: own\nuses: {near: mine.yaml}\nrules:\n  - {both: near}\n")
    (_, use), *_ = read(tmp_path / "plan.yaml").uses
    assert use.pattern == str(tmp_path / "mine.yaml")
    assert find(tmp_path / "plan.yaml").name == "own"


@pytest.mark.parametrize(
    ("written", "total", "meant"),
    [
        ("all", 3, [0, 1, 2]),
        ("2", 3, [2]),
        ("-1", 3, [2]),
        ("1..2", 4, [1, 2]),
        ("first 2", 5, [0, 1]),
        ("first 9", 3, [0, 1, 2]),
        ("last 1/2", 5, [3, 4]),
        ("middle 1/3", 32, list(range(10, 22))),
        ("middle 2", 5, [1, 2]),
        ("first 2/3", 3, [0, 1]),
        ("at 13/32", 32, [13]),
        ("at 13/32", 16, [6]),
        ("every 2", 5, [0, 2, 4]),
        ("every  2 from 1", 5, [1, 3]),
    ],
)
def test_words_for_layers_and_heads(written: str, total: int, meant: list[int]) -> None:
    span = read_span(written)
    assert span is not None
    assert list(places(span, total)) == meant
    assert read_span(span_text(span)) == span


@pytest.mark.parametrize(
    "written", ["", "some", "1..", "3..1", "first", "first 3/2", "last 1/0", "every 0", "1.5", "٣"]
)
def test_words_that_mean_nothing(written: str) -> None:
    assert read_span(written) is None


SHARES = st.builds(Fraction, st.integers(1, 9), st.integers(10, 40))
SPANS: st.SearchStrategy[Span] = st.one_of(
    st.builds(All),
    st.builds(At, SHARES),
    st.builds(Every, st.integers(1, 5), st.integers(0, 5)),
    st.builds(Part, st.sampled_from(("first", "middle", "last")), st.one_of(SHARES, st.integers(0, 40).map(Fraction))),
)


@given(SPANS, st.integers(1, 64))
def test_relative_words_fit_every_model(span: Span, total: int) -> None:
    assert set(places(span, total)) <= set(range(total))
    assert read_span(span_text(span)) == span


@given(st.integers(1, 64), st.integers(1, 9))
def test_equal_ends_and_the_middle_are_all(total: int, ends: int) -> None:
    share = Fraction(ends, 19)
    parts = (Part("first", share), Part("middle", 1 - 2 * share), Part("last", share))
    assert [place for part in parts for place in places(part, total)] == list(range(total))


@given(st.lists(st.integers(0, 40), unique=True).map(sorted))
def test_ranges_cover_exactly(indices: list[int]) -> None:
    spans = covering(indices)
    assert [place for span in spans for place in places(span, 41)] == indices


@given(st.lists(st.lists(st.sampled_from(["dense", "near", "far"]), min_size=4, max_size=4), min_size=1, max_size=6))
def test_rules_for_a_table_say_the_table(names: list[list[str]]) -> None:
    uses = {"near": Use("sliding_window"), "far": Use("a_shape"), "dense": DENSE}
    plan = Plan("drawn", "", "", "kv", (("near", uses["near"]), ("far", uses["far"])), rules_for(names, "prefill"))
    table = reread(plan).table(ModelSizes(len(names), 8, 4))
    assert [[head.prefill for head in row[::2]] for row in table.heads] == [
        [uses[name] for name in row] for row in names
    ]
    assert all(head.decode == DENSE for row in table.heads for head in row)
