# All commands for contributors; `make` alone lists them. CI has no further checks: .ci/run calls `make test`.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup run build test check fmt-check lint doc unit fmt openapi env-example e2e history fuzz bench bench-realtime abuse audit clean

LOAD := benches/load/Cargo.toml
NPM_INSTALLED := tests/e2e/node_modules/.package-lock.json
PYTHON := tests/e2e/schemathesis tests/e2e/clients/python
PYTHON_INSTALLED := $(PYTHON:%=%/.venv/installed)

help: ## List what there is
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 18

run: ## Start the server with the demo data, on http://127.0.0.1:8055
	cargo run --release -- serve --demo

build: ## Build the release binary, target/release/chinwag
	cargo build --release --locked

test: check e2e ## Check and test everything; installs what is missing

check: setup fmt-check lint doc unit ## Format, lints, documentation and tests of the Rust code

fmt-check:
	cargo fmt --all --check
	cargo fmt --check --manifest-path $(LOAD)

lint:
	cargo clippy --locked --workspace --all-targets -- -D warnings
	cargo clippy --locked --all-targets --manifest-path $(LOAD) --target-dir target/load -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

unit: # nextest where it is installed: it is faster, and runs each test in a process of its own
	if cargo nextest --version >/dev/null 2>&1; then cargo nextest run --locked --workspace --no-fail-fast; else cargo test --locked --workspace; fi
	cargo test --quiet --locked --manifest-path $(LOAD) --target-dir target/load

fmt: ## Format the Rust code
	cargo fmt
	cargo fmt --manifest-path $(LOAD)

openapi: ## Write openapi/openapi.json and openapi/asyncapi.json anew
	for kind in openapi asyncapi; do \
		cargo run --release --locked -- $$kind > openapi/$$kind.json.new && mv openapi/$$kind.json.new openapi/$$kind.json || exit 1; \
	done

env-example: ## Write .env.example anew
	cargo run --release --locked -- settings --example > .env.example.new && mv .env.example.new .env.example

e2e: setup $(NPM_INSTALLED) $(PYTHON_INSTALLED) build ## Test the release binary from outside; FILES=… for some of tests/e2e/tests/
	scripts/e2e $(FILES)

bench: build ## Measure the pure parts, and what requests cost over 10,000 and 1,000,000 messages
	cargo bench --locked
	scripts/bench

bench-realtime: setup build ## Measure realtime beside ws and socket.io, and check its bounds
	scripts/bench-realtime

abuse: setup build ## Attack the release binary, and measure other clients meanwhile
	cargo build --quiet --release --locked --manifest-path $(LOAD) --target-dir target/load
	scripts/abuse $(if $(ONLY),--only $(ONLY))

history: setup $(NPM_INSTALLED) build ## Kill the server KILLS times (200) under publishers and subscribers that come back
	KILLS=$${KILLS:-200} scripts/e2e resume

fuzz: ## Make up frames and messages for SECONDS_EACH (600) seconds a target
	BOLERO_RANDOM_TEST_TIME_MS=$${SECONDS_EACH:-600}000 cargo test --locked --lib fuzz:: -- --nocapture

# Not part of `make test`: building the two tools takes longer than all tests together, and their findings change with new
# advisories, not with a commit.
audit: ## Look for vulnerable, unlicensed and unused dependencies
	scripts/audit

setup: ## Install the Debian packages and Rust components that are missing
	scripts/setup

$(NPM_INSTALLED): tests/e2e/package.json tests/e2e/package-lock.json
	npm ci --prefix tests/e2e --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

$(PYTHON_INSTALLED): %/.venv/installed: %/requirements.txt
	python3 -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r $<
	touch $@

clean: ## Remove everything that was built or installed here
	cargo clean
	rm -rf artifacts benches/peers/node_modules tests/e2e/node_modules tests/e2e/.generated $(PYTHON:%=%/.venv)
