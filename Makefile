# Set-up, tests and first results of tf_gtn. `make` alone lists what there is.
#
# .venv is made by the first Python 3.11 or 3.10 that is found, or by PYTHON=..., from requirements.lock. It counts as
# ready once it holds a copy of that file, which is written last; .venv/.unfinished marks one that was broken off.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup test digits dynamics regression bandit lint bench lock clean
.SILENT:

PYTHON ?=
VENV_PYTHON := .venv/bin/python
BENCHMARKS = $(filter-out a2c,$(basename $(notdir $(wildcard benchmarks/[a-z]*.py))))

# Whether "$$python" runs (a pyenv shim can be on the PATH and refuse), is 3.10 or 3.11 and can make an environment.
works := "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in ((3, 10), (3, 11)))' >/dev/null 2>&1
given = $(shell python="$(PYTHON)"; $(works) && echo "$$python")
found = $(shell pyenv="$${PYENV_ROOT:-$$HOME/.pyenv}/versions"; IFS=:; \
  for name in python3.11 python3.10 python3 python; do for folder in $$PATH; do \
    python="$$folder/$$name"; $(works) && echo "$$python" && exit; \
  done; done; \
  for python in "$$pyenv"/3.11.*/bin/python "$$pyenv"/3.10.*/bin/python; do $(works) && echo "$$python" && exit; done)
python = $(if $(PYTHON),$(or $(given),$(error PYTHON=$(PYTHON) is not a working Python 3.10 or 3.11 that has venv)),$(or \
  $(found),$(error no working Python 3.10 or 3.11 that has venv was found; install one, or name one: make PYTHON=/path/to/python3.11)))

ready = $(shell $(VENV_PYTHON) -c '' 2>/dev/null && cmp -s requirements.lock .venv/requirements.lock && echo yes)

help: ## this list
	awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## make .venv; the targets below do so themselves
	$(if $(ready),:,$(call install,$(python)))
	$(let_find)

test: setup ## run the tests
	$(VENV_PYTHON) -m pytest

digits: setup ## teach the 8x8 digits and compare the treatments; the report is runs/digits/report.html
	$(VENV_PYTHON) -m binaries.compare_treatments --base_dir=runs/digits --gin_file=gin/teaching/digits.gin

dynamics: setup ## the figures of learning dynamics; the report is runs/dynamics/report.html; 30 minutes
	$(MAKE) -j2 regression bandit
	$(VENV_PYTHON) -m binaries.make_report --base_dir=runs/dynamics $(addprefix --run=runs/dynamics/,linear nonlinear bandit)

# Beside each other, a core each.
STUDY = $(VENV_PYTHON) -m binaries.run_dynamics --threads_per_operation=1
regression:
	$(STUDY) --base_dir=runs/dynamics/linear --gin_file=gin/dynamics/linear_small.gin
	$(STUDY) --base_dir=runs/dynamics/nonlinear --gin_file=gin/dynamics/nonlinear_small.gin
bandit:
	$(STUDY) --base_dir=runs/dynamics/bandit --gin_file=gin/dynamics/bandit_small.gin

# Peers of benchmarks.meta_gradient, and of benchmarks.a2c (sb3), each in an environment of its own.
.bench/pytorch/ready: PACKAGES = torch==2.13.0 numpy
.bench/jax/ready: PACKAGES = jax==0.10.2 jaxlib==0.10.2 numpy
.bench/sb3/ready: PACKAGES = stable-baselines3 torch==2.13.0 gymnasium ale-py opencv-python-headless
.bench/%/ready:
	rm -rf .bench/$* && "$(python)" -m venv .bench/$*
	.bench/$*/bin/python -m pip install -qq --disable-pip-version-check $(PACKAGES) && touch $@

lint: setup ## check the code with ruff, its types with pyrefly
	$(VENV_PYTHON) -m ruff check && $(VENV_PYTHON) -m ruff format --check --quiet
	$(VENV_PYTHON) -m pyrefly check --python-interpreter-path $(VENV_PYTHON)

bench: setup .bench/pytorch/ready .bench/jax/ready ## run the benchmarks, PyTorch and JAX beside; each prints JSON lines; 20 minutes
	for name in $(BENCHMARKS); do $(VENV_PYTHON) -m benchmarks.$$name || exit; done

lock: ## write requirements.lock anew from setup.py; LOCK=--upgrade also renews what is pinned
	tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp" tf_gtn.egg-info' EXIT && trap 'exit 1' INT TERM && \
	"$(python)" -m venv "$$tmp" && "$$tmp/bin/python" -m pip install -qq --disable-pip-version-check uv && \
	"$$tmp/bin/uv" pip compile --quiet --universal --python "$$tmp/bin/python" --python-version 3.10 \
	  --fork-strategy requires-python --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	  $(LOCK) --extra dev --output-file requirements.lock setup.py

clean: ## remove .venv, .bench, caches and build outputs; runs/ stays
	rm -rf .venv .bench dist tf_gtn.egg-info .pytest_cache .ruff_cache
	find . \( -path ./.git -o -path ./runs \) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Scripts in any folder find the package by a path relative to site-packages. So an environment that is linked into another
# checkout leads to that checkout's package, and one that was moved with its checkout still works.
define let_find
for folder in .venv/lib/python3.*/site-packages; do \
  test -e "$$folder/tf_gtn.pth" || echo ../../../.. > "$$folder/tf_gtn.pth" || exit; \
done
endef

# An environment of the user's own is only completed; one that can't serve or was broken off is made anew.
# The lock is complete, so --no-deps: pip before 23.3 asks for hashes of versions that it would never choose.
# pip compiles what it installs even under PYTHONDONTWRITEBYTECODE, so importing TensorFlow is quick from then on.
define install
echo "Setting up .venv from requirements.lock ..."; \
python=$(VENV_PYTHON); \
if test -e .venv/.unfinished || ! $(works) || ! $(VENV_PYTHON) -m pip --version >/dev/null 2>&1; then \
  rm -rf .venv && mkdir .venv && touch .venv/.unfinished && "$(1)" -m venv .venv || exit; \
fi; \
touch .venv/.unfinished && \
$(VENV_PYTHON) -m pip install -qq --disable-pip-version-check --no-deps --require-hashes -r requirements.lock && \
cp requirements.lock .venv/ && rm .venv/.unfinished
endef
