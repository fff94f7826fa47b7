# make demo   the whole loop on the simulated rig        make check  lint, types, layers
# make test   checks, fast tests, long tests             make bench  the benchmarks
# make docs   the command reference written, every page checked
#
# Everything happens in .venv, which is made when it is missing and renewed when pyproject.toml or
# constraints.txt changed. Nothing is fetched once that is done.

PYTHON ?= python3
VENV ?= .venv
# Workers of the parallel tests. Each is kept to one thread of numerical libraries.
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# Where torch's CPU build is. PyPI's own build fetches gigabytes of CUDA; with an NVIDIA GPU that is
# what you want: `make demo TORCH_INDEX=`. An index that cannot be reached is passed over.
TORCH_INDEX ?= $(if $(shell command -v nvidia-smi),,https://download.pytorch.org/whl/cpu)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1
PYTEST := $(ONE_THREAD) $(BIN)/python -m pytest -q

# $(call stage,NAME,COMMAND): run it, say how many minutes it took, pass its exit code on.
define stage
	@echo "== $(1)"; start=$$(date +%s); code=0; { $(2); } || code=$$?; \
	spent=$$(( $$(date +%s) - start )); \
	printf '== %s: %d.%d minutes, exit code %d\n' '$(1)' $$((spent / 60)) $$((spent % 60 / 6)) $$code; exit $$code
endef

# $(call tests,OPTIONS,MARKERS): run them; what fails is run once more by itself, and has to pass then. Cameras at
# their own pace and time limits meet a machine that pauses. Any other end (code 2 and above) stays as it is.
define tests
code=0; $(PYTEST) --cache-clear $(1) -m '$(2)' || code=$$?; \
	if [ $$code = 1 ]; then \
		echo "== once more, with nothing beside: what failed"; code=0; \
		$(PYTEST) --last-failed --last-failed-no-failures none -m '$(2)' || code=$$?; \
	fi; (exit $$code)
endef

.PHONY: demo install install-dev test test-fast test-long check bench docs clean distclean

demo: install
	$(BIN)/rigpose demo

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "rigpose needs Python 3.10 or later, $(PYTHON) is %d.%d; run: make PYTHON=python3.11" % sys.version_info[:2])'
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing rigpose into $(VENV) (about 3 GB, the first time some minutes)"
	$(PIP) "setuptools>=77"
	$(PIP) --no-deps --retries 1 $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) "$$(grep '^torch==' constraints.txt)"
	$(PIP) --no-build-isolation --constraint constraints.txt --editable '.[train,litert,onnx,label]'
	@touch $@

# PyGObject, for the cameras, is compiled against Debian's GLib and cairo.
$(VENV)/.installed-dev: $(VENV)/.installed
	@if pkg-config --exists gobject-introspection-1.0 cairo; then \
		$(PIP) --constraint constraints.txt PyGObject; \
	else \
		echo "No PyGObject: its tests are skipped (apt-get install libgirepository1.0-dev libcairo2-dev pkg-config gcc)"; \
	fi
	$(PIP) --no-build-isolation --constraint constraints.txt --editable '.[train,litert,onnx,label,slp,nwb,arima,cluster,lsl,basler,genicam,v4l2,dev]'
	@touch $@

test: check test-fast test-long

check: install-dev
	$(call stage,check,$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports)

test-fast: install-dev
	$(call stage,fast tests,$(call tests,-n $(JOBS),not long and not alone))
	$(call stage,fast tests that want the machine to themselves,$(call tests,,alone and not long))

# Tests marked `alone` measure time or feed live cameras: nothing else runs beside them.
test-long: install-dev
	$(call stage,long tests,$(call tests,-n $(JOBS),long and not alone))
	$(call stage,long tests that want the machine to themselves,$(call tests,,alone and long))

# Networks on the openfield example train for hours, and the soak takes half an hour: started by themselves.
bench: install-dev
	@for file in $(filter-out benchmarks/openfield.py benchmarks/soak.py benchmarks/paired_rounds.py,$(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename "$$file" .py) || exit; done

# Plain Markdown: nothing to build but docs/commands.md. Then commands, links, tables and quoted errors of all pages.
docs: install-dev
	$(BIN)/python -m rigpose.reference docs/commands.md
	$(PYTEST) tests/docs tests/rigpose/test_reference.py

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -path './$(VENV)' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
