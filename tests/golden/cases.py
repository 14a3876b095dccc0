"""Which generated files are kept under tests/golden, and what they should read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attncc import device
from attncc.codegen.backend import backends
from attncc.device import DeviceModel
from attncc.ir.schedule import Operands
from attncc.passes import run
from attncc.spec import load, lower

FOLDER = Path(__file__).parent
ENDING: Mapping[str, str] = {"cpu": "c", "triton": "py"}

BF16 = Operands("bfloat16", 128)
FLOAT = Operands("float32", 64)
HOPPER = device.named("sm_90")
AMX = DeviceModel("cpu", "any", "avx512_bf16+amx", 1, present=False)
AVX512 = DeviceModel("cpu", "any", "avx512_bf16", 1, present=False)
AVX2 = DeviceModel("cpu", "any", "avx2", 1, present=False)


@dataclass(frozen=True, slots=True)
class Golden:
    """The built-in schedule of one pattern on one device model."""

    pattern: str
    operands: Operands
    device: DeviceModel

    @property
    def backend(self) -> str:
        return "cpu" if self.device.kind == "cpu" else "triton"

    @property
    def path(self) -> Path:
        stem = f"{self.pattern}_{self.device.arch.replace('+', '_')}_{self.operands.dtype}_{self.operands.head_dim}"
        return FOLDER / self.backend / f"{stem}.{ENDING[self.backend]}"

    def text(self) -> str:
        """What the emitter writes for this case."""
        backend = backends()[self.backend]
        schedule = backend.space(self.operands, "prefill", self.device).default()
        pattern = lower.lower(load.find(self.pattern), {})
        plan = run(pattern, backend.tiling("prefill", schedule))
        return backend.emit(plan, self.operands, "prefill", schedule).text


CASES = (
    Golden("causal", BF16, HOPPER),
    Golden("a_shape", BF16, HOPPER),
    Golden("longgen", BF16, HOPPER),
    Golden("causal", BF16, AMX),
    Golden("causal", BF16, AVX512),
    Golden("a_shape", BF16, AVX512),
    Golden("a_shape", FLOAT, AVX2),
)
