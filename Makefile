# tcckit. `make help` lists what there is; CONTRIBUTING.md says how the parts fit.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Tools are pinned in a module of their own, so that building tcckit never downloads them. Building
# golangci-lint takes minutes, once; it runs as a program, for it lints two modules.
TOOL := go tool -modfile=tools/go.mod
GOLANGCI_LINT = $$($(TOOL) -n golangci-lint)

# What go test runs: `make test PACKAGES=./barrier/... FLAGS='-run Cancel -v'`.
PACKAGES ?= ./...
FLAGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: build ## Place orders on this machine: embedded databases, a DTM server, processes killed
	bin/tcckit demo

# Where tests keep their databases: in memory where there is enough of it, for thousands of small transactions
# that are each made durable wait for nothing but the disk. Programs go where they went.
RAM_DIR := $(shell awk '$$2 == "/dev/shm" && $$4 !~ /noexec/' /proc/mounts 2>/dev/null | grep -q . && \
  df -Pk /dev/shm | awk 'NR == 2 && $$4 > 8000000 {print "/dev/shm"}')
test test-long test-examples: export GOTMPDIR := $(or $(GOTMPDIR),$(TMPDIR),/tmp)
test test-long test-examples: export TMPDIR := $(or $(RAM_DIR),$(TMPDIR),/tmp)

# More packages at once than processors: half of them wait for servers and processes of their own. Vet is lint's.
.PHONY: test
test: build stock servers ## Test everything with -race against real servers, which it fetches and starts
	bin/withservers -- go test -race -vet=off -count=1 -p $$(($$(nproc) + 1)) -timeout 15m $(FLAGS) $(PACKAGES)
	go test -C cmd/dtm-server -race -vet=off -count=1 -timeout 10m $(FLAGS) ./...

.PHONY: images
images: ## Make the container images, with their SBOMs, in .cache/images
	go run -C deploy ./images -o ../.cache/images

.PHONY: test-deploy
test-deploy: build images servers ## Test the images, the compose file, the units and the Helm chart, without a cluster
	bin/withservers -servers mysql,redis,rocketmq -- sh -ec 'go test -C deploy -count=1 -timeout 10m ./...; deploy/test-deploy.sh'

.PHONY: test-deploy-api
test-deploy-api: ## Install, upgrade and remove the chart on a Kubernetes API server, which it builds: a quarter of an hour
	deploy/test-deploy-api.sh

# Modules of their own, so that the library does not depend on what they show.
EXAMPLES = $(patsubst %/go.mod,%,$(wildcard docs/examples/*/go.mod))

.PHONY: test-examples
test-examples: servers ## Test docs/examples
	bin/withservers -servers mysql,mariadb -- sh -ec 'for e in $(EXAMPLES); do go test -C $$e -race -count=1 ./...; done'

.PHONY: test-short
test-short: ## Test what needs no server
	go test -race -short $(FLAGS) $(PACKAGES)

.PHONY: test-mutations
test-mutations: export TMPDIR := $(or $(RAM_DIR),$(TMPDIR),/tmp)
test-mutations: servers ## Plant bugs in the barrier, each of which a test must find
	bin/withservers -servers mysql -- go run ./internal/mutations

.PHONY: test-long
test-long: build stock servers ## Test with larger numbers, five times over: an hour
	TCCKIT_TEST_LONG=1 bin/withservers -- go test -race -count=5 -timeout 3h $(FLAGS) $(PACKAGES)

# A cache of this checkout's own: the linter keeps what it found with the paths, and would report it of files that
# another checkout had.
.PHONY: lint
lint: export GOLANGCI_LINT_CACHE := $(CURDIR)/.cache/golangci-lint
lint: ## Lint Go and protos, check the import rules and that generated code is up to date
	tools/validate-proto.sh
	$(TOOL) buf lint
	tools/check-generated.sh
	linter=$(GOLANGCI_LINT) && \
	  tools/check-imports.sh "$$linter" && \
	  "$$linter" run ./... && \
	  for m in cmd/dtm-server deploy tools/deploy $(EXAMPLES); do (cd $$m && "$$linter" run ./...) || exit; done

.PHONY: generate
generate: ## Write api/gen from api/proto, and what the examples generate
	tools/validate-proto.sh
	$(TOOL) buf generate
	go generate -C docs/examples/sqlc ./...
	go generate -C docs/examples/ent ./...

.PHONY: build
build: ## Build bin/tcckit and bin/dtm-server
	go build -o bin/tcckit ./cmd/tcckit
	go run -C cmd/dtm-server ./build -o ../../bin/dtm-server

# DTM as its makers ship it, which the tests compare with.
.PHONY: stock
stock:
	go run -C cmd/dtm-server ./build -stock -o ../../bin/dtm-server-stock

# The real servers, unpacked into .cache/servers, and what runs them.
.PHONY: servers
servers:
	deploy/local/get-servers.sh
	go build -o bin/withservers ./internal/testserver/withservers

.PHONY: bench-order
bench-order: build servers ## Measure orders against durable MySQL; prints ratios of one run
	bin/withservers -servers mysql,redis -- bin/tcckit bench order

.PHONY: bench-barrier
bench-barrier: build servers ## Measure the barrier beside transactions written by hand; prints ratios of one run
	bin/withservers -servers mysql -- bin/tcckit bench barrier

.PHONY: bench-messages
bench-messages: build servers ## Measure outbox, RocketMQ and inbox; prints ratios and latencies of one run
	bin/withservers -servers mysql,rocketmq -- bin/tcckit bench messages

.PHONY: up
up: build ## Start DTM and the services in the background; ROCKETMQ=1: on RocketMQ, which it fetches
ifdef ROCKETMQ
	env -u TCCKIT_TEST_ROCKETMQ deploy/local/get-servers.sh rocketmq
endif
	bin/tcckit up --dir .cache/up $(if $(ROCKETMQ),--start-rocketmq)

.PHONY: down
down: ## Stop what up started
	[ ! -x bin/tcckit ] || bin/tcckit down --dir .cache/up

.PHONY: clean
clean: down ## Stop what up started, and remove what was built and fetched
	rm -rf bin .cache cmd/dtm-server/.build cmd/dtm-server/console
