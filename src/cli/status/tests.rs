//! What a person is told of a ledger, whether somebody is at work on it or not.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::config::Environment;
use crate::file::content::{Content, ContentHash, Fingerprint, Version};
use crate::file::entry::{Aside, AsideState, Asset, Current, RemoteCopy, RemotePart, Role, Title};
use crate::file::sighting::{Seen, Trust};
use crate::file::{Entry, Key, MappingName, Part, PartName, RelPath};
use crate::id::{AssetId, FolderId, SourceFileId};
use crate::ledger::{self, Ledger};
use crate::mapping::filter::IgnoredKind;
use crate::timestamp::Timestamp;

fn config(home: &Path) -> Config {
    let text = format!(
        "state_dir = \"{0}/state\"\n[auth]\nuser_token_file = \"{0}/token\"\n[[mapping]]\nname = \"props\"\n\
         path = \"{0}/studio\"\nfolder = \"00000000-0000-4000-8000-000000000001\"\n",
        home.display()
    );
    crate::config::parse(&text, "test", &Environment::default()).unwrap()
}

fn key(path: &str) -> Key {
    Key::new(MappingName::new("props"), RelPath::from_bytes(path.as_bytes()).unwrap())
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn mesh(number: u128) -> Asset {
    Asset { id: AssetId::from_uuid(id(number)), kind: "mesh".into(), name: "Chair\u{1b}[31m".into() }
}

/// A file that was sent twice: its second version is current, its first left an asset behind.
fn twice(path: &str) -> Entry {
    let moment = Timestamp::from_stat(1_700_000_000, 0);
    let content = Content { hash: ContentHash([7; 32]), size: 1_536 };
    let name = PartName::from_local(key(path).path.name()).unwrap();
    let folder = FolderId::from_uuid(id(1));
    let fingerprint = Fingerprint { size: 1_536, mtime: moment, ctime: moment, inode: 1, device: 1 };
    Entry {
        seen: Some(Seen { fingerprint, content, trust: Trust::Settled }),
        current: Some(Current {
            version: Version(ContentHash([8; 32])),
            folder,
            task: None,
            since: moment,
            lead: RemotePart {
                part: Part { name: name.clone(), path: key(path).path, content },
                source_file: SourceFileId::from_uuid(id(20)),
                title: Title::Owned,
                assets: vec![mesh(200)],
            },
            members: Vec::new(),
        }),
        copies: vec![RemoteCopy {
            source_file: SourceFileId::from_uuid(id(10)),
            folder,
            name,
            role: Role::Superseded,
            title: Title::Owned,
            version: None,
            assets: vec![mesh(100)],
            since: moment,
        }],
        ..Entry::default()
    }
}

fn held() -> Entry {
    let reason = "the file is empty; it is sent once it has bytes".to_owned();
    let since = Timestamp::from_stat(1_700_000_000, 0);
    Entry { aside: Some(Aside { state: AsideState::Held, reason, version: None, since }), ..Entry::default() }
}

fn world() -> (TempDir, Config, Ledger) {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path());
    let ledger = Ledger::open(&config.state_dir).unwrap();
    let at = Timestamp::from_stat(1_700_000_000, 0);
    ledger.put(&key("chairs/chair.fbx"), &twice("chairs/chair.fbx"), Some("synced"), at).unwrap();
    for number in 0..25 {
        ledger.put(&key(&format!("empty-{number:02}.fbx")), &held(), Some("held"), at).unwrap();
    }
    let standing = ledger::Standing {
        state: "watching".into(),
        reason: None,
        since: at,
        scanned_at: Some(at),
        files: 26,
        directories: 2,
        ignored: BTreeMap::from([(IgnoredKind::Junk, 3)]),
        troubles: vec!["locked: permission denied".into()],
    };
    ledger.put_standing(&MappingName::new("props"), &standing).unwrap();
    (home, config, ledger)
}

fn told(config: &Config, path: Option<&str>) -> String {
    let arguments = Arguments { path: path.map(PathBuf::from), watch: false };
    look(config, &arguments, None, &Paper::new(false)).unwrap().join("\n")
}

#[test]
fn a_mapping_is_told_with_its_counts_its_troubles_and_what_is_not_at_its_goal() {
    let (_home, config, ledger) = world();
    let running = told(&config, None);
    assert!(running.contains("versync is running"), "{running}");
    drop(ledger);
    let told = told(&config, None);
    for line in [
        "versync is not running",
        "props  not running; last watching since",
        "  1 synced, 25 held",
        "  ignored: 3 junk",
        ": 26 files in 2 directories",
        "  trouble: locked: permission denied",
        "    empty-00.fbx  the file is empty; it is sent once it has bytes",
        "    and 5 more: versync files --state held",
    ] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }
    assert!(!told.contains("empty-20.fbx"), "{told}");
}

#[test]
fn after_a_new_version_old_and_new_asset_ids_are_named() {
    let (_home, config, _ledger) = world();
    let told = told(&config, None);
    assert!(told.contains(&format!("new: mesh {}", id(200))), "{told}");
    assert!(told.contains(&format!("old: mesh {}", id(100))), "{told}");
}

#[test]
fn one_path_is_told_in_detail_and_nothing_in_it_steers_the_terminal() {
    let (home, config, _ledger) = world();
    for path in ["props:chairs/chair.fbx", &format!("{}/studio/chairs/chair.fbx", home.path().display())] {
        let told = told(&config, Some(path));
        for line in
            ["state       synced", "1.5 KiB", "old asset", "what happened", "  synced", &id(20).to_string()]
        {
            assert!(told.contains(line), "{line}\n---\n{told}");
        }
        assert!(!told.contains('\u{1b}'), "{told:?}");
    }
}

#[test]
fn a_path_below_no_root_is_refused_with_the_roots() {
    let (_home, config, _ledger) = world();
    let arguments = Arguments { path: Some("/elsewhere/x.fbx".into()), watch: false };
    assert!(look(&config, &arguments, None, &Paper::new(false)).is_err());
}

#[test]
fn without_a_ledger_there_is_nothing_to_tell_and_none_is_made() {
    let home = tempfile::tempdir().unwrap();
    let config = config(home.path());
    assert!(told(&config, None).contains("nothing was synced yet"));
    assert!(!config.state_dir.exists());
}
