# Tollgate. `make` alone explains itself; nothing needs to be typed before any target.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Go keeps what it downloads and builds in the user's home. Where there is none (cron, a bare container), it is .cache.
ifeq ($(HOME),)
export GOPATH  ?= $(CURDIR)/.cache/go
export GOCACHE ?= $(CURDIR)/.cache/go-build
export XDG_CACHE_HOME ?= $(CURDIR)/.cache
endif

# Tools are pinned here, built from the Go module proxy on first use, and kept by version.
GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION   := v1.9.0
BENCHSTAT_VERSION     := v0.0.0-20260908200009-22c9c6c9d4da

TOOLS         := $(CURDIR)/.cache/bin
GOLANGCI_LINT := $(TOOLS)/golangci-lint-$(GOLANGCI_LINT_VERSION)
GOVULNCHECK   := $(TOOLS)/govulncheck-$(GOVULNCHECK_VERSION)
BENCHSTAT     := $(TOOLS)/benchstat-$(BENCHSTAT_VERSION)

FUZZ_RUNS    ?= 2000000
MODEL_RUNS   ?= 2200
MODEL_STEPS  ?= 60
TRIP_RUNS    ?= 800
CHAOS_CYCLES ?= 3
BENCH_ARGS   ?=
COUNT        ?= 6

##@ Build and try

.PHONY: build
build: ## Build the static binary, bin/tollgate
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/tollgate ./cmd/tollgate

.PHONY: run-demo
run-demo: ## Run the demo: no Redis, no upstream, no key needed
	go run ./cmd/tollgate demo

.PHONY: compose
compose: ## Start Redis, Tollgate and the simulated upstream with docker compose
	docker compose up --build --wait

##@ Test

.PHONY: test
test: test-deps e2e-deps ## Everything: unit, real Redis, whole program, SDKs, race detector on
	go test -race -count=1 -timeout 30m ./...

.PHONY: test-short
test-short: test-deps ## The quick part of the tests, no SDKs
	go test -short -timeout 5m ./...

.PHONY: e2e
e2e: test-deps e2e-deps ## The whole-program tests alone: real binary, real Redis, go-openai, Python and Node SDKs
	go test -race -count=1 -timeout 30m ./test/...

.PHONY: model
model: test-deps ## The ledger against a plain Go model, more than 100,000 random steps (MODEL_RUNS runs of about MODEL_STEPS), and trips against single calls
	go test -timeout 0 -count=1 -run '^TestModel$$' -v ./ledger -rapid.checks=$(MODEL_RUNS) -rapid.steps=$(MODEL_STEPS)
	go test -timeout 0 -count=1 -run '^TestTripIsItsCalls$$' -v ./ledger -rapid.checks=$(TRIP_RUNS)

.PHONY: bugs
bugs: test-deps ## Bugs put into the scripts one at a time, and the invariant that caught each
	go test -count=1 -run '^TestSeededBugs$$' -v ./ledger

.PHONY: chaos
chaos: test-deps ## Faults under load, and a table of what was lost and charged twice (CHAOS_CYCLES cycles of each row)
	CHAOS_CYCLES=$(CHAOS_CYCLES) TOLLGATE_E2E_NO_RACE=1 go test -tags chaos -count=1 -timeout 0 -run '^TestChaos$$' -v ./test

.PHONY: fuzz
fuzz: ## Every fuzz target with FUZZ_RUNS inputs each (2,000,000: some minutes a target)
	.ci/fuzz $(FUZZ_RUNS)

.PHONY: fuzz-ci
fuzz-ci: ## Every fuzz target with 20,000 inputs: a few seconds each
	.ci/fuzz 20000

.PHONY: cover
cover: test-deps ## Coverage by package, and as .cache/coverage.html
	@mkdir -p .cache
	go test -short -timeout 10m -coverpkg=./... -coverprofile=.cache/coverage.out ./...
	go tool cover -html=.cache/coverage.out -o .cache/coverage.html
	go tool cover -func=.cache/coverage.out | tail -1

.PHONY: test-deps
test-deps: ## Install what the tests need from the system, where it is missing and we may
	.ci/need redis-server gcc
	@.ci/need postgres || echo "PostgreSQL is missing: the archive is tested on SQLite alone" >&2

.PHONY: e2e-deps
e2e-deps: ## Install the official SDKs into folders of their own under test/sdk
	.ci/need python-venv npm
	sh test/sdk/setup.sh

##@ Check

