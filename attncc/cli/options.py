"""What the commands have in common on the command line: shapes, dtypes, parameters, devices, the library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import click

from attncc import device, settings
from attncc.device import DeviceModel
from attncc.ir.schedule import DTYPES, DType, Shape

FIELDS = "B,HQ,HKV,TQ,TK,D"
SHORT: Mapping[str, DType] = {
    "f32": "float32",
    "fp32": "float32",
    "fp16": "float16",
    "f16": "float16",
    "bf16": "bfloat16",
}


class ShapeParam(click.ParamType[Shape]):
    """Batch, query heads, KV heads, q_len, kv_len, head_dim: six positive integers, as in `1,8,2,4096,4096,128`.

    Raises HeadsNotGrouped.
    """

    name = FIELDS

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Shape:
        if isinstance(value, Shape):
            return value
        fields = str(value).split(",")
        if len(fields) != 6 or not all(re.fullmatch(r"\s*0*[1-9][0-9]{0,8}\s*", field, re.ASCII) for field in fields):
            self.fail(
                f"'{value}' is not a shape; give six positive integers of at most nine digits {FIELDS}", param, ctx
            )
        return Shape(*(int(field) for field in fields))


class DTypeParam(click.ParamType[DType]):
    """float32, float16 or bfloat16, in full or as fp32, fp16, bf16."""

    name = "DTYPE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> DType:
        name = SHORT.get(str(value), str(value))
        if name not in DTYPES:
            self.fail(f"'{value}' is not a dtype; choose one of {', '.join((*DTYPES, *SHORT))}", param, ctx)
        return name


class SettingParam(click.ParamType[tuple[str, int]]):
    """One parameter of the pattern, as in `window=512`."""

    name = "NAME=INT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        name, _, number = str(value).partition("=")
        try:
            return name.strip(), int(number)
        except ValueError:
            self.fail(f"'{value}' is not a setting; write it as NAME=INT, for example window=512", param, ctx)


pattern_argument = click.argument("name", metavar="PATTERN")
dtype_option = click.option("--dtype", type=DTypeParam(), default="bfloat16", show_default=True, help="Element type.")
settings_option = click.option(
    "--set", "overrides", type=SettingParam(), multiple=True, help="A parameter of the pattern; repeatable."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Machine-readable output.")
device_option = click.option(
    "--device", "place", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", help="Hardware that is here."
)
target_option = click.option(
    "--target", metavar="NAME", help="Hardware that need not be here: a GPU's name (H100) or arch (sm_90, gfx942)."
)
library_option = click.option(
    "--library",
    "library_path",
    type=click.Path(file_okay=False, path_type=Path),
    callback=lambda ctx, param, value: value or settings.library_path(),
    help="Kernel library; default $ATTNCC_LIBRARY, else the user's cache directory.",
)


def target_or_host(target: str | None) -> DeviceModel:
    """The named hardware, or the CPU in front of us. Raises UnknownTarget."""
    return device.named(target) if target else device.host()


def shape_text(shape: Shape) -> str:
    """The shape as `--shape` takes it."""
    sizes = (shape.batch, shape.q_heads, shape.kv_heads, shape.q_len, shape.kv_len, shape.head_dim)
    return ",".join(map(str, sizes))
