"""Are patterns found by name and by path, read from files and dictionaries, and bound to parameters?"""

from __future__ import annotations

import json
import math
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import yaml

from attncc.errors import BadParameter, PatternFileError, UnknownParameter, UnknownPattern
from attncc.ir.pattern import SOFTMAX, Alibi, Scale, Softcap
from attncc.spec.load import find, from_dict, read, shipped
from attncc.spec.lower import lower
from attncc.spec.schema import json_schema

CAUSAL = {"pattern": "mine", "mask": "kv <= q"}


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownPattern, match=r"unknown pattern 'a_shap', and no such file; did you mean 'a_shape'\?"):
        find("a_shap")


def test_a_path_is_found_as_text_and_as_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("pattern: mine\nmask: kv <= q\n")
    assert find(str(path)) == find(path) == read(path)
    assert find(path).name == "mine"


def test_line_ends_and_marks_of_other_systems_do_not_matter(tmp_path: Path) -> None:
    text = "pattern: mine\nmask: |\n  kv <= q\n  and q - kv < 3\n"
    plain, foreign = tmp_path / "plain.yaml", tmp_path / "foreign.yaml"
    plain.write_bytes(text.encode())
    foreign.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert lower(read(plain)) == lower(read(foreign))


def test_defaults_overrides_and_their_order() -> None:
    assert lower(find("a_shape")).params == (("sink", 128), ("window", 1024))
    assert lower(find("a_shape"), {"window": 512}).params == (("sink", 128), ("window", 512))
    assert lower(find("a_shape"), {"window": np.int64(512)}).params == (("sink", 128), ("window", 512))


def test_an_unknown_parameter_gets_the_nearest_one() -> None:
    with pytest.raises(UnknownParameter, match=r"no parameter 'windw'; did you mean 'window'\? known: sink, window"):
        lower(find("a_shape"), {"windw": 3})
    with pytest.raises(UnknownParameter, match="it has none"):
        lower(find("causal"), {"window": 3})


@pytest.mark.parametrize("value", [-1, 0, 2**31, math.nan, 1.0, "3", True, None, np.zeros(2, dtype=int)])
def test_a_value_that_no_window_can_have(value: object) -> None:
    with pytest.raises(
        BadParameter, match="parameter 'window' of pattern 'a_shape' must be an integer, 1 or more, not"
    ):
        lower(find("a_shape"), {"window": value})


def test_the_sign_of_the_default_says_whether_a_parameter_may_be_negative() -> None:
    spec = from_dict({"pattern": "mine", "params": {"near": 0, "shift": -1}, "mask": "kv <= q + shift - near"})
    assert dict(lower(spec, {"shift": -7}).params)["shift"] == -7
    with pytest.raises(BadParameter, match="must be an integer, 0 or more, not -1"):
        lower(spec, {"near": -1})


def test_a_value_that_makes_the_mask_wrong_is_shown_in_the_file() -> None:
    spec = from_dict({"pattern": "mine", "params": {"block": 4}, "mask": "q // block == kv // block"})
    with pytest.raises(PatternFileError, match="and this is 0") as caught:
        lower(spec, {"block": 0})
    assert [(d.line, d.column) for d in caught.value.diagnostics] == [(4, 12), (4, 27)]


def test_a_dictionary_says_the_same_as_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "pattern: mine\nparams: {window: {default: 4, min: 1}}\nmask: 'q - kv < window'\nscore: {scale: 2}\n"
    )
    window = {"default": np.int32(4), "min": 1}
    spec = from_dict({**CAUSAL, "params": {"window": window}, "mask": "q - kv < window", "score": {"scale": 2.0}})
    assert lower(spec) == lower(read(path))


def test_score_rules_keep_their_order_and_can_be_switched_off() -> None:
    rules = {"softcap": 30, "alibi": True, "scale": 0.5}
    assert from_dict({**CAUSAL, "score": rules}).score == (Softcap(30.0), Alibi(), Scale(0.5))
    assert from_dict({**CAUSAL, "score": {"alibi": False}}).score == ()
    assert lower(from_dict({**CAUSAL, "combine": "softmax"})).combine == SOFTMAX


def test_a_truth_value_is_a_mask() -> None:
    assert lower(from_dict({**CAUSAL, "mask": True})).formula() == "true"


def test_the_digest_follows_the_meaning_and_nothing_else() -> None:
    one = lower(from_dict({**CAUSAL, "about": "One."}))
    assert one.digest() == lower(from_dict({**CAUSAL, "mask": "(kv)<=q"})).digest()
    assert one.digest() != lower(from_dict({**CAUSAL, "mask": "kv < q"})).digest()


def test_the_published_schema_is_the_one_in_force() -> None:
    published = resources.files("attncc.spec").joinpath("pattern.schema.json").read_text(encoding="utf-8")
    assert published == json_schema(), "python -m attncc.spec.schema prints it"


def test_shipped_patterns_fit_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    folder = resources.files("attncc.patterns")
    validator = jsonschema.Draft202012Validator(json.loads(json_schema()))
    validator.check_schema(validator.schema)
    for name in shipped():
        validator.validate(yaml.safe_load(folder.joinpath(f"{name}.yaml").read_text(encoding="utf-8")))
    assert not validator.is_valid({**CAUSAL, "select": {"columns": {"score": "pooled"}}})
