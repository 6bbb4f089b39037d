# Everything runs in .venv, made here. Needs only Python >= 3.11 and make.
PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

# Every launch of the tests would compile raysweep again.
unexport PYTHONDONTWRITEBYTECODE

OLDEST := .venv-oldest
OLDEST_PYTHON ?= python3.11

.PHONY: install demo test test-full test-oldest test-cluster check lint audit lock clean help

help:
	@echo "make demo   install, then sweep alpha on built-in faces and print the table"
	@echo "make test   install, then run the tests, two at a time (JOBS=1: one after another)"
	@echo "make test-full     those and the long ones: every study, every fault drill (kills, Ctrl-C, full disks); an hour"
	@echo "make test-oldest   the tests with the lowest versions that pyproject.toml promises, on Python 3.11"
	@echo "make test-cluster  three hosts in namespaces, ray up, drills; needs root on Linux (DRILL=name: one)"
	@echo "make check  install, then ruff, mypy, import-linter, pip-audit (where the network lets it) and the tests"
	@echo "make lock   write constraints.txt and hashes.txt anew; UPGRADE=--upgrade takes the newest versions"

install: $(READY)

$(READY): pyproject.toml constraints.txt hashes.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "raysweep needs Python >= 3.11, but $(PYTHON) is %d.%d: make PYTHON=python3.12 ..." % sys.version_info[:2])'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement hashes.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: install
	$(BIN)/python -m raysweep.run ablation_alpha

# Two at a time: most of the long ones wait for processes to start. A file stays together; what comes first: tests/conftest.py.
# Not loadgroup: under pytest 9.2, pytest-xdist 3.8 overlooks groups without a word.
AT_ONCE := --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

test: install
	$(BIN)/python -m pytest $(AT_ONCE)

# Drills watch processes with deadlines; RAYSWEEP_PATIENCE=3 gives slow machines three times as long.
test-full: test
	$(BIN)/python -m pytest -m full --timeout 3600

# Hosts in namespaces on this machine, `ray up cluster-local.yaml` and drills; needs root on Linux. DRILL=worker_killed: one.
test-cluster: install
	$(BIN)/python -m tests.cluster $(DRILL)

# Direct dependencies at their lowest, the others as new as those allow: what old ones warn of in new ones is not ours.
test-oldest: $(OLDEST)/.installed
	$(OLDEST)/bin/python -m pytest -W ignore $(AT_ONCE)

$(OLDEST)/.installed: pyproject.toml
	test -x $(OLDEST)/bin/python || $(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(OLDEST)/bin/uv pip compile --quiet --resolution lowest-direct --python-version 3.11 --extra dev pyproject.toml --output-file $(OLDEST)/requirements.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --requirement $(OLDEST)/requirements.txt
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

lint: install
	$(BIN)/ruff check raysweep search_spaces tests bench setup.py
	$(BIN)/ruff format --check raysweep search_spaces tests bench setup.py
	$(BIN)/mypy
	$(BIN)/lint-imports

# In an environment of its own: it is no part of what it looks at.
AUDIT := .venv-audit

audit: install
	@test -x $(AUDIT)/bin/pip-audit || { $(PYTHON) -m venv $(AUDIT) && $(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit; } || true
	@$(BIN)/python -m bench.audit $(AUDIT)/bin/pip-audit

# Every version in constraints.txt; in hashes.txt, with the checksums of its files, all but those whose files differ by
# the index that they come from: torch for CPUs and for CUDA, and what the latter brings along. pip takes checksums for
# all packages of a command or for none, and none for a folder such as this one: so `install` asks for them first.
LOCK := .venv-lock
BY_INDEX := ^(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z0-9-]+)==
COMPILE := $(LOCK)/bin/uv pip compile --quiet --python-version 3.11 --no-annotate --no-header

lock:
	test -x $(LOCK)/bin/uv || { $(PYTHON) -m venv $(LOCK) && $(LOCK)/bin/python -m pip install --quiet --disable-pip-version-check uv; }
	$(COMPILE) --extra dev $(UPGRADE) pyproject.toml --output-file constraints.txt
	grep -vE '$(BY_INDEX)' constraints.txt | $(COMPILE) --no-deps --universal --generate-hashes - --output-file hashes.txt

check: lint audit test

clean:
	rm -rf $(VENV) $(OLDEST) $(AUDIT) $(LOCK) build .raysweep mlflow.db mlruns
