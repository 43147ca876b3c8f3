//! Names given by others: ids that the cloud issued, and the few that we issue ourselves.
//!
//! Each is a newtype over a UUID, so that a folder's id cannot be passed where an upload task's id is wanted, and so that
//! nothing a server says becomes a path or a URL segment without having been parsed first.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID that is known to name this kind of thing.
            #[must_use]
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The bare UUID, for a door that writes it somewhere.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                Uuid::try_parse(text).map(Self).map_err(|_| Malformed { kind: stringify!($name) })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.0.as_hyphenated())
            }
        }
    )*};
}

ids! {
    /// A folder of the 3dverse environment; issued by the cloud when the folder is made.
    FolderId,
    /// A source file in a folder; issued by the cloud and learnt only after the upload was taken in.
    SourceFileId,
    /// What one upload request became in the cloud; issued by the cloud in the answer to that request, if it is not lost.
    UploadTaskId,
    /// What a conversion made of a source file (a scene, a mesh, a texture …); issued by the cloud.
    AssetId,
    /// A user of the environment, a person or a workstation; issued by the cloud.
    UserId,
    /// A rendering session on a scene; issued by the cloud when the session is opened.
    SessionId,
    /// Somebody in a rendering session; issued by the cloud when they join.
    ClientId,
    /// One try at sending one bundle; issued by us before the request, so that a crash leaves a question with a name.
    AttemptId,
}

/// A text that should have been a UUID and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to read a {kind}: not a UUID")]
pub struct Malformed {
    kind: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_being_written_and_read() {
        let id = FolderId::from_uuid(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse::<FolderId>(), Ok(id));
    }

    #[test]
    fn n15_a_text_that_climbs_out_of_a_folder_is_no_id() {
        assert!("../../etc/passwd".parse::<SourceFileId>().is_err());
        assert!("".parse::<SourceFileId>().is_err());
    }
}
