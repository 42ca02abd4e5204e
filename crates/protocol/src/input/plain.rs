//! Reactions in the plainest JSON: an object of known fields whose strings hold no escapes. Nearly every reaction comes so, and
//! is read in a third of the time. Whatever is written in another way, or wrongly, is left to the general parser.

use std::borrow::Cow;

use super::{ReactionInput, Text};

/// Digits that fit into 64 bits in any case.
const DIGITS_MAX: usize = 19;

/// Reads a reaction, if it is written in this way. What this gives, the general parser would give as well.
pub(super) fn reaction(json: &[u8]) -> Option<ReactionInput<'_>> {
    let mut at = Cursor { text: std::str::from_utf8(json).ok()?, at: 0 };
    let (mut emote, mut id, mut user_id, mut tapped_at, mut media_time_ms) = (None, None, None, None, None);
    at.token(b'{')?;
    loop {
        let field = at.string()?;
        at.token(b':')?;
        match field {
            "emote" => once(&mut emote, at.string()?)?,
            "id" => once(&mut id, at.string()?)?,
            "user_id" => once(&mut user_id, at.string()?)?,
            "tapped_at" => once(&mut tapped_at, at.string()?)?,
            "media_time_ms" => once(&mut media_time_ms, at.number()?)?,
            _ => return None,
        }
        match at.next_token()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    let text = |text| Text(Cow::Borrowed(text));
    at.is_at_end().then_some(ReactionInput {
        emote: text(emote?),
        id: id.map(text),
        user_id: user_id.map(text),
        tapped_at: tapped_at.map(text),
        media_time_ms,
    })
}

/// A field that is given twice is wrong, and not for this parser.
fn once<T>(field: &mut Option<T>, value: T) -> Option<()> {
    field.replace(value).is_none().then_some(())
}

/// Where reading is.
struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn skip_space(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
        self.at += space.count();
    }

    /// The next byte that is no space.
    fn next_token(&mut self) -> Option<u8> {
        self.skip_space();
        let byte = *self.text.as_bytes().get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn token(&mut self, expected: u8) -> Option<()> {
        (self.next_token()? == expected).then_some(())
    }

    /// A string without escapes.
    fn string(&mut self) -> Option<&'a str> {
        self.token(b'"')?;
        let start = self.at;
        let end = start + plain_bytes(&self.text.as_bytes()[start..]);
        self.token_at(end, b'"')?;
        self.text.get(start..end)
    }

    fn token_at(&mut self, at: usize, expected: u8) -> Option<()> {
        self.at = at + 1;
        (*self.text.as_bytes().get(at)? == expected).then_some(())
    }

    /// A whole number, neither signed nor with fraction or exponent.
    fn number(&mut self) -> Option<u64> {
        self.skip_space();
        let rest = &self.text[self.at..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        self.at += digits;
        let digits = &rest[..digits];
        if digits.len() > DIGITS_MAX || (digits.len() > 1 && digits.starts_with('0')) {
            return None;
        }
        digits.parse().ok()
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }
}

/// Bytes before the first that a string cannot hold as it is: a quote, a backslash, a control character.
fn plain_bytes(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    // The high bit of each byte that is zero; one above such a byte may be set wrongly, the lowest never is.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut words = bytes.chunks_exact(8);
    for (number, chunk) in words.by_ref().enumerate() {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        let below_space = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        let found =
            zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\'))) | below_space;
        if found != 0 {
            return number * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let rest = words.remainder();
    let ends = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    bytes.len() - rest.len() + rest.iter().position(ends).unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::ReactionInput, plain_bytes, reaction};

    fn general(json: &[u8]) -> Option<ReactionInput<'_>> {
        serde_json::from_slice(json).ok()
    }

    #[test]
    fn what_clients_send_is_read_here() {
        for json in [
            r#"{"emote":"🔥"}"#,
            r#"{"emote":"🔥","id":"01890a5d-ac96-774b-bcce-b302099a8057","user_id":"user-1"}"#,
            " { \"user_id\" : \"Zoë\",\r\n\t\"media_time_ms\": 0, \"emote\": \"😀\" } ",
            r#"{"emote":"","tapped_at":"2026-04-06T10:32:11.123+02:00","media_time_ms":9999999999999999999}"#,
        ] {
            let read = reaction(json.as_bytes());
            assert!(read.is_some() && read == general(json.as_bytes()), "{json}");
        }
    }

    #[test]
    fn everything_else_is_left_to_the_general_parser() {
        for json in [
            "",
            "{",
            "{}",
            r#"{"emote":"🔥"} x"#,
            r#"{"emote":"🔥","#,
            r#"{"emote":"🔥",}"#,
            r#"{"emote":"🔥""id":"x"}"#,
            r#"{"emote":"🔥","emote":"🔥"}"#,
            r#"{"emote":"\ud83d\udd25"}"#,
            "{\"emote\":\"a\nb\"}",
            r#"{"emote":"🔥","id":null}"#,
            r#"{"emote":"🔥","more":1}"#,
            r#"{"emote":"🔥","media_time_ms":01}"#,
            r#"{"emote":"🔥","media_time_ms":}"#,
            r#"{"emote":"🔥","media_time_ms":1.0}"#,
            r#"{"emote":"🔥","media_time_ms":-1}"#,
            r#"{"emote":"🔥","media_time_ms":18446744073709551616}"#,
            r#"["emote"]"#,
        ] {
            assert_eq!(reaction(json.as_bytes()), None, "{json}");
        }
        assert_eq!(reaction(b"{\"emote\":\"\xff\"}"), None);
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_general_parser_whenever_it_answers(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", ":", ",", "\"", "\\", " ", "\n", "\"emote\"", "\"id\"", "\"user_id\"", "\"tapped_at\"",
                    "\"media_time_ms\"", "\"🔥\"", "\"\"", "\"a long string without end\"", "null", "0", "17", "1e3", "-", "x",
                    "{\"emote\":\"🔥\"", ",\"id\":\"i\"", ",\"media_time_ms\":", "[", "]", "\u{7f}", "\u{1}",
                ]),
                0..12,
            )
        ) {
            let json = pieces.concat();
            if let Some(read) = reaction(json.as_bytes()) {
                prop_assert_eq!(Some(read), general(json.as_bytes()));
            }
        }

        #[test]
        fn any_texts_are_read_as_they_were_written(
            emote in ".{0,20}", id in prop::option::of(".{0,40}"), media in prop::option::of(any::<u64>())
        ) {
            let mut fields = serde_json::Map::new();
            fields.insert("emote".to_owned(), emote.into());
            id.map(|id| fields.insert("id".to_owned(), id.into()));
            media.map(|ms| fields.insert("media_time_ms".to_owned(), ms.into()));
            let json = serde_json::Value::from(fields).to_string();
            let read = reaction(json.as_bytes());
            let is_plain = !json.contains('\\') && media.is_none_or(|ms| ms < 10u64.pow(19));
            prop_assert_eq!(read.is_some(), is_plain);
            prop_assert!(read.is_none() || read == general(json.as_bytes()));
        }

        #[test]
        fn a_string_ends_where_the_first_special_byte_is(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let naive = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
            prop_assert_eq!(plain_bytes(&bytes), naive.unwrap_or(bytes.len()));
        }
    }
}
