//! Consumer groups and writer epochs on disk: one small file each, replaced and synced as a whole.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    disk::Disk,
    files::stored::{self, Fields, Keep, Magic, Parser, TEMPORARY},
};
use crate::{
    Committed, LogError, TopicPartition,
    fencing::EpochStore,
    groups::{GroupStore, SavedGroup},
};

const GROUP_MAGIC: Magic = *b"EMOGRUP";
const EPOCH_MAGIC: Magic = *b"EMOEPOC";
const GROUP_ENDING: &str = ".group";
const EPOCH_ENDING: &str = ".epoch";

/// Name of the folder.
pub(crate) const FOLDER: &str = "state";

/// The folder of small files.
#[derive(Clone)]
pub(crate) struct StateFolder {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
}

impl StateFolder {
    /// Everything stored, leftovers of interrupted replacements removed.
    pub(crate) fn load(&self) -> Result<Stored, LogError> {
        // A file that replaced another just before a crash may have its name only in memory: what is read here
        // must not change back.
        self.disk.sync_dir(&self.dir).map_err(|error| LogError::io("sync", &self.dir, &error))?;
        let io = |error| LogError::io("list", &self.dir, &error);
        let mut stored = Stored::default();
        for name in self.disk.list(&self.dir).map_err(io)? {
            let path = self.dir.join(&name);
            if name.ends_with(TEMPORARY) {
                self.disk.remove(&path).map_err(|error| LogError::io("remove", &path, &error))?;
            } else if let Some(group) = name.strip_suffix(GROUP_ENDING) {
                stored.groups.push((group.to_owned(), self.read(&path, GROUP_MAGIC, parse_group)?));
            } else if let Some(owner) = name.strip_suffix(EPOCH_ENDING) {
                stored.epochs.push((owner.to_owned(), self.read(&path, EPOCH_MAGIC, Parser::number)?));
            }
        }
        Ok(stored)
    }

    /// What a group has stored, without changing anything; `None` for one that never has.
    pub(crate) fn look(&self, group: &str) -> Result<Option<SavedGroup>, LogError> {
        let path = self.dir.join(format!("{group}{GROUP_ENDING}"));
        let Some(mut parser) = stored::load(&*self.disk, &path, GROUP_MAGIC)? else { return Ok(None) };
        let parsed = parse_group(&mut parser);
        parsed.map(Some).ok_or_else(|| LogError::Format(format!("{} ends early", path.display())))
    }

    fn read<T>(
        &self,
        path: &Path,
        magic: Magic,
        parse: impl Fn(&mut Parser) -> Option<T>,
    ) -> Result<T, LogError> {
        let mut parser = stored::load(&*self.disk, path, magic)?;
        let parsed = parser.as_mut().and_then(parse);
        parsed.ok_or_else(|| LogError::Format(format!("{} ends early", path.display())))
    }
}

/// What the folder held.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) groups: Vec<(String, SavedGroup)>,
    pub(crate) epochs: Vec<(String, u64)>,
}

impl GroupStore for StateFolder {
    fn save(&self, group: &str, saved: &SavedGroup) -> Result<(), LogError> {
        let mut fields = Fields::default();
        fields.number(saved.generation).number(saved.commits.len() as u64);
        for (of, committed) in &saved.commits {
            fields.bytes(of.topic.as_bytes()).number(u64::from(of.partition));
            fields.number(committed.offset).bytes(&committed.metadata);
        }
        let name = format!("{group}{GROUP_ENDING}");
        stored::replace(&*self.disk, &self.dir, &name, GROUP_MAGIC, &fields, Keep::Durable)
    }
}

impl EpochStore for StateFolder {
    fn save(&self, owner: &str, epoch: u64) -> Result<(), LogError> {
        let mut fields = Fields::default();
        fields.number(epoch);
        let name = format!("{owner}{EPOCH_ENDING}");
        stored::replace(&*self.disk, &self.dir, &name, EPOCH_MAGIC, &fields, Keep::Durable)
    }
}

fn parse_group(parser: &mut Parser) -> Option<SavedGroup> {
    let mut saved = SavedGroup { generation: parser.number()?, ..SavedGroup::default() };
    for _ in 0..parser.number()? {
        let topic = parser.text()?;
        let of = TopicPartition::new(topic, u32::try_from(parser.number()?).ok()?);
        saved.commits.insert(of, Committed { offset: parser.number()?, metadata: parser.bytes()? });
    }
    Some(saved)
}
