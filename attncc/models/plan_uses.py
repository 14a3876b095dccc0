"""How are the uses of a plan file read, and do they fit their patterns and each other?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from attncc.errors import AttnccError, nearest
from attncc.models.plan import DENSE_NAME, Use
from attncc.spec import load
from attncc.spec.document import Node, Scalar
from attncc.spec.schema import PatternSpec
from attncc.spec.tokens import quoted
from attncc.spec.values import Values

USE_KEYS: Mapping[str, str] = {
    "pattern": "Name of a shipped pattern, or the path of a pattern file, seen from the plan file.",
    "params": "Parameters of the pattern in place of its defaults.",
    "dense_below": "Calls with fewer keys are dense.",
    "share": "The name under which later layers find what this pattern chooses.",
    "reuse": "The name of the choice to take over from an earlier layer.",
    "refresh": "Decoding steps that a choice serves; 1 if not given.",
    "attend_all": "Whether a sharing head is itself dense; false if not given.",
}


@dataclass(frozen=True, slots=True)
class _Read:
    """A use as it was read, with the place of its name."""

    use: Use
    key: Scalar


def read_uses(values: Values, node: Node | None, folder: Path, below: int) -> tuple[tuple[str, Use], ...]:
    """The uses of a plan file by name; paths of patterns are seen from `folder`, calls with fewer than `below` keys are
    dense unless a use says otherwise."""
    read: dict[str, _Read] = {}
    for key, value in values.distinct(values.table(node, "uses")):
        name = values.identifier(key, "a name")
        if name == DENSE_NAME:
            values.fault(key, f"'{DENSE_NAME}' means something already; choose another name")
        read[name] = _use(values, key, value, folder, below)
    return tuple((name, _with_shared(values, each, read.values())) for name, each in read.items())


def _use(values: Values, key: Scalar, node: Node, folder: Path, below: int) -> _Read:
    if isinstance(node, Scalar):
        spec = _pattern(values, node, folder)
        return _Read(Use(_where(spec, node, folder), dense_below=below), key)
    keys = values.keys(values.table(node, key.text), USE_KEYS)
    if ("pattern" in keys) == ("reuse" in keys):
        values.fault(key, f"{quoted(key.text)} needs either a 'pattern' or a choice to 'reuse'")
    spec = _pattern(values, keys["pattern"], folder) if "pattern" in keys else None
    use = Use(
        pattern=_where(spec, keys["pattern"], folder) if "pattern" in keys else None,
        params=tuple(_params(values, keys.get("params"), spec)),
        dense_below=at_least(values, keys["dense_below"], 0) if "dense_below" in keys else below,
        share=values.identifier(keys["share"], "a name") if "share" in keys else None,
        reuse=values.identifier(keys["reuse"], "a name") if "reuse" in keys else None,
        refresh=at_least(values, keys["refresh"], 1) if "refresh" in keys else 1,
        attend_all=values.switch(keys["attend_all"]) if "attend_all" in keys else False,
    )
    for name in ("share", "refresh"):
        if name in keys and spec is not None and not _choosing(spec):
            values.fault(keys[name], f"pattern '{spec.name}' chooses nothing at run time, so there is no '{name}'")
    if use.attend_all and use.share is None:
        values.fault(keys["attend_all"], "only a use with 'share' chooses for others; leave 'attend_all' out")
    if use.reuse is not None and ("params" in keys or "share" in keys or "refresh" in keys):
        values.fault(key, "with 'reuse' pattern, parameters and refresh are those of the use that shares")
    return _Read(use, key)


def _with_shared(values: Values, read: _Read, others: Collection[_Read]) -> Use:
    """A use that takes a choice over has the pattern of the one that shares it."""
    if read.use.reuse is None:
        return read.use
    sharing = [other.use for other in others if other.use.share == read.use.reuse]
    if len(sharing) != 1:
        known = [other.use.share for other in others if other.use.share is not None]
        found = "more than one use shares" if sharing else "no use shares"
        values.fault(read.key, f"{found} {quoted(read.use.reuse)}; shared are: {', '.join(known) or 'none'}")
        return read.use
    return replace(read.use, pattern=sharing[0].pattern, params=sharing[0].params, refresh=sharing[0].refresh)


def _pattern(values: Values, node: Node, folder: Path) -> PatternSpec | None:
    text = values.scalar(node, "the name of a pattern").text
    try:
        return load.find(_place(text, folder))
    except AttnccError as error:
        values.fault(node, str(error).partition("\n")[0])
        return None


def _where(spec: PatternSpec | None, node: Node, folder: Path) -> str | None:
    if spec is None or not isinstance(node, Scalar):
        return None
    return _place(node.text, folder)


def _place(text: str, folder: Path) -> str:
    """The name of a shipped pattern, or the path of a pattern file as it is seen from here."""
    known = text in load.shipped() or not (text.endswith(load.SUFFIXES) or (folder / text).exists())
    return text if known else str(folder / text)


def _choosing(spec: PatternSpec | None) -> bool:
    return spec is not None and spec.select is not None


def _params(values: Values, node: Node | None, spec: PatternSpec | None) -> Iterator[tuple[str, int]]:
    if node is None or spec is None:
        return
    known = {param.name: param for param in spec.params}
    for key, value in values.distinct(values.table(node, "params")):
        number = values.integer(value)
        if key.text not in known:
            hint = nearest(key.text[:40], list(known)) if known else "it has none"
            values.fault(key, f"pattern '{spec.name}' has no parameter {quoted(key.text)}; {hint}")
        elif not known[key.text].low <= number <= known[key.text].high:
            values.fault(value, f"{quoted(key.text)} must be {known[key.text].wanted()}")
        yield key.text, number


def at_least(values: Values, node: Node, low: int) -> int:
    """An integer that is not below `low`."""
    number = values.integer(node)
    if number < low:
        values.fault(node, f"this must be an integer, {low} or more")
    return max(low, number)
