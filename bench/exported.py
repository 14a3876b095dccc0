"""What does an exported package cost beside attncc: import, first call, operator? `python -m bench.exported`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from tabulate import tabulate

from attncc import settings
from attncc.export import package
from attncc.export.request import Request, devices, patterns
from attncc.export.writing import write
from attncc.ir.schedule import Operands

ROUNDS = 7
PATTERN, NAME = "a_shape", "exported_kernels"

#: CPU time of one thread: what else the machine does only adds to it. The kernel is in the cache from the first round.
SCRIPT = """
import json, sys, time
import torch
torch.set_num_threads(1)
query, key, value = (torch.randn(1, 1, 16, 64) for _ in range(3))
started = time.thread_time()
if sys.argv[1] == "attncc":
    import attncc
    pattern = attncc.Pattern.load("a_shape")
    operator = torch.ops.attncc.a_shape
    call = lambda: attncc.attention(query, key, value, pattern)
else:
    sys.path.insert(0, sys.argv[1])
    import exported_kernels
    operator = torch.ops.exported_kernels.a_shape
    call = lambda: exported_kernels.a_shape(query, key, value)
imported = time.thread_time()
call()
called = time.thread_time()
def micros(function):
    rounds = []
    for _ in range(20):
        before = time.thread_time()
        for _ in range(500):
            function()
        rounds.append((time.thread_time() - before) / 500 * 1e6)
    return min(rounds)
costs = [(imported - started) * 1e3, (called - imported) * 1e3]
print(json.dumps([*costs, micros(lambda: operator(query, key, value)), micros(call)]))
"""


def once(place: str) -> list[float]:
    """One process: milliseconds of import and of the first call, microseconds of the operator and of the function."""
    run = subprocess.run([sys.executable, "-c", SCRIPT, place], capture_output=True, text=True, check=True)
    return [float(number) for number in json.loads(run.stdout)]


def main() -> None:
    bound = patterns([PATTERN], {})
    request = Request(NAME, bound, (Operands("float32", 64),), devices(["cpu"]), settings.library_path())
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch, "package")
        write(home, package.files(request))
        places = {"attncc": "attncc", "exported": str(home)}
        found = {name: [once(place)] for name, place in places.items()}
        for _ in range(ROUNDS):
            for name, place in places.items():
                found[name].append(once(place))
    # The first round may have compiled the kernel.
    rows = {name: [median(column) for column in zip(*rounds[1:], strict=True)] for name, rounds in found.items()}
    ratio = [mine / its for mine, its in zip(rows["exported"], rows["attncc"], strict=True)]
    headers = ["", "import ms", "first call ms", "operator micros", "function micros"]
    table = [*([name, *row] for name, row in rows.items()), ["ratio", *ratio]]
    print(tabulate(table, headers=headers, floatfmt=".2f"))


if __name__ == "__main__":
    main()
