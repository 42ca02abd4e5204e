# Everything that people and CI run. The work is in scripts/; `make help` says what there is.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help setup run check test soak soak-report bench clean-data

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing to build and test
	@scripts/setup.sh --tests

run: ## build and start Emostream with an audience: PORT=8080 EMOSTREAM_ARGS=… SCENARIO=match
	@scripts/run.sh

check: ## format, lints, structure, unit tests: minutes, before every commit
	@scripts/check.sh

test: ## check, and all integration, crash and browser tests: what CI runs
	@scripts/test.sh

soak: ## long seeds and many crashes, with a report in target/soak/report.md
	@scripts/soak.sh

soak-report: ## soak, keeping the report in docs/operations/soak-report.md
	@KEEP=1 scripts/soak.sh

bench: ## benchmarks side by side with their floors: BENCH_ARGS=…
	@scripts/web.sh
	@cargo build --release --locked -p emostream-server -p emostream-bench --features emostream-server/kafka
	@cargo run --release --locked -q -p emostream-bench -- $(BENCH_ARGS)

clean-data: ## remove what `make run` has recorded in ./data
	@rm -rf ./data
	@echo "removed ./data"
