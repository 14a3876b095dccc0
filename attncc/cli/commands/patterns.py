"""`attncc patterns`: which patterns are shipped."""

from __future__ import annotations

import click

from attncc.cli import output
from attncc.cli.options import json_option
from attncc.spec import load, lower


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List the shipped patterns."""
    specs = [load.find(name) for name in load.shipped()]
    if as_json:
        output.table(
            [
                {"pattern": s.name, "about": s.about, "source": s.source, "mask": lower.lower(s).formula()}
                for s in specs
            ],
            True,
        )
        return
    output.facts([(spec.name, spec.about) for spec in specs])
