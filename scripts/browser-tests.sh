#!/usr/bin/env bash
# Starts the real binary on free ports with empty data folders and no audience, once alone and once with system B's clusters,
# and looks at the page with a browser.
# Arguments go to the test runner: scripts/browser-tests.sh -g phone
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/server.sh

for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
  if [ -n "$name" ] && CHROMIUM=$(command -v "$name"); then break; fi
done
if [ -z "$CHROMIUM" ]; then
  echo "no Chromium: install one (scripts/setup.sh --tests), or name its program in CHROMIUM" >&2
  exit 1
fi
export CHROMIUM
unset PORT

scripts/web.sh      # first: the binary takes the built page along
cargo build -p emostream-server
work=$(mktemp -d)
servers=()

finish() {
  local code=$?
  trap '' INT TERM
  for pid in "${servers[@]}"; do stop_process "$pid" 20; done
  for errors in "$work/errors" "$work/clusters-errors"; do
    if [ "$code" != 0 ] && [ -s "$errors" ]; then
      echo "--- a server's last words"
      tail -n 30 "$errors"
    fi
  done
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The account that the tests log in with.
export ADMIN_USERNAME=admin ADMIN_PASSWORD="browser tests $RANDOM$RANDOM"

program=${CARGO_TARGET_DIR:-target}/debug/emostream
# Few places, and tickets that soon give theirs back: what a full house looks like is over in seconds.
edge() { printf '{ name = "edge%s", cluster = "cluster%s", listen = "127.0.0.1:0", capacity = 4 }' "$1" "$1"; }
server_start "$work/clusters-out" "$program" serve --preset socket-clusters \
  --data-dir "$work/clusters" --listen 127.0.0.1:0 --set "edges=[$(edge 1), $(edge 2)]" \
  --set placement.report_ms=200 --set placement.ticket_ms=5000 2>"$work/clusters-errors"
servers+=("$server_pid")
server_wait "$work/clusters-out" 30
clusters_url=$server_url
server_start "$work/out" "$program" serve --data-dir "$work/data" --listen 127.0.0.1:0 2>"$work/errors"
servers+=("$server_pid")
server_wait "$work/out" 30
echo "browser tests against $server_url and $clusters_url with $CHROMIUM"
(cd web && EMOSTREAM_URL=$server_url EMOSTREAM_CLUSTERS_URL=$clusters_url npm run --silent test:browser -- "$@" </dev/null)
