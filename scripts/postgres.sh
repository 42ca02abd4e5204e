# Starts and stops a PostgreSQL of the tests' own, on loopback, a free port and an empty folder. Sourced by test.sh and soak.sh.
# shellcheck shell=bash

postgres_dir=

# The folder of PostgreSQL's programs: Debian keeps them off the PATH.
postgres_bin() {
  local found
  if found=$(command -v initdb); then
    dirname "$found"
    return
  fi
  find /usr/lib/postgresql -maxdepth 3 -name initdb 2>/dev/null | sort -V | tail -n 1 | xargs -r dirname
}

# As a user that PostgreSQL accepts: it refuses to run as root.
postgres_as() {
  if [ "$(id -u)" = 0 ]; then
    su postgres -s /bin/sh -c "$1"
  else
    sh -c "$1"
  fi
}

# postgres_start: a server without fsync, since what it holds is thrown away. Tells the tests where.
postgres_start() {
  local bin port tries=5
  bin=$(postgres_bin)
  if [ -z "$bin" ]; then
    echo "PostgreSQL is not installed: scripts/setup.sh --tests" >&2
    return 1
  fi
  postgres_dir=$(postgres_as 'mktemp -d')
  postgres_as "$bin/initdb -D $postgres_dir/data -A trust -U postgres --no-sync -E UTF8 --locale=C.UTF-8 >$postgres_dir/out"
  while [ "$tries" -gt 0 ]; do
    port=$((20000 + RANDOM % 20000))
    if postgres_as "$bin/pg_ctl -D $postgres_dir/data -w -t 60 -l $postgres_dir/log \
      -o '-c listen_addresses=127.0.0.1 -p $port -k $postgres_dir -c fsync=off -c max_connections=300' start >>$postgres_dir/out"; then
      export EMOSTREAM_TEST_POSTGRES=postgres://postgres@127.0.0.1:$port
      return
    fi
    tries=$((tries - 1))    # the port may be taken
  done
  postgres_as "cat $postgres_dir/out $postgres_dir/log" >&2
  return 1
}

postgres_stop() {
  local bin
  if [ -z "$postgres_dir" ]; then return; fi
  bin=$(postgres_bin)
  postgres_as "$bin/pg_ctl -D $postgres_dir/data -m fast -w stop >/dev/null" || true
  postgres_as "rm -rf $postgres_dir"
  postgres_dir=
}
