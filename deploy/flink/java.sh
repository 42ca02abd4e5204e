# Jars, classes and options with which the programs of src/ run. Sourced.
# shellcheck shell=bash

flink_source=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
flink_built=${CARGO_TARGET_DIR:-$flink_source/../../target}/flink

# Fetches the jars and compiles the programs, where that was not done before.
java_ready() {
  mkdir -p "$flink_built"
  flink_built=$(cd "$flink_built" && pwd)
  (
    flock 9
    if ! cmp -s "$flink_source/pom.xml" "$flink_built/lib/pom.xml"; then
      rm -rf "${flink_built:?}/lib"
      mvn -q -B -f "$flink_source/pom.xml" dependency:copy-dependencies -DoutputDirectory="$flink_built/lib" -DincludeScope=runtime >&2
      cp "$flink_source/pom.xml" "$flink_built/lib/pom.xml"     # last: says that all of it is there
    fi
    if [ ! -d "$flink_built/classes" ] || [ -n "$(find "$flink_source/src" -newer "$flink_built/classes")" ]; then
      rm -rf "${flink_built:?}/classes"
      javac -Xlint:all -cp "$flink_built/lib/*" -d "$flink_built/classes.new" "$flink_source"/src/*.java
      mv "$flink_built/classes.new" "$flink_built/classes"
    fi
  ) 9>"$flink_built/lock"
}

# java_exec PROGRAM ARGUMENT…: becomes that program.
java_exec() {
  local package opens=()
  for package in net io lang lang.reflect lang.invoke text time util util.concurrent util.concurrent.atomic util.concurrent.locks; do
    opens+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
  done
  # shellcheck disable=SC2086      # several options in one variable
  exec java "-Xmx${FLINK_HEAP:-1g}" ${FLINK_JAVA_OPTIONS:-} "${opens[@]}" "-Dlog4j2.configurationFile=$flink_source/log4j2.properties" \
    -cp "$flink_built/classes:$flink_built/lib/*" "$@"
}
