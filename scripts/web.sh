#!/usr/bin/env bash
# Builds the page into web/dist, from which the binary takes it. Does nothing when nothing has changed.
# usage: scripts/web.sh [--packages]    --packages: only install the packages of web/ and sdk/javascript/
set -euo pipefail
cd "$(dirname "$0")/.."

# Installs a folder's packages as its lock file says, unless that was done for this lock file and this Node.
install_packages() {
  local folder=$1 stamp=$1/node_modules/.stamp wanted
  wanted="$(node --version) $(sha256sum <"$folder/package-lock.json")"
  if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
  echo "web: installing the packages of $folder"
  (cd "$folder" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error </dev/null)
  printf '%s\n' "$wanted" >"$stamp"
}

# One sum over everything that the built page depends on.
sources_sum() {
  find web sdk/javascript \( -name node_modules -o -name dist -o -name tests -o -name test-results -o -name playwright-report \) \
    -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
}

install_packages sdk/javascript
install_packages web
if [ "${1:-}" = --packages ]; then exit; fi

# Beside the packages, not in web/dist, where the binary would take it along.
built=web/node_modules/.built
wanted=$(sources_sum)
if [ -e web/dist/index.html ] && [ -e "$built" ] && [ "$(cat "$built")" = "$wanted" ]; then exit; fi
echo "web: building the page"
rm -f "$built"
(cd web && npm run --silent build </dev/null)
printf '%s\n' "$wanted" >"$built"
