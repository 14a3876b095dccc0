"""Runs every case on its ranks, in processes that meet in a file, and keeps what each of them found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor, multiprocessing
from torch import distributed as dist

from attncc.calls import Attend, Serve
from attncc.errors import AttnccError
from attncc.parallel import attention, partition
from attncc.parallel.exchange import Peers, Swap
from attncc.ref import plain
from tests.parallel.cases import CASES, Case

#: The largest group; smaller ones are made of its first ranks.
RANKS = 4
PRELOADED = ["torch", "attncc.parallel.functional", "tests.parallel.cases"]


@dataclass(frozen=True, slots=True)
class Found:
    """What one rank has of one case: out, lse and gradients of query, key and value; bytes it sent forth and back."""

    out: Tensor
    lse: Tensor
    grads: tuple[Tensor, Tensor, Tensor]
    forward_bytes: int
    backward_bytes: int


def run(folder: Path) -> None:
    """Every case, on its ranks; `found` reads what they found."""
    multiprocessing.set_forkserver_preload(PRELOADED)
    multiprocessing.start_processes(_rank, (folder,), nprocs=RANKS, start_method="forkserver")


def found(folder: Path, case: Case) -> list[Found]:
    """What the ranks of a case have found, in their order."""
    return [Found(*torch.load(folder / f"{case.name}.{rank}", weights_only=True)) for rank in range(case.ranks)]


def _rank(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    store = f"file://{folder / 'store'}"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=RANKS, timeout=timedelta(seconds=60))
    groups = {ranks: dist.new_group(list(range(ranks))) for ranks in (2, RANKS)}
    for case in CASES:
        if rank < case.ranks:
            torch.save(_found(case, rank, groups[case.ranks]), folder / f"{case.name}.{rank}")
    _mistakes(rank, folder)
    dist.barrier()
    dist.destroy_process_group()


def _found(case: Case, rank: int, group: dist.ProcessGroup) -> tuple[object, ...]:
    def share(whole: Tensor) -> Tensor:
        return partition(whole, rank, case.ranks, case.partition)

    leaves = [share(whole).requires_grad_() for whole in case.tensors()]
    call = {"group": group, "form": case.form, "partition": case.partition}
    length = case.shape.kv_len if case.told else None
    with _kernels(case.compiled), _counted() as forth:
        out, lse = attention(*leaves, case.load(), **call, length=length, return_lse=True, **case.inputs())
    of_out, of_lse = (share(weight) for weight in case.weights())
    loss = (out.float() * of_out).sum() + (lse.masked_fill(lse.isinf(), 0) * of_lse).sum()
    with _counted() as back:
        loss.backward()
    return out.detach(), lse.detach(), tuple(leaf.grad for leaf in leaves), sum(forth), sum(back)


def _kernels(compiled: bool) -> AbstractContextManager[object]:
    """Where nothing is compiled, PyTorch's own operators compute what a kernel would."""

    def plainly(self: Attend, *call: object) -> Serve:
        return partial(plain.forward, self.pattern)

    return nullcontext() if compiled else patch.object(Attend, "_found", plainly)


@contextmanager
def _counted() -> Iterator[list[int]]:
    """The bytes of everything that a rank sends."""
    sizes: list[int] = []
    swap = Peers.swap

    def counting(self: Peers, to: int, sent: Tensor | None, source: int, room: Tensor | None) -> Swap:
        sizes.append(0 if sent is None else sent.nbytes)
        return swap(self, to, sent, source, room)

    with patch.object(Peers, "swap", counting):
        yield sizes


def _mistakes(rank: int, folder: Path) -> None:
    """What calls say that cannot be served, each on all ranks."""
    query = torch.randn(1, 2, 16, 16)
    wrong: dict[str, dict[str, object]] = {
        "form": {"form": "star"},
        "partition": {"partition": "random"},
        "length": {"length": 50},
        "whole": {"pattern": "landmark"},
        "unmerged": {"pattern": "block_sparse", "form": "ring"},
    }
    sentences = {}
    for name, arguments in wrong.items():
        try:
            attention(query, query, query, **{"pattern": "causal", **arguments})
        except AttnccError as error:
            sentences[name] = str(error)
    torch.save(sentences, folder / f"mistakes.{rank}")
