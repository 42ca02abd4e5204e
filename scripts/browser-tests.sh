#!/usr/bin/env bash
# Starts the real binary on a free port with an empty data folder and no audience, and looks at the page with a browser.
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

finish() {
  local code=$?
  trap '' INT TERM
  if [ -n "$server_pid" ]; then stop_process "$server_pid" 20; fi
  if [ "$code" != 0 ] && [ -s "$work/errors" ]; then
    echo "--- the server's last words"
    tail -n 30 "$work/errors"
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# The account that the tests log in with.
export ADMIN_USERNAME=admin ADMIN_PASSWORD="browser tests $RANDOM$RANDOM"

server_start "$work/out" "${CARGO_TARGET_DIR:-target}/debug/emostream" serve \
  --data-dir "$work/data" --listen 127.0.0.1:0 2>"$work/errors"
server_wait "$work/out" 30
echo "browser tests against $server_url with $CHROMIUM"
(cd web && EMOSTREAM_URL=$server_url npm run --silent test:browser -- "$@" </dev/null)
