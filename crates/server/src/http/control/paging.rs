//! Pages of the control plane's lists: `limit` and `cursor` in, `items` and `next_cursor` out.

use std::{fmt::Display, str::FromStr};

use emostream_store::Page;
use serde::Deserialize;

use crate::http::problem::Problem;

const LIMIT_DEFAULT: u32 = 100;

/// Documents of one page, which may be some KiB each.
const LIMIT_MAX: u32 = 100;

/// Parameters of a list.
#[derive(Debug, Deserialize)]
pub struct ListParameters {
    limit: Option<String>,
    cursor: Option<String>,
}

impl ListParameters {
    /// The place to go on from, and how many items; `cursor` says what is expected of one.
    pub fn read<C: FromStr>(&self, cursor: &str) -> Result<(Option<C>, u32), Problem> {
        let limit = match &self.limit {
            None => LIMIT_DEFAULT,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| {
                    Problem::parameter("limit", &format!("expected a whole number from 1 to {LIMIT_MAX}"))
                })?
            }
        };
        let after = match &self.cursor {
            None => None,
            Some(text) => Some(
                text.parse()
                    .map_err(|_| Problem::parameter("cursor", &format!("expected {cursor}, or none")))?,
            ),
        };
        Ok((after, limit))
    }
}

/// A page as it is answered.
#[derive(Debug)]
pub struct Listed<T> {
    /// Items.
    pub items: Vec<T>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

impl<T> Listed<T> {
    /// Makes it of a page of the store.
    pub fn of<R, C: Display>(page: Page<R, C>, document: impl FnMut(R) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(document).collect(),
            next_cursor: page.next.map(|cursor| cursor.to_string()),
        }
    }
}
