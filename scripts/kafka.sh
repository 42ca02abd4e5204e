#!/usr/bin/env bash
# Apache Kafka brokers for development and tests, on loopback. Sourced by test.sh and soak.sh for kafka_start and kafka_stop; by itself:
# usage: scripts/kafka.sh run|fetch
#   run    a broker in the foreground until Ctrl-C: KAFKA_PORT (9092), its data kept in KAFKA_DATA (./data/kafka)
#   fetch  only has Maven fetch the broker, into target/kafka, and prints the folder of its jars
# KAFKA_HEAP (512m; 384m each of several), and for kafka_start KAFKA_BROKERS (1; 3 replicate to each other)
set -euo pipefail

kafka_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kafka_dir=
kafka_pids=()

# Prints the folder of the broker's jars, which Maven fetches once for each version of the list.
kafka_lib() {
  local home=${CARGO_TARGET_DIR:-$kafka_root/target}/kafka pom=$kafka_root/scripts/kafka/pom.xml log
  if ! command -v java >/dev/null || ! command -v mvn >/dev/null; then
    echo "Java or Maven is not installed: scripts/setup.sh --tests" >&2
    return 1
  fi
  mkdir -p "$home"
  (
    flock 9
    if ! cmp -s "$pom" "$home/lib/pom.xml"; then
      rm -rf "${home:?}/lib"
      log=$home/maven.out
      if ! mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$home/lib" -DincludeScope=runtime >"$log" 2>&1; then
        tail -n 15 "$log" >&2
        return 1
      fi
      cp "$pom" "$home/lib/pom.xml"     # last: says that all of it is there
    fi
  ) 9>"$home/lock"
  (cd "$home/lib" && pwd)
}

# A port that nobody listens on, below those that the system gives to connections.
kafka_free_port() {
  local port
  while :; do
    port=$((20000 + RANDOM % 12000))
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return 0
    fi
  done
}

# Never begins with a dash, which the tools would take for an option.
kafka_random_id() { head -c 16 /dev/urandom | base64 | tr '+/' '-_' | tr -d = | sed 's/^-/A/'; }

# kafka_write_properties FILE NODE PORT CONTROLLER_PORT CONTROLLERS DATA BROKERS
kafka_write_properties() {
  local least=1
  if [ "$7" -gt 1 ]; then least=2; fi
  sed -e "s|@NODE@|$2|" -e "s|@PORT@|$3|" -e "s|@CONTROLLER_PORT@|$4|" -e "s|@CONTROLLERS@|$5|" -e "s|@DATA@|$6|" \
    -e "s|@REPLICAS@|$7|" -e "s|@REPLICAS_MIN@|$least|" "$kafka_root/scripts/kafka/broker.properties" >"$1"
}

# kafka_java LIB HEAP CLASS ARGUMENTS...: replaces this shell.
kafka_java() {
  local lib=$1 heap=$2
  shift 2
  exec java "-Xmx$heap" -XX:+UseSerialGC "-Dlog4j2.configurationFile=$kafka_root/scripts/kafka/log4j2.properties" -cp "$lib/*" "$@"
}

# kafka_wait_ready PID OUT: until the broker says that it is ready, a minute at most.
kafka_wait_ready() {
  local tries=600
  while [ "$tries" -gt 0 ]; do
    if grep -q 'Kafka Server started' "$2"; then return 0; fi
    if ! kill -0 "$1" 2>/dev/null; then return 1; fi
    sleep 0.1
    tries=$((tries - 1))
  done
  return 1
}

