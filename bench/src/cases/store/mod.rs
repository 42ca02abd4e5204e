//! The control plane's records: the archive, and the places of devices.

pub(super) mod archive;
pub(super) mod leases;
