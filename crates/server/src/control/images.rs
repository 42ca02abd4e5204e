//! Images of custom emotes: what they are is read from their bytes, never from what a client says of them.
//!
//! Formats: PNG (W3C, 3rd edition, §5), GIF89a (CompuServe, 1990), WebP container (RFC 9649). Only the frame of a file is
//! looked at: which format, how large, and that nothing follows its end, so that no other kind of file hides behind it.

/// Bytes of an image: a button's picture, loaded by every viewer.
pub const IMAGE_BYTES_MAX: usize = 256 * 1024;

/// Pixels of a side.
pub const IMAGE_SIDE_MAX: u32 = 1_024;

/// A recognised image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Its media type.
    pub media_type: &'static str,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// Why bytes are not taken as an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// None of the three formats.
    #[error("expected a PNG, WebP or GIF image")]
    Unknown,
    /// One of the formats, but not a whole file of it and nothing else.
    #[error("expected a whole {0} image and nothing after it")]
    Broken(&'static str),
    /// Too many pixels, or none.
    #[error("expected an image of 1 to {IMAGE_SIDE_MAX} pixels a side, got {0} x {1}")]
    Size(u32, u32),
}

/// Recognises an image.
pub fn sniff(bytes: &[u8]) -> Result<Image, ImageError> {
    let (media_type, kind, size) = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        ("image/png", "PNG", png(bytes))
    } else if bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a") {
        ("image/gif", "GIF", gif(bytes))
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        ("image/webp", "WebP", webp(bytes))
    } else {
        return Err(ImageError::Unknown);
    };
    let (width, height) = size.ok_or(ImageError::Broken(kind))?;
    let is_fine = |side: u32| (1..=IMAGE_SIDE_MAX).contains(&side);
    if !(is_fine(width) && is_fine(height)) {
        return Err(ImageError::Size(width, height));
    }
    Ok(Image { media_type, width, height })
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn le16(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?)))
}

fn le24(bytes: &[u8], at: usize) -> Option<u32> {
    Some(le16(bytes, at)? | u32::from(*bytes.get(at + 2)?) << 16)
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Chunks from IHDR to IEND, each with its length, and nothing after.
fn png(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(12..16)? != b"IHDR" || be32(bytes, 8)? != 13 {
        return None;
    }
    let size = (be32(bytes, 16)?, be32(bytes, 20)?);
    let mut at = 8;
    let mut has_data = false;
    loop {
        let length = be32(bytes, at)? as usize;
        let kind = bytes.get(at + 4..at + 8)?;
        has_data |= kind == b"IDAT";
        let end = at.checked_add(12)?.checked_add(length)?;
        bytes.get(at..end)?;
        if kind == b"IEND" {
            return (has_data && length == 0 && end == bytes.len()).then_some(size);
        }
        at = end;
    }
}

/// Blocks up to the trailer, and nothing after.
fn gif(bytes: &[u8]) -> Option<(u32, u32)> {
    let size = (le16(bytes, 6)?, le16(bytes, 8)?);
    let table = |flags: u8| if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) };
    let mut at = 13 + table(*bytes.get(10)?);
    let mut has_image = false;
    loop {
        match *bytes.get(at)? {
            0x3b => return (has_image && at + 1 == bytes.len()).then_some(size),
            0x21 => at = sub_blocks(bytes, at + 2)?,
            0x2c => {
                has_image = true;
                let flags = *bytes.get(at + 9)?;
                at = sub_blocks(bytes, at + 10 + table(flags) + 1)?;
            }
            _ => return None,
        }
    }
}

fn sub_blocks(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *bytes.get(at)? {
            0 => return Some(at + 1),
            length => at += 1 + usize::from(length),
        }
    }
}

/// A RIFF container of exactly the file's length, whose first chunk says how large the picture is.
fn webp(bytes: &[u8]) -> Option<(u32, u32)> {
    if le32(bytes, 4)? as usize + 8 != bytes.len() {
        return None;
    }
    let length = le32(bytes, 16)? as usize;
    bytes.get(20..20usize.checked_add(length)?)?;
    match bytes.get(12..16)? {
        b"VP8 " if bytes.get(23..26)? == b"\x9d\x01\x2a" => {
            Some((le16(bytes, 26)? & 0x3fff, le16(bytes, 28)? & 0x3fff))
        }
        b"VP8L" if *bytes.get(20)? == 0x2f => {
            let packed = le32(bytes, 21)?;
            Some(((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
        }
        b"VP8X" => Some((le24(bytes, 24)? + 1, le24(bytes, 27)? + 1)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::{IMAGE_SIDE_MAX, Image, ImageError, sniff};

    /// One transparent pixel, as encoders write it.
    const PNG: &[u8] = &[
        137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0,
        31, 21, 196, 137, 0, 0, 0, 11, 73, 68, 65, 84, 120, 156, 99, 96, 0, 2, 0, 0, 5, 0, 1, 122, 94, 171,
        63, 0, 0, 0, 0, 73, 69, 78, 68, 174, 66, 96, 130,
    ];
    const GIF: &[u8] = &[
        71, 73, 70, 56, 57, 97, 1, 0, 1, 0, 128, 0, 0, 0, 0, 0, 255, 255, 255, 33, 249, 4, 1, 0, 0, 0, 0, 44,
        0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 1, 68, 0, 59,
    ];
    const WEBP: &[u8] = &[
        82, 73, 70, 70, 26, 0, 0, 0, 87, 69, 66, 80, 86, 80, 56, 76, 13, 0, 0, 0, 47, 0, 0, 0, 16, 7, 16, 17,
        17, 136, 136, 254, 7, 0,
    ];

    #[test]
    fn the_bytes_say_what_an_image_is() {
        for (bytes, media_type) in [(PNG, "image/png"), (GIF, "image/gif"), (WEBP, "image/webp")] {
            assert_eq!(sniff(bytes), Ok(Image { media_type, width: 1, height: 1 }));
            for cut in 0..bytes.len() {
                assert!(sniff(&bytes[..cut]).is_err(), "{media_type} cut at {cut}");
            }
            let polyglot = [bytes, b"<script>alert(1)</script>"].concat();
            assert!(matches!(sniff(&polyglot), Err(ImageError::Broken(_))), "{media_type}");
        }
        for other in
            [&b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..], b"\xff\xd8\xff\xe0", b"", b"RIFF1234WAVE"]
        {
            assert_eq!(sniff(other), Err(ImageError::Unknown));
        }
    }

    #[test]
    fn an_image_has_a_sensible_size() {
        let mut wide = PNG.to_vec();
        wide[18..20].copy_from_slice(&[8, 0]);
        assert_eq!(sniff(&wide), Err(ImageError::Size(2_048, 1)));
        let mut none = GIF.to_vec();
        none[6] = 0;
        assert_eq!(sniff(&none), Err(ImageError::Size(0, 1)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged(which in 0..3usize, damage in prop::collection::vec((any::<usize>(), any::<u8>()), 0..8)) {
            let mut bytes = [PNG, GIF, WEBP][which].to_vec();
            for (at, byte) in damage {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            if let Ok(image) = sniff(&bytes) {
                assert!([image.width, image.height].iter().all(|side| (1..=IMAGE_SIDE_MAX).contains(side)));
            }
        }
    }
}
