//! A file that gets its name only when it is complete.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;

/// The place of a file in the making: beside the final one, so that the rename is one step. Dropped, it is deleted.
pub(super) struct PartialFile {
    path: PathBuf,
    target: PathBuf,
}

impl PartialFile {
    /// Names the place; an earlier attempt of this process id is removed.
    pub(super) fn beside(target: &Path) -> anyhow::Result<Self> {
        let name = target.file_name().context("--output: expected the name of a file")?;
        let name = format!(".{}.{}.partial", name.to_string_lossy(), std::process::id());
        let path = target.with_file_name(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("remove {}", path.display()));
            }
            _ => {}
        }
        Ok(Self { path, target: target.to_owned() })
    }

    /// Where to write.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the content durable, then gives the file its name.
    pub(super) fn complete(self) -> anyhow::Result<()> {
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&self.path, &self.target))
            .with_context(|| format!("complete {}", self.target.display()))
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // After the rename there is nothing at this place.
        drop(fs::remove_file(&self.path));
    }
}

/// Where an export's bytes go.
pub(super) enum Destination {
    /// Standard output.
    Stdout(BufWriter<io::Stdout>),
    /// A file.
    File(BufWriter<File>, PartialFile),
}

impl Destination {
    /// Opens a file, or standard output.
    pub(super) fn open(output: Option<&Path>) -> anyhow::Result<Self> {
        let Some(target) = output else { return Ok(Self::Stdout(BufWriter::new(io::stdout()))) };
        let partial = PartialFile::beside(target)?;
        let file = File::create(partial.path())
            .with_context(|| format!("create a file in the folder of {}", target.display()))?;
        Ok(Self::File(BufWriter::with_capacity(1 << 18, file), partial))
    }

    /// Everything was written.
    pub(super) fn complete(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut out) => Ok(out.flush()?),
            Self::File(out, partial) => {
                drop(out.into_inner().map_err(io::IntoInnerError::into_error)?);
                partial.complete()
            }
        }
    }
}

impl Write for Destination {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(out) => out.write(bytes),
            Self::File(out, _) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.flush(),
            Self::File(out, _) => out.flush(),
        }
    }
}

/// Whether an error is only that the reader of standard output has seen enough (`| head`).
pub(super) fn reader_left(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(broken)
}
