//! The words that knobs take, one enum per open question.

use super::Setting;

macro_rules! choices {
    ($( $(#[$doc:meta])+ $name:ident { $( $(#[$arm:meta])+ $variant:ident = $word:literal, )+ } )+) => { $(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum $name { $( $(#[$arm])+ $variant, )+ }

        impl Setting for $name {
            fn read(text: &str) -> Option<Self> {
                match text {
                    $( $word => Some(Self::$variant), )+
                    _ => None,
                }
            }
            fn show(&self) -> serde_json::Value {
                match self { $( Self::$variant => $word.into(), )+ }
            }
            fn accepted() -> String {
                [$( $word, )+].join(" | ")
            }
        }
    )+ };
}

choices! {
    /// A thing the cloud does or does not do.
    Switch {
        /// It does not.
        Off = "off",
        /// It does.
        On = "on",
    }
    /// What becomes of `textures/a.png` as a part's file name.
    PartPath {
        /// It is the file's name.
        Keep = "keep",
        /// The file is called `a.png`; two files of one upload that are then called alike are refused with 400.
        Strip = "strip",
        /// The file is called `a.png`, and others of the upload may be called so too.
        Cut = "cut",
        /// The upload is refused with 400.
        Reject = "reject",
    }
    /// A second upload under a name that the folder holds.
    SameName {
        /// A second source file of that name.
        Duplicate = "duplicate",
        /// New content under the old id.
        ReplaceSameId = "replace_same_id",
        /// The old source file goes, a new one comes.
        ReplaceNewId = "replace_new_id",
        /// The upload is refused with 409.
        Conflict = "conflict",
    }
    /// The asset ids of a second upload under the same name.
    AssetIds {
        /// New ones.
        New = "new",
        /// Those of the first.
        Stable = "stable",
    }
    /// The files of an upload whose task is rejected.
    LeftFiles {
        /// They stay in the folder.
        Keep = "keep",
        /// They are gone.
        Drop = "drop",
    }
    /// Two folders of one name under one parent.
    Siblings {
        /// Both are made.
        Allow = "allow",
        /// The second is refused with 409.
        Reject = "reject",
    }
    /// How names are compared.
    NameCase {
        /// `A` and `a` are two names.
        Sensitive = "sensitive",
        /// `A` and `a` are one name.
        Insensitive = "insensitive",
    }
    /// What `GET /folders` lists.
    FolderShape {
        /// Every folder within reach, one after another.
        Flat = "flat",
        /// The topmost within reach, the others inside them.
        Nested = "nested",
        /// The topmost within reach only.
        Roots = "roots",
    }
    /// What `GET /folders/{id}/folders` lists.
    FolderDepth {
        /// The children.
        Direct = "direct",
        /// Everything below, flat.
        Recursive = "recursive",
    }
    /// The order of a list.
    Sorting {
        /// Oldest first.
        Insertion = "insertion",
        /// Newest first.
        Newest = "newest",
        /// An order of its own that stays the same.
        Random = "random",
        /// Another order at every request, so that pages do not fit together.
        Unstable = "unstable",
    }
    /// What `offset` counts in an asset list.
    AssetPaging {
        /// The assets of all types, one after another.
        Global = "global",
        /// Each type for itself.
        PerType = "per_type",
    }
    /// How a filter on a name compares.
    NameFilter {
        /// The whole name.
        Exact = "exact",
        /// A part of the name.
        Substring = "substring",
        /// Not at all: everything matches.
        Ignored = "ignored",
    }
    /// Which `ttl` is understood.
    Ttl {
        /// `12h` only.
        Hours = "hours",
        /// `30s`, `15m`, `12h`, `2d`.
        Units = "units",
    }
    /// What a new token's `expires_on` says.
    Expiry {
        /// Seconds since the epoch.
        Seconds = "s",
        /// Milliseconds since the epoch.
        Milliseconds = "ms",
        /// Seconds since the epoch of a clock that is six hours behind.
        Skewed = "skewed",
    }
    /// When an upload's token is looked at again.
    LateExpiry {
        /// Only at the start.
        Never = "never",
        /// At the end of the body too.
        Checked = "checked",
        /// Every upload is refused with 401 at the end of its body.
        Always = "always",
    }
    /// The scale of `progress`.
    Progress {
        /// 0 to 1.
        Fraction = "fraction",
        /// 0 to 100.
        Percent = "percent",
        /// 0 to 1, going back at times.
        NonMonotonic = "non_monotonic",
    }
    /// The end of an upload task.
    TaskEnd {
        /// By what was uploaded: most succeed.
        ByContent = "by_content",
        /// `success`, whatever was uploaded.
        Success = "success",
        /// `error`.
        Error = "error",
        /// `rejected`.
        Rejected = "rejected",
        /// None: it converts for ever.
        Never = "never",
        /// A status that is in no document.
        Unknown = "unknown_status",
    }
    /// The status for a folder that is not empty.
    NonEmpty {
        /// 400.
        Malformed = "400",
        /// 403.
        Forbidden = "403",
        /// 409.
        Conflict = "409",
    }
    /// Deleting what is in use.
    Clash {
        /// Refused with 409.
        Refuse = "refuse",
        /// What uses it goes too.
        Cascade = "cascade",
    }
    /// A route for user tokens.
    Pinned {
        /// Open.
        Allow = "allow",
        /// 403: for api_keys only.
        Forbid = "403",
    }
    /// Who an api_key acts as.
    Uploader {
        /// `uploaded_by` is null.
        Nobody = "null",
        /// A user that stands for the environment.
        Environment = "env_user",
    }
}
