#!/usr/bin/env bash
# The checks of every day: format, lints, structure, the page's own tests, unit tests and short properties. This is `make check`.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

scripts/setup.sh
. scripts/static-steps.sh
step_shown 'unit tests' cargo test --workspace --lib --bins --locked
steps_summary
