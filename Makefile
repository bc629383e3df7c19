# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
# Tests side by side: a process for each core, four at most.
PARALLEL := -n logical --maxprocesses 4

.PHONY: demo study papers check check_model test lint types coverage format bench lock reference docs clean_demo

$(VENV)/.installed: envs/lock.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --requirement envs/lock.txt
	touch $@

demo: $(VENV)/.installed  ## simulate a cohort, run the workflow as shipped, screen new scans
	$(BIN)/snakemake prepare all
	$(BIN)/snakemake screen

study: $(VENV)/.installed  ## the whole comparative study on a simulated cohort
	$(BIN)/snakemake --configfile configs/demo_study.yaml

papers: $(VENV)/.installed  ## the recipes of all papers, small, on a simulated cohort
	$(BIN)/snakemake --configfile configs/demo_papers.yaml

check: lint types  ## what every commit passes, in minutes: format, lints, types, unit tests
	$(BIN)/python -m pytest tests/unit $(PARALLEL)

check_model: $(VENV)/.installed  ## all that a model family promises: make check_model NAME=vae
	$(if $(NAME),,$(error name a model family: make check_model NAME=vae))
	$(BIN)/python -m pytest -q -rP --no-header --durations=0 \
	  "tests/unit/training/test_every_model.py::test_it_learns_resumes_is_bundled_and_detects[$(NAME)]"

test: $(VENV)/.installed  ## all tests
	$(BIN)/python -m pytest tests $(PARALLEL)

lint: $(VENV)/.installed  ## format checks, lints
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

types: $(VENV)/.installed  ## static types
	$(BIN)/ty check

coverage: $(VENV)/.installed  ## branch coverage of the library under the unit tests
	$(BIN)/python -m pytest tests/unit --cov --cov-report=term -q

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

bench: $(VENV)/.installed  ## benchmarks, each against a plain version in the same run
	for file in benchmarks/[a-z]*.py; do \
	  case $$file in */common.py) ;; *) $(BIN)/python $$file || exit 1 ;; esac; done

lock: $(VENV)/.installed  ## write down what is installed
	$(BIN)/python envs/write_lock.py

reference: $(VENV)/.installed  ## docs/reference, from the schemas and the code
	$(BIN)/python docs/write_reference.py

docs: $(VENV)/.installed  ## the documentation as a site, site/html/index.html; warnings are errors
	$(BIN)/python docs/write_site.py

clean_demo:
	rm -rf results
