"""`attncc doctor`: what this machine has and what attncc can do on it."""

from __future__ import annotations

import platform

import click

from attncc import device, settings
from attncc.cli import machine, output
from attncc.cli.options import json_option
from attncc.report.environment import compiler_version, package_version
from attncc.version import VERSION


@click.command()
@json_option
def command(as_json: bool) -> int:
    """Say what this machine has and what attncc can do on it."""
    found = _found()
    abilities = _abilities(
        compiler=found["C compiler"], torch=found["torch"], triton=found["triton"], gpus=found["GPU"]
    )
    if as_json:
        output.table([{**found, **{name: able for name, (able, _) in abilities.items()}}], as_json=True)
        return 0
    output.facts([(name, value or "not found") for name, value in found.items()])
    click.echo()
    for name, (able, sentence) in abilities.items():
        mark = click.style("yes", fg="green") if able else click.style("no ", fg="red")
        click.echo(f"{mark}  {name}: {sentence}")
    return 0


def _found() -> dict[str, str | None]:
    host = device.host()
    return {
        "attncc": VERSION,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "CPU": f"{host.name} ({host.units} cores)",
        "CPU kernels for": host.arch,
        "load": machine.load(),
        "C compiler": compiler_version(),
        "torch": package_version("torch"),
        "triton": package_version("triton"),
        "GPU": ", ".join(machine.gpus()) or None,
        "library": library_state(),
        "kernel cache": machine.cache_state(),
    }


def _abilities(
    compiler: str | None, torch: str | None, triton: str | None, gpus: str | None
) -> dict[str, tuple[bool, str]]:
    c = (
        "C kernels for this CPU"
        if compiler
        else "no C compiler: calls use PyTorch's dense attention; install gcc or clang"
    )
    blind = bool(gpus and torch and torch.endswith("+cpu"))
    there = "this PyTorch is built for CPUs only" if blind else "Triton kernels for the GPU"
    gpu = there if gpus else "no GPU here; name one with --target to generate and predict for it"
    emulated = "Triton kernels in the interpreter, cross-compiled for named GPUs" if triton else "install triton"
    return {
        "show": (True, "from a pattern file to generated source, without torch"),
        "run on the CPU": (bool(compiler and torch), c if torch else "install torch"),
        "tune on the CPU": (bool(compiler and torch), c if torch else "install torch"),
        "check Triton kernels": (bool(triton and torch), emulated if torch else "install torch"),
        "run on a GPU": (bool(gpus and triton and torch and not blind), gpu),
    }


def library_state() -> str:
    """The kernel library's directory and whether there is one."""
    path = settings.library_path()
    return f"{path}{'' if path.exists() else ' (none yet: attncc tune makes it)'}"
