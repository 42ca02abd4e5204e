//! Many rows in few statements.

use std::fmt::Write as _;

use crate::{
    StoreError,
    database::Change,
    sql::{Statement, Value},
};

/// Rows of one statement. SQLite takes 32,766 values and finds a placeholder by walking through all before it, so that
/// much longer statements are slower again.
const ROWS_PER_STATEMENT: usize = 64;

/// Where rows go.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub(super) table: &'static str,
    pub(super) columns: &'static [&'static str],
}

/// Inserts rows, each with a value for every column; those whose key exists are left out. The number inserted.
pub(super) async fn many(
    change: &mut Change,
    target: Target,
    rows: Vec<Vec<Value>>,
) -> Result<u64, StoreError> {
    let mut inserted = 0;
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let chunk: Vec<_> = rows.by_ref().take(ROWS_PER_STATEMENT).collect();
        let statement = Statement::composed(text(target, chunk.len()));
        let statement = chunk.into_iter().flatten().fold(statement, Statement::bind);
        inserted += change.execute(statement).await?;
    }
    Ok(inserted)
}

/// `INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING`.
fn text(target: Target, rows: usize) -> String {
    let mut text = format!("INSERT INTO {} ({}) VALUES ", target.table, target.columns.join(", "));
    for placeholder in 0..rows * target.columns.len() {
        let first_of_row = placeholder % target.columns.len() == 0;
        text.push_str(match (placeholder, first_of_row) {
            (0, _) => "(",
            (_, true) => "), (",
            (_, false) => ", ",
        });
        write!(text, "${}", placeholder + 1).expect("a String takes everything");
    }
    text.push_str(") ON CONFLICT DO NOTHING");
    text
}

#[cfg(test)]
mod tests {
    use super::{Target, text};

    #[test]
    fn placeholders_ascend_over_rows() {
        let target = Target { table: "t", columns: &["a", "b"] };
        let expected = "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING";
        assert_eq!(text(target, 2), expected);
    }
}
