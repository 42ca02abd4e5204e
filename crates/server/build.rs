//! Says in one line what to do when the page has not been built yet.

use std::path::Path;

fn main() {
    let index = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/dist/index.html");
    println!("cargo::rerun-if-changed=../../web/dist");
    assert!(
        index.exists(),
        "the page is not built: run `scripts/web.sh` once (it needs Node), or `make run`, which does all"
    );
}
