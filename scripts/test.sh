#!/usr/bin/env bash
# Everything that must hold before a change is taken: the checks of every day, the page in a browser, and all tests
# including crashes of the real binary. This is `make test`, and what CI runs.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

scripts/setup.sh --tests
. scripts/static-steps.sh
step_shown 'browser tests' scripts/browser-tests.sh
# Last, so that cargo's own result lines are at the end of the output.
step_shown 'all tests' cargo test --workspace --locked
steps_summary
