#!/usr/bin/env bash
# Everything that must hold before a change is taken: the checks of every day, the page in a browser, and all tests
# including crashes of the real binary. This is `make test`, and what CI runs.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh
. scripts/postgres.sh
. scripts/kafka.sh

scripts/setup.sh --tests
. scripts/static-steps.sh
step_shown 'browser tests' scripts/browser-tests.sh
# For the tests of the store, which run on both of its databases, and of the log, which run on all its kinds.
trap 'kafka_stop || true; postgres_stop' EXIT
postgres_start
kafka_start
# Last, so that cargo's own result lines are at the end of the output.
step_shown 'all tests' cargo test --workspace --locked --features kafka
steps_summary
