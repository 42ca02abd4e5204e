//! The control plane's records, on SQLite or PostgreSQL: users, channels, settings, custom emotes,
//! clusters and device leases, and the archive of windows and moments.
//!
//! A [`Store`] is cheap to clone and shared by every task. What a method answered is durable. Time is a parameter
//! (`now_us`, microseconds since the Unix epoch), ids are given by the caller: the store reads no clock and draws no
//! random numbers. One SQL text serves both databases ([`sql`]); a change of records is one transaction, and changes
//! of one area wait for each other ([`database::Area`]), so that a check and what it allows are one step.

mod archive;
mod channels;
mod clusters;
mod database;
mod emotes;
mod error;
mod leases;
mod limits;
mod migrate;
mod page;
mod settings;
mod users;

use database::sql;

pub use archive::{
    ArchiveBatch, ArchiveCursor, ArchiveQuery, ArchiveSource, Archived, MomentEdit, MomentRecord, Order,
    WindowRecord,
};
pub use channels::{ChannelChange, ChannelRecord, NewChannel};
pub use clusters::{Cluster, EdgeRecord};
pub use database::{
    claim::Claim,
    open::{Store, StoreOptions},
    schema::Schema,
};
pub use emotes::{EmoteImage, EmoteInfo, NewEmote};
pub use error::StoreError;
pub use leases::{Lease, LeaseTimes, NewLease, Reserved, TierLimits, check_report};
pub use limits::{
    ARCHIVE_BATCH_ROWS_MAX, AUTHOR_CHARS_MAX, CLUSTERS_MAX, CUSTOM_EMOTES_PER_CHANNEL_MAX,
    DEVICES_PER_USER_MAX, DOCUMENT_BYTES_MAX, EDGES_MAX, EMOTE_IMAGE_BYTES_MAX, ENDED_LEASES_PER_USER_MAX,
    LEASES_PER_GROUP_MAX, MEDIA_TYPE_CHARS_MAX, NAME_CHARS_MAX, NOTE_CHARS_MAX, PAGE_LIMIT_MAX,
    PASSWORD_HASH_BYTES_MAX, REPORTS_PER_GROUP_MAX, RULE_CHARS_MAX, SEED_HASH_CHARS_MAX, TITLE_CHARS_MAX,
    TOPIC_CHARS_MAX, URL_CHARS_MAX,
};
pub use page::Page;
pub use settings::{NewSettings, SettingsVersion};
pub use users::{NewUser, ParseRoleError, Role, User, UserId, check_new_name, look_of};
