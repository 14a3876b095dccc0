"""Finds the commands, runs the one asked for, and turns what went wrong into a sentence and an exit status."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from collections.abc import Sequence

import click

import attncc.cli.commands
from attncc.errors import AttnccError
from attncc.version import VERSION

#: Packages that only some commands need, and how to get them.
OPTIONAL = {
    "fsspec": "pip install 'attncc[sync]'",
    "matplotlib": "pip install 'attncc[report]'",
    "ray": "pip install 'attncc[ray]'",
    "torch": "pip install torch",
    "triton": "pip install triton",
}

DONE, FAILED, WRONG, STOPPED = 0, 1, 2, 130


class Commands(click.Group):
    """The files of `attncc/cli/commands`; each is imported only when its command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(found.name for found in pkgutil.iter_modules(attncc.cli.commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"attncc.cli.commands.{cmd_name}").command
        assert isinstance(command, click.Command), f"commands/{cmd_name}.py has no command"
        return command


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="attncc")
def app() -> None:
    """Sparse attention patterns, compiled: from a YAML file to a tuned kernel."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command line and returns its exit status: 0 done, 1 failed, 2 wrong request, 130 stopped by Ctrl-C."""
    try:
        status = app.main(args=arguments, prog_name="attncc", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except AttnccError as error:
        return _say(str(error), error.exit_status)
    except (KeyboardInterrupt, click.Abort):
        return _say("stopped", STOPPED)
    except ModuleNotFoundError as error:
        if error.name not in OPTIONAL:
            raise
        return _say(f"this needs the package {error.name}: {OPTIONAL[error.name]}", FAILED)
    except BrokenPipeError:
        # The reader went away (`attncc show ... | head`): Python must not complain again when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:
        return _say(f"{error.filename or 'the system'}: {error.strerror or error}", FAILED)
    return status if isinstance(status, int) else DONE


def _say(sentence: str, status: int) -> int:
    click.echo(f"attncc: {sentence}", err=True)
    return status
