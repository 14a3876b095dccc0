"""How long would attention take with each candidate on hardware that is not here?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from attncc import compiler
from attncc.autotune.forecast import learned
from attncc.autotune.job import Job, writer_for
from attncc.autotune.observing import observed
from attncc.device import DeviceModel
from attncc.ir.schedule import Operands, Shape
from attncc.library.store import KernelLibrary
from attncc.models.assign.candidates import Candidate
from attncc.models.assign.costs import Costs, line


def predicted(
    candidates: Sequence[Candidate], operands: Operands, shape: Shape, device: DeviceModel, library: KernelLibrary
) -> Costs:
    """What the tuner's model says of launches of few and of all heads of a call like `shape`, with the schedule that
    would serve it. The time of choosing keys is not in it. Raises NoModel."""
    heads, group = shape.kv_heads, shape.group
    few = max(1, heads // 4)

    def micros(candidate: Candidate, count: int) -> float:
        sizes = replace(shape, q_heads=count * group, kv_heads=count)
        job = Job(candidate.pattern.bound, operands, sizes, device, writer_for(device))
        found = library.decision(job.key())
        schedule = found.schedule if found else compiler.built_in(job.pattern, operands, job.phase, device)
        return learned(job, observed(job, library)).micros(schedule)

    whole = np.array([micros(candidate, heads) for candidate in candidates])
    part = np.array([micros(candidate, few) for candidate in candidates])
    work = np.ones_like(whole)
    return Costs(*line(few * work, part, heads * work, whole), 0.0, "predicted", device.name, shape.kv_len)
