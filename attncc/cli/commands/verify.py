"""`attncc verify`: does every backend that runs here compute what the pattern means?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attncc.cli import output
from attncc.cli.options import (
    DTypeParam,
    ShapeParam,
    json_option,
    library_option,
    pattern_argument,
    settings_option,
    shape_text,
)
from attncc.cli.output import Row
from attncc.ir.schedule import DTYPES, DType, Shape
from attncc.spec import load, lower

if TYPE_CHECKING:
    from attncc.cli.checking import Check
    from attncc.cli.choices import Choice, Mass


@click.command()
@pattern_argument
@click.option("--shape", "shapes", type=ShapeParam(), multiple=True, help="Instead of the built-in ones; repeatable.")
@click.option("--dtype", "dtypes", type=DTypeParam(), multiple=True, default=DTYPES, help="Repeatable; default all.")
@library_option
@settings_option
@json_option
def command(
    name: str,
    shapes: tuple[Shape, ...],
    dtypes: tuple[DType, ...],
    library_path: Path,
    overrides: tuple[tuple[str, int], ...],
    as_json: bool,
) -> int:
    """Compare every backend that runs here with the float64 reference.

    Where PATTERN chooses keys, its choice is compared too, and the attention that it keeps is shown.
    """
    # PyTorch loads only for commands that run kernels.
    from attncc.cli.checking import checks
    from attncc.cli.choices import choices, masses

    pattern = lower.lower(load.find(name), dict(overrides))
    found = list(checks(pattern, shapes, dtypes, library_path))
    chosen = list(choices(pattern, shapes)) if pattern.selections else []
    rows = [_row(check) for check in found]
    output.table([*rows, *map(_choice_row, chosen)] if as_json else rows, as_json)
    wrong = sum(check.wrong for check in found)
    if not as_json:
        click.echo(_summary(found, wrong))
    if chosen and not as_json:
        click.echo("\nWhat is chosen, beside a choice by scores in float64:")
        output.table([_choice_row(choice) for choice in chosen], as_json)
        click.echo("\nThe share of dense causal attention that is kept, beside as many keys chosen best and at random:")
        output.table([_mass_row(mass) for mass in masses(pattern, shapes)], as_json)
    wrong += sum(choice.wrong for choice in chosen)
    for reason in dict.fromkeys(check.reason for check in found if check.failed):
        click.echo(f"attncc: {reason}", err=True)
    return 1 if wrong else 0


def _row(check: Check) -> Row:
    agreement = check.agreement
    return {
        "backend": check.backend,
        "shape": shape_text(check.shape),
        "dtype": check.dtype,
        "error": agreement.error if agreement else None,
        "allowed": agreement.allowed if agreement else None,
        "lse error": agreement.lse_error if agreement else None,
        "lse allowed": agreement.lse_allowed if agreement else None,
        "result": _result(check),
    }


def _choice_row(choice: Choice) -> Row:
    return {
        "set": choice.name,
        "shape": shape_text(choice.shape),
        "chosen": choice.chosen,
        "differing": choice.differing,
        "near-ties": choice.near,
        "result": f"WRONG: {choice.broken or 'other units'}" if choice.wrong else "agrees",
    }


def _mass_row(mass: Mass) -> Row:
    shares = {"kept": mass.kept, "best": mass.best, "random": mass.random}
    return {"shape": shape_text(mass.shape), **{name: f"{share:.1%}" for name, share in shares.items()}}


def _result(check: Check) -> str:
    if check.agreement is None:
        return f"{'failed' if check.failed else 'skipped'}: {check.reason.splitlines()[0]}"
    return "agrees" if check.agreement.holds else f"WRONG: {check.agreement}"


def _summary(found: Sequence[Check], wrong: int) -> str:
    skipped = sum(check.agreement is None and not check.failed for check in found)
    agree = len(found) - skipped - wrong
    return f"\n{agree} agree, {wrong} wrong, {skipped} skipped; errors are the largest differences from float64"
