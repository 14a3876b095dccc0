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
#: How a call is timed unless something else is said: launched one by one, its operands still in the caches.
POLICY: Final = "eager warm"


@dataclass(frozen=True, slots=True)
class KernelKey:
    """What must agree before a tuned schedule is used as one's own, in three tiers.

    IDENTITY says which kernels may be chosen at all: where it differs, a schedule means something else. ENVIRONMENT
    says where and how they were timed: an entry that differs there is a place to start from. The rest is advisory,
    and decides nothing: the pattern's name here, and `made_with` of the entry.

    `meaning` is `Pattern.digest()`, `space` is `space_digest`, `hardware` is `DeviceModel.hardware`.
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
    policy: str = POLICY

    def canonical(self) -> str:
        """The deciding fields as JSON, sorted and without spaces: the same bytes on every machine. The usual policy is
        left out."""
        deciding = {name: getattr(self, name) for name in DECIDING if name != "policy" or self.policy != POLICY}
        return json.dumps(deciding, sort_keys=True, separators=(",", ":"))

    def digest(self) -> str:
        """Sixty-four hex digits of `canonical`."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()

    def differences(self, other: KernelKey) -> tuple[str, ...]:
        """Names of the deciding fields in which the keys differ: why one does not serve for the other."""
        return tuple(name for name in DECIDING if getattr(self, name) != getattr(other, name))


DECIDING: Final = tuple(field.name for field in fields(KernelKey) if field.compare)
ENVIRONMENT: Final = ("hardware", "toolchain", "policy")
IDENTITY: Final = tuple(name for name in DECIDING if name not in ENVIRONMENT)


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
    policy: str = POLICY,
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
        policy=policy,
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
