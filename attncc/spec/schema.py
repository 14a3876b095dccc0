"""Which keys does a pattern file have, and what may each hold?"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from attncc.combines.rule import rules
from attncc.ir.expr import Q_FIRST, Q_LAST, STRIP, VARIABLES
from attncc.ir.pattern import Alibi, Scale, ScoreRule, Softcap
from attncc.ir.selection import HEADS, PERS
from attncc.selectors import catalog
from attncc.spec.document import Node, Scalar
from attncc.spec.grammar import WORDS
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
    "inputs": "Tensors that a call must bring, by name.",
    "select": "Sets that a call chooses from its query and key, by name; the mask asks them for members.",
    "mask": "True where query position q sees key position kv.",
    "score": "What happens to the scaled score before the softmax, in this order.",
    "combine": "How scores become weights.",
}
PARAM_KEYS: Mapping[str, str] = {
    "default": "The value when none is given.",
    "min": "The smallest value that makes sense; 0 if not given.",
    "max": "The largest value that makes sense.",
    "about": "What the parameter counts.",
}
INPUT_KEYS: Mapping[str, str] = {
    "per": "What it holds a value for: an integer for each token, a number for each query head, a truth value for each "
    "block of queries and keys, or a score for each unit of a set.",
    "about": "What the values mean.",
}
SELECT_KEYS: Mapping[str, str] = {
    "score": "How units are scored: a name, or a name with its options.",
    "keep": "Which units are chosen by their scores.",
    "always": "Which units are chosen whatever their scores; they count.",
    "heads": "How the scores of query heads are joined.",
    "causal": "Whether only units that begin at or before the last query of a row are chosen; true if not given.",
    "widen": "For distances: how many rows of a tile share what any of them sees.",
}
KEEP_RULES: Mapping[str, str] = {
    "top": "The units with the largest scores: how many; a number, a parameter, or an input per head.",
    "mass": "The fewest units whose scores make up this share of all; a number, or a parameter in thousandths.",
    "above": "The units whose scores are at least this; a number, or a parameter in thousandths.",
    "least": "With mass: at least so many units.",
    "most": "With mass: at most so many units.",
}
ALWAYS_KEYS: Mapping[str, str] = {
    "first": "The first units; the smallest distances.",
    "last": "The last units that the row of queries sees.",
    "own": "The units of the row's own positions.",
}

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
    inputs: Node | None
    select: Node | None
    combine: Node | None
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
        "inputs": _named({"oneOf": [{"enum": list(PERS)}, _closed(_input_keys(), ["per"])]}),
        "select": _named(_closed(_select_keys(), ["score", "keep"])),
        "mask": _expression(),
        "score": _closed(_score_rules(), []),
        "combine": _one_of({name: rule.OPTIONS for name, rule in rules().items()}),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "attncc pattern",
        **_table(_closed(_described(kinds, KEYS), ["pattern", "mask"])),
    }


def _param_keys() -> dict[str, Json]:
    text: Json = {"type": "string"}
    return _described({key: text if key == "about" else _integer() for key in PARAM_KEYS}, PARAM_KEYS)


def _score_rules() -> dict[str, Json]:
    factor: dict[str, Json] = {"type": "number", "minimum": SMALLEST_FACTOR, "maximum": LARGEST_FACTOR}
    switch: dict[str, Json] = {"type": "boolean"}
    rules = {**dict.fromkeys(FACTOR_RULES, factor), **dict.fromkeys(SWITCH_RULES, switch)}
    return {name: {"description": RULE_ABOUT[name], **rule} for name, rule in rules.items()}


def _input_keys() -> dict[str, Json]:
    return _described({"per": {"enum": list(PERS)}, "about": {"type": "string"}}, INPUT_KEYS)


def _select_keys() -> dict[str, Json]:
    counted = _described(dict.fromkeys(KEEP_RULES, _amount()), KEEP_RULES)
    always = _described({"first": _amount(), "last": _amount(), "own": _switch()}, ALWAYS_KEYS)
    kinds: dict[str, Json] = {
        "score": _one_of({name: catalog.options(name) for name in catalog.scores()}),
        "keep": _closed(counted, []),
        "always": _closed(always, []),
        "heads": {"enum": list(HEADS)},
        "causal": _switch(),
        "widen": _amount(),
    }
    return _described(kinds, SELECT_KEYS)


def _one_of(options: Mapping[str, Collection[str]]) -> Json:
    """A name, or a table of one name with its options."""
    tables = {name: _closed({option: _amount() for option in found}, []) for name, found in options.items()}
    single: dict[str, Json] = {"minProperties": 1, "maxProperties": 1}
    return {"oneOf": [{"enum": list(options)}, {**_table(_closed(tables, [])), **single}]}


def _described(kinds: Mapping[str, Json], about: Mapping[str, str]) -> dict[str, Json]:
    return {key: {"description": about[key], **_table(kind)} for key, kind in kinds.items()}


def _amount() -> Json:
    """A number, or the name of a parameter or input."""
    return {"type": ["number", "string"]}


def _switch() -> Json:
    return {"type": ["boolean", "string"]}


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
