# What can be done here. `make` alone lists it.

CARGO ?= cargo
# `make test TEST="-p smtp"` runs a part; without it, everything.
TEST ?= --workspace
export CARGO_TERM_COLOR ?= auto

.DEFAULT_GOAL := help
.PHONY: help run test bench lint fmt docs clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The dev profile optimises everything below our own crates fully and our own lightly: in a fresh clone it is ready in about half the
# time of a release build, and a demo does not need the rest. `make run PROFILE=release` builds what is measured.
PROFILE ?= dev
run: ## Build and start a throwaway server with sample mail on loopback ports (ARGS=--fresh starts over)
	$(CARGO) run --quiet --profile $(PROFILE) -p rohrpost -- demo $(ARGS)

test: ## Run every test, real mail programs included
	@if [ -x tests/install-tools.sh ]; then tests/install-tools.sh; fi
	@if $(CARGO) nextest --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-nextest; then \
	  $(CARGO) nextest run $(TEST); \
	else \
	  echo "cargo-nextest cannot be had; cargo test runs the same tests, slower" >&2; \
	  $(CARGO) test $(TEST) --bins --lib --tests; \
	fi
	$(CARGO) test --doc --quiet $(TEST)

bench: ## Measure, beside the peers where they are installed
	bench/run.sh $(ARGS)

lint: ## Formatting, clippy, the project's own checks, cargo-deny where it is installed
	$(CARGO) fmt --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) run --quiet -p xtask -- tidy
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny check bans licenses sources; fi

fmt: ## Format
	$(CARGO) fmt

docs: ## Write the generated pages of docs/
	$(CARGO) run --quiet -p rohrpost -- docs docs

clean: ## Throw build results and demo data away
	$(CARGO) clean
	rm -rf demo-data
