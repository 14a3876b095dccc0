"""Which generated files are kept under tests/golden, and what they should read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attncc import device
from attncc.cli.plan import describe
from attncc.codegen.backend import backends
from attncc.codegen.triton import gluon
from attncc.device import DeviceModel
from attncc.ir.schedule import Operands, Shape
from attncc.ir.tile import Tiling
from attncc.passes import run
from attncc.spec import load, lower

FOLDER = Path(__file__).parent
ENDING: Mapping[str, str] = {"cpu": "c", "triton": "py", "gluon": "py", "plans": "txt"}

#: Calls that a prefill kernel serves, where choices are not made for single queries.
LONG = Shape(1, 8, 2, 4096, 4096, 128)
BF16 = Operands("bfloat16", 128)
FLOAT = Operands("float32", 64)
HOPPER, BLACKWELL = device.named("sm_90"), device.named("sm_100")
AMX = DeviceModel("cpu", "any", "avx512_bf16+amx", 1, present=False)
AVX512 = DeviceModel("cpu", "any", "avx512_bf16", 1, present=False)
AVX2 = DeviceModel("cpu", "any", "avx2", 1, present=False)


@dataclass(frozen=True, slots=True)
class Golden:
    """The built-in schedule of one pattern on one device model, with the knobs of `but` at 1."""

    pattern: str
    operands: Operands
    device: DeviceModel
    lowered: bool = False
    but: tuple[str, ...] = ()

    @property
    def backend(self) -> str:
        return "cpu" if self.device.kind == "cpu" else "gluon" if self.lowered else "triton"

    @property
    def path(self) -> Path:
        stem = f"{self.pattern}_{self.device.arch.replace('+', '_')}_{self.operands.dtype}_{self.operands.head_dim}"
        return FOLDER / self.backend / f"{'_'.join((stem, *self.but))}.{ENDING[self.backend]}"

    def text(self) -> str:
        """What the emitter writes for this case."""
        backend = gluon if self.lowered else backends()[self.backend]
        pattern = lower.lower(load.find(self.pattern), {})
        phase = backend.phase(LONG, pattern.grain())
        schedule = backend.space(self.operands, phase, self.device, pattern.grain()).default()
        for knob in self.but:
            schedule = schedule.replace(knob, 1)
        plan = run(pattern, backend.tiling(phase, schedule))
        return backend.emit(plan, self.operands, phase, schedule).text


@dataclass(frozen=True, slots=True)
class GoldenPlan:
    """The plan of one pattern for one tile shape, as `attncc show --stage plan` prints it."""

    pattern: str
    tiling: Tiling

    @property
    def path(self) -> Path:
        return FOLDER / "plans" / f"{self.pattern}_{self.tiling.block_m}x{self.tiling.block_n}.txt"

    def text(self) -> str:
        """The runs of keys, one a line."""
        return describe(run(lower.lower(load.find(self.pattern), {}), self.tiling)) + "\n"


RUNS, STEPS, ROWS = Tiling(64, 1), Tiling(128, 64), Tiling(1, 1)
PLANNED = (
    *(
        (name, RUNS)
        for name in ("causal", "sliding_window", "masformer", "natten_2d", "sliding_tile", "block_diffusion")
    ),
    *((name, STEPS) for name in ("causal", "a_shape", "duo_attention", "longgen", "longformer", "dilated_causal")),
    *((name, RUNS) for name in ("vertical_slash", "hip", "landmark_retrieval", "prefix_lm_documents")),
    *((name, ROWS) for name in ("a_shape", "dilated_causal", "sliding_tile")),
)

CASES: tuple[Golden | GoldenPlan, ...] = (
    *(GoldenPlan(*planned) for planned in PLANNED),
    Golden("causal", BF16, HOPPER),
    Golden("a_shape", BF16, HOPPER),
    Golden("longgen", BF16, HOPPER),
    Golden("a_shape", BF16, HOPPER, lowered=True),
    Golden("block_sparse", BF16, HOPPER, lowered=True),
    Golden("documents", BF16, HOPPER, lowered=True),
    Golden("hip", BF16, HOPPER, lowered=True),
    Golden("causal", BF16, HOPPER, but=("persistent",)),
    Golden("a_shape", BF16, BLACKWELL, but=("warp_specialize",)),
    Golden("causal", BF16, AMX),
    Golden("causal", BF16, AVX512),
    Golden("a_shape", BF16, AVX512),
    Golden("a_shape", FLOAT, AVX2),
    Golden("vertical_slash", FLOAT, AVX2),
    Golden("hip", BF16, AVX512),
    Golden("documents", FLOAT, AVX2),
    Golden("landmark", FLOAT, AVX2),
    Golden("moba", BF16, AVX512),
    Golden("vertical_slash", BF16, HOPPER),
    Golden("hip", BF16, HOPPER),
    Golden("documents", BF16, HOPPER),
    Golden("gpt_oss", BF16, HOPPER),
    Golden("landmark", BF16, HOPPER),
    Golden("moba", BF16, HOPPER),
)
