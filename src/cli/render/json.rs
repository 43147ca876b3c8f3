//! An entry of the ledger as a JSON object. The fields are documented where they are made; they are only ever added to.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::file::entry::{Asset, RemoteCopy, RemotePart, Role, Title};
use crate::file::{Attempt, Entry, Intent, Key, Part, RelPath};
use crate::timestamp::Timestamp;

/// What the ledger believes of a bundle.
///
/// * `mapping`, `path`: which bundle. `path_bytes` in base 16 comes with a path whose text is escaped.
/// * `state`, `reason` (a sentence or null), `since` (RFC 3339 or null): where it stands.
/// * `size`, `hash` (BLAKE3): what was last read of the lead, else what lives in the cloud; null if neither is known.
/// * `folder_id`, `upload_task_id`, `source_file_id`, `title` (`owned`, `linked`), `version`, `current_since`, `assets`:
///   the version that lives in the cloud, null or empty until there is one. `assets` are those of the lead.
/// * `parts`: every file of that version, the lead first. `copies`: remote files that are ours and not current.
/// * `attempt`: what is being sent, or null.
pub(in crate::cli) fn entry(key: &Key, entry: &Entry) -> Value {
    let current = entry.current.as_ref();
    let content = entry.seen.map(|seen| seen.content).or_else(|| entry.live_content());
    let since = entry
        .aside
        .as_ref()
        .map(|aside| aside.since)
        .or_else(|| entry.attempt.intent().map(|intent| intent.at))
        .or_else(|| current.map(|current| current.since));
    let mut fields = path_fields(&key.path);
    let rest = json!({
        "mapping": key.mapping.as_str(),
        "state": entry.state().word(),
        "reason": entry.reason(),
        "since": since.map(moment),
        "size": content.map(|content| content.size),
        "hash": content.map(|content| content.hash.to_string()),
        "version": current.map(|current| current.version.0.to_string()),
        "current_since": current.map(|current| moment(current.since)),
        "folder_id": current.map(|current| current.folder.to_string()),
        "upload_task_id": current.and_then(|current| current.task).map(|task| task.to_string()),
        "source_file_id": current.map(|current| current.lead.source_file.to_string()),
        "title": current.map(|current| title(current.lead.title)),
        "assets": current.map(|current| assets(&current.lead.assets)).unwrap_or_default(),
        "parts": current.map(|current| current.parts().map(remote_part).collect::<Vec<_>>()).unwrap_or_default(),
        "copies": entry.copies.iter().map(copy).collect::<Vec<_>>(),
        "attempt": attempt(&entry.attempt),
    });
    if let Value::Object(rest) = rest {
        fields.extend(rest);
    }
    Value::Object(fields)
}

/// `path`, and `path_bytes` where the text is not the path itself: not UTF-8, or escaped for what it would do to a reader.
pub(in crate::cli) fn path_fields(path: &RelPath) -> Map<String, Value> {
    let text = path.to_string();
    let mut fields = Map::new();
    if !path.is_root() && text.as_bytes() != path.as_bytes() {
        let mut bytes = String::with_capacity(path.as_bytes().len() * 2);
        for byte in path.as_bytes() {
            let _ = write!(bytes, "{byte:02x}");
        }
        fields.insert("path_bytes".to_owned(), bytes.into());
    }
    fields.insert("path".to_owned(), text.into());
    fields
}

/// A moment as JSON tells it: RFC 3339, UTC.
pub(in crate::cli) fn moment(at: Timestamp) -> String {
    at.to_string()
}

fn assets(assets: &[Asset]) -> Vec<Value> {
    let asset = |asset: &Asset| json!({ "id": asset.id.to_string(), "type": asset.kind, "name": asset.name });
    assets.iter().map(asset).collect()
}

