"""What do the entries under `inputs`, `select` and `combine` say, with the parameters in force?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from attncc.combines.rule import rules
from attncc.errors import nearest
from attncc.ir.expr import BoolExpr, Member, parts
from attncc.ir.pattern import SOFTMAX, Combine
from attncc.ir.selection import (
    HEADS,
    PERS,
    Above,
    Always,
    Geometry,
    Input,
    Mass,
    OptionValue,
    Per,
    Rule,
    Selection,
    Top,
)
from attncc.selectors import catalog
from attncc.spec.document import Node, Scalar, Table, within
from attncc.spec.geometry import geometry
from attncc.spec.grammar import Scope
from attncc.spec.origin import Origin
from attncc.spec.parse import read_expression
from attncc.spec.schema import ALWAYS_KEYS, INPUT_KEYS, KEEP_RULES, SELECT_KEYS
from attncc.spec.tokens import INT_LIMIT, quoted
from attncc.spec.values import Values

#: A share given by an integer parameter counts thousandths.
THOUSANDTHS = 1000
#: Keys that a rule of combination looks at together; kernels hold so many at a time.
MOST_UNIT = 1024


@dataclass(frozen=True, slots=True)
class Choosing:
    """Reads nodes as values with `params` in force; mistakes go to `values`."""

    values: Values
    params: Mapping[str, int]
    #: What the mask asks each set for, and which inputs it asks for positions; None where that is not known.
    asked: Mapping[str, Geometry] | None
    tokens: frozenset[str]
    origin: Origin

    def inputs(self, node: Node | None) -> tuple[Input, ...]:
        found: list[Input] = []
        for name, key, entry in self.values.named(node, "inputs", list(self.params)):
            keys = self._keys(entry, INPUT_KEYS) if isinstance(entry, Table) else {"per": entry}
            if "per" not in keys:
                self.values.fault(key, f"input {quoted(name)} has no 'per'; known: {', '.join(PERS)}")
                continue
            per = self.values.choice(keys["per"], PERS, "kind of input")
            shape = self._set(name, key) if per == "block" else None
            if self.asked is not None:
                self._used(name, key, per, self.asked)
            found.append(Input(name, per, self.values.text(keys.get("about")), shape))
        return tuple(found)

    def selections(self, node: Node | None, inputs: tuple[Input, ...]) -> tuple[Selection, ...]:
        found: list[Selection] = []
        for name, key, entry in self.values.named(node, "select", [*self.params, *(one.name for one in inputs)]):
            keys = self._keys(self.values.table(entry, name), SELECT_KEYS)
            for wanted in ("score", "keep"):
                if wanted not in keys:
                    self.values.fault(key, f"{quoted(name)} has no '{wanted}'")
            shape = self._set(name, key) or Geometry(1, None, None)
            score, options = self._score(keys["score"], inputs) if "score" in keys else ("", ())
            rule = self._rule(keys["keep"], inputs) if "keep" in keys else Top(0)
            heads = self.values.choice(keys["heads"], HEADS, "way to share heads") if "heads" in keys else "each"
            causal = self._switch(keys["causal"]) if "causal" in keys else True
            widen = self._whole(keys["widen"], 1) if "widen" in keys else 1
            always = self._always(keys.get("always"))
            found.append(Selection(name, shape, score, options, rule, always, heads, causal, widen))
        return tuple(found)

    def combine(self, node: Node | None, inputs: tuple[Input, ...]) -> Combine:
        if node is None:
            return SOFTMAX
        name, table = self._named(node, "combine", tuple(rules()))
        if name not in rules():
            return SOFTMAX
        kinds = rules()[name].OPTIONS
        given = self._keys(table, dict.fromkeys(kinds, ""))
        options: list[tuple[str, int | str]] = []
        for option, kind in kinds.items():
            if option not in given:
                self.values.fault(node, f"{name} needs its option {quoted(option)}, as in '{name}: {{{option}: ...}}'")
            elif kind == "int":
                options.append((option, self._whole(given[option], 2, MOST_UNIT)))
            else:
                options.append((option, self._input(given[option], inputs, "head")))
        return Combine(name, tuple(options))

    def _used(self, name: str, key: Scalar, per: Per, asked: Mapping[str, Geometry]) -> None:
        if per == "token" and name not in self.tokens:
            self.values.fault(key, f"the mask never asks {quoted(name)} for a position, as in '{name}[kv]'")
        if (per != "block" and name in asked) or (per != "token" and name in self.tokens):
            self.values.fault(key, f"the mask uses {quoted(name)} in another way than as an input per {per}")

    def _set(self, name: str, key: Scalar) -> Geometry | None:
        if self.asked is None:
            return None
        if name not in self.asked:
            self.values.fault(key, f"the mask never asks {quoted(name)} for a member, as in 'kv in {name}'")
        return self.asked.get(name)

    def _keys(self, table: Node, known: Mapping[str, str]) -> dict[str, Node]:
        return self.values.keys(table, known) if isinstance(table, Table) else {}

    def _named(self, node: Node, what: str, known: tuple[str, ...]) -> tuple[str, Table]:
        """A name, or a table of one name and its options."""
        empty = Table((), node.start, node.end)
        match node:
            case Table(((name, options),)):
                table = self.values.table(options, name.text)
            case Scalar():
                name, table = node, empty
            case _:
                self.values.fault(node, f"'{what}' holds a name, or one name with its options")
                return "", empty
        if name.text not in known:
            self.values.fault(name, f"unknown {what} {quoted(name.text)}; {nearest(name.text[:40], known)}")
        return name.text, table

    def _score(self, node: Node, inputs: tuple[Input, ...]) -> tuple[str, tuple[tuple[str, OptionValue], ...]]:
        name, table = self._named(node, "score", catalog.scores())
        if name not in catalog.scores():
            return name, ()
        defaults = catalog.options(name)
        given = self._keys(table, dict.fromkeys(defaults, ""))
        options: list[tuple[str, OptionValue]] = []
        for option, default in defaults.items():
            if option in given:
                words = catalog.choices(name).get(option, ())
                options.append((option, self._option(given[option], default, words, inputs)))
            elif default is None:
                self.values.fault(node, f"{name} needs its option {quoted(option)}")
            else:
                options.append((option, default))
        return name, tuple(options)

    def _option(
        self, node: Node, default: OptionValue | None, words: tuple[OptionValue, ...], inputs: tuple[Input, ...]
    ) -> OptionValue:
        """An option of the kind of its default; one of a few words may be an amount that counts them from 0."""
        match default:
            case None:
                return self._input(node, inputs, "unit")
            case str():
                known = tuple(str(word) for word in words)
                if isinstance(node, Scalar) and node.text in known:
                    return node.text
                amount = self._amount(node) if isinstance(node, Scalar) and set(self.params) & names_in(node) else None
                if amount is not None and 0 <= amount < len(known):
                    return known[amount]
                return self.values.choice(node, known, "choice") if known else self.values.scalar(node, "a name").text
            case float():
                return self._share(node)
            case int():
                return self._whole(node, 0)

    def _input(self, node: Node, inputs: tuple[Input, ...], per: str) -> str:
        known = [one.name for one in inputs if one.per == per]
        name = self.values.scalar(node, "the name of an input").text
        if name not in known:
            declared = f"known: {', '.join(known)}" if known else "none is declared"
            self.values.fault(node, f"this must be the name of an input per {per}; {declared}")
        return name

    def _rule(self, node: Node, inputs: tuple[Input, ...]) -> Rule:
        table = self.values.table(node, "keep")
        keys = self._keys(table, KEEP_RULES)
        rule = next((name for name in ("top", "mass", "above") if name in keys), None)
        if rule is None or len(keys.keys() & {"top", "mass", "above"}) != 1 or (rule != "mass" and len(keys) != 1):
            self.values.fault(node, "'keep' holds one rule: {top: n}, {mass: share} or {above: threshold}")
            return Top(1)
        match rule, keys[rule]:
            case "top", Scalar(text) if any(one.name == text and one.per == "head" for one in inputs):
                return Top(text)
            case "top", count:
                return Top(self._whole(count, 0))
            case "mass", share:
                least = self._whole(keys["least"], 0) if "least" in keys else 0
                return Mass(self._share(share), least, self._whole(keys["most"], 1) if "most" in keys else None)
            case _, threshold:
                return Above(self._share(threshold))

    def _always(self, node: Node | None) -> Always:
        keys = self._keys(self.values.table(node, "always"), ALWAYS_KEYS)
        first, last = (self._whole(keys[name], 0) if name in keys else 0 for name in ("first", "last"))
        return Always(first, last, self._switch(keys["own"]) if "own" in keys else False)

    def _amount(self, node: Node) -> int | None:
        """The value of an expression over parameters; None where a plain value stands."""
        if not isinstance(node, Scalar) or not any(letter.isalpha() for letter in node.text):
            return None
        if node.text in ("true", "false"):
            return None
        operand, faults = read_expression(node.text, Scope(self.params), "this amount")
        self.values.faults += [within(self.origin, node, fault) for fault in faults]
        if not faults and (operand.reach is None or not operand.fixed):
            self.values.fault(node, "an amount is a number, or an expression of numbers and params")
        return operand.reach.low if operand.reach is not None and operand.fixed else 1

    def _whole(self, node: Node, least: int, most: int = INT_LIMIT - 1) -> int:
        """An integer or an amount, `least` or more, at most `most`."""
        amount = self._amount(node)
        value = self.values.integer(node) if amount is None else amount
        if value < least:
            self.values.fault(node, f"this must be {least} or more, and it is {value}")
        if value > most:
            self.values.fault(node, f"this must be {most} or less, and it is {value}")
        return min(max(value, least), most)

    def _share(self, node: Node) -> float:
        """A number, or an amount that counts thousandths."""
        amount = self._amount(node)
        return self.values.number(node) if amount is None else amount / THOUSANDTHS

    def _switch(self, node: Node) -> bool:
        """true or false, or an amount that is not 0."""
        amount = self._amount(node)
        return self.values.switch(node) if amount is None else amount != 0


def names_in(node: Scalar) -> set[str]:
    """The words of a text."""
    return set(re.findall(r"\w+", node.text))


def asked_for(values: Values, mask: BoolExpr, params: Mapping[str, int], place: Node) -> Mapping[str, Geometry]:
    """What a mask asks each set for; a mistake where it asks one for different things."""
    found: dict[str, Geometry] = {}
    for member in (part for part in parts(mask) if isinstance(part, Member)):
        shape = geometry(member.row, member.unit, params)
        if shape is not None and found.setdefault(member.name, shape) != shape:
            values.fault(place, f"the mask asks {quoted(member.name)} for different members in different places")
    return found
