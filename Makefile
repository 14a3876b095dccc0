# attncc from a fresh clone. `make tune` and `make test` are the two commands; everything they need they install.
#
# Any interpreter that already has the dependencies will do, and then nothing is installed:
#     make gpu PYTHON=python3

PYTHON ?= .venv/bin/python
BOOTSTRAP ?= python3
WORKERS ?= 2

ifeq ($(PYTHON),.venv/bin/python)
READY := .venv/installed
endif

ATTNCC := $(PYTHON) -m attncc
SOURCES := attncc bench codegen autotune examples patterns tests

# What `make tune` tunes: see `attncc patterns` for all names, `attncc tune --help` for shapes.
PATTERNS ?= causal sliding_window a_shape longgen
SHAPE ?= 1,8,2,4096,4096,128
DTYPE ?= bf16
BUDGET ?= 40

.PHONY: help install tune test check format golden bench report gpu gpu-test gpu-tune gpu-bench gpu-report gpu-plan clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is older than what it depends on exactly when another version may be wanted.
.venv/installed: pyproject.toml constraints.txt
	@test -x .venv/bin/python || $(BOOTSTRAP) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev,report,hf,ray,optuna]'
	@touch $@

install: $(READY) ## the environment in .venv, with the tested versions

tune: $(READY) ## tune four patterns on this CPU, compare with SDPA and FlexAttention, write the report (four minutes)
	$(ATTNCC) tune $(PATTERNS) --device cpu --shape $(SHAPE) --dtype $(DTYPE) --budget $(BUDGET)
	$(PYTHON) -m bench.run --quick --append --no-setup --threads 2
	$(ATTNCC) report

test: $(READY) ## every test
	$(PYTHON) -m pytest -q -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: $(READY) ## lint, format, types
	$(PYTHON) -m ruff check $(SOURCES)
	$(PYTHON) -m ruff format --check $(SOURCES)
	$(PYTHON) -m mypy -p attncc -p bench

format: $(READY) ## rewrite the sources in the house format
	$(PYTHON) -m ruff check --fix $(SOURCES)
	$(PYTHON) -m ruff format $(SOURCES)

golden: $(READY) ## rewrite the golden files from today's emitters; read the diff
	$(PYTHON) -m tests.golden.rewrite

bench: $(READY) ## side by side with SDPA and FlexAttention, on this machine
	$(PYTHON) -m bench.run --quick

report: $(READY) ## reports/<this hardware>/ from the library and the last bench
	$(ATTNCC) report

# The pieces below each end within GPU_SECONDS and keep what they have; what is left is done by calling them again.
# Without a GPU they say so and succeed; `make gpu-plan` says anywhere what they would do.
gpu: gpu-test gpu-tune gpu-bench gpu-report ## everything that needs a GPU, ten minutes of each

GPU_SECONDS ?= 540
# Cases whose name contains this; --full in place of --quick for all sizes, not the goals' alone.
GPU_ONLY ?=
GPU_CASES ?= --quick
# Where outcomes go; what is tuned goes to $$ATTNCC_LIBRARY, else to the user's library.
GPU_REPORTS ?= reports
# Tests at once: each compiles on a core of its own.
GPU_WORKERS ?= 4
GPU := $(PYTHON) -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'
WITH_GPU = @if $(GPU); then set -x; $(1); else echo "$@: skipped, PyTorch sees no GPU here"; fi

gpu-test: $(READY)
	$(call WITH_GPU,$(PYTHON) -m tests.gpu.run --reports $(GPU_REPORTS) --workers $(GPU_WORKERS) --append --seconds $(GPU_SECONDS))

gpu-tune: $(READY)
	$(call WITH_GPU,$(PYTHON) -m bench.gpu.tune --seconds $(GPU_SECONDS) --only '$(GPU_ONLY)')

gpu-bench: $(READY)
	$(call WITH_GPU,$(PYTHON) -m bench.run $(GPU_CASES) --reports $(GPU_REPORTS) --device cuda --append --budget $(GPU_SECONDS) --only '$(GPU_ONLY)')

gpu-report: $(READY)
	$(call WITH_GPU,$(ATTNCC) report --out $(GPU_REPORTS))

gpu-plan: $(READY) ## what `make gpu` would tune and measure, in which pieces, with bytes of memory
	@$(PYTHON) -m bench.gpu.tune --dry-run --seconds $(GPU_SECONDS)
	@$(PYTHON) -m bench.run $(GPU_CASES) --device cuda --dry-run --budget $(GPU_SECONDS)

clean: ## what builds and tests leave behind, the environment excepted
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
