# Everything lives in .venv; nothing is installed elsewhere.
#   make demo    the whole pipeline on a survey that it makes itself
#   make test    what CI runs
PYTHON ?= python3.11
# A machine without a GPU wants the CPU build of torch (200 MB instead of several GB):
#   make demo TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
BIN := .venv/bin
READY := .venv/.ready
NPM_READY := .venv/npm/.ready
SAM := .venv/sam/bin/sam

.PHONY: demo test test-slow test-gpu unit check explore fuzz schemas sam bench clean

demo: $(READY)
	$(BIN)/spaceport demo

# Side by side what is pure; one after the other what starts clouds and stages of its own.
test: $(READY) $(NPM_READY)
	$(BIN)/pytest -m "not slow and not gpu" -n auto tests/unit tests/contract
	$(BIN)/pytest -m "not slow and not gpu" tests/numeric tests/integration tests/browser

test-slow: $(READY) $(NPM_READY)
	$(BIN)/pytest -m slow

test-gpu: $(READY)
	$(BIN)/pytest -m gpu

unit: $(READY)
	$(BIN)/pytest tests/unit -n auto --cov=spaceport.pipeline --cov=functions --cov-report=term-missing --cov-fail-under=90

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml

# Property tests on examples that nobody has tried yet; `make test` always takes the same ones.
explore: $(READY)
	$(BIN)/pytest --hypothesis-profile=explore -n auto -m "hypothesis and not slow and not gpu" tests

# FUZZ_SECONDS in all, five minutes without it. What it finds goes into tests/fuzz/corpus and is replayed by the tests.
fuzz: $(READY)
	$(BIN)/python tests/fuzz/fuzz.py

schemas: $(READY)
	$(BIN)/python -m spaceport.pipeline.schemas events

# SAM's own pins must not mix with ours: a virtual environment inside the virtual environment.
sam: $(SAM)
	$(SAM) validate --lint --region us-east-1
	$(SAM) build

$(READY): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet $(TORCH)
	$(BIN)/pip install --quiet --editable ".[sfm,train,compress,functions,local,dev]"
	touch $@

# The readers that the world uses, to prove that they open our files. Tests that need them skip, and say so, where
# npm is missing or its registry cannot be reached.
$(NPM_READY): tests/npm/package.json
	mkdir -p .venv/npm
	if command -v npm >/dev/null; then \
	  cp $< .venv/npm/ && npm install --loglevel=error --no-audit --no-fund --prefix .venv/npm \
	  && touch $@ || echo "npm could not install the readers of others: the tests that need them are skipped"; \
	fi

$(SAM): $(READY)
	$(PYTHON) -m venv .venv/sam
	.venv/sam/bin/pip install --quiet aws-sam-cli

clean:
	rm -rf .venv .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis demo-out
