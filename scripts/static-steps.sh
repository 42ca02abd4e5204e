# The steps that look at the code without running the tests of its crates. Sourced by check.sh and test.sh.
# shellcheck shell=bash

step_shown 'page'          scripts/web.sh      # first: the binary takes the built page along
step       'format'        cargo fmt --all --check
step_shown 'clippy'        cargo clippy --workspace --all-targets --locked -- -D warnings
step_shown 'clippy, Kafka'  cargo clippy --workspace --all-targets --locked --features kafka -- -D warnings
step_shown 'tidy'          cargo xtask tidy
step       'scripts'       scripts/check-scripts.sh
step       'web and sdk'   npm --prefix web test --silent    # types, format, sizes, unit tests of both
