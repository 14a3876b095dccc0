"""Do the versions of Triton that are served compile Gluon kernels alike? Another one is named by its Python.

`ATTNCC_OTHER_TRITON=/path/to/python`, of an environment that has that Triton and needs nothing else.
"""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from attncc import settings
from attncc.codegen.kernel import KernelSource
from attncc.codegen.triton.gluon.static import SERIALISED, options, order, signature
from attncc.codegen.triton.module import load
from attncc.spec import load as patterns
from attncc.spec import lower
from tests.gluon.samples import schedule, source

OTHER = os.environ.get("ATTNCC_OTHER_TRITON")
KERNELS = (
    ("causal", (128, 128, 2), 128),
    ("sliding_window", (128, 64, 3), 128),
    ("a_shape", (128, 64, 3), 128),
    ("block_sparse", (64, 64, 3), 128),
    ("documents", (64, 64, 3), 64),
    ("hip", (64, 64, 3), 128),
    ("longgen", (64, 64, 3), 64),
)


def request(made: KernelSource) -> dict[str, object]:
    names = getattr(load(made, settings.cache_dir()), made.entry).arg_names
    return {"text": made.text, "entry": made.entry, "types": signature(made, names), "options": options(made)}


@pytest.mark.skipif(OTHER is None, reason="ATTNCC_OTHER_TRITON names no other Python")
def test_another_triton_compiles_the_same_kernels() -> None:
    made = [
        source(lower.lower(patterns.find(name), {}), schedule(*sides), head_dim=head_dim)
        for name, sides, head_dim in KERNELS
    ]
    program = Path(__file__).with_name("elsewhere.py")
    asked = json.dumps([request(one) for one in made])
    assert OTHER is not None
    found = subprocess.run([OTHER, "-I", str(program)], input=asked, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-2000:]
    for one, got in zip(made, json.loads(found.stdout), strict=True):
        spilled = re.search(r"(\d+) bytes spill stores", got["log"])
        assert spilled is not None, got["log"]
        assert int(spilled[1]) == 0, f"{one.pattern} spills under Triton {got['version']}"
        assert SERIALISED.search(got["log"]) is None
        assert "HW1xW0" in order(base64.b64decode(got["cubin"])), f"{one.pattern} under Triton {got['version']}"
