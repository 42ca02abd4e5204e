//! The source systems' clients against the binary: each test is named after its row of the compatibility table.

mod presets;