.PHONY: check
check: tidy fmt-check vet cross lint vuln docs-check ## All gates: tidy, format, vet, other systems, lint, vulnerabilities, generated docs

.PHONY: tidy
tidy: ## go.mod and go.sum say exactly what is used
	go mod tidy -diff
	go mod verify

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format (gofumpt, import groups)
	$(GOLANGCI_LINT) fmt

.PHONY: fmt-check
fmt-check: $(GOLANGCI_LINT)
	$(GOLANGCI_LINT) fmt --diff

.PHONY: vet
vet:
	go vet ./...
	go vet -tags chaos ./test/

.PHONY: cross
cross: ## That all of it, tests too, compiles where an int has 32 bits, and on macOS
	CGO_ENABLED=0 GOOS=linux GOARCH=386 go vet ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go vet ./...

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Lint, with the import walls as rules
	$(GOLANGCI_LINT) run --build-tags chaos ./...

.PHONY: walls-selftest
walls-selftest: $(GOLANGCI_LINT) ## Prove that crossing a wall fails the lint: breaches in a copy of the tree
	.ci/walls-selftest $(GOLANGCI_LINT)

.PHONY: vuln
vuln: $(GOVULNCHECK) ## Known vulnerabilities in what we call (says so when the database cannot be reached)
	.ci/vuln $(GOVULNCHECK)

.PHONY: docs
docs: ## Write docs/verbs.md from the help texts
	.ci/verbs > docs/verbs.md.new && mv docs/verbs.md.new docs/verbs.md

.PHONY: docs-check
docs-check:
	.ci/promises
	diff -u docs/verbs.md <(.ci/verbs) || { echo "docs/verbs.md is not what the binary says: run make docs" >&2; exit 1; }

##@ Measure

.PHONY: bench
bench: bench-deps ## The side-by-side benchmark: one table, and .cache/bench.json (BENCH_ARGS='--rounds 7 --loads small')
	@mkdir -p .cache
	go run ./bench --json .cache/bench.json $(BENCH_ARGS)

.PHONY: bench-growth
bench-growth: bench-deps ## How cost grows with accounts, packs, keys, holds, …: a table, .cache/growth.json and docs/plots (BENCH_ARGS='--growth packs')
	@mkdir -p .cache
	go run ./bench --growth all --rounds 3 --duration 1s --json .cache/growth.json --plots docs/plots $(BENCH_ARGS)

.PHONY: bench-ci
bench-ci: ## The benchmark, short: that it runs, that a request costs two Redis calls, that the books balance
	.ci/need redis-server
	@mkdir -p .cache
	go run ./bench --short --json .cache/bench-ci.json $(BENCH_ARGS)

.PHONY: bench-deps
bench-deps: ## Install what the benchmark needs from the system, where it is missing and we may
	.ci/need redis-server
	@.ci/need nginx || echo "nginx is missing: the benchmark leaves it out" >&2

.PHONY: bench-compare
bench-compare: $(BENCHSTAT) ## Micro-benchmarks of this tree against those of BASE=rev (BENCH=pattern COUNT=6)
	.ci/need redis-server
	BENCHSTAT=$(BENCHSTAT) COUNT=$(COUNT) .ci/bench-compare $(BASE)

##@ Other

.PHONY: clean
clean: ## Remove what was built and cached
	@chmod -R u+w .cache 2>/dev/null || true # Go writes modules read-only
	rm -rf bin .cache test/sdk/python/.venv test/sdk/node/node_modules

.PHONY: help
help: ## This list
	@awk 'BEGIN { FS = ":.*## "; printf "make TARGET\n" } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9-]+:.*## / { printf "  %-15s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# One recipe for the tools: go install into a folder of the version, then a name that carries it.
define tool
$(TOOLS)/$(1)-$(2):
	@echo "building $(1) $(2) (once)"
	@mkdir -p $$(TOOLS)/.new && GOBIN=$$(TOOLS)/.new GOFLAGS= CGO_ENABLED=0 go install $(3)@$(2) && mv $$(TOOLS)/.new/$(1) $$@
endef
$(eval $(call tool,golangci-lint,$(GOLANGCI_LINT_VERSION),github.com/golangci/golangci-lint/v2/cmd/golangci-lint))
$(eval $(call tool,govulncheck,$(GOVULNCHECK_VERSION),golang.org/x/vuln/cmd/govulncheck))
$(eval $(call tool,benchstat,$(BENCHSTAT_VERSION),golang.org/x/perf/cmd/benchstat))
