#!/usr/bin/env bash
# Makes sure that what building and testing need is there: installs what a package manager can, names the rest.
# usage: scripts/setup.sh [--tests]    --tests: also what the tests need: a browser, an emoji font, strace for failing disk calls,
#        PostgreSQL and, for Apache Kafka, Java, Maven and the headers of OpenSSL and zlib,
#        and what clients are written with: curl, Python with requests, websocket-client and
#        kafka-python (into target/test-clients), the npm packages ws and kafkajs
# Prints only what it does; when everything is there it prints nothing and changes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly NODE_MAJOR_MIN=20
want_tests=no
for argument in "$@"; do
  case $argument in
    --tests) want_tests=yes ;;
    *) echo "usage: scripts/setup.sh [--tests]" >&2 && exit 2 ;;
  esac
done

missing=()      # what the user has to install
packages=()     # what apt-get can install

need() { missing+=("$1"); }

# Rust: the pinned toolchain comes through rustup, or any cargo that is new enough.
rust_version=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
if ! command -v cargo >/dev/null; then
  need "Rust $rust_version (cargo): see https://rustup.rs"
elif ! cargo --version >/dev/null 2>&1; then
  if command -v rustup >/dev/null; then
    echo "setup: installing the Rust toolchain $rust_version through rustup"
    rustup toolchain install "$rust_version" --profile minimal --component rustfmt --component clippy ||
      need "Rust $rust_version: \`rustup toolchain install $rust_version\` failed"
  else
    need "Rust $rust_version: \`cargo --version\` fails"
  fi
fi

# Node with npm, for the page.
if ! command -v node >/dev/null; then
  need "Node.js $NODE_MAJOR_MIN or newer: see https://nodejs.org"
else
  node_version=$(node --version)
  node_major=${node_version#v}
  if [ "${node_major%%.*}" -lt "$NODE_MAJOR_MIN" ]; then
    need "Node.js $NODE_MAJOR_MIN or newer (found $node_version): see https://nodejs.org"
  fi
  command -v npm >/dev/null || need "npm, which comes with Node.js: see https://nodejs.org"
fi

# A C compiler, for the few dependencies that are written in C.
if ! command -v cc >/dev/null; then packages+=(build-essential); fi
if ! command -v pkg-config >/dev/null; then packages+=(pkg-config); fi

has_browser() {
  local name
  for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome; do
    if [ -n "$name" ] && command -v "$name" >/dev/null; then return 0; fi
  done
  return 1
}

has_emoji_font() {
  [ -e /usr/share/fonts/truetype/noto/NotoColorEmoji.ttf ] ||
    { command -v fc-list >/dev/null && fc-list | grep -qi 'emoji'; }
}

has_python_clients() {
  local python
  for python in python3 /usr/bin/python3; do
    if "$python" -c 'import requests, websocket' 2>/dev/null; then return 0; fi
  done
  return 1
}

has_header() { echo "#include <$1>" | cc -E -x c - >/dev/null 2>&1; }

if [ "$want_tests" = yes ]; then
  has_browser || packages+=(chromium)
  has_emoji_font || packages+=(fonts-noto-color-emoji)
  command -v strace >/dev/null || packages+=(strace)
  # A PostgreSQL of the tests' own; the one that the package would start by itself is not needed.
  command -v initdb >/dev/null || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || packages+=(postgresql)
  # An Apache Kafka of the tests' own: Maven fetches the broker itself (scripts/kafka.sh).
  # The compiler is for the program that runs Flink SQL (deploy/flink).
  command -v javac >/dev/null || packages+=(openjdk-17-jdk-headless)
  command -v mvn >/dev/null || packages+=(maven)
  # What the Kafka client is compiled with.
  has_header openssl/ssl.h || packages+=(libssl-dev)
  has_header zlib.h || packages+=(zlib1g-dev)
  # Makes the certificates of brokers in tests.
  command -v openssl >/dev/null || packages+=(openssl)
  # Clients of the source systems, in the languages that their users write them in.
  command -v curl >/dev/null || packages+=(curl)
  has_python_clients || packages+=(python3 python3-requests python3-websocket)
  python3 -m pip --version >/dev/null 2>&1 || packages+=(python3-pip)
fi

# How this user may install packages: as root, through sudo, or not at all.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  else
    sudo "$@"
  fi
}

can_install() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] && return 0
  command -v sudo >/dev/null || return 1
  sudo -n true 2>/dev/null || [ -t 0 ]
}

if [ ${#packages[@]} -gt 0 ]; then
  if can_install; then
    echo "setup: installing ${packages[*]} (apt-get)"
    log=$(mktemp)
    if as_root apt-get -qq update >"$log" 2>&1 &&
      as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq install -y --no-install-recommends "${packages[@]}" >>"$log" 2>&1; then
      rm -f "$log"
    else
      tail -n 15 "$log" >&2
      rm -f "$log"
      need "the packages ${packages[*]}: apt-get could not install them (its words are above)"
    fi
  else
    need "the packages ${packages[*]}: as root, \`apt-get install ${packages[*]}\`, or your system's like"
  fi
fi

clients=crates/server/tests/it/compat/clients
has_npm_clients() { [ -d $clients/node_modules/ws ] && [ -d $clients/node_modules/kafkajs ]; }
if [ "$want_tests" = yes ] && ! has_npm_clients && command -v npm >/dev/null; then
  echo "setup: installing the packages ws and kafkajs for tests (npm)"
  npm ci --silent --no-audit --no-fund --ignore-scripts --prefix $clients ||
    need "the npm packages ws and kafkajs: npm could not install them"
fi

# Pure Python, so that any interpreter may have it: whichever the clients are run by.
python_clients=${CARGO_TARGET_DIR:-target}/test-clients/python
if [ "$want_tests" = yes ] && [ ! -d "$python_clients/kafka" ] && command -v python3 >/dev/null; then
  echo "setup: installing the package kafka-python for tests (pip)"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --target "$python_clients" 'kafka-python>=2.2,<4' ||
    need "the Python package kafka-python: \`python3 -m pip install --target $python_clients kafka-python\` failed"
fi

if [ ${#missing[@]} -gt 0 ]; then
  for what in "${missing[@]}"; do echo "setup: please install $what" >&2; done
  exit 1
fi
