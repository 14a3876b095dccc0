"""Which keys does a pattern file have, and what may each hold?"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from attncc.ir.expr import Q_FIRST, Q_LAST, STRIP, VARIABLES
from attncc.ir.pattern import Alibi, Combine, Scale, ScoreRule, Softcap
from attncc.spec.document import Scalar
from attncc.spec.grammar import LATER_INPUTS, LATER_SELECT, WORDS
from attncc.spec.origin import Origin
from attncc.spec.tokens import INT_LIMIT

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool"

#: Lower case, so that generated constants (upper case) of two names never meet.
IDENTIFIER = "[a-z][a-z0-9_]{0,63}"
IDENTIFIER_WORDS = "small letters, digits and '_', at most 64, a letter first"
#: Names that mean something already.
RESERVED = (*VARIABLES, *WORDS, Q_FIRST, Q_LAST, STRIP)
#: Score factors outside this leave float32.
SMALLEST_FACTOR, LARGEST_FACTOR = 1e-30, 1e30

KEYS: Mapping[str, str] = {
    "pattern": "Name of the pattern and of its operator.",
    "about": "One sentence: which keys a query sees.",
    "source": "Where the pattern is from: paper, arXiv id.",
    "params": "Integers that can be overridden at every call, each with its default.",
    "let": "Names for parts of the mask; each may use the names above it.",
    "mask": "True where query position q sees key position kv.",
    "score": "What happens to the scaled score before the softmax, in this order.",
    "combine": "How scores become weights.",
}
LATER_KEYS: Mapping[str, str] = {"select": LATER_SELECT, "inputs": LATER_INPUTS}
PARAM_KEYS: Mapping[str, str] = {
    "default": "The value when none is given.",
    "min": "The smallest value that makes sense; 0 if not given.",
    "max": "The largest value that makes sense.",
    "about": "What the parameter counts.",
}
COMBINES = ("softmax",)
LATER_COMBINES = ("sink_softmax", "landmark", "softplus_l1")

#: Score rules that take a factor, and those that are only switched on.
FACTOR_RULES: Mapping[str, Callable[[float], ScoreRule]] = {"scale": Scale, "softcap": Softcap}
SWITCH_RULES: Mapping[str, Callable[[], ScoreRule]] = {"alibi": Alibi}
RULE_ABOUT: Mapping[str, str] = {
    "scale": "score * scale, on top of the scale of the call.",
    "softcap": "softcap * tanh(score / softcap), as in Gemma 2 (arXiv 2408.00118).",
    "alibi": "score - slope[head] * (q - kv), slopes of arXiv 2108.12409.",
}


@dataclass(frozen=True, slots=True)
class ParamSpec:
    """An integer parameter: its default, and the values it may take, both ends included."""

    name: str
    default: int
    low: int
    high: int
    about: str = ""

    def wanted(self) -> str:
        """The values it may take, in words."""
        if self.high < INT_LIMIT - 1:
            return f"an integer from {self.low} to {self.high}"
        return f"an integer, {self.low} or more"


@dataclass(frozen=True, slots=True)
class PatternSpec:
    """A pattern file with every value checked; expressions are kept as text, with their places in `origin`."""

    name: str
    about: str
    source: str
    params: tuple[ParamSpec, ...]
    lets: tuple[tuple[str, Scalar], ...]
    mask: Scalar
    score: tuple[ScoreRule, ...]
    combine: Combine
    origin: Origin

    def defaults(self) -> dict[str, int]:
        """Every parameter with its default."""
        return {param.name: param.default for param in self.params}


def json_schema() -> str:
    """The JSON Schema of pattern files, for editors; the text of pattern.schema.json."""
    return json.dumps(_schema(), indent=2) + "\n"


def _schema() -> Json:
    kinds: dict[str, Json] = {
        "pattern": {"type": "string", "pattern": f"^{IDENTIFIER}$"},
        "about": {"type": "string"},
        "source": {"type": "string"},
        "params": _named({"oneOf": [_integer(), _closed(_param_keys(), ["default"])]}),
        "let": _named(_expression()),
        "mask": _expression(),
        "score": _closed(_score_rules(), []),
        "combine": {"enum": list(COMBINES)},
    }
    described: dict[str, Json] = {key: {"description": KEYS[key], **_table(kind)} for key, kind in kinds.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "attncc pattern",
        **_table(_closed(described, ["pattern", "mask"])),
    }


def _param_keys() -> dict[str, Json]:
    text: Json = {"type": "string"}
    kinds = {key: text if key == "about" else _integer() for key in PARAM_KEYS}
    return {key: {"description": PARAM_KEYS[key], **_table(kind)} for key, kind in kinds.items()}


def _score_rules() -> dict[str, Json]:
    factor: dict[str, Json] = {"type": "number", "minimum": SMALLEST_FACTOR, "maximum": LARGEST_FACTOR}
    switch: dict[str, Json] = {"type": "boolean"}
    rules = {**dict.fromkeys(FACTOR_RULES, factor), **dict.fromkeys(SWITCH_RULES, switch)}
    return {name: {"description": RULE_ABOUT[name], **rule} for name, rule in rules.items()}


def _integer() -> Json:
    return {"type": "integer", "minimum": 1 - INT_LIMIT, "maximum": INT_LIMIT - 1}


def _expression() -> Json:
    return {"type": ["string", "integer", "boolean"]}


def _named(value: Json) -> Json:
    return {"type": "object", "propertyNames": {"pattern": f"^{IDENTIFIER}$"}, "additionalProperties": value}


def _closed(properties: Mapping[str, Json], required: list[Json]) -> Json:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _table(value: Json) -> Mapping[str, Json]:
    assert isinstance(value, Mapping), "a schema is a table"
    return value


if __name__ == "__main__":
    print(json_schema(), end="")
