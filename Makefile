# Everything a fresh machine needs: Python >= 3.11 and make. No other service.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What the demo runs: also called from tests and by hand.
DEMO := demo
# How many processes share the tests; each starts a PostgreSQL of its own.
WORKERS ?= 2
# What benchmarks/padding.py reads, where it is.
TATOEBA ?= ../shared/data/open/tatoeba.parquet
PADDING_MODEL ?= ../shared/models/bible-bloom

.PHONY: help setup demo test check lint types contracts schema bench acceptance wheel clean

help:
	@echo "make demo        set up, then run the built-in experiment end to end"
	@echo "make test        set up, then run the tests"
	@echo "make check       lint, formatting, types, import contracts, schema"
	@echo "make wheel       build the wheel and try it in an empty environment"
	@echo "make bench       benchmarks against named peers (long)"
	@echo "make acceptance  the same commands on real text in ../shared (long)"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Sprachbund needs Python >= 3.11; $(PYTHON) is older: make PYTHON=python3.11 …" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[runner,mlflow,postgres,dev]'
	@touch $@

demo: $(STAMP)
	$(BIN)/sprachbund demo $(DEMO)

test: $(STAMP)
	$(BIN)/python -m pytest -q -m "not acceptance" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

check: lint types contracts schema

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

schema: $(STAMP)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
		export SPRACHBUND_DATABASE_URL=sqlite:///$$folder/schema.db && \
		$(BIN)/alembic upgrade head && $(BIN)/alembic check

wheel: $(STAMP)
	bash .ci/wheel

bench: $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[runner,mlflow,postgres,dev,bench]'
	$(BIN)/python benchmarks/scoring.py
	$(BIN)/python benchmarks/transport.py
	$(BIN)/python benchmarks/abx.py
	$(BIN)/python benchmarks/crossed.py
	$(BIN)/python benchmarks/comparing.py
	$(BIN)/python benchmarks/intervals.py
	$(BIN)/python benchmarks/groups.py
	$(BIN)/python benchmarks/families.py
	$(BIN)/python benchmarks/choosing.py
	$(BIN)/python benchmarks/fit_sample.py
	$(BIN)/python benchmarks/retrieval.py
	$(BIN)/python benchmarks/job_queue.py
	$(BIN)/python benchmarks/growth.py
	$(BIN)/python benchmarks/collecting.py
	$(BIN)/python benchmarks/steering.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/start.py
	@if test -f $(TATOEBA) && test -d $(PADDING_MODEL); then \
		$(BIN)/python benchmarks/padding.py $(TATOEBA) $(PADDING_MODEL); \
	else echo "benchmarks/padding.py is left out: no $(TATOEBA) or no $(PADDING_MODEL)"; fi
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
		$(BIN)/python benchmarks/gpu.py; \
	else echo "benchmarks/gpu.py is left out: no GPU"; fi

acceptance: $(STAMP)
	$(BIN)/python -m pytest -q -m acceptance -s tests/acceptance

clean:
	rm -rf $(VENV) $(DEMO) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