fn part(part: &Part) -> Map<String, Value> {
    let mut fields = path_fields(&part.path);
    fields.insert("name".to_owned(), part.name.as_str().into());
    fields.insert("size".to_owned(), part.content.size.into());
    fields.insert("hash".to_owned(), part.content.hash.to_string().into());
    fields
}

fn remote_part(remote: &RemotePart) -> Value {
    let mut fields = part(&remote.part);
    fields.insert("source_file_id".to_owned(), remote.source_file.to_string().into());
    fields.insert("title".to_owned(), title(remote.title).into());
    fields.insert("assets".to_owned(), assets(&remote.assets).into());
    Value::Object(fields)
}

fn copy(copy: &RemoteCopy) -> Value {
    json!({
        "source_file_id": copy.source_file.to_string(),
        "folder_id": copy.folder.to_string(),
        "name": copy.name.as_str(),
        "role": match copy.role {
            Role::Superseded => "superseded",
            Role::Archived => "archived",
            Role::Torn => "torn",
            Role::Orphan => "orphan",
            Role::Doomed => "doomed",
            Role::Remains => "remains",
        },
        "title": title(copy.title),
        "version": copy.version.map(|version| version.0.to_string()),
        "since": moment(copy.since),
        "assets": assets(&copy.assets),
    })
}

/// `kind` is `intended`, `ambiguous`, `sent` or `converting`; `upload_task_id`, `progress` and `doubt` are null where they
/// do not apply; `source_files` are the remote files that are known to stem from it.
fn attempt(attempt: &Attempt) -> Value {
    let (task, progress, doubt, files) = match attempt {
        Attempt::Idle | Attempt::Intended(_) => (None, None, None, &[][..]),
        Attempt::Ambiguous(_, doubt) => (None, None, Some(doubt.why.as_str()), &[][..]),
        Attempt::Sent(_, task) => (Some(*task), None, None, &[][..]),
        Attempt::Converting(_, conversion) => {
            (conversion.task, Some(conversion.progress.as_str()), None, conversion.files.as_slice())
        }
    };
    let Some(Intent { id, at, version, folder, parts, fence: _ }) = attempt.intent() else {
        return Value::Null;
    };
    let file = |(name, file): &(crate::file::PartName, crate::id::SourceFileId)| json!({ "name": name.as_str(), "source_file_id": file.to_string() });
    json!({
        "kind": attempt.word(),
        "id": id.to_string(),
        "started_at": moment(*at),
        "version": version.0.to_string(),
        "folder_id": folder.to_string(),
        "upload_task_id": task.map(|task| task.to_string()),
        "progress": progress,
        "doubt": doubt,
        "parts": parts.iter().map(|it| Value::Object(part(it))).collect::<Vec<_>>(),
        "source_files": files.iter().map(file).collect::<Vec<_>>(),
    })
}

const fn title(title: Title) -> &'static str {
    match title {
        Title::Owned => "owned",
        Title::Linked => "linked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::MappingName;

    #[test]
    fn a_list_without_anything_in_it_is_empty_and_not_null() {
        let key = Key::new(MappingName::new("props"), RelPath::from_bytes(b"a/chair.fbx").unwrap());
        let value = entry(&key, &Entry::default());
        for list in ["assets", "parts", "copies"] {
            assert_eq!(value[list], json!([]), "{list}");
        }
        assert_eq!(value["path"], "a/chair.fbx");
        assert_eq!(value["state"], "ready");
        assert_eq!(value["attempt"], Value::Null);
        assert!(value.get("path_bytes").is_none());
    }

    #[test]
    fn a_path_that_is_no_text_comes_with_its_bytes() {
        let odd = path_fields(&RelPath::from_bytes(b"a\xff.fbx").unwrap());
        assert_eq!(odd["path"], "a\\xff.fbx");
        assert_eq!(odd["path_bytes"], "61ff2e666278");
        let newline = path_fields(&RelPath::from_bytes(b"a\nb").unwrap());
        assert_eq!(newline["path_bytes"], "610a62");
    }
}
