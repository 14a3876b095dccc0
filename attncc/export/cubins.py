"""Machine code for a named GPU, with everything that one must know to launch it without Triton."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence

import triton

from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton.arguments import Wanted
from attncc.codegen.triton.phases import LEAST_ROWS
from attncc.codegen.triton.static import Unbuildable, aligned_of, compiled, read, signature
from attncc.device import DeviceModel
from attncc.errors import NotCompilable
from attncc.export.kernels import Written

#: What follows the arguments of every kernel.
TRAILING = (
    {"name": "global_scratch", "type": "u64", "value": "address of global_scratch_bytes for each program, or 0"},
    {"name": "profile_scratch", "type": "u64", "value": "0"},
)

WORDS = {
    "arguments": "passed in this order, pointers as u64, then `trailing`",
    "aligned": "addresses must be multiples of 16 bytes, strides of 16 elements",
    "grid": "programs along x, y and z, by the sizes of the call; // rounds down; sms are those of the GPU",
    "tiles": "query tiles of a head, as the grid counts them",
    "tiles_before": "0; for grids that are launched in parts, the query tiles of each head in earlier parts",
    "together": "heads whose query tiles start side by side: any divisor of q_heads * batch; best those of as many KV "
    "heads as half of the second level of cache holds",
    "items": "tiles * q_heads * batch",
    "shared_bytes": "dynamic shared memory; above 49152 it must be allowed first (cuFuncSetAttribute)",
    "scale": "above 0; for another scale multiply query by its sign, or by 0, and pass its magnitude, or 1",
}


def files(kernels: Sequence[Written], devices: Sequence[DeviceModel]) -> Mapping[str, str | bytes]:
    """The cubins of every NVIDIA GPU among `devices` and a manifest for each, by path. Raises NotCompilable."""
    found: dict[str, str | bytes] = {}
    for device in (one for one in devices if one.kind == "cuda"):
        rows = []
        for one in (one for one in kernels if one.held.backend == "triton" and one.held.arch == device.arch):
            row, cubin = _built(one, device)
            found[f"{device.arch}/{row['file']}"] = cubin
            rows.append(row)
        manifest = {
            "target": device.name,
            "arch": device.arch,
            "triton": triton.__version__,
            "reading": WORDS,
            "trailing": TRAILING,
            "kernels": rows,
        }
        found[f"{device.arch}/manifest.json"] = f"{json.dumps(manifest, indent=1)}\n"
    return found


def _built(one: Written, device: DeviceModel) -> tuple[Mapping[str, object], bytes]:
    """A row of the manifest, and the cubin."""
    log = io.StringIO()
    with triton.knobs.compilation.scope():
        # Lines would name the files of this machine.
        triton.knobs.compilation.disable_line_info = True
        kernel = compiled(one.source, device, log)
    if isinstance(kernel, Unbuildable):
        raise NotCompilable(one.held.pattern, device.arch, kernel.reason)
    cubin, uses, used = kernel.asm["cubin"], read(kernel, device, log.getvalue()), kernel.metadata
    row = {
        **_call(one),
        "file": f"{one.held.file.removesuffix('.py')}.cubin",
        "sha256": hashlib.sha256(cubin).hexdigest(),
        "ptx_sha256": hashlib.sha256(kernel.asm["ptx"].encode()).hexdigest(),
        "source": one.held.file,
        "source_sha256": hashlib.sha256(one.source.text.encode()).hexdigest(),
        "entry": used.name,
        **_abi(one.source, list(kernel.src.fn.arg_names)),
        "block": [used.num_warps * used.warp_size, 1, 1],
        "num_warps": used.num_warps,
        "num_ctas": used.num_ctas,
        "shared_bytes": used.shared,
        "global_scratch_bytes": used.global_scratch_size,
        "global_scratch_align": used.global_scratch_align,
        "registers": uses.registers,
        "spill_bytes": uses.spill_bytes,
    }
    return row, cubin


def _call(one: Written) -> Mapping[str, object]:
    """Which calls the kernel is for."""
    held = one.held
    return {
        "pattern": held.pattern,
        "dtype": held.dtype,
        "head_dim": held.head_dim,
        "phase": held.phase,
        "tuned_on": held.hardware or None,
        "group": held.group or None,
        "shape_class": held.shape_class or None,
        "schedule": dict(held.schedule),
    }


def _abi(source: KernelSource, names: Sequence[str]) -> Mapping[str, object]:
    """How the kernel is called: its arguments, what is taken for granted of them, and the grid."""
    types = signature(source, names)
    block_m = source.schedule.number("BLOCK_M")
    tiles = f"(kv_len - 1) // {block_m} - (kv_len - q_len) // {block_m} + 1"
    return {
        "arguments": [{"name": name, "type": types[name]} for name in names],
        "aligned": list(aligned_of(names)),
        "grid": _grid(source, Wanted.of(names), tiles),
    }


def _grid(source: KernelSource, wanted: Wanted, tiles: str) -> list[str]:
    if wanted.persistent:
        return [f"min({source.schedule.number('persistent')} * sms, ({tiles}) * q_heads * batch)", "1", "1"]
    if wanted.ordered:
        return ["together", tiles, "q_heads * batch // together"]
    grouped = f"kv_heads * ((q_heads // kv_heads + {LEAST_ROWS - 1}) // {LEAST_ROWS})"
    return [tiles, grouped if wanted.grouped else "q_heads", "batch"]
