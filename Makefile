# Everything a newcomer runs. env, demo and test each work on a fresh machine, alone.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: env demo test newest lint bench

env: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": make env PYTHON=python3.13" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv --upgrade-deps $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,sound,tabular,app,timm,smp,bench,test]'
	$(BIN)/python -c 'import toolkit.learning'  # fails with an explanation where torch and torchvision do not fit
	@touch $@

demo: $(READY)
	$(BIN)/python -m recipes.image_classification sample_data/digits

test: $(READY)
	$(BIN)/python -m pytest

# The newest release of each package, without constraints: tests of what reads, converts and predicts. They run without torch,
# which is gigabytes more for each Python.
newest:
	$(PYTHON) -m venv --clear --upgrade-deps .venv-newest
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check -e '.[sound]' filelock imagehash jinja2 joblib \
		librosa lightgbm matplotlib onnx openpyxl pandas pyarrow pytest rich scikit-learn shap
	.venv-newest/bin/python -m pip list
	.venv-newest/bin/python -m pytest tests/converters tests/data tests/program/segmentation tests/program/tabular/test_inputs.py \
		tests/program/tabular/test_shapley.py tests/evaluation/segmentation/test_metrics.py tests/evaluation/tabular/test_metrics.py \
		tests/test_earlier_programs.py tests/test_files.py --ignore=tests/data/images -k "not fastais and not million"

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
