"""The import package of an export: everything under the name that it is imported by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import metadata

from attncc import passes
from attncc.export import kernels, sources
from attncc.export.kernels import Written
from attncc.export.modules import ATTNCC, modules
from attncc.export.request import Request
from attncc.export.runtime.carried import Carried
from attncc.version import VERSION


def tree(request: Request, written: Sequence[Written], namespace: str) -> Mapping[str, str]:
    """The text of every file, by its path in the package; its operators are registered in `namespace`."""
    patterns = request.patterns
    carried = [Carried(one, passes.lists(one), passes.needs_lists(one)) for one in patterns]
    runtime = {**modules(patterns), "exported.py": sources.exported(carried)}
    return {
        "__init__.py": sources.package(patterns),
        "_ops.py": sources.operators(namespace, patterns),
        "ahead.py": sources.ahead(request.name, patterns),
        "functions.py": sources.functions(patterns),
        "layers.py": sources.layers(patterns),
        "py.typed": "",
        "LICENSE": licence(),
        "PROVENANCE.json": provenance(request, written),
        **{f"kernels/{name}": text for name, text in kernels.files(written).items()},
        **{f"runtime/{name}": text for name, text in runtime.items()},
    }


def provenance(request: Request, written: Sequence[Written]) -> str:
    """Where everything is from: what wrote it, the pattern files with the parameters in force, and for each tuned
    schedule the decision that it is from."""
    patterns = [
        {
            "pattern": one.name,
            "digest": one.digest(),
            "source": one.source,
            "params": dict(one.params),
            "document": one.document,
        }
        for one in request.patterns
    ]
    tuned = [
        {
            "file": one.held.file,
            "hardware": entry.key.hardware,
            "toolchain": entry.key.toolchain,
            "kind": entry.kind,
            "micros": entry.micros,
            "built_in_micros": entry.default_micros,
            "shape_class": entry.key.shape_class,
            "trials": entry.trials,
            "made_with": dict(entry.made_with),
        }
        for one in written
        if (entry := one.entry) is not None
    ]
    whole = {"written_by": f"attncc {VERSION}", "license": "Apache-2.0", "patterns": patterns, "tuned": tuned}
    return f"{json.dumps(whole, indent=1)}\n"


def licence() -> str:
    """The text of attncc's licence, under which its modules are passed on: beside the package in a checkout, else
    among what was installed with it."""
    beside = ATTNCC.parent / "LICENSE"
    if beside.is_file():
        return beside.read_text(encoding="utf-8")
    installed = metadata.distribution("attncc").read_text("licenses/LICENSE")
    assert installed is not None, "attncc is installed with its licence"
    return installed
