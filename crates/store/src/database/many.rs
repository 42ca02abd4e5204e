//! Many rows in few statements.

use std::fmt::Write as _;

use super::{
    Change,
    sql::{Row, Statement, Value},
};
use crate::StoreError;

/// Rows of one statement. SQLite takes 32,766 values and finds a placeholder by walking through all before it, so that
/// much longer statements are slower again.
const ROWS_PER_STATEMENT: usize = 64;

/// Where rows go.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) table: &'static str,
    pub(crate) columns: &'static [&'static str],
    /// What is behind `ON CONFLICT`.
    pub(crate) on_conflict: &'static str,
}

/// Inserts rows, each with a value for every column; [`Target::on_conflict`] says what becomes of those whose key exists. The
/// number inserted or changed.
pub(crate) async fn insert(
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
    text.push_str(") ON CONFLICT ");
    text.push_str(target.on_conflict);
    text
}

/// Values of one list. SQLite finds a placeholder by walking through all before it.
const VALUES_PER_LIST: usize = 256;

/// Where a list goes in a statement's text.
const LIST: &str = "{list}";

/// Statements that together name all values where `text` says `{list}`, each with `fixed` as its first ones. A list is filled up
/// with its last value to a power of two, so that databases prepare a few texts only.
pub(crate) fn lists(text: &str, fixed: &[Value], values: &[Value]) -> Vec<Statement> {
    let mut statements = Vec::with_capacity(values.len().div_ceil(VALUES_PER_LIST));
    for chunk in values.chunks(VALUES_PER_LIST) {
        let count = chunk.len().next_power_of_two();
        let placeholders: Vec<_> = (1..=count).map(|place| format!("${}", fixed.len() + place)).collect();
        let statement = Statement::composed(text.replace(LIST, &placeholders.join(", ")));
        let last = &chunk[chunk.len() - 1];
        let filled = chunk.iter().chain(std::iter::repeat(last)).take(count);
        statements.push(fixed.iter().chain(filled).cloned().fold(statement, Statement::bind));
    }
    statements
}

/// Executes [`lists`]; the rows that changed.
pub(crate) async fn change_listed(
    change: &mut Change,
    text: &str,
    fixed: &[Value],
    values: &[Value],
) -> Result<u64, StoreError> {
    let mut changed = 0;
    for statement in lists(text, fixed, values) {
        changed += change.execute(statement).await?;
    }
    Ok(changed)
}

/// The rows that [`lists`] find.
pub(crate) async fn find_listed(
    change: &mut Change,
    text: &str,
    values: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    for statement in lists(text, &[], values) {
        rows.append(&mut change.rows(statement).await?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::{Target, Value, lists, text};

    #[test]
    fn placeholders_ascend_over_rows() {
        let target = Target { table: "t", columns: &["a", "b"], on_conflict: "DO NOTHING" };
        let expected = "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4) ON CONFLICT DO NOTHING";
        assert_eq!(text(target, 2), expected);
    }

    #[test]
    fn every_value_is_in_a_list_and_few_texts_are_made() {
        let mut texts = std::collections::BTreeSet::new();
        for count in 1..600 {
            let values: Vec<Value> = (0..count).map(Value::from).collect();
            let statements = lists("a = $1 AND id IN ({list})", &[Value::from(-1)], &values);
            let mut found = std::collections::BTreeSet::new();
            for statement in statements {
                texts.insert(statement.text().to_owned());
                found.extend(statement.values().iter().map(|value| format!("{value:?}")));
            }
            assert_eq!(found.len(), values.len() + 1);
        }
        assert_eq!(texts.len(), 9, "{texts:?}");
        assert!(texts.contains("a = $1 AND id IN ($2, $3)"));
    }
}