# Starts KAFKA_BROKERS brokers in an empty folder; sets kafka_servers.
kafka_launch() {
  local lib=$1 brokers=$2 heap=$3 node cluster controllers='' voters='' ports=() controller_ports=()
  cluster=$(kafka_random_id)
  for ((node = 1; node <= brokers; node++)); do
    ports[node]=$(kafka_free_port)
    controller_ports[node]=$(kafka_free_port)
    controllers+=${controllers:+,}127.0.0.1:${controller_ports[node]}
    voters+=${voters:+,}$node@127.0.0.1:${controller_ports[node]}:$(kafka_random_id)
  done
  kafka_servers=
  for ((node = 1; node <= brokers; node++)); do
    kafka_write_properties "$kafka_dir/$node.properties" "$node" "${ports[node]}" "${controller_ports[node]}" \
      "$controllers" "$kafka_dir/data-$node" "$brokers"
    if ! (kafka_java "$lib" 128m kafka.tools.StorageTool format --initial-controllers "$voters" -t "$cluster" \
      -c "$kafka_dir/$node.properties") >"$kafka_dir/$node.out" 2>&1; then return 1; fi
    (kafka_java "$lib" "$heap" kafka.Kafka "$kafka_dir/$node.properties") </dev/null >"$kafka_dir/$node.out" 2>&1 &
    kafka_pids+=($!)
    kafka_servers+=${kafka_servers:+,}127.0.0.1:${ports[node]}
  done
  for ((node = 1; node <= brokers; node++)); do
    kafka_wait_ready "${kafka_pids[node - 1]}" "$kafka_dir/$node.out" || return 1
  done
}

# kafka_start: brokers of the tests' own, forgotten when they stop. Tells the tests where.
kafka_start() {
  local lib brokers=${KAFKA_BROKERS:-1} heap tries=3
  heap=${KAFKA_HEAP:-$([ "$brokers" = 1 ] && echo 512m || echo 384m)}
  lib=$(kafka_lib) || return 1
  while [ "$tries" -gt 0 ]; do
    kafka_dir=$(mktemp -d)
    if kafka_launch "$lib" "$brokers" "$heap"; then
      export EMOSTREAM_TEST_KAFKA=$kafka_servers EMOSTREAM_TEST_KAFKA_LIB=$lib
      return 0
    fi
    tail -n 5 "$kafka_dir"/*.out >&2
    kafka_stop      # a port may have been taken meanwhile
    tries=$((tries - 1))
  done
  return 1
}

# What the brokers hold is thrown away, so they need not stop in an orderly manner.
kafka_stop() {
  local pid
  for pid in ${kafka_pids[@]+"${kafka_pids[@]}"}; do
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
  done
  kafka_pids=()
  if [ -n "$kafka_dir" ]; then rm -rf "$kafka_dir"; fi
  kafka_dir=
}

# One broker in the foreground, whose data stays.
kafka_run() {
  local lib port=${KAFKA_PORT:-9092} data=${KAFKA_DATA:-./data/kafka} properties controller_port
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    echo "port $port is taken by another program: choose another with \`KAFKA_PORT=9094 scripts/kafka.sh run\`" >&2
    return 1
  fi
  lib=$(kafka_lib) || return 1
  mkdir -p "$data"
  data=$(cd "$data" && pwd)
  properties=$data/broker.properties
  # The controller's address is part of what was formatted, the clients' is not.
  controller_port=$(cat "$data/controller-port" 2>/dev/null || kafka_free_port)
  kafka_write_properties "$properties" 1 "$port" "$controller_port" "127.0.0.1:$controller_port" "$data/log" 1
  if [ ! -e "$data/controller-port" ]; then
    (kafka_java "$lib" 128m kafka.tools.StorageTool format --initial-controllers \
      "1@127.0.0.1:$controller_port:$(kafka_random_id)" -t "$(kafka_random_id)" -c "$properties") >"$data/broker.out" 2>&1 ||
      { cat "$data/broker.out" >&2 && return 1; }
    echo "$controller_port" >"$data/controller-port"
  fi
  : >"$data/broker.out"
  (kafka_java "$lib" "${KAFKA_HEAP:-512m}" kafka.Kafka "$properties") </dev/null >"$data/broker.out" 2>&1 &
  local pid=$!
  trap 'kill "$pid" 2>/dev/null || true' INT TERM HUP
  if ! kafka_wait_ready "$pid" "$data/broker.out"; then
    tail -n 15 "$data/broker.out" >&2
    return 1
  fi
  echo "ready 127.0.0.1:$port data=$data"
  # The first wait ends when a signal comes, the second when the broker has stopped.
  wait "$pid" || true
  wait "$pid" || true
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  case ${1:-} in
    run) kafka_run ;;
    fetch) kafka_lib ;;
    *) echo "usage: scripts/kafka.sh run|fetch" >&2 && exit 2 ;;
  esac
fi
