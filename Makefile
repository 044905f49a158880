# `make demo` shows what kvmc does, `make test` proves it, `make proof` proves it at length. No other network than pip's and apt's own.

PYTHON ?= $(firstword $(foreach p,python3 python3.13 python3.12 python3.11,$(if $(shell $(p) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(p))))
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
DEMO := examples/telco-edge

.PHONY: demo test lint proof proof-report mutation consumers clean

demo: $(VENV)/installed
	@rm -rf build/demo && mkdir -p build && cp -R $(DEMO) build/demo && rm -rf build/demo/generated
	$(BIN)/kvmc plan build/demo
	$(BIN)/kvmc build build/demo
	@cd build/demo && find generated -type f | LC_ALL=C sort | sed 's,^,build/demo/,'

test: lint consumers
	$(BIN)/pytest -n $(JOBS) --dist loadgroup -m "not proof"

lint: $(VENV)/developed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# `make proof PART=tests/lab` runs a part, `make proof-report` puts the parts that ran on one commit together: docs/proof.md.
PART ?=
PARTS := build/proof
proof: $(VENV)/developed consumers
	@mkdir -p $(PARTS)
	$(BIN)/pytest -n $(JOBS) --dist loadgroup -m proof \
	  --proof-report=$(if $(PART),$(PARTS)/$(subst /,.,$(PART)).json,docs/proof.md) $(or $(PART),tests)

proof-report: $(VENV)/developed
	PYTHONPATH=compiler:tests $(BIN)/python -m lab.report -o docs/proof.md $(PARTS)/*.json

# Mutants of the audit, of hostconfig and of the resolver against their tests: some 20 minutes of a core for COUNT=400 a package. Of all
# (COUNT=), hours. docs/mutation.md is the report.
COUNT ?= 400
SEED ?= 1
mutation: $(VENV)/developed
	PYTHONPATH=compiler:grammar:targets:tests $(BIN)/python -m mutation $(if $(COUNT),--count $(COUNT) --seed $(SEED)) --report

# The real consumers: as root on a Debian-like machine they are installed; what is still missing is told in one line, and is an error
# where KVMC_REQUIRE_CONSUMERS=1 says so.
consumers: $(VENV)/developed
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then sh tests/lab/install.sh || [ $$? = 3 ]; fi
	@PYTHONPATH=compiler:tests $(BIN)/python -m lab.needs || [ "$${KVMC_REQUIRE_CONSUMERS:-}" != 1 ]

$(VENV)/made:
	@if [ -z "$(PYTHON)" ]; then echo "kvmc needs Python 3.11 or newer, and none is on PATH: say make PYTHON=/path/to/python3" >&2; exit 1; fi
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; sys.exit(f"kvmc needs Python 3.11 or newer; $(PYTHON) is {v[0]}.{v[1]}" if v < (3, 11) else 0)'
	"$(PYTHON)" -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/developed: $(VENV)/made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@ $(VENV)/installed

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
