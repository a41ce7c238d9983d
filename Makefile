# What a newcomer needs: `make test` passes the tests, `make demo` shows the product, `make bench` measures it.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOL    := go tool -modfile=tools/go.mod
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: test setup check demo build bench conformance interop screenshots draw help

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /	/'

test: setup check ## everything: install what tests need, formatting, vet, staticcheck, race detector, all tests, none skipped
	scripts/test

setup: ## install what the tests need (Debian, with root or sudo); elsewhere say what is missing
	scripts/setup

check: ## formatting, go vet, staticcheck, numbers of migrations
	scripts/migrations
	@bad=$$(git ls-files '*.go' | xargs gofmt -l); test -z "$$bad" || { echo "gofmt would change:"; echo "$$bad"; exit 1; }
	@bad=$$(git ls-files '*.go' | xargs $(TOOL) gofumpt -l); test -z "$$bad" || { echo "gofumpt would change:"; echo "$$bad"; exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...

demo: ## both ends in a temporary database with a sample company
	go run ./cmd/rollcall demo

build: ## one static binary, version stamped, in bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/rollcall ./cmd/rollcall

bench: build ## measure, side by side in one run; writes docs/benchmarks.md
	go run ./internal/cmd/bench -rollcall bin/rollcall -o docs/benchmarks.md

conformance: build ## our vectors and the suites of others against a fresh server; writes docs/conformance.md
	go run ./internal/cmd/conformance -rollcall bin/rollcall -o docs/conformance.md

interop: build ## provision one directory into servers of other projects and compare, sign in through identity providers of other projects; writes docs/interop.md; SEED draws another month, RECORD=1 records conversations, ONLY=sign-in runs one part
	go run ./internal/cmd/interop -rollcall bin/rollcall $(if $(RECORD),-record,-o docs/interop.md $(if $(SEED),-seed $(SEED)) $(if $(ONLY),-only $(ONLY)))

draw: ## draw comments and names at random, to judge whether they are understood at first reading; SEED is the commit
	@go run ./internal/cmd/draw $(SEED)

screenshots: setup ## follow the guide in the browser and take the pictures of docs again
	ROLLCALL_TEST_ALL=1 ROLLCALL_SCREENSHOTS=$(CURDIR)/docs/images go test -count=1 -timeout 10m -run "TestGuide|TestMappingPages" ./internal/apptest
