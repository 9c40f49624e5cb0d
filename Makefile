# make book   train what has no record yet, run the notebooks, render the book
# make pdf    print the book to one file with Chromium (a few minutes), without solutions
# make test   run every test
# make torture  kill runs and studies, fill the disk, damage every kind of file (half an hour); results in data/torture
# make browser-test  open the built book in Chromium, where it is installed: every page, link, equation, the slider
# make slurm-test  as root on Debian: start a Slurm of one node here, and compare a small study through it with a local one
# make bench  measure speed against a plain loop (20 minutes; leave the machine alone)
# make study  make the records of one study that are missing: make study STUDY=workflow/studies/… JOBS=2
# make study-cost  runs, multiply-adds and hours of a study on this machine, before anyone starts it: … STUDY=…
# make lint   format, style, types, notebooks without outputs
# make check  all of these, as continuous integration does
# Each makes .venv first, if it is not there: no root, no compiler, no GPU needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALLED := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Notebook kernels start a fresh Python: keep it to this environment and quiet about its debugger.
export PYTHONNOUSERSITE := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1

.PHONY: book pdf test browser-test torture slurm-test bench study study-cost lint check install lock clean format

book: install
	@snakemake
	@echo "The book: $(CURDIR)/_build/html/index.html"

pdf: book
	@python -m anytime_study.pages.printing
	@echo "The book on paper: $(CURDIR)/_build/book.pdf"

test: install
	@pytest -n auto

# One browser, one tab: no parallel workers. Without Chromium or the built book all of it is skipped, and says why.
browser-test: install
	@pytest -m browser -n 0 -rs tests/browser

torture: install
	@TORTURE_RESULTS=data/torture/results.json pytest -m "" tests/study/faults tests/study/training/test_processes.py

slurm-test: install
	@test "$$(id -u)" = 0 || { echo "make slurm-test needs root: it starts Slurm's daemons" >&2; exit 1; }
	@test -x /usr/sbin/slurmctld -a -x /usr/sbin/munged || \
	  { echo "Installing slurm-wlm and munge with apt-get"; apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null; }
	@CLUSTER_RESULTS=benchmarks/results/cluster pytest -m slurm -n 0 -rs tests/slurm

bench: install
	@python -m benchmarks $(ARGS)

study: install
	@test -n "$(STUDY)" || { echo "Which study? make study STUDY=workflow/studies/….yaml JOBS=2" >&2; exit 1; }
	@snakemake study --config study="$(STUDY)" --cores $(or $(JOBS),all)

study-cost: install
	@test -n "$(STUDY)" || { echo "Which study? make study-cost STUDY=workflow/studies/….yaml" >&2; exit 1; }
	@anytime study-cost $(STUDY)

lint: install
	ruff check .
	ruff format --check .
	ty check anytime_core anytime_study benchmarks
	nbstripout --verify notebooks/*.ipynb

format: install
	ruff check --fix .
	ruff format .
	nbstripout notebooks/*.ipynb

# The book comes before the tests, because some of them check the built pages.
check: lint book test browser-test

install: $(INSTALLED)

# uv lives in the environment itself, at the locked version, so nothing on the machine is changed.
$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=…" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep -o '^uv==[0-9.]*' requirements.lock)
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# Versions anew, for every platform at once. The lock names no package index.
lock:
	$(UV) pip compile --quiet --upgrade --universal --all-extras --no-header pyproject.toml -o requirements.lock

clean:
	rm -rf _build build book/results data/records/quick .snakemake
