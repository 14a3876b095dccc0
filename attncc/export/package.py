"""The format `package`: a Python package that pip installs, with its own test, which needs PyTorch and Triton only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attncc.export import checks, readme
from attncc.export.kernels import Written, written
from attncc.export.request import Request
from attncc.export.tree import licence, tree
from attncc.version import VERSION

PROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "{distribution}"
version = "{version}"
description = "Sparse attention kernels: {patterns}."
readme = "README.md"
license = "Apache-2.0"
license-files = ["LICENSE"]
requires-python = ">=3.11"
dependencies = ["torch>=2.10", "triton>=3.6; sys_platform == 'linux'"]
classifiers = ["Programming Language :: Python :: 3", "Typing :: Typed"]

[project.optional-dependencies]
test = ["pytest>=8", "numpy>=1.26"]

[tool.setuptools.packages.find]
include = ["{name}", "{name}.*"]

[tool.setuptools.package-data]
"*" = ["py.typed", "LICENSE", "*.json", "*.c"]

[tool.mypy]
strict = true
untyped_calls_exclude = ["torch"]

[[tool.mypy.overrides]]
module = ["triton.*"]
ignore_missing_imports = true

# Arguments of kernels have the types of Triton's own language.
[[tool.mypy.overrides]]
module = ["{name}.kernels.*"]
ignore_errors = true

[tool.ruff]
line-length = 120
"""


def files(request: Request) -> Mapping[str, str]:
    """The text of every file, by its path in the directory that is written."""
    return project(request, written(request))


def project(request: Request, kernels: Sequence[Written]) -> Mapping[str, str]:
    """The same, of kernels that are written already."""
    names = ", ".join(one.name for one in request.patterns)
    distribution = request.name.replace("_", "-")
    return {
        "pyproject.toml": PROJECT.format(distribution=distribution, version=VERSION, patterns=names, name=request.name),
        "README.md": readme.package(request, kernels),
        "LICENSE": licence(),
        "tests/test_kernels.py": checks.text(request),
        **{f"{request.name}/{path}": text for path, text in tree(request, kernels, request.name).items()},
    }
