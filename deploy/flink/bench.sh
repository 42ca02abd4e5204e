#!/usr/bin/env bash
# Rows per CPU-second of Flink SQL, without its start: the same rows as the benchmark `aggregation`, whose next run compares itself with
# what this leaves in target/bench/flink.json. Also prints it, as one line of JSON.
# usage: deploy/flink/bench.sh [MILLIONS [RUNS [QUERY]]]      (10, 3, window-counts-by-arrival: the cheaper one, which is right here)
# environment: EMOSTREAM_TEST_KAFKA, brokers to use (else one is started); FLINK_HEAP (6g), BENCH_PROGRAM (emostream-bench, built when not given)
# Takes 2 GB of disk and some ten minutes of CPU; nothing else should run meanwhile.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
# shellcheck source=deploy/flink/java.sh
. "$here/java.sh"
thousands=$((${1:-10} * 1000)) runs=${2:-3} query=${3:-window-counts-by-arrival}
# One thread a stage, values handed on without copies, the collector that costs least CPU.
export PARALLELISM=1 FLINK_HEAP=${FLINK_HEAP:-6g} FLINK_JAVA_OPTIONS='-XX:+UseParallelGC'

if [ -z "${EMOSTREAM_TEST_KAFKA:-}" ]; then
  # shellcheck source=/dev/null
  . scripts/kafka.sh
  kafka_start
fi
export KAFKA_BOOTSTRAP_SERVERS=$EMOSTREAM_TEST_KAFKA
work=$(mktemp -d "${TMPDIR:-/tmp}/flink-bench.XXXXXX")
topics=()
clean_up() {
  if declare -F kafka_stop >/dev/null; then
    kafka_stop
  elif [ ${#topics[@]} -gt 0 ]; then
    lines delete "${topics[@]}" || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT

lines() { (FLINK_HEAP=256m java_exec Lines "$@"); }

# make_topic NAME
make_topic() {
  lines create "$1" 1
  topics+=("$1")
}

# measure TOPIC DIR: sets cpu to the CPU-seconds of a whole run: all threads of the process, and what starts it.
measure() {
  local TIMEFORMAT='%U %S'
  if ! { time REACTIONS_TOPIC=$1 "$here/run.sh" --bounded --files "$2" --query "$query" pipeline.object-reuse=true 2>"$work/run.log"; } 2>"$work/time"; then
    tail -n 30 "$work/run.log" >&2
    exit 1
  fi
  cpu=$(awk '{ print $1 + $2 }' "$work/time")
}

java_ready
program=${BENCH_PROGRAM:-}
if [ -z "$program" ]; then
  cargo build -q --release --locked -p emostream-bench
  program=${CARGO_TARGET_DIR:-target}/release/emostream-bench
fi
make_topic "flink-bench-$$-none"
make_topic "flink-bench-$$"
mkfifo "$work/0.jsonl"
"$program" flink-lines --thousands "$thousands" >"$work/0.jsonl" &
lines send "flink-bench-$$" "$work" 0:0:
wait $!
starts=() alls=()
for run in $(seq "$runs"); do
  measure "flink-bench-$$-none" "$work/none-$run" && starts+=("$cpu")
  measure "flink-bench-$$" "$work/all-$run" && alls+=("$cpu")
done
mkdir -p target/bench
python3 - "$query" "$thousands" "$work" "${starts[*]}" "${alls[*]}" >target/bench/flink.json <<'PYTHON'
import json, pathlib, statistics, sys

query, thousands, work, starts, alls = sys.argv[1:]
starts, alls = ([float(number) for number in numbers.split()] for numbers in (starts, alls))
start = statistics.median(starts)
counted = {sum(json.loads(line)["count"] for file in folder.rglob("*") if file.is_file() for line in file.open())
           for folder in pathlib.Path(work).glob("all-*")}
if len(counted) != 1:
    sys.exit(f"the runs do not agree: {counted}")
rows, cpu = int(thousands) * 1000, [round(whole - start, 2) for whole in alls]
print(json.dumps({
    "version": "2.2.0", "query": query, "rows": rows, "counted": counted.pop(), "cpu_s": cpu, "start_cpu_s": round(start, 2),
    "rows_per_cpu_s": round(rows / statistics.median(cpu)),
}))
PYTHON
cat target/bench/flink.json
