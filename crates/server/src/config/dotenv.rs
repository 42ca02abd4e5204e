//! A `.env` file in the working directory, as system A's users have it. What the real environment sets wins.

use std::{io::ErrorKind, path::Path};

use super::{ConfigError, variables};

/// A larger file is no `.env`, in bytes.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// The environment, filled up from a `.env` file: only with the source systems' variables and `EMOSTREAM__…`, so that
/// what the file holds for other programs stays theirs. A missing file is none.
pub fn with_dotenv(
    file: &Path,
    mut environment: Vec<(String, String)>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let unreadable = |reason: String| ConfigError::Unreadable(format!("{}: {reason}", file.display()));
    let text = match std::fs::read(file) {
        Ok(bytes) if bytes.len() > FILE_BYTES_MAX => {
            return Err(unreadable(format!("expected at most {FILE_BYTES_MAX} bytes")));
        }
        Ok(bytes) => String::from_utf8(bytes).map_err(|_| unreadable("expected UTF-8 text".into()))?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(environment),
        Err(error) => return Err(unreadable(error.to_string())),
    };
    let real = environment.len();
    for (name, value) in text.lines().filter_map(assignment).filter(|(name, _)| variables::is_known(name)) {
        let is_real = environment[..real].iter().any(|(set, _)| set == name);
        if is_real {
            continue;
        }
        // Of a name that stands twice, the last holds.
        match environment[real..].iter_mut().find(|(set, _)| set == name) {
            Some((_, earlier)) => *earlier = value,
            None => environment.push((name.to_owned(), value)),
        }
    }
    Ok(environment)
}

/// The name and value of a line `NAME=value`, with `export` before it or quotes around the value.
fn assignment(line: &str) -> Option<(&str, String)> {
    let line = line.trim();
    if line.starts_with('#') {
        return None;
    }
    let (name, value) = line.strip_prefix("export ").unwrap_or(line).split_once('=')?;
    let value = value.trim();
    let quoted = |quote: char| value.strip_prefix(quote).and_then(|rest| rest.split_once(quote));
    let value = match (quoted('"'), quoted('\'')) {
        (Some((inner, _)), _) | (None, Some((inner, _))) => inner,
        // Without quotes a comment begins at " #".
        (None, None) => value.split_once(" #").map_or(value, |(before, _)| before.trim_end()),
    };
    Some((name.trim(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::with_dotenv;

    #[test]
    fn the_file_fills_up_and_the_environment_wins() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(".env");
        let text = "# A's file\nEMOJI_TOPIC=first\nexport EMOJI_TOPIC=\"a # b\"  # a comment\n\
             BUFFER_FLUSH_INTERVAL=0.5 # seconds\nEMOSTREAM__LOG__DURABILITY='os'\nOTHERS_SECRET=x\nnonsense\n";
        std::fs::write(&file, text).unwrap();
        let real = vec![("BUFFER_FLUSH_INTERVAL".to_owned(), "2".to_owned())];
        let mut found = with_dotenv(&file, real).unwrap();
        found.sort();
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            found,
            [("BUFFER_FLUSH_INTERVAL", "2"), ("EMOJI_TOPIC", "a # b"), ("EMOSTREAM__LOG__DURABILITY", "os")]
        );
        assert_eq!(with_dotenv(&dir.path().join("none"), Vec::new()).unwrap(), []);
        std::fs::write(&file, [0xff, 0xfe]).unwrap();
        assert!(with_dotenv(&file, Vec::new()).is_err());
    }
}
