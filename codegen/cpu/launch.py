"""How a compiled C kernel is called: tensors into one `struct call`."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

import torch

from attncc.codegen.kernel import KernelSource

#: `struct call` of the generated files: five pointers, five sizes, nine strides, the number of threads; then the scale.
CALL = struct.Struct("=5Q15qd")


class Launch:
    """A loaded kernel; allocates what it returns."""

    __slots__ = ("_entry", "source")

    def __init__(self, source: KernelSource, path: Path) -> None:
        self.source = source
        self._entry = ctypes.CDLL(str(path))[source.entry]
        self._entry.argtypes, self._entry.restype = (ctypes.c_char_p,), ctypes.c_int

    def __call__(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(out, lse), both contiguous, as described for CompiledKernel."""
        batch, q_heads, q_len, _ = query.shape
        _, kv_heads, kv_len, _ = key.shape
        out = torch.empty_like(query, memory_format=torch.contiguous_format)
        # Of the ways to make an empty tensor, this is the quickest by a microsecond.
        lse_strides = (q_heads * q_len, q_len, 1)
        lse = torch.empty_strided((batch, q_heads, q_len), lse_strides, dtype=torch.float32, device=query.device)
        pointers = (query.data_ptr(), key.data_ptr(), value.data_ptr(), out.data_ptr(), lse.data_ptr())
        strides = (*query.stride()[:3], *key.stride()[:3], *value.stride()[:3])
        threads = torch.get_num_threads()
        call = CALL.pack(*pointers, batch, q_heads, kv_heads, q_len, kv_len, *strides, threads, scale)
        if self._entry(call) != 0:
            raise MemoryError("attncc: no memory for the partial results of the splits")
        return out, lse
