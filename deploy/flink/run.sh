#!/usr/bin/env bash
# Counts projected reactions with Flink SQL, in a cluster of one process that listens on loopback only.
# usage: deploy/flink/run.sh [--bounded] [--files DIR] [--query NAME] [--moments N] [--checkpoints DIR [--resume]] [KEY=VALUE…]
#   --bounded       read what is there now and end; otherwise it runs until it is stopped
#   --files DIR     write to files in DIR instead of a topic (with --bounded)
#   --query NAME    how to count, a file of sql/: window-counts (default) or window-counts-by-arrival
#   --moments N     write the moments whose count exceeds N instead of all counts
#   --checkpoints   keep a checkpoint every CHECKPOINT_INTERVAL (10 s) in DIR; --resume goes on from the newest one there
#   KEY=VALUE       an option of Flink
# environment: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), REACTIONS_TOPIC (raw-emote-data), COUNTS_TOPIC (flink-window-counts),
#   MOMENTS_TOPIC (flink-moments), PARALLELISM (1; at most the partitions of REACTIONS_TOPIC), FLINK_HEAP (1g), FLINK_JAVA_OPTIONS
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=deploy/flink/java.sh
. "$here/java.sh"

export KAFKA_BOOTSTRAP_SERVERS=${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}
export REACTIONS_TOPIC=${REACTIONS_TOPIC:-raw-emote-data}
export COUNTS_TOPIC=${COUNTS_TOPIC:-flink-window-counts}
export MOMENTS_TOPIC=${MOMENTS_TOPIC:-flink-moments}
export BOUNDED_MODE=unbounded FILES_DIR='' MOMENT_THRESHOLD=''
query=window-counts output=counts sink=topic checkpoints='' resume=no
options=()
while [ $# -gt 0 ]; do
  case $1 in
    --bounded) BOUNDED_MODE=latest-offset ;;
    --files) FILES_DIR=$(mkdir -p "$2" && cd "$2" && pwd) && sink=files && shift ;;
    --query) query=$2 && shift ;;
    --moments) MOMENT_THRESHOLD=$2 output=moments && shift ;;
    --checkpoints) checkpoints=$(mkdir -p "$2" && cd "$2" && pwd) && shift ;;
    --resume) resume=yes ;;
    *=*) options+=("$1") ;;
    *) sed -n '3,12p' "$0" >&2 && exit 2 ;;
  esac
  shift
done
if [ "$sink" = files ] && [ "$BOUNDED_MODE" = unbounded ]; then
  echo "run.sh: expected --bounded with --files: files of an unbounded run are never finished" >&2 && exit 2
fi
[ -f "$here/sql/$query.sql" ] || { echo "run.sh: expected a query of $here/sql, got $query" >&2 && exit 2; }

if [ -n "$checkpoints" ]; then
  options+=("execution.checkpointing.interval=${CHECKPOINT_INTERVAL:-10 s}" "execution.checkpointing.dir=file://$checkpoints"
    execution.checkpointing.externalized-checkpoint-retention=RETAIN_ON_CANCELLATION)
fi
if [ "$resume" = yes ]; then
  newest=$(find "${checkpoints:?run.sh: --resume needs --checkpoints DIR}" -path '*/chk-*/_metadata' -printf '%T@ %h\n' | sort -n | tail -n 1)
  [ -n "$newest" ] || { echo "run.sh: no checkpoint in $checkpoints" >&2 && exit 1; }
  options+=("execution.state-recovery.path=file://${newest#* }")
fi
# A bounded run ends with its first error; an unbounded one goes on from its checkpoint.
if [ "$BOUNDED_MODE" = latest-offset ]; then options+=(restart-strategy.type=none); fi

java_ready
java_exec RunSql "parallelism.default=${PARALLELISM:-1}" "${options[@]}" \
  "$here/sql/reactions.sql" "$here/sql/$query.sql" "$here/sql/$output-to-$sink.sql"
