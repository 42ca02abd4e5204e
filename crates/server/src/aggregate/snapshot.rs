//! The snapshot file: how far counting had come, and its state there. Written whole, checked by CRC, kept twice.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use emostream_log::Offset;
use emostream_protocol::codec::{Reader, Writer};

use crate::durable;

const VERSION: u8 = 1;
const PARTITIONS_MAX: usize = 65_536;

/// State of counting after exactly these records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The log's generation.
    pub(super) generation: [u8; 16],
    /// For each raw partition, where to go on and where a replay for ids begins.
    pub(super) partitions: Vec<Place>,
    /// End of the output when all rows of this state were in it.
    pub(super) output_end: Offset,
    /// The aggregate's own encoding of its state.
    pub(super) state: Vec<u8>,
}

/// A raw partition's places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The next record to count.
    pub(super) next: Offset,
    /// The first record whose ids are still remembered.
    pub(super) restore: Offset,
}

impl Snapshot {
    fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::with_capacity(self.state.len() + 64);
        writer.u8(VERSION);
        writer.raw(&self.generation);
        writer.len(self.partitions.len());
        for place in &self.partitions {
            writer.varint(place.next);
            writer.varint(place.restore);
        }
        writer.varint(self.output_end);
        writer.raw(&self.state);
        let crc = crc32c::crc32c(writer.as_slice());
        writer.raw(&crc.to_le_bytes());
        writer.into_vec()
    }

    fn decode(bytes: &[u8]) -> anyhow::Result<Self> {
        let Some((body, crc)) = bytes.split_last_chunk::<4>() else {
            bail!("file of {} bytes is no snapshot", bytes.len())
        };
        if crc32c::crc32c(body) != u32::from_le_bytes(*crc) {
            bail!("checksum does not fit");
        }
        let mut reader = Reader::new(body);
        let version = reader.u8()?;
        if version != VERSION {
            bail!("version {version} is unknown, expected {VERSION}");
        }
        let generation = reader.array()?;
        let partitions = (0..reader.len(PARTITIONS_MAX)?)
            .map(|_| Ok(Place { next: reader.varint()?, restore: reader.varint()? }))
            .collect::<anyhow::Result<_>>()?;
        let output_end = reader.varint()?;
        Ok(Self { generation, partitions, output_end, state: reader.rest().to_vec() })
    }
}

/// Where snapshots are kept: the newest and the one before it.
#[derive(Debug, Clone)]
pub(super) struct Files {
    newest: PathBuf,
    previous: PathBuf,
    writing: PathBuf,
    rejected: PathBuf,
    dir: PathBuf,
}

/// What was found: snapshots that can be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Loaded {
    pub(super) newest: Option<Snapshot>,
    pub(super) previous: Option<Snapshot>,
}

impl Files {
    pub(super) fn new(dir: &Path) -> anyhow::Result<Self> {
        durable::create_dir(dir).with_context(|| format!("create {}", dir.display()))?;
        Ok(Self {
            newest: dir.join("snapshot"),
            previous: dir.join("snapshot.previous"),
            writing: dir.join("snapshot.new"),
            rejected: dir.join("snapshot.rejected"),
            dir: dir.to_owned(),
        })
    }

    /// Stores a snapshot; durable when it returns. A crash in between leaves the newest or the previous one whole.
    /// The newest one so far becomes the previous one if it is good; one that counting could not go on from is kept
    /// aside, and leaves the previous one in its place.
    pub(super) fn store(&self, snapshot: &Snapshot, newest_is_good: bool) -> anyhow::Result<()> {
        let store = || -> std::io::Result<()> {
            let mut file = fs::File::create(&self.writing)?;
            file.write_all(&snapshot.encode())?;
            file.sync_all()?;
            if self.newest.exists() {
                let aside = if newest_is_good { &self.previous } else { &self.rejected };
                fs::rename(&self.newest, aside)?;
            }
            fs::rename(&self.writing, &self.newest)?;
            durable::sync_dir(&self.dir)
        };
        store().with_context(|| format!("write snapshot {}", self.newest.display()))
    }

    /// Snapshots that can be read. What cannot be read is reported.
    pub(super) fn load(&self) -> Loaded {
        Loaded { newest: read(&self.newest), previous: read(&self.previous) }
    }
}

fn read(path: &Path) -> Option<Snapshot> {
    let found = match fs::read(path) {
        Ok(bytes) => Snapshot::decode(&bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => Err(error.into()),
    };
    found.inspect_err(|error| tracing::error!(path = %path.display(), %error, "snapshot cannot be read")).ok()
}

#[cfg(test)]
mod tests {
    use super::{Files, Loaded, Place, Snapshot};

    fn snapshot(next: u64) -> Snapshot {
        let partitions = vec![Place { next, restore: 2 }, Place { next: 5, restore: 0 }];
        Snapshot { generation: [3; 16], partitions, output_end: 9, state: vec![1, 2, 3] }
    }

    #[test]
    fn the_previous_snapshot_stands_in_for_a_damaged_one() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path()).unwrap();
        assert_eq!(files.load(), Loaded::default());
        files.store(&snapshot(7), false).unwrap();
        files.store(&snapshot(8), true).unwrap();
        assert_eq!(files.load(), Loaded { newest: Some(snapshot(8)), previous: Some(snapshot(7)) });
        damage(&files);
        assert_eq!(files.load(), Loaded { newest: None, previous: Some(snapshot(7)) });
    }

    #[test]
    fn a_damaged_snapshot_never_takes_the_place_of_a_good_one() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path()).unwrap();
        files.store(&snapshot(7), false).unwrap();
        files.store(&snapshot(8), true).unwrap();
        damage(&files);
        files.store(&snapshot(9), false).unwrap();
        assert_eq!(files.load(), Loaded { newest: Some(snapshot(9)), previous: Some(snapshot(7)) });
        assert!(files.rejected.exists(), "kept for whoever wants to know");
    }

    fn damage(files: &Files) {
        let mut bytes = std::fs::read(&files.newest).unwrap();
        bytes[20] ^= 1;
        std::fs::write(&files.newest, bytes).unwrap();
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_decoded_or_refused(bytes: Vec<u8>) {
            let _decoded = Snapshot::decode(&bytes).is_ok();
        }
    }
}
