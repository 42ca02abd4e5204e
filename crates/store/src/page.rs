//! Pages of long lists, by keyset: what is added or removed meanwhile shifts nothing.

use crate::{StoreError, limits::PAGE_LIMIT_MAX};

/// A part of a list, in the list's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items, at most as many as asked for.
    pub items: Vec<T>,
    /// What to pass as `after` for the next page; `None`: nothing follows.
    pub next: Option<C>,
}

/// A checked number of items.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit(u32);

impl Limit {
    pub(crate) fn new(limit: u32) -> Result<Self, StoreError> {
        Self::up_to(limit, PAGE_LIMIT_MAX)
    }

    pub(crate) fn up_to(limit: u32, max: u32) -> Result<Self, StoreError> {
        if (1..=max).contains(&limit) {
            Ok(Self(limit))
        } else {
            Err(StoreError::invalid("limit", format!("1 to {max}")))
        }
    }

    /// How many rows to fetch: one more than asked for tells whether anything follows.
    pub(crate) fn fetch(self) -> i64 {
        i64::from(self.0) + 1
    }

    /// Makes the page of fetched rows.
    pub(crate) fn page<T, C>(self, mut items: Vec<T>, cursor: impl Fn(&T) -> C) -> Page<T, C> {
        let limit = usize::try_from(self.0).unwrap_or(usize::MAX);
        let follows = items.len() > limit;
        items.truncate(limit);
        let next = if follows { items.last().map(cursor) } else { None };
        Page { items, next }
    }
}
