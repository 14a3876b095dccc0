"""The format `hub`: the layout of the Hugging Face `kernels` library, one build for each kind of device."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from attncc.device import DeviceKind
from attncc.export import readme
from attncc.export.kernels import Written, written
from attncc.export.request import Request, with_oldest
from attncc.export.tree import licence, tree

#: What the library calls a build that holds Python and its sources only, and the backend that it is for.
BUILDS: Mapping[DeviceKind, str] = {"cpu": "cpu", "cuda": "cuda", "hip": "rocm"}

#: The library counts the versions of a kernel in whole numbers; every export begins with the first.
VERSION = 1


def files(request: Request) -> Mapping[str, str]:
    """The text of every file, by its path in the directory that is written.

    Each build has operators of its own names, as the library asks; a build for GPUs holds the kernels for the CPU too.
    """
    kernels = written(request)
    kinds = dict.fromkeys(device.kind for device in request.devices)
    builds = {
        f"build/torch-{BUILDS[kind]}/{path}": text
        for kind in kinds
        for path, text in build(request, kernels, kind).items()
    }
    return {"README.md": readme.hub(request, kernels, slug(request)), "LICENSE": licence(), **builds}


def build(request: Request, kernels: Sequence[Written], kind: DeviceKind) -> Mapping[str, str]:
    """One build: an import package and its metadata."""
    mine = replace(request, devices=tuple(one for one in request.devices if one.kind in ("cpu", kind)))
    archs = {one.arch for one in with_oldest(mine.devices)}
    held = [one for one in kernels if one.held.arch in archs]
    content = hashlib.sha256("".join(one.held.file for one in held).encode()).hexdigest()[:8]
    name = f"_{request.name}_{BUILDS[kind]}_{content}"
    metadata = {
        "id": name,
        "name": slug(request),
        "version": VERSION,
        "license": "Apache-2.0",
        "python-depends": [],
        "backend": {"type": BUILDS[kind]},
    }
    return {**tree(mine, held, name), "metadata.json": f"{json.dumps(metadata, indent=1)}\n"}


def slug(request: Request) -> str:
    """The name of the kernel on the Hub, whose words are joined by dashes."""
    return request.name.replace("_", "-")
