# Everything here sets itself up: a Python (>= 3.8) and make are enough. On Windows without make, the
# two lines of a target do the same by hand (CONTRIBUTING.md).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first interpreter that really runs: a version manager's shim may be on PATH and refuse to.
PYTHON ?= $(firstword $(foreach p,python3 python3.11 python3.12 python3.10 python,$(shell $(p) -c "print('$(p)')" 2>/dev/null)))
BOOTSTRAP = $(if $(PYTHON),$(PYTHON),$(error No Python was found. Install one, for example: sudo apt-get install -y python3 python3-venv)) tools/bootstrap.py
BIN = .venv/bin
LAB = .venv-lab/bin
FACES = .venv-faces/bin

DEMO_ARGS ?=
PYTEST_ARGS ?=
PYTEST_JOBS ?= 2
# What meets the recording PC's own libraries; LAB_TESTS=tests runs all that this environment can.
LAB_TESTS ?= tests/collection/devices/tobii tests/collection/devices/test_sdk.py tests/collection/devices/test_registry.py \
  tests/collection/devices/test_lsl.py tests/collection/console tests/collection/presenter tests/collection/runner \
  tests/contracts tests/lab
# Where MediaPipe is looked through, and what lies below it on another generation of NumPy and OpenCV.
FACES_TESTS ?= tests/data_schema/signals/faces tests/data_schema/derived tests/data_schema/session/test_video.py \
  tests/data_schema/session/test_pictures.py

# One thread for every numerical library: the tests run side by side.
TEST_ENV = OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 QT_QPA_PLATFORM=offscreen SDL_AUDIODRIVER=dummy PYTHONUTF8=1

.PHONY: help demo test lint format pytest test-lab test-faces benchmarks docs screenshots constraints clean clean-env

help:  ## show this list
	@echo "make TARGET, where TARGET is one of"
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo:  ## the whole line on simulated participants, to one HTML report (DEMO_ARGS="...")
	@$(BOOTSTRAP) demo
	@$(BIN)/python examples/demo.py $(DEMO_ARGS)

test:  ## ruff, mypy, import contracts, then all tests that need no hardware (PYTEST_ARGS="...")
	@$(BOOTSTRAP) test
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory pytest

lint:  ## the static checks alone
	@$(BOOTSTRAP) test
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@PYTHONPATH=. $(BIN)/lint-imports --no-cache > .lint-imports.log || { cat .lint-imports.log; exit 1; }
	@tail -n 3 .lint-imports.log; rm -f .lint-imports.log

format:  ## let ruff order the imports and lay out the code
	@$(BOOTSTRAP) test
	@$(BIN)/ruff check --fix --select I .
	@$(BIN)/ruff format .

pytest:
	@$(TEST_ENV) $(BIN)/python -m pytest -n $(PYTEST_JOBS) --dist loadfile $(PYTEST_ARGS)

test-lab:  ## the recording PC's environment (Python 3.10: psychopy, PyQt5, Tobii SDK) and its tests
	@if $(BOOTSTRAP) --find-python lab > /dev/null 2>&1; then \
	  $(BOOTSTRAP) lab; \
	  $(TEST_ENV) $(LAB)/python -m pytest -n $(PYTEST_JOBS) --dist loadfile \
	    -m "not hardware and not gpu" $(PYTEST_ARGS) $(LAB_TESTS); \
	else \
	  echo "make test-lab: no CPython 3.10 on this machine, the only version that the Tobii SDK has wheels for;" \
	    "nothing was run. Install one (pyenv install 3.10) or name one: EMER_PYTHON=/path/to/python3.10"; \
	fi

test-faces:  ## the environment of mediapipe (NumPy below 2), and the tests of faces, signals and sessions in it
	@$(BOOTSTRAP) faces
	@$(TEST_ENV) $(FACES)/python -m pytest -n $(PYTEST_JOBS) --dist loadfile -m "not hardware and not gpu and not lab" $(PYTEST_ARGS) $(FACES_TESTS)

benchmarks:  ## print every figure with its baseline, one JSON line each
	@$(BOOTSTRAP) test
	@$(BIN)/python -m benchmarks $(BENCHMARK_ARGS)

docs:  ## write the reference pages from the declarations in the code
	@$(BOOTSTRAP) test
	@$(BIN)/python tools/make_reference.py

screenshots:  ## take the documentation's pictures of every screen anew (NAMES="participant console")
	@$(BOOTSTRAP) lab
	@$(LAB)/python tools/make_screenshots.py $(NAMES)

constraints:  ## resolve and freeze the pinned dependencies anew
	@$(PYTHON) tools/bootstrap.py test
	@$(BIN)/python tools/lock.py

clean:  ## delete caches and builds, keep the environments
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.venv*' -prune -exec rm -rf {} +

clean-env:  ## delete the environments too
	rm -rf .venv .venv-lab
