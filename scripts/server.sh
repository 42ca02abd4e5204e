# Starts and stops one server by its process id. Sourced by run.sh and browser-tests.sh, which run it in the background.
# shellcheck shell=bash

server_pid=
server_url=

# server_start OUT COMMAND...: starts the server in its own process group, so that Ctrl-C in a terminal reaches
# only the script, which then stops the server once and gracefully. Its standard output goes to the file OUT.
server_start() {
  local out=$1
  shift
  : >"$out"     # there before the first look at it
  set -m
  "$@" </dev/null >"$out" &
  server_pid=$!
  set +m
}

# server_wait OUT SECONDS: waits for the line `ready URL …` and takes the address from it.
server_wait() {
  local out=$1 rounds=$(($2 * 20))
  while [ "$rounds" -gt 0 ]; do
    server_url=$(sed -n 's/^ready \(http[^ ]*\).*/\1/p;/^ready /q' "$out")
    if [ -n "$server_url" ]; then return 0; fi
    if ! kill -0 "$server_pid" 2>/dev/null; then
      echo "the server ended before it was ready" >&2
      return 1
    fi
    sleep 0.05
    rounds=$((rounds - 1))
  done
  echo "the server was not ready after $2 s" >&2
  return 1
}

# stop_process PID SECONDS: asks a process to stop, and insists when it has not after a while.
stop_process() {
  local pid=$1 rounds=$(($2 * 20))
  kill -TERM "$pid" 2>/dev/null || return 0
  while kill -0 "$pid" 2>/dev/null; do
    if [ "$rounds" = 0 ]; then
      echo "process $pid did not stop within $2 s: ending it" >&2
      kill -KILL "$pid" 2>/dev/null || true
      break
    fi
    sleep 0.05
    rounds=$((rounds - 1))
  done
  wait "$pid" 2>/dev/null || true
}
