"""Under which name is a tuned schedule kept, and which calls share it?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, fields
from typing import Final

from attncc.codegen.kernel import Phase
from attncc.device import DeviceModel
from attncc.ir.pattern import Pattern
from attncc.ir.schedule import DType, Operands, SearchSpace, Shape

#: From this many (batch, query head) pairs on, every machine has work for all its units: one class.
MOST_HEADS: Final = 64
#: Shorter key sequences are one class: the call itself costs more than the choice of tiles.
SHORTEST_KV: Final = 64


@dataclass(frozen=True, slots=True)
class KernelKey:
    """What must agree before a tuned schedule is used: the kernel's identity and the environment it was measured in.

    `meaning` is `Pattern.digest()`; the pattern's name is for people and decides nothing. `space` is `space_digest`.
    """

    pattern: str = field(compare=False)
    meaning: str
    dtype: DType
    head_dim: int
    group: int
    phase: Phase
    shape_class: str
    backend: str
    space: str
    hardware: str
    toolchain: str

    def canonical(self) -> str:
        """The deciding fields as JSON, sorted and without spaces: the same bytes on every machine."""
        deciding = {name: getattr(self, name) for name in DECIDING}
        return json.dumps(deciding, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """Sixty-four hex digits of `canonical`."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def differences(self, other: KernelKey) -> tuple[str, ...]:
        """Names of the deciding fields in which the keys differ: why one does not serve for the other."""
        return tuple(name for name in DECIDING if getattr(self, name) != getattr(other, name))


DECIDING: Final = tuple(field.name for field in fields(KernelKey) if field.compare)


def key_for(
    pattern: Pattern,
    operands: Operands,
    shape: Shape,
    phase: Phase,
    device: DeviceModel,
    *,
    backend: str,
    space: str,
    toolchain: str,
) -> KernelKey:
    """The key of a call: `space` is the digest of the backend's space, `toolchain` what the backend says of itself."""
    return KernelKey(
        pattern=pattern.name,
        meaning=pattern.digest(),
        dtype=operands.dtype,
        head_dim=operands.head_dim,
        group=shape.group,
        phase=phase,
        shape_class=shape_class(shape),
        backend=backend,
        space=space,
        hardware=device.hardware,
        toolchain=toolchain,
    )


def shape_class(shape: Shape) -> str:
    """Calls that share a tuned schedule: lengths and (batch, query head) pairs up to the same powers of two.

    `h32 q4096 kv8192` holds 17 to 32 pairs, 2049 to 4096 queries and 4097 to 8192 keys.
    """
    heads = min(MOST_HEADS, power_of_two(shape.batch * shape.q_heads))
    return f"h{heads} q{power_of_two(shape.q_len)} kv{max(SHORTEST_KV, power_of_two(shape.kv_len))}"


def power_of_two(number: int) -> int:
    """The smallest power of two that is not below `number` (at least 1)."""
    return 1 << max(0, number - 1).bit_length()


def space_digest(space: SearchSpace) -> str:
    """Sixteen hex digits that change with the knobs, their choices or their defaults."""
    knobs = [[knob.name, list(knob.choices), knob.default] for knob in space.knobs]
    return hashlib.sha256(json.dumps(knobs, separators=(",", ":")).encode()).hexdigest()[:16]
