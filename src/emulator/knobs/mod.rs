//! What is unknown about the real cloud, as switches: versync is proven against each answer.
//!
//! One knob per open question of the API. A knob is a word from a short list, a number or a text, has a default, and
//! is set by name (command line, `PUT /_emulator/knobs`) or through the struct. This file must not know what the
//! knobs do.

pub mod choice;

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use self::choice::{
    AssetIds, AssetPaging, Clash, Expiry, FolderDepth, FolderShape, LateExpiry, LeftFiles, NameCase,
    NameFilter, NonEmpty, PartPath, Pinned, Progress, SameName, Siblings, Sorting, Switch, TaskEnd, Ttl,
    Uploader,
};

/// A knob that could not be set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KnobError {
    /// There is no knob of this name.
    #[error("no knob is called {name:?}; there are {}", Knobs::names().join(", "))]
    Name {
        /// The name that was asked for.
        name: String,
    },
    /// The knob does not take this value.
    #[error("the knob {name} does not take {value:?}; it takes {accepted}")]
    Value {
        /// The knob.
        name: String,
        /// What it was to be set to.
        value: String,
        /// What it takes.
        accepted: String,
    },
}

/// What one knob may be set to.
pub(super) trait Setting: Sized {
    /// Reads a value as a person writes it.
    fn read(text: &str) -> Option<Self>;
    /// The value, for JSON.
    fn show(&self) -> serde_json::Value;
    /// The values that [`Setting::read`] takes.
    fn accepted() -> String;
}

impl Setting for u64 {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> serde_json::Value {
        (*self).into()
    }
    fn accepted() -> String {
        "a whole number, 0 or more".into()
    }
}

impl Setting for i64 {
    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
    fn show(&self) -> serde_json::Value {
        (*self).into()
    }
    fn accepted() -> String {
        "a whole number".into()
    }
}

impl Setting for String {
    fn read(text: &str) -> Option<Self> {
        Some(text.into())
    }
    fn show(&self) -> serde_json::Value {
        self.as_str().into()
    }
    fn accepted() -> String {
        "a text".into()
    }
}

macro_rules! knobs {
    ($( $(#[$doc:meta])+ $name:ident: $kind:ty = $default:expr, )+) => {
        /// All knobs. A number of 0 and an empty text mean "off" unless the knob says otherwise.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Knobs { $( $(#[$doc])+ pub $name: $kind, )+ }

        impl Default for Knobs {
            fn default() -> Self {
                Self { $( $name: $default, )+ }
            }
        }

        impl Knobs {
            /// The names that [`Knobs::set`] takes.
            pub fn names() -> Vec<&'static str> {
                vec![$( stringify!($name), )+]
            }

            /// What each of them takes, in words.
            pub fn accepted() -> Vec<(&'static str, String)> {
                vec![$( (stringify!($name), <$kind as Setting>::accepted()), )+]
            }

            /// Sets one knob by its name.
            ///
            /// # Errors
            /// Names that do not exist and values that the knob does not take; the error lists what there is.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), KnobError> {
                match name {
                    $( stringify!($name) => match <$kind as Setting>::read(value) {
                        Some(value) => { self.$name = value; Ok(()) }
                        None => Err(KnobError::Value {
                            name: name.into(), value: value.into(), accepted: <$kind as Setting>::accepted(),
                        }),
                    }, )+
                    _ => Err(KnobError::Name { name: name.into() }),
                }
            }

            /// Every knob with its value.
            fn shown(&self) -> BTreeMap<&'static str, serde_json::Value> {
                BTreeMap::from([$( (stringify!($name), self.$name.show()), )+])
            }
        }
    };
}

impl Serialize for Knobs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.shown())
    }
}

