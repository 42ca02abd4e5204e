#!/usr/bin/env bash
# Builds Emostream, starts it with an audience, and stops both on Ctrl-C. This is `make run`.
# PORT (8080), DATA_DIR (./data), EMOSTREAM_ARGS (more arguments for `emostream serve`),
# SCENARIO (match; empty for no audience)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh

port=${PORT:-8080}
data_dir=${DATA_DIR:-./data}
scenario=${SCENARIO-match}
unset PORT      # to the server this name means a preset's port

if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
  echo "port $port is taken by another program: stop it, or choose another port with \`PORT=8090 make run\`" >&2
  exit 1
fi

scripts/setup.sh
scripts/web.sh
cargo build --profile quick -p emostream-server
binary=${CARGO_TARGET_DIR:-target}/quick/emostream

work=$(mktemp -d)
audience_pid=

finish() {
  trap '' INT TERM HUP
  if [ -n "$audience_pid" ]; then stop_process "$audience_pid" 5; fi
  if [ -n "$server_pid" ]; then stop_process "$server_pid" 20; fi
  rm -rf "$work"
}
trap finish EXIT
trap 'echo; echo "stopping …"; exit 0' INT TERM HUP

start_audience() {
  if [ -z "$scenario" ]; then return; fi
  set -m
  "$binary" simulate "$scenario" --url "$server_url" </dev/null &
  audience_pid=$!
  set +m
}

# shellcheck disable=SC2086 # EMOSTREAM_ARGS holds several arguments
server_start "$work/out" "$binary" serve --data-dir "$data_dir" --listen "127.0.0.1:$port" ${EMOSTREAM_ARGS:-}
server_wait "$work/out" 30
cat "$work/out"
echo
echo "  Emostream is live:  $server_url"
echo "  Open it in a browser and tap an emoji. Ctrl-C stops everything."
echo
start_audience

# A scenario that has been played is played again; one that fails is left alone, and the server serves on.
while kill -0 "$server_pid" 2>/dev/null; do
  if [ -n "$audience_pid" ] && ! kill -0 "$audience_pid" 2>/dev/null; then
    if wait "$audience_pid"; then
      start_audience
    else
      echo "the audience has left (scenario $scenario failed); the server serves on" >&2
      audience_pid=
    fi
  fi
  sleep 1 &
  wait $! || true     # unlike sleep itself, wait lets a signal through at once
done
code=0
wait "$server_pid" || code=$?
server_pid=
echo "the server has ended with code $code" >&2
exit "$code"
