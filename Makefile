# What a person runs. `make up` needs Python 3.11+ and nothing else; see README.md.

DATA ?= .florin
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
ARGS ?=
WORKERS ?= 3
ROUNDS ?= 20

.PHONY: setup up test screenshots check bench bench-gas bench-signer contracts reset test-forge mutants test-kill test-signer-kill test-book lock

setup: $(READY)

$(READY): requirements.lock scripts/checkout/install.sh scripts/checkout/link_checkout.py
	@bash scripts/checkout/install.sh $(VENV)
	@touch $(READY)

# `exec`, so that Ctrl-C and its exit status are florin's own
up: $(READY)
	@exec $(BIN)/florin up --data $(DATA) $(ARGS)

test: $(READY)
	@exec $(BIN)/pytest -n $(WORKERS) --dist loadfile $(ARGS)

# every page at both sizes, in both themes and languages, into build/screenshots (needs Chromium)
screenshots: $(READY)
	@mkdir -p build/screenshots
	@FLORIN_SCREENSHOTS=$(abspath build/screenshots) exec $(BIN)/pytest tests/api/web/test_screenshots.py $(ARGS)

# the kill -9 story, many times over
test-kill: $(READY)
	@FLORIN_KILL_ROUNDS=$(ROUNDS) exec $(BIN)/pytest tests/kill $(ARGS)

# the signer alone, killed while it signs: at every line, and many times at random
test-signer-kill: $(READY)
	@FLORIN_SIGNER_KILL_EVERY=1 FLORIN_SIGNER_KILL_ROUNDS=$(ROUNDS) exec $(BIN)/pytest tests/wallet_node/test_node_crashes.py $(ARGS)

# a whole real book in the PKDD'99 form, on each chain, with ample and with small balances
test-book: $(READY)
	$(if $(BOOK),,$(error name a book: make test-book BOOK=DIR))
	@FLORIN_RUN_BOOK=$(abspath $(BOOK)) exec $(BIN)/pytest tests/journeys/test_real_book.py $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m contracts.compile --check
	$(BIN)/python -m contracts.sizes
	$(BIN)/python -m contracts.lint
	$(BIN)/python -m contracts.slither
	$(BIN)/python -m contracts.gas --check
	$(BIN)/python -m scripts.checkout.check_compose
	$(BIN)/python -m scripts.checkout.check_catalogues

bench: $(READY)
	@exec $(BIN)/florin bench $(ARGS)

# the signer beside its bars, with 1,000,000 wallets (some minutes; ARGS="--wallets N" for fewer); fails below one
bench-signer: $(READY)
	@exec $(BIN)/python -m scripts.bench.signer $(ARGS)

# gas beside the peers' (needs Node), on anvil and on py-evm; fails above a bar
bench-gas: $(READY)
	@exec $(BIN)/python -m scripts.bench.gas $(ARGS)

# random histories of everybody against the token, Settlement and Trades (needs Node)
test-forge: $(READY)
	@exec $(BIN)/python -m contracts.forge $(ARGS)

# the tests against contracts that were broken on purpose (needs Node; half an hour on two cores)
mutants: $(READY)
	@exec $(BIN)/python -m contracts.mutants $(ARGS)

contracts: $(READY)
	$(BIN)/python -m contracts.compile
	$(BIN)/python -m contracts.gas

reset: $(READY)
	@exec $(BIN)/python -m scripts.commands.reset --data $(DATA)

# after a change of the dependencies in pyproject.toml; needs uv
lock:
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --extra dev --no-emit-index-url \
		--no-emit-find-links --no-header pyproject.toml -o requirements.lock
