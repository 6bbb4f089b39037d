# Everything runs in .venv, made here. Needs only Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

.PHONY: install demo test check lint clean help

help:
	@echo "make demo   install, then sweep alpha on built-in faces and print the table"
	@echo "make test   install, then run the tests"
	@echo "make check  install, then ruff, mypy, import-linter and the tests"

install: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "raysweep needs Python >= 3.11, but $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: install
	$(BIN)/python -m raysweep.run ablation_alpha

test: install
	$(BIN)/python -m pytest

lint: install
	$(BIN)/ruff check raysweep search_spaces tests bench
	$(BIN)/ruff format --check raysweep search_spaces tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test

clean:
	rm -rf $(VENV) .raysweep mlflow.db mlruns
