//! Tumbling windows of event time, generic over key, value and length.

use std::{borrow::Borrow, collections::BTreeMap};

/// Open tumbling windows: for each key of each window one value. A window is `[start, start + length)` with `start` a
/// multiple of the length since the Unix epoch. Closing costs by open windows and keys, never by elapsed time.
#[derive(Debug, Clone)]
pub struct Windows<K, V> {
    length_ms: i64,
    closed_through_ms: i64,
    open: BTreeMap<i64, BTreeMap<K, usize>>,
    /// Values live here, so that a caller can keep a [`Slot`] while it works through a batch.
    slots: Vec<V>,
    free: Vec<usize>,
}

/// Place of an open window's value; valid until the next close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(usize);

/// The start of the window of `length_ms` that holds `event_ms`.
#[inline]
pub fn start_of(event_ms: i64, length_ms: i64) -> i64 {
    event_ms - event_ms.rem_euclid(length_ms)
}

impl<K: Ord, V: Default> Windows<K, V> {
    /// No open windows. `length_ms` is above 0.
    pub fn new(length_ms: i64) -> Self {
        assert!(length_ms > 0, "a window has a length");
        Self {
            length_ms,
            closed_through_ms: i64::MIN,
            open: BTreeMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Length of each window in ms.
    pub fn length_ms(&self) -> i64 {
        self.length_ms
    }

    /// Start of the first window that is not closed; `i64::MIN` before the first close.
    pub fn closed_through_ms(&self) -> i64 {
        self.closed_through_ms
    }

    /// Whether no window is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// End of the earliest open window.
    pub fn first_end_ms(&self) -> Option<i64> {
        self.open.first_key_value().map(|(start, _)| start + self.length_ms)
    }

    /// End of the latest open window.
    pub fn last_end_ms(&self) -> Option<i64> {
        self.open.last_key_value().map(|(start, _)| start + self.length_ms)
    }

    /// Place of a key's value in the window that holds `event_ms`, opened if need be with the key that `owned` gives.
    /// `None` when that window is closed.
    pub fn slot<Q>(&mut self, event_ms: i64, key: &Q, owned: impl FnOnce() -> K) -> Option<Slot>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let start_ms = start_of(event_ms, self.length_ms);
        if start_ms < self.closed_through_ms {
            return None;
        }
        let keys = self.open.entry(start_ms).or_default();
        if let Some(slot) = keys.get(key) {
            return Some(Slot(*slot));
        }
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(V::default());
            self.slots.len() - 1
        });
        keys.insert(owned(), slot);
        Some(Slot(slot))
    }

    /// The value at a place.
    #[inline]
    pub fn value(&mut self, slot: Slot) -> &mut V {
        &mut self.slots[slot.0]
    }

    /// Closes every window that ends at or before `watermark_ms` and hands out its values, ascending by start, then
    /// key. Windows that start before the watermark's own are closed for good.
    pub fn close_through(&mut self, watermark_ms: i64, mut closed: impl FnMut(i64, K, V)) {
        let through_ms = start_of(watermark_ms, self.length_ms).max(self.closed_through_ms);
        self.closed_through_ms = through_ms;
        while let Some(window) = self.open.first_entry() {
            let start_ms = *window.key();
            if start_ms >= through_ms {
                break;
            }
            for (key, slot) in window.remove() {
                let value = std::mem::take(&mut self.slots[slot]);
                self.free.push(slot);
                closed(start_ms, key, value);
            }
        }
    }

    /// Open windows' values, ascending by start, then key.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &K, &V)> {
        self.open
            .iter()
            .flat_map(|(start, keys)| keys.iter().map(|(key, slot)| (*start, key, &self.slots[*slot])))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Windows;

    proptest::proptest! {
        #[test]
        fn every_value_leaves_once_in_order_and_only_when_its_window_ended(
            length in 1i64..5_000,
            steps in proptest::collection::vec((0i64..20_000, 0u8..4, proptest::bool::ANY), 0..200),
        ) {
            let mut windows: Windows<u8, u32> = Windows::new(length);
            let mut expected: BTreeMap<(i64, u8), u32> = BTreeMap::new();
            let mut watermark = i64::MIN;
            for (time, key, close) in steps {
                if close {
                    watermark = watermark.max(time);
                    let mut left = Vec::new();
                    windows.close_through(time, |start, key, value| left.push(((start, key), value)));
                    let open = expected.split_off(&(watermark.div_euclid(length) * length, 0));
                    proptest::prop_assert_eq!(left, expected.into_iter().collect::<Vec<_>>());
                    expected = open;
                } else if let Some(slot) = windows.slot(time, &key, || key) {
                    *windows.value(slot) += 1;
                    *expected.entry((time.div_euclid(length) * length, key)).or_default() += 1;
                } else {
                    proptest::prop_assert!(time < watermark);
                }
                let open: Vec<_> = windows.iter().map(|(start, key, value)| ((start, *key), *value)).collect();
                proptest::prop_assert_eq!(open, expected.clone().into_iter().collect::<Vec<_>>());
                proptest::prop_assert_eq!(windows.first_end_ms(), expected.keys().next().map(|k| k.0 + length));
            }
        }
    }
}
