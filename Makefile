# Everything a newcomer runs. env, demo and test each work on a fresh machine, alone.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: env demo test lint bench

env: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make env PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,sound,tabular,app,timm,smp,bench,test]'
	$(BIN)/python -c 'import toolkit.learning'  # fails with an explanation where torch and torchvision do not fit
	@touch $@

demo: $(READY)
	$(BIN)/python -m recipes.image_classification sample_data/digits

test: $(READY)
	$(BIN)/python -m pytest

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python -m benchmarks.images
	$(BIN)/python -m benchmarks.shrink
	$(BIN)/python -m benchmarks.converters
	$(BIN)/python -m benchmarks.sounds
	$(BIN)/python -m benchmarks.mouse
	$(BIN)/python -m benchmarks.segmentation
	$(BIN)/python -m benchmarks.tabular
	$(BIN)/python -m benchmarks.ratings
