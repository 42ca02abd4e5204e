//! Control: everything with an account or a memory of its own. It alone talks to SQL.

pub mod exports;
