"""How is an explanation shown, to people and to programs?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from attncc.autotune.explain import Explanation, Pruned
from attncc.cli import output
from attncc.cli.kept import KEY_DIGITS
from attncc.library.find import Found
from attncc.library.key import ENVIRONMENT, IDENTITY, KernelKey
from attncc.library.record import write_key


def print_all(key: KernelKey, found: Explanation) -> None:
    """Prints the explanation: facts, what was pruned, the nearest entries."""
    output.facts([*_decision(found), *_limits(found), *_key(key, found)])
    if found.pruned:
        click.echo()
        output.table(
            [{"pruned": one.schedules, "reason": one.reason, "for example": one.example} for one in found.pruned]
        )
    others = [one for one in found.near if found.found is None or one.entry != found.found.entry]
    if others:
        click.echo("\nnearest entries")
        output.table([_row(one) for one in others])


def as_object(key: KernelKey, found: Explanation) -> Mapping[str, object]:
    """The explanation as JSON holds it."""
    entry = found.found.entry if found.found else None
    return {
        "key": {"digest": key.digest(), **write_key(key)},
        "schedule": dict(found.schedule.choices),
        "built_in": dict(found.built_in.choices),
        "standing": found.found.standing if found.found else "built-in",
        "differs": list(found.found.differs) if found.found else [],
        "micros": entry.micros if entry else None,
        "default_micros": entry.default_micros if entry else None,
        "kind": entry.kind if entry else None,
        "ties": [dict(tie.choices) for tie in found.ties],
        "schedules": {"combined": found.combined, "legal": found.legal, "timed": found.timed},
        "pruned": [_pruned(one) for one in found.pruned],
        "limits": _numbers(found),
        "left_out": list(found.unknown),
        "nearest": [_row(one) for one in found.near],
        "made_with": [{"what": what, "then": then, "now": now} for what, then, now in found.older],
    }


def _decision(found: Explanation) -> Iterator[tuple[str, str]]:
    yield "decision", str(found.schedule)
    if found.found is None:
        yield "source", "built-in schedule: nothing was tuned for calls like this one"
    else:
        entry = found.found.entry
        rounds = (
            f", {entry.confirmed} rounds" if entry.kind == "measured" else ", by the model of the hardware, never run"
        )
        yield "source", f"{found.found}{rounds}"
        yield "time", f"{entry.micros:,.1f} us, {entry.speedup:.3f} x the default ({entry.default_micros:,.1f} us)"
        yield "ties", "; ".join(map(str, found.ties)) or "none recorded"
    yield "schedules", f"{found.combined} combinations, {found.legal} legal, {found.timed} timed"


def _limits(found: Explanation) -> Iterator[tuple[str, str]]:
    if found.limits is not None:
        limits = found.limits
        yield (
            "limits",
            f"imbalance {limits.imbalance:.2f}, {limits.waves:,.1f} waves, {limits.masked:.0%} of steps masked",
        )
        if limits.micros:
            yield "alone", ", ".join(f"{name} {micros:,.1f} us" for name, micros in limits.micros) + " (modelled)"
            yield "programs", limits.programs
    for sentence in found.unknown:
        yield "left out", sentence


def _key(key: KernelKey, found: Explanation) -> Iterator[tuple[str, str]]:
    yield "key", key.digest()[:KEY_DIGITS]
    yield "identity", " ".join(str(getattr(key, name)) for name in IDENTITY)
    yield "environment", " | ".join(str(getattr(key, name)) for name in ENVIRONMENT)
    for what, then, now in found.older:
        yield "advisory", f"{what} was {then}, is {now}; the entry still serves"


def _row(found: Found) -> output.Row:
    entry = found.entry
    return {
        "key": entry.key.digest()[:KEY_DIGITS],
        "standing": found.standing,
        "differs": ", ".join(f"{name} {getattr(entry.key, name)}" for name in found.differs),
        "kind": entry.kind,
        "schedule": str(entry.schedule),
        "ratio": round(entry.speedup, 3),
    }


def _pruned(one: Pruned) -> Mapping[str, object]:
    return {"reason": one.reason, "schedules": one.schedules, "example": one.example}


def _numbers(found: Explanation) -> Mapping[str, object] | None:
    if found.limits is None:
        return None
    limits = found.limits
    numbers = {"imbalance": limits.imbalance, "waves": limits.waves, "masked": limits.masked}
    return {**numbers, "micros_alone": dict(limits.micros), "programs": limits.programs}
