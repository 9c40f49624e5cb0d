# make book   train what has no record yet, run the notebooks, render the book
# make pdf    print the book to one file with Chromium (a few minutes), without solutions
# make readme  write the answer and its picture in README.md anew, from the records
# make words  count the words of prose in the built book, page by page
# make lab    open the lab, in a light environment of its own; without make: python start_lab.py
# make slides build the slides, sheets and the key anew, and print them with Chromium
# make test   run the tests that are quick (5 minutes)
# make browser-test  open the built book in Chromium, where it is installed: every page, link, equation, what moves
# make slurm-test  as root on Debian: start a Slurm of one node here, and compare a small study through it with a local one
# make bench  measure speed and deadlines (half an hour; leave the machine alone): make bench ARGS="--device cuda"
# make study  make the records of one study that are missing: make study STUDY=workflow/studies/… JOBS=2
# make study-cost  runs, multiply-adds and hours of a study on this machine, before anyone starts it: … STUDY=…
# make lint   format, style, types, notebooks without outputs, what the pages' text has to hold to
# make dist   wheel and sdist of anytime_core in build/dist, and whether a package index would take them
# make check  lint, book, every test, browser-test, dist: what continuous integration does
# Each makes .venv first, if it is not there: no root, no compiler, no GPU needed. TORCH=cpu takes PyTorch without CUDA.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
INSTALLED := $(VENV)/.installed
# With TORCH=cpu PyTorch comes from its own index, and what its CUDA builds need stays away.
ifeq ($(TORCH),cpu)
export UV_TORCH_BACKEND := cpu
NOT_WANTED := ^(nvidia-|cuda-|triton=)
else
NOT_WANTED := ^$$
endif
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Notebook kernels start a fresh Python: keep it to this environment and quiet about its debugger.
export PYTHONNOUSERSITE := 1
export PYDEVD_DISABLE_FILE_VALIDATION := 1

.PHONY: book pdf lab slides readme words test browser-test slurm-test bench study study-cost lint dist check install lock clean format

book: install
	@snakemake
	@echo "The book: $(CURDIR)/_build/html/index.html"

pdf: book
	@python -m anytime_study.pages.printing
	@echo "The book on paper: $(CURDIR)/_build/book.pdf"

lab:
	@$(PYTHON) start_lab.py

slides: book
	@python -m anytime_study.pages.teaching --pdf
	@echo "Slides: $(CURDIR)/_build/html/_static/slides/session_1.html; on paper: $(CURDIR)/_build/teaching"

readme: book
	@python -m anytime_study.pages.readme

words: install
	@python -m anytime_study.pages.word_count

test: install
	@pytest -n auto

# One browser, one tab: no parallel workers. Without Chromium or the built book all of it is skipped, and says why.
browser-test: install
	@pytest -m browser -n 0 -rs tests/browser

slurm-test: install
	@test "$$(id -u)" = 0 || { echo "make slurm-test needs root: it starts Slurm's daemons" >&2; exit 1; }
	@test -x /usr/sbin/slurmctld -a -x /usr/sbin/munged || \
	  { echo "Installing slurm-wlm and munge with apt-get"; apt-get update -qq && \
	    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge > /dev/null; }
	@pytest -m slurm -n 0 -rs tests/slurm

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
	@pytest -m prose -n 0 tests/book

format: install
	ruff check --fix .
	ruff format .
	nbstripout notebooks/*.ipynb

# The wheel is built from the sdist, so both hold what they need. The checkout itself is not touched.
dist: install
	@rm -rf build/dist
	@$(UV) build --quiet --no-build-isolation --python $(BIN)/python --out-dir build/dist
	@twine check --strict build/dist/*.whl build/dist/*.tar.gz
	@check-wheel-contents build/dist/*.whl

# The book comes before the tests, because some of them check the built pages.
check: lint book dist
	@pytest -n auto -m "not browser and not slurm and not prose"
	@$(MAKE) browser-test

install: $(INSTALLED)

# uv lives in the environment itself, at the locked version, so nothing on the machine is changed.
$(INSTALLED): requirements.lock pyproject.toml anytime_study/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$($(PYTHON) --version). Set PYTHON=…" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(UV) || $(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep -o '^uv==[0-9.]*' requirements.lock)
	@grep -vE '$(NOT_WANTED)' requirements.lock > $(VENV)/requirements.txt
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python $(VENV)/requirements.txt
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable . --editable ./anytime_study
	@touch $@

# Versions anew, for every platform at once. The lock names no package index.
lock:
	$(UV) pip compile --quiet --upgrade --universal --all-extras --group study --group book --group cluster --group dev \
	  --no-header pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --universal --group lab --no-header -c requirements.lock pyproject.toml -o requirements-lab.lock

clean:
	rm -rf _build build book/results data/records/quick .snakemake
