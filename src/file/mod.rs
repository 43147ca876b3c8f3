//! The words for what we carry: a file or bundle, its bytes, what the disk shows of it and what the ledger believes of it.
//!
//! Nothing here does I/O, waits, or knows a format, a table or a URL.

pub mod content;
pub mod entry;
pub mod key;
pub mod part;
pub mod sighting;
pub mod spelling;
pub mod state;

pub use content::{Content, ContentHash, Fingerprint, Version};
pub use entry::{Attempt, Current, Entry, Intent};
pub use key::{Key, MappingName, RelPath, shown};
pub use part::{Part, PartName};
pub use sighting::Sighting;
pub use state::State;
