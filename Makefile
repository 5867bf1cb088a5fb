# tcckit. `make help` lists what there is; CONTRIBUTING.md says how the parts fit.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Tools are pinned in a module of their own, so that building tcckit never downloads them.
TOOL := go tool -modfile=tools/go.mod

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: generate
generate: ## Write api/gen from api/proto
	@tools/validate-proto.sh
	$(TOOL) buf generate
