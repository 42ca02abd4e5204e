# Runs named steps one after the other, keeps their output in target/check/, and sums up. Sourced by check.sh, test.sh and soak.sh.
# shellcheck shell=bash

steps_name=${steps_name:-check}
steps_dir=${CARGO_TARGET_DIR:-target}/$steps_name
steps_rows=()
mkdir -p "$steps_dir"

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' red='' green='' plain=''
fi

steps_log() { printf '%s/%s.log' "$steps_dir" "$(printf '%s' "$1" | tr -cs 'A-Za-z0-9\n' '-')"; }

# What the tests in a log came to: cargo's result lines added up, or nothing.
steps_tests() {
  awk '/^test result: / { for (i = 2; i <= NF; i++) if ($i ~ /^passed/) passed += $(i - 1); else if ($i ~ /^ignored/) ignored += $(i - 1); runs++ }
    END { if (passed + ignored) { printf "%d tests passed in %d programs", passed, runs; if (ignored) printf ", %d ignored", ignored } }' "$1"
}

# step NAME COMMAND...: runs a step, its output in a log; shows the log's end only when the step fails.
step() { steps_run quiet "$@"; }

# step_shown NAME COMMAND...: the same, showing the output while it comes.
step_shown() { steps_run shown "$@"; }

steps_run() {
  local how=$1 name=$2 log code=0 start=$EPOCHREALTIME seconds
  shift 2
  log=$(steps_log "$name")
  echo "${bold}▸ $name${plain}"
  if [ "$how" = shown ]; then
    "$@" </dev/null 2>&1 | tee "$log" || code=$?
  else
    "$@" </dev/null >"$log" 2>&1 || code=$?
  fi
  seconds=$(awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { gsub(",", ".", a); gsub(",", ".", b); printf "%.1f", b - a }')
  if [ "$code" = 0 ]; then
    steps_rows+=("ok|$name|$seconds|$(steps_tests "$log")")
    return
  fi
  steps_rows+=("FAILED|$name|$seconds|$log")
  if [ "$how" = quiet ]; then tail -n 60 "$log"; fi
  steps_summary
  echo "${red}failed: $name${plain} (all of its output: $log)"
  exit "$code"
}

# Prints one line for each step that ran, and the whole time.
steps_summary() {
  local row state name seconds note colour
  echo
  for row in "${steps_rows[@]}"; do
    IFS='|' read -r state name seconds note <<<"$row"
    colour=$green
    if [ "$state" != ok ]; then colour=$red; fi
    printf '%s%-7s%s %-34s %8s s  %s\n' "$colour" "$state" "$plain" "$name" "$seconds" "$note"
  done
  printf '%-7s %-34s %8s s\n' '' 'all together' "$SECONDS"
}
