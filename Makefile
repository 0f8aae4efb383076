# Every target creates .venv when it is missing, reuses it when it is there, and is safe to run again.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
DOCS_READY := .venv/.ready-docs
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

.PHONY: demo test test-all lint format docs clean

demo: $(READY)
	$(BIN)/python scripts/simulate.py surrogate/movement/examples/wrist_and_hand.csv --output demo

test: $(READY)
	$(PYTEST)

test-all: $(READY)
	$(PYTEST) -m ''

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DOCS_READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf .venv demo site

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(INSTALL) -e '.[dev]'
	touch $@

$(DOCS_READY): $(READY)
	$(INSTALL) -e '.[docs]'
	touch $@
