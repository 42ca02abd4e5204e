#!/usr/bin/env bash
# Builds the page into web/dist, from which the binary takes it. Does nothing when nothing has changed.
set -euo pipefail
cd "$(dirname "$0")/.."

# Installs the packages as the lock files say, unless that was done for them and this Node. Those of sdk/javascript
# come with those of web.
install_packages() {
  local stamp=web/node_modules/.stamp wanted
  wanted="$(node --version) $(cat web/package-lock.json sdk/javascript/package-lock.json | sha256sum)"
  if [ -e "$stamp" ] && [ -d sdk/javascript/node_modules ] && [ "$(cat "$stamp")" = "$wanted" ]; then return; fi
  echo "web: installing packages"
  (cd web && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --no-audit --no-fund --loglevel=error </dev/null)
  printf '%s\n' "$wanted" >"$stamp"
}

# One sum over everything that the built page depends on.
sources_sum() {
  find web sdk/javascript \( -name node_modules -o -name dist -o -name tests -o -name test-results -o -name playwright-report \) \
    -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
}

install_packages

# Beside the packages, not in web/dist, where the binary would take it along.
built=web/node_modules/.built
wanted=$(sources_sum)
if [ -e web/dist/index.html ] && [ -e "$built" ] && [ "$(cat "$built")" = "$wanted" ]; then exit; fi
echo "web: building the page"
rm -f "$built"
(cd web && npm run --silent build </dev/null)
printf '%s\n' "$wanted" >"$built"
