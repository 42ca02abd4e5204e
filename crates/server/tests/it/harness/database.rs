//! A PostgreSQL of one test's own, that can be stopped and started again on what it holds.

use std::{
    io::{BufRead, BufReader, Lines, Write},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

/// What the script does: starts the server and says where, then does as it is told.
const SCRIPT: &str = r#"
set -euo pipefail
. scripts/postgres.sh
trap postgres_stop EXIT
postgres_start
echo "$EMOSTREAM_TEST_POSTGRES"
while read -r order; do
  case $order in
    pause) postgres_pause immediate ;;
    again) postgres_again ;;
  esac
  echo done
done
"#;

pub(crate) struct Database {
    script: Child,
    orders: Option<ChildStdin>,
    said: Lines<BufReader<ChildStdout>>,
    /// For `store.url`.
    pub(crate) url: String,
}

impl Database {
    /// Starts an empty one. Blocks.
    pub(crate) fn start() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut bash = Command::new("bash");
        bash.args(["-c", SCRIPT]).current_dir(root).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = bash.spawn().unwrap();
        let mut said = BufReader::new(script.stdout.take().unwrap()).lines();
        let url = said.next().expect("the address of a PostgreSQL").unwrap();
        let orders = script.stdin.take();
        Self { script, orders, said, url: format!("{url}/postgres") }
    }

    /// Ends it as a crash would: nobody is waited for. Blocks until it is gone.
    pub(crate) fn pause(&mut self) {
        self.order("pause");
    }

    /// Starts it again. Blocks until it answers.
    pub(crate) fn again(&mut self) {
        self.order("again");
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        assert_eq!(self.said.next().expect("the script goes on").unwrap(), "done");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The end of its orders is the script's end, which stops the server.
        drop(self.orders.take());
        drop(self.script.wait());
    }
}
