# Every target works first on a fresh clone: each makes .venv with the pinned packages when it is not there yet.
PYTHON ?= python3
BIN := .venv/bin
JOBS ?=
CORES := $(shell env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || echo 1)
STAMP := .venv/.installed
BENCH_STAMP := .venv/.bench-installed
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

.PHONY: repro test check check-lock check-report lint audit report bench soak clean

repro: $(STAMP)  ## rebuild every result that is out of date
	$(BIN)/ftbench repro $(if $(JOBS),--jobs $(JOBS))

test: $(STAMP)  ## the whole test suite
	$(BIN)/pytest --numprocesses $(or $(JOBS),$(CORES)) --dist loadfile

check: $(STAMP)  ## params.yaml and the whole grid, in seconds
	$(BIN)/ftbench check

check-lock: $(STAMP)  ## is dvc.lock that of this tree? Reads no data
	$(BIN)/python .ci/lock_gate.py

check-report: $(STAMP)  ## is the report in git what its own numbers give?
	$(BIN)/python .ci/report_gate.py

lint: $(STAMP)  ## style, types and workflows
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/zizmor --offline --pedantic --strict-collection --no-progress --quiet .github

audit: $(STAMP)  ## is any pinned package known to be vulnerable? Asks a public database: needs the network
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,audit]'
	$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict --progress-spinner off

report: $(STAMP)  ## the report alone, from files in git
	$(BIN)/python stages/report.py --out reports

bench: $(BENCH_STAMP)  ## speed beside what people would use instead, on an idle machine
	$(BIN)/python benchmarks/bench.py

soak: $(STAMP)  ## hours of what goes wrong: kills, edits at random, broken and hostile input; counts into docs/reliability.md
	$(BIN)/python soak/kills.py --kills 100
	$(BIN)/python soak/edits.py --rounds 30
	$(BIN)/python soak/repeat.py
	$(BIN)/python soak/mutants.py --rounds 660
	$(BIN)/python soak/table.py

OLD := Python %d.%d is too old: this needs 3.11 or later, as in make PYTHON=python3.11 test

$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c "import sys; found = sys.version_info[:2]; sys.exit('$(OLD)' % found if found < (3, 11) else 0)"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $(STAMP)

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,bench]'
	touch $(BENCH_STAMP)

clean:  ## remove what a run left outside DVC's cache
	rm -rf .ftbench
