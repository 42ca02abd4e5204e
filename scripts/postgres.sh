# Starts and stops a PostgreSQL of the tests' own, on loopback, a free port and an empty folder. Sourced by test.sh and soak.sh.
# shellcheck shell=bash

postgres_dir=

# The folder of PostgreSQL's programs: Debian keeps them off the PATH.
postgres_bin() {
  local found
  if found=$(command -v initdb); then
    dirname "$found"
    return 0
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

# postgres_start: a server without fsync, since what it holds is thrown away, but for POSTGRES_FSYNC=on. Tells the tests where.
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
    # In its own file, so that it is the same after a stop. Of settings that are there twice the last one holds.
    postgres_as "printf '%s\n' \"listen_addresses = '127.0.0.1'\" 'port = $port' \"unix_socket_directories = '$postgres_dir'\" \
      'fsync = ${POSTGRES_FSYNC:-off}' 'max_connections = 300' >>$postgres_dir/data/postgresql.conf"
    if postgres_again 2>/dev/null; then
      export EMOSTREAM_TEST_POSTGRES=postgres://postgres@127.0.0.1:$port
      return 0
    fi
    tries=$((tries - 1))    # the port may be taken
  done
  postgres_as "cat $postgres_dir/out $postgres_dir/log" >&2
  return 1
}

# postgres_again: starts the server of postgres_dir as it was.
postgres_again() {
  postgres_as "$(postgres_bin)/pg_ctl -D $postgres_dir/data -w -t 60 -l $postgres_dir/log start >>$postgres_dir/out"
}

# postgres_pause fast|immediate: stops it and keeps what it holds.
postgres_pause() {
  postgres_as "$(postgres_bin)/pg_ctl -D $postgres_dir/data -m $1 -w stop >>$postgres_dir/out"
}

# postgres_tls: gives the server of postgres_dir a certificate for localhost of an authority of its own, in tls/ca.crt, beside that
# of another one. It holds from the next start on.
postgres_tls() {
  postgres_as "mkdir $postgres_dir/tls && chmod 755 $postgres_dir $postgres_dir/tls && cd $postgres_dir/tls && {
    for name in ca other; do
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=\$name \
        -addext basicConstraints=critical,CA:TRUE -keyout \$name.key -out \$name.crt
    done
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout server.key -out server.csr
    echo subjectAltName=DNS:localhost >server.names
    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile server.names -out server.crt
  } 2>>$postgres_dir/out && chmod 644 *.crt && printf '%s\n' 'ssl = on' \"ssl_cert_file = '$postgres_dir/tls/server.crt'\" \
    \"ssl_key_file = '$postgres_dir/tls/server.key'\" >>$postgres_dir/data/postgresql.conf"
}

postgres_stop() {
  local bin
  if [ -z "$postgres_dir" ]; then return 0; fi
  bin=$(postgres_bin)
  postgres_as "$bin/pg_ctl -D $postgres_dir/data -m fast -w stop >/dev/null" || true
  postgres_as "rm -rf $postgres_dir"
  postgres_dir=
}
