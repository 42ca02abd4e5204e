#!/usr/bin/env bash
# Long seeds and loads: the same tests as always, with far more of everything, optimised, and a report. This is `make soak`.
# EMOSTREAM_SEEDS (5000), EMOSTREAM_CRASHES (50), PROPTEST_CASES (20000), EMOSTREAM_SEED_FIRST (chosen at random), EMOSTREAM_VIEWERS (5000); for the
# fleet EMOSTREAM_FLEET_SEEDS (3), each some twenty minutes, and EMOSTREAM_OUTAGE_S (20; up to half as much again);
# with KEEP=1 the report is also kept in docs/operations/soak-report.md. A line that a test prints and that begins with
# "soak: " is copied into the report.
set -euo pipefail
cd "$(dirname "$0")/.."
steps_name=soak
. scripts/steps.sh
. scripts/postgres.sh
. scripts/kafka.sh

export EMOSTREAM_SEEDS=${EMOSTREAM_SEEDS:-5000}
export EMOSTREAM_CRASHES=${EMOSTREAM_CRASHES:-50}
export EMOSTREAM_FLEET_SEEDS=${EMOSTREAM_FLEET_SEEDS:-3}
export EMOSTREAM_OUTAGE_S=${EMOSTREAM_OUTAGE_S:-20}
export PROPTEST_CASES=${PROPTEST_CASES:-20000}
export EMOSTREAM_VIEWERS=${EMOSTREAM_VIEWERS:-5000}
export EMOSTREAM_SEED_FIRST=${EMOSTREAM_SEED_FIRST:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
unset EMOSTREAM_SEED    # asks a test for one seed only, again
report=$steps_dir/report.md

cpu_model() {
  local model
  model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
  echo "${model:-$(uname -m)}"
}

commit_line() {
  local commit
  commit=$(git rev-parse HEAD 2>/dev/null) || { echo unknown && return; }
  if [ -n "$(git status --porcelain 2>/dev/null)" ]; then commit="$commit, with changes that are not committed"; fi
  echo "$commit"
}

# What the tests said about themselves, as a list.
said() {
  local lines
  lines=$(cat "$steps_dir"/*.log 2>/dev/null | sed -n 's/^soak: /- /p')
  if [ -n "$lines" ]; then printf '%s\n\n' "$lines"; fi
}

# Writes what has run so far; on a failure the last row is the step that failed.
write_report() {
  local row state name seconds note
  {
    echo '# Soak report'
    echo
    echo "- Commit: $commit"
    echo "- Date: $date"
    echo "- Machine: $(getconf _NPROCESSORS_ONLN) cores, $(cpu_model), kernel $(uname -r | sed 's/-.*//')"
    echo "- Seeds: $EMOSTREAM_SEEDS, from $EMOSTREAM_SEED_FIRST where a test lets the first be chosen, else from 0; crashes: $EMOSTREAM_CRASHES; cases for each property: $PROPTEST_CASES; fleets: $EMOSTREAM_FLEET_SEEDS seeds, outages from $EMOSTREAM_OUTAGE_S s to half as much again"
    echo
    echo '| step | result | seconds | tests |'
    echo '|---|---|---|---|'
    for row in ${steps_rows[@]+"${steps_rows[@]}"}; do
      IFS='|' read -r state name seconds note <<<"$row"
      echo "| $name | $state | $seconds | $note |"
    done
    echo
    said
    echo "To repeat: \`EMOSTREAM_SEED_FIRST=$EMOSTREAM_SEED_FIRST EMOSTREAM_SEEDS=$EMOSTREAM_SEEDS EMOSTREAM_CRASHES=$EMOSTREAM_CRASHES PROPTEST_CASES=$PROPTEST_CASES EMOSTREAM_FLEET_SEEDS=$EMOSTREAM_FLEET_SEEDS EMOSTREAM_OUTAGE_S=$EMOSTREAM_OUTAGE_S make soak\`"
  } >"$report"
  if [ "${KEEP:-}" = 1 ]; then
    mkdir -p docs/operations
    cp "$report" docs/operations/soak-report.md
  fi
  echo "report: $report"
}

commit=$(commit_line)
date=$(date -u +%Y-%m-%dT%H:%M:%SZ)
rm -f "$steps_dir"/*.log
trap 'write_report || true; kafka_stop || true; postgres_stop' EXIT

scripts/setup.sh --tests
step_shown 'page' scripts/web.sh
postgres_start
kafka_start
for package in protocol moments store simulator; do
  step_shown "$package" cargo test --profile quick --locked -p "emostream-$package" -- --show-output --include-ignored
done
kafka_test=(cargo test --profile quick --locked --features kafka)
step_shown log "${kafka_test[@]}" -p emostream-log -- --show-output --include-ignored
step_shown server "${kafka_test[@]}" -p emostream-server --lib --bins --test it -- --show-output --include-ignored
# One at a time: up to three brokers and seven nodes each.
step_shown fleet "${kafka_test[@]}" -p emostream-server --test fleet -- --show-output --include-ignored --test-threads 1
step_shown 'flink' deploy/flink/conformance.sh "$EMOSTREAM_SEED_FIRST" 100000
steps_summary
