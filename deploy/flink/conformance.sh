#!/usr/bin/env bash
# Holds Flink SQL and Emostream to the same answer: counts one recorded scenario with both and compares the final value of each
# channel, window and emote. Bounded, by arrival, moments, and unbounded through a kill -9 and a resume from a checkpoint.
# usage: deploy/flink/conformance.sh [SEED [ROWS]]      (1, 60000)
# environment: EMOSTREAM_TEST_KAFKA, brokers to use (else one is started); PARALLELISM (2)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
# shellcheck source=deploy/flink/java.sh
. "$here/java.sh"
seed=${1:-1} rows=${2:-60000}
export PARALLELISM=${PARALLELISM:-2} CHECKPOINT_INTERVAL='500 ms'
# Most of the time of short runs goes into starting: compile quickly rather than well.
export FLINK_JAVA_OPTIONS='-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto'

if [ -z "${EMOSTREAM_TEST_KAFKA:-}" ]; then
  # shellcheck source=/dev/null
  . scripts/kafka.sh
  kafka_start
fi
export KAFKA_BOOTSTRAP_SERVERS=$EMOSTREAM_TEST_KAFKA
prefix=flink-$$-$seed
work=$(mktemp -d "${TMPDIR:-/tmp}/flink-conformance.XXXXXX")
topics=()
job=
clean_up() {
  if [ -n "$job" ]; then kill -9 "$job" 2>/dev/null || true; fi
  if declare -F kafka_stop >/dev/null; then
    kafka_stop
  elif [ ${#topics[@]} -gt 0 ]; then
    lines delete "${topics[@]}" || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT

lines() { (FLINK_HEAP=256m java_exec Lines "$@"); }

# make_topic NAME PARTITIONS
make_topic() {
  lines create "$1" "$2"
  topics+=("$1")
}

fail() { echo "conformance: $1" >&2 && exit 1; }

# compare NAME COUNTED [--by-arrival | --moments]
compare() {
  local told
  told=$(python3 "$here/compare.py" "$work/scenario/expected.jsonl" "${@:2}") || fail "$1 differs (seed $seed): $told"
  echo "$1: $told"
}

# start_job RESULTS [--resume]: counts $prefix-live until it is killed; its process is $job.
start_job() {
  REACTIONS_TOPIC=$prefix-live COUNTS_TOPIC=$1 "$here/run.sh" --checkpoints "$work/checkpoints" "${@:2}" 2>>"$work/job.log" &
  job=$!
}

# read_results COUNT SECONDS: waits for so many, at most so long.
read_results() {
  lines read "$prefix-live-counts" "$1" "$2" >"$work/live.jsonl"
  results=$(wc -l <"$work/live.jsonl")
  if [ "$results" -lt "$1" ]; then
    tail -n 20 "$work/job.log" >&2
    fail "expected $1 results within $2 s, got $results"
  fi
}

# Waits for a checkpoint that began after the results that were read last.
wait_checkpoint() {
  local tries=300
  until [ -n "$(find "$work/checkpoints" -path '*/chk-*/_metadata' -newer "$work/live.jsonl" 2>/dev/null)" ]; do
    [ $((tries -= 1)) -gt 0 ] || fail 'no checkpoint within 30 s'
    sleep 0.1
  done
}

stop_job() {
  kill "-$1" "$job"
  wait "$job" 2>/dev/null || true
  job=
}

java_ready
scenario=$(cargo run -q --locked -p emostream-moments --example conformance -- "$work/scenario" "$seed" "$rows")
echo "scenario: $scenario"
expected=${scenario#*\"keys\":} expected=${expected%%,*}

make_topic "$prefix-all" 4
lines send "$prefix-all" "$work/scenario" 0:0: 1:0: 2:0: 3:0:
REACTIONS_TOPIC=$prefix-all "$here/run.sh" --bounded --files "$work/bounded"
compare bounded "$work/bounded"
REACTIONS_TOPIC=$prefix-all "$here/run.sh" --bounded --files "$work/by-arrival" --query window-counts-by-arrival
compare 'by arrival' "$work/by-arrival" --by-arrival
threshold=${scenario#*\"threshold\":}
REACTIONS_TOPIC=$prefix-all "$here/run.sh" --bounded --files "$work/moments" --moments "${threshold%%,*}"
compare moments "$work/moments" --moments

make_topic "$prefix-live" 4
make_topic "$prefix-live-counts" 2
# The partitions are not equally far when the job is killed, and one of them is far behind.
some=$((rows / 16))
lines send "$prefix-live" "$work/scenario" 0:0:$((some * 2)) 1:0:$((some * 3)) 2:0:$((some * 2)) 3:0:$some
start_job "$prefix-live-counts"
read_results 100 90
wait_checkpoint
stop_job KILL
read_results 100 0
killed=$results
[ "$killed" -lt "$expected" ] || fail "the job was killed too late: it had all of $expected results"
lines send "$prefix-live" "$work/scenario" 0:$((some * 2)): 1:$((some * 3)): 2:$((some * 2)): 3:$some:
start_job "$prefix-live-counts" --resume
read_results "$expected" 180
stop_job TERM
read_results "$expected" 0
compare "killed after $killed results and resumed" "$work/live.jsonl"
echo "soak: Flink SQL and Emostream agree on $expected counts (seed $seed), also killed after $killed results and resumed"
