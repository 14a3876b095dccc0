"""How are keys, schedules and entries written as JSON, and read back with every type checked?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import cast

from attncc.codegen.kernel import Phase
from attncc.ir.schedule import DTYPES, DType, KnobValue, Schedule, Shape
from attncc.library.entry import KINDS, Kind, LibraryEntry
from attncc.library.key import POLICY, KernelKey

PHASES: tuple[Phase, ...] = ("prefill", "decode")


class RecordError(ValueError):
    """A record is not what this version writes; the text says which field."""


@dataclass(frozen=True, slots=True)
class Record:
    """A JSON object whose fields are asked for by type; raises RecordError where they disagree."""

    fields: Mapping[str, object]

    def text(self, name: str, absent: str | None = None) -> str:
        """The text in the field, or `absent` where an earlier version wrote no such field."""
        value = self.fields.get(name, absent)
        if not isinstance(value, str):
            raise RecordError(f"'{name}' must be text, found {value!r}")
        return value

    def word(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in allowed:
            raise RecordError(f"'{name}' must be one of {', '.join(allowed)}, found {value!r}")
        return value

    def whole(self, name: str) -> int:
        value = self.fields.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise RecordError(f"'{name}' must be a whole number, found {value!r}")
        return value

    def number(self, name: str) -> float:
        value = self.fields.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise RecordError(f"'{name}' must be a number, found {value!r}")
        return float(value)

    def items(self, name: str) -> list[object]:
        """The list in the field; empty where an earlier version wrote no such field."""
        value = self.fields.get(name, [])
        if not isinstance(value, list):
            raise RecordError(f"'{name}' must be a list, found {value!r:.60}")
        return value

    def inner(self, name: str) -> Record:
        return record_of(self.fields.get(name), name)


def record_of(value: object, name: str) -> Record:
    """`value` as a Record; raises RecordError if it is no JSON object."""
    if not isinstance(value, dict):
        raise RecordError(f"'{name}' must be an object, found {value!r:.60}")
    return Record(value)


def parse(text: str, name: str) -> Record:
    """The JSON object in `text`; raises RecordError."""
    try:
        return record_of(json.loads(text), name)
    except (json.JSONDecodeError, RecursionError) as error:
        raise RecordError(f"'{name}' is not JSON: {error}") from error


def write(fields: Mapping[str, object]) -> str:
    """`fields` as one line, in their order."""
    return json.dumps(fields, separators=(",", ":"))


def write_schedule(schedule: Schedule) -> str:
    """The choices as pairs, `[["block_m",64],["block_n",32]]`: an object would lose the order of the knobs."""
    return json.dumps(schedule.choices, separators=(",", ":"))


def read_schedule(text: str) -> Schedule:
    """The schedule that `write_schedule` wrote; raises RecordError."""
    try:
        return _read_pairs(json.loads(text))
    except json.JSONDecodeError as error:
        raise RecordError(f"'schedule' is not JSON: {error}") from error


def _choice(name: str, value: object) -> KnobValue:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return value
    raise RecordError(f"knob '{name}' must be a whole number or a word, found {value!r}")


def write_entry(entry: LibraryEntry) -> dict[str, object]:
    """Every field; pairs become objects, and the key's fields stand under `key`."""
    return {
        "key": write_key(entry.key),
        "params": dict(entry.params),
        "formula": entry.formula,
        "shape": asdict(entry.shape),
        "schedule": entry.schedule.choices,
        "source": entry.source,
        "kind": entry.kind,
        "micros": entry.micros,
        "spread": entry.spread,
        "default_micros": entry.default_micros,
        "confirmed": entry.confirmed,
        "trials": entry.trials,
        "session": entry.session,
        "made_with": dict(entry.made_with),
        "ties": [schedule.choices for schedule in entry.ties],
        "document": entry.document,
    }


def write_key(key: KernelKey) -> dict[str, object]:
    """Every field, the pattern's name included."""
    return asdict(key)


def read_entry(record: Record) -> LibraryEntry:
    params, made_with = record.inner("params"), record.inner("made_with")
    return LibraryEntry(
        key=read_key(record.inner("key")),
        params=tuple((name, params.whole(name)) for name in params.fields),
        formula=record.text("formula"),
        shape=_read_shape(record.inner("shape")),
        schedule=_read_pairs(record.fields.get("schedule")),
        source=record.text("source"),
        kind=cast(Kind, record.word("kind", KINDS)),
        micros=record.number("micros"),
        spread=record.number("spread"),
        default_micros=record.number("default_micros"),
        confirmed=record.whole("confirmed"),
        trials=record.whole("trials"),
        session=record.text("session"),
        made_with=tuple((name, made_with.text(name)) for name in made_with.fields),
        ties=tuple(map(_read_pairs, record.items("ties"))),
        document=record.text("document", ""),
    )


def read_key(record: Record) -> KernelKey:
    return KernelKey(
        pattern=record.text("pattern"),
        meaning=record.text("meaning"),
        dtype=cast(DType, record.word("dtype", DTYPES)),
        head_dim=record.whole("head_dim"),
        group=record.whole("group"),
        phase=cast(Phase, record.word("phase", PHASES)),
        shape_class=record.text("shape_class"),
        backend=record.text("backend"),
        space=record.text("space"),
        hardware=record.text("hardware"),
        toolchain=record.text("toolchain"),
        policy=record.text("policy", POLICY),
    )


def _read_shape(record: Record) -> Shape:
    names = ("batch", "q_heads", "kv_heads", "q_len", "kv_len", "head_dim")
    return Shape(*(record.whole(name) for name in names))


def _read_pairs(value: object) -> Schedule:
    if not isinstance(value, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in value):
        raise RecordError(f"'schedule' must be a list of [knob, choice], found {value!r:.60}")
    return Schedule(tuple((str(name), _choice(str(name), choice)) for name, choice in value))
