#!/usr/bin/env bash
# Checks that every shell script parses, says what it is for, and stops at errors; with shellcheck where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

bad=0
complain() { echo "$1" && bad=1; }

for script in scripts/*.sh deploy/*/*.sh .ci/run; do
  bash -n "$script" || complain "$script:1: does not parse"
  first=$(head -n 1 "$script")
  if [ "${first#\#!}" = "$first" ]; then
    about=$first        # no interpreter line: a script that others source
  else
    about=$(sed -n 2p "$script")
    grep -q '^set -euo pipefail$' "$script" || complain "$script:1: has no \`set -euo pipefail\`"
    [ -x "$script" ] || complain "$script:1: cannot be executed"
  fi
  case $about in
    '# '*) ;;
    *) complain "$script:1: does not open with a comment that says what it is for" ;;
  esac
done
if command -v shellcheck >/dev/null; then
  # SC2317: functions that only a trap calls look unreachable.
  shellcheck --external-sources --exclude SC2317 scripts/*.sh deploy/*/*.sh .ci/run || bad=1
fi
exit "$bad"
