# Everything runs in .venv, made here. Needs only Python >= 3.11 and make.
PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: install demo test test-faults check lint clean help

help:
	@echo "make demo   install, then sweep alpha on built-in faces and print the table"
	@echo "make test   install, then run the tests, two at a time (JOBS=1: one after another)"
	@echo "make test-faults   install, then every fault drill: kills, Ctrl-C, full disks, damaged files (half an hour)"
	@echo "make check  install, then ruff, mypy, import-linter and the tests"

install: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "raysweep needs Python >= 3.11, but $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: install
	$(BIN)/python -m raysweep.run ablation_alpha

# Two at a time: most of the long ones wait for processes to start. A file stays together, for what its tests share.
test: install
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

# Some drills run with the tests above, too; RAYSWEEP_PATIENCE=3 gives slow machines three times as long.
test-faults: install
	$(BIN)/python -m pytest tests/faults -m "" --timeout 3600

lint: install
	$(BIN)/ruff check raysweep search_spaces tests bench setup.py
	$(BIN)/ruff format --check raysweep search_spaces tests bench setup.py
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

clean:
	rm -rf $(VENV) .raysweep mlflow.db mlruns