knobs! {
    /// The only accepted name of the form field that carries a file; empty: any name.
    upload_field: String = String::new(),
    /// What becomes of a path in a part's file name.
    part_path: PartPath = PartPath::Keep,
    /// What an upload does to a source file of the same name in the same folder.
    same_name: SameName = SameName::Duplicate,
    /// Which ids the assets of a file get that was uploaded before under the same name in the same folder.
    asset_ids: AssetIds = AssetIds::New,
    /// Whether equal bytes in one folder become one source file.
    dedup: Switch = Switch::Off,
    /// Whether the answer to an upload leaves `upload_task_id` out.
    omit_upload_task_id: Switch = Switch::Off,
    /// How long a new source file is missing from listings, and a deleted one still shows, in milliseconds.
    listing_lag_ms: u64 = 0,
    /// Whether companions (mtl, bin, images beside a model) get conversion tasks of their own.
    companion_tasks: Switch = Switch::Off,
    /// Whether the files of a rejected upload stay in their folder.
    rejected_files: LeftFiles = LeftFiles::Keep,
    /// Whether two folders of one parent may have one name.
    sibling_names: Siblings = Siblings::Allow,
    /// Characters that no name of a folder or file may contain, besides control characters.
    forbidden_characters: String = String::new(),
    /// Whether names that differ only in case are the same name.
    name_case: NameCase = NameCase::Sensitive,
    /// The longest name in bytes.
    max_name_bytes: u64 = 255,
    /// What `GET /folders` answers.
    folders: FolderShape = FolderShape::Flat,
    /// What `GET /folders/{id}/folders` answers.
    subfolders: FolderDepth = FolderDepth::Direct,
    /// The order of lists.
    order: Sorting = Sorting::Insertion,
    /// Whether a foreign file is inserted at the front of a source-file list while it is being paged.
    insert_during_paging: Switch = Switch::Off,
    /// The largest page; larger limits are cut down to it.
    page_max: u64 = 100,
    /// Whether `offset` counts over all asset types together or in each type.
    asset_paging: AssetPaging = AssetPaging::Global,
    /// How the filters on names compare.
    name_filter: NameFilter = NameFilter::Exact,
    /// More requests per second than this are refused with 429 and `Retry-After: 1`.
    requests_per_second: u64 = 0,
    /// Larger uploads are refused with 413.
    max_upload_bytes: u64 = 0,
    /// Whether an upload is refused as soon as it can be, with its body unread. The connection is then closed under
    /// the client's hands, which may or may not see the answer. Otherwise the body is read to its end first.
    early_refusals: Switch = Switch::Off,
    /// The server stops reading an upload after this many bytes and never answers.
    stall_after_bytes: u64 = 0,
    /// The server reads uploads no faster than this many bytes per second.
    upload_bytes_per_second: u64 = 0,
    /// The server resets the connection of an upload after this many bytes.
    cut_after_bytes: u64 = 0,
    /// Which spellings of `ttl` are understood.
    ttl: Ttl = Ttl::Hours,
    /// The longest `ttl` in hours.
    max_ttl_hours: u64 = 24 * 30,
    /// What `expires_on` means.
    expires_on: Expiry = Expiry::Seconds,
    /// Whether a user's older tokens die when a new one is minted.
    mint_revokes: Switch = Switch::Off,
    /// Whether an upload's token is looked at again when its body has been read.
    late_expiry: LateExpiry = LateExpiry::Never,
    /// How long a new id answers 404 (folders, source files, upload tasks), in milliseconds.
    id_delay_ms: u64 = 0,
    /// How long a new grant or token is not yet known, in milliseconds.
    grant_delay_ms: u64 = 0,
    /// How long a new folder or upload task is missing from lists, in milliseconds.
    list_delay_ms: u64 = 0,
    /// The scale of `progress`.
    progress: Progress = Progress::Fraction,
    /// How upload tasks end; decided when the upload is stored.
    task_end: TaskEnd = TaskEnd::ByContent,
    /// How long an upload takes to convert, in milliseconds; decided when the upload is stored.
    conversion_ms: u64 = 300,
    /// How long a finished upload task is kept, in milliseconds.
    task_retention_ms: u64 = 0,
    /// The status that refuses to delete a folder that is not empty.
    non_empty_folder: NonEmpty = NonEmpty::Conflict,
    /// What deleting an asset does that another asset uses.
    referenced_assets: Clash = Clash::Refuse,
    /// Whether user tokens may read upload tasks.
    task_routes: Pinned = Pinned::Allow,
    /// Whether a grant on a folder reaches its subfolders.
    grant_inheritance: Switch = Switch::On,
    /// Who has uploaded what an api_key uploads. The documented form wants a user.
    api_key_uploader: Uploader = Uploader::Environment,
    /// Downloads are redirected to this URL with the source file's id appended.
    download_redirect: String = String::new(),
    /// Whether one byte in the middle of every download is wrong.
    corrupt_downloads: Switch = Switch::Off,
    /// Added to the `size` that is told of every source file.
    size_error: i64 = 0,
    /// Added to every time that the API tells, in seconds; the `Date` header too.
    clock_skew_s: i64 = 0,
    /// Whether headers with an underscore are dropped, as nginx does by default.
    drop_underscore_headers: Switch = Switch::Off,
    /// Whether answers carry a field that is in no document.
    extra_fields: Switch = Switch::Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_knob_can_be_set_to_its_own_value() {
        let mut knobs = Knobs::default();
        for (name, value) in Knobs::default().shown() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            knobs.set(name, &text).unwrap();
        }
        assert_eq!(knobs, Knobs::default());
        assert_eq!(Knobs::names().len(), knobs.shown().len());
    }

    #[test]
    fn an_unknown_knob_or_value_is_refused_with_what_there_is() {
        let mut knobs = Knobs::default();
        let name = knobs.set("same_nam", "conflict").unwrap_err().to_string();
        assert!(name.contains("same_name,"), "{name}");
        let value = knobs.set("same_name", "merge").unwrap_err().to_string();
        assert!(value.contains("replace_same_id"), "{value}");
        assert!(knobs.set("page_max", "-1").is_err());
        assert_eq!(knobs, Knobs::default());
    }
}
