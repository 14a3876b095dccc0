"""`attncc show`: a pattern at every stage, from its tiles to the generated source."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from attncc import compiler, device, passes
from attncc.cli import terminal
from attncc.cli.options import (
    ShapeParam,
    dtype_option,
    pattern_argument,
    settings_option,
    target_option,
    target_or_host,
)
from attncc.cli.plan import describe
from attncc.cli.ranks import describe as on_ranks
from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton import gluon
from attncc.codegen.triton.gluon.segments import unlowered
from attncc.device import DeviceModel
from attncc.errors import NotCompilable
from attncc.ir.expr import given
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Operands, Shape
from attncc.parallel.layout import PARTITIONS, Partition
from attncc.report import picture
from attncc.report.picture import Picture
from attncc.spec import load, lower

DEFAULT_SHAPE = Shape(1, 1, 1, 4096, 4096, 128)
GENERIC_GPU = "sm_90"
#: The only architecture with Gluon kernels.
GLUON_GPU = "H100"
FRAME = 64
IMAGES = (".png", ".svg")
#: Said beside a picture of sets.
NOTE = "sets are those of random queries and of keys that are like their neighbours; inputs are random too"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be shown: a pattern with its parameters in force, for calls of one kind."""

    pattern: Pattern
    shape: Shape
    dtype: DType
    target: str | None
    head: int

    @property
    def operands(self) -> Operands:
        return Operands(self.dtype, self.shape.head_dim)


@click.command()
@pattern_argument
@click.option(
    "--stage", type=click.Choice(["tiles", "spec", "pattern", "plan", "triton", "gluon", "cpu", "ptx"]), default="tiles"
)
@click.option(
    "--shape",
    type=ShapeParam(),
    default=DEFAULT_SHAPE,
    help="Batch, query and KV heads, query and KV length, head_dim.",
)
@click.option("--head", type=click.IntRange(min=0), default=0, show_default=True, help="Query head to draw.")
@click.option(
    "--image", type=click.Path(dir_okay=False, path_type=Path), help="Also draw the tiles into this PNG or SVG."
)
@click.option(
    "--ranks",
    type=click.IntRange(min=1),
    help="What so many ranks compute and send, each with a share of the sequence.",
)
@click.option(
    "--partition", type=click.Choice(PARTITIONS), default="zigzag", show_default=True, help="Which shares ranks have."
)
@dtype_option
@settings_option
@target_option
def command(
    name: str,
    stage: str,
    shape: Shape,
    head: int,
    image: Path | None,
    ranks: int | None,
    partition: Partition,
    dtype: DType,
    overrides: tuple[tuple[str, int], ...],
    target: str | None,
) -> None:
    """Show PATTERN: by default its tiles, full, partial and empty."""
    spec = load.find(name)
    if stage == "spec":
        click.echo(spec.origin.text, nl=False)
        return
    if ranks is not None:
        click.echo(on_ranks(lower.lower(spec, dict(overrides)), _square(shape), dtype, ranks, partition))
        return
    request = Request(lower.lower(spec, dict(overrides)), shape, dtype, target, head)
    if image is not None and image.suffix.lower() not in IMAGES:
        raise click.BadParameter(f"'{image}' must end in {' or '.join(IMAGES)}", param_hint="'--image'")
    if image is not None:
        # matplotlib is an extra, and slow to load.
        from attncc.report.plots import save_tiles

        save_tiles(_draw(request, FRAME), image)
    click.echo(STAGES[stage](request).rstrip("\n"))


def _square(shape: Shape) -> Shape:
    if shape.q_len != shape.kv_len:
        raise click.BadParameter(
            "with --ranks, TQ and TK are the same: each rank has a share of both", param_hint="'--shape'"
        )
    return shape


def _tiles(request: Request) -> str:
    drawn = _draw(request, terminal.cells(shutil.get_terminal_size().columns))
    note = [f"({NOTE})"] if given(request.pattern.mask) else []
    return "\n".join((drawn.title(), drawn.pattern.formula(), *note, "", *terminal.lines(drawn)))


def _draw(request: Request, cells: int) -> Picture:
    edge = picture.tile_edge(max(request.shape.q_len, request.shape.kv_len), cells)
    if given(request.pattern.mask):
        # Sets are chosen by PyTorch, which loads slowly.
        from attncc.report.chosen import draw_chosen

        return draw_chosen(request.pattern, request.shape, request.head, edge)
    return picture.draw(request.pattern, request.shape, request.head, edge)


def _pattern(request: Request) -> str:
    pattern = request.pattern
    params = "".join(f"\nparam   {name} = {value}" for name, value in pattern.params)
    rules = "".join(f"\nscore   {rule}" for rule in pattern.score)
    rules += "".join(f"\ninput   {one.name}, per {one.per}: {one.about}" for one in pattern.inputs)
    rules += "".join(f"\nselect  {one.words()}" for one in pattern.selections)
    return (
        f"pattern {pattern.name}\nabout   {pattern.about}\nsource  {pattern.source}{params}"
        f"\nkeep    {pattern.formula()}{rules}\ncombine {pattern.combine}\ndigest  {pattern.digest()}"
    )


def _plan(request: Request) -> str:
    """The plan of the kernel that would serve the call, with the built-in schedule."""
    hardware = target_or_host(request.target)
    backend = compiler.backend_of(hardware)
    phase = backend.phase(request.shape, request.pattern.grain())
    schedule = backend.space(request.operands, phase, hardware, request.pattern.grain()).default()
    return describe(passes.run(request.pattern, backend.tiling(phase, schedule)))


def _source(request: Request, hardware: DeviceModel) -> KernelSource:
    backend = compiler.backend_of(hardware)
    phase = backend.phase(request.shape, request.pattern.grain())
    schedule = backend.space(request.operands, phase, hardware, request.pattern.grain()).default()
    return compiler.source(request.pattern, request.operands, phase, schedule, compiler.BACKEND[hardware.kind])


def _lowered(request: Request) -> KernelSource:
    """The kernel one level below Triton, where there is one."""
    hardware, operands = device.named(request.target or GLUON_GPU), request.operands
    phase = gluon.phase(request.shape, request.pattern.grain())
    schedule = gluon.space(operands, phase, hardware, request.pattern.grain()).default()
    plan = passes.run(request.pattern, gluon.tiling(phase, schedule))
    reason = unlowered(plan, schedule)
    if reason is not None:
        raise NotCompilable(request.pattern.name, hardware.arch, reason)
    return gluon.emit(plan, operands, phase, schedule)


def _gpu(request: Request) -> DeviceModel:
    return device.named(request.target or GENERIC_GPU)


def _assembly(request: Request) -> str:
    # Triton compiles here, so it is imported for this stage only.
    from attncc.codegen.triton.static import Unbuildable, resources

    hardware = _gpu(request)
    found = resources(_source(request, hardware), hardware)
    if isinstance(found, Unbuildable):
        raise NotCompilable(request.pattern.name, hardware.arch, found.reason)
    return found.assembly


STAGES: Mapping[str, Callable[[Request], str]] = {
    "tiles": _tiles,
    "pattern": _pattern,
    "plan": _plan,
    "triton": lambda request: _source(request, _gpu(request)).text,
    "gluon": lambda request: _lowered(request).text,
    "cpu": lambda request: _source(request, device.host()).text,
    "ptx": _assembly,
}
