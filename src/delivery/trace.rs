//! Where a bundle that was never sent came from: a path that is proven to be gone, or a whole directory that has another name
//! now. Knows disk and ledger; what the cloud is told of it stands in `deed` and `shelf`.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Ended, look};
use crate::agenda::Reach;
use crate::ambient;
use crate::desk::{Desk, Post};
use crate::disk::{self, Kind};
use crate::file::entry::{Current, Title};
use crate::file::sighting::{Seen, Whole};
use crate::file::{Attempt, Entry, Key, MappingName, RelPath, Sighting, State};
use crate::id::{FolderId, SourceFileId};
use crate::ledger::{self, Swapped};
use crate::mapping::Layout;
use crate::plan::{self, Departed, Origin, Relocation, is_same_file, renamed_directories};
use crate::shelf::Renamed;
use crate::verdict::Verdict;
use crate::worker::blocking;

/// Where the bytes of a bundle that was never sent lay before. Blocks: call it off the async threads.
///
/// # Errors
/// What the ledger says; where the disk does not tell, it is no move.
pub(super) fn origin(desk: &Desk, key: &Key, whole: &Whole) -> Result<Origin, ledger::Error> {
    // What another machine's ledger owns is not this one's to rename.
    if desk.ledger.is_foreign()? {
        return Ok(Origin::Nowhere);
    }
    let mut departed = Vec::new();
    let mut pending: Option<Duration> = None;
    for candidate in desk.ledger.holders(whole.seen.content.hash)? {
        if candidate == *key {
            continue;
        }
        let Some(post) = desk.posts.get(&candidate.mapping) else { continue };
        if !is_gone(desk, post, &candidate)? {
            continue;
        }
        let entry = desk.ledger.entry(&candidate)?;
        let needed = post.mapping.policy.delete_settle;
        let wait = desk.departures.wait(&candidate, needed, ambient::tick());
        let holds_it = entry.live_content() == Some(whole.seen.content);
        if entry.state() == State::Stalled {
            // Nobody knows when that ends.
        } else if !plan::is_settled(&entry) {
            // Its upload is on its way to the end; then it can follow.
            pending = Some(pending.map_or(desk.patience.poll_first, |it| it.min(desk.patience.poll_first)));
        } else if holds_it && !wait.is_zero() {
            pending = Some(pending.map_or(wait, |it| it.min(wait)));
        } else if holds_it && is_ours_alone(desk, &candidate, &entry)? {
            departed.push(Departed { key: candidate, entry });
        }
    }
    if let Some(pause) = pending {
        return Ok(Origin::Pending(pause));
    }
    let inode = whole.seen.fingerprint.inode;
    Ok(plan::origin(&key.path, inode, departed).map_or(Origin::Nowhere, |from| Origin::Moved(Box::new(from))))
}

/// Whether the remote files of a bundle may be renamed and moved: we sent them, and no other bundle uses one of them.
fn is_ours_alone(desk: &Desk, key: &Key, entry: &Entry) -> Result<bool, ledger::Error> {
    for part in entry.current.iter().flat_map(Current::parts) {
        if part.title != Title::Owned || desk.ledger.is_shared(part.source_file, key)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a path is proven to be gone.
fn is_gone(desk: &Desk, post: &Post, key: &Key) -> Result<bool, ledger::Error> {
    // A file that a filter excludes is there all the same.
    if disk::stat(&post.root, &key.path).is_ok() {
        desk.departures.returned(key);
        return Ok(false);
    }
    Ok(matches!(look::gone(desk, post, &key.path)?, Sighting::Absent(_)))
}

/// Writes down that a bundle's version followed its file.
pub(super) async fn relocate(
    desk: &Arc<Desk>,
    key: &Key,
    relocation: &Relocation,
    members: &[(RelPath, Seen)],
) -> Result<Swapped, ledger::Error> {
    let (ledger, key, relocation) = (desk.ledger.clone(), key.clone(), relocation.clone());
    let members = members.to_vec();
    blocking(move || {
        let Departed { key: from, entry: expected } = &relocation.from;
        ledger.relocate(from, expected, &key, &relocation.entry, &members, ambient::now())
    })
    .await
}

/// Writes an entry down, unless another bundle's step took its version over meanwhile.
pub(super) async fn put_unless_moved(
    desk: &Arc<Desk>,
    key: &Key,
    expected: &Entry,
    entry: &Entry,
    note: Option<String>,
) -> Result<Swapped, ledger::Error> {
    let (ledger, key) = (desk.ledger.clone(), key.clone());
    let (expected, entry) = (expected.clone(), entry.clone());
    blocking(move || ledger.put_unless_moved(&key, &expected, &entry, note.as_deref(), ambient::now())).await
}

/// The bundles that carry a file.
pub(super) async fn leads_of(desk: &Arc<Desk>, member: &Key) -> Result<Vec<Key>, ledger::Error> {
    let (ledger, member) = (desk.ledger.clone(), member.clone());
    blocking(move || ledger.leads_of(&member.mapping, &member.path)).await
}

/// Has a remote folder follow its directory, if that is how this bundle came to be where it is. Returns how the step ended then.
///
/// # Errors
/// What the ledger says.
pub(super) async fn directory(
    desk: &Arc<Desk>,
    post: &Arc<Post>,
    key: &Key,
) -> Result<Option<Ended>, ledger::Error> {
    if !may_have_moved(desk, post, key).await? {
        return Ok(None);
    }
    // All files of the directory ask for the same: the first renames it, and the others find that they are known.
    let mut refused = desk.departures.renaming.write().await;
    let found = {
        let (desk, post, key) = (Arc::clone(desk), Arc::clone(post), key.clone());
        let refused = refused.clone();
        blocking(move || find(&desk, &post, &key, &refused)).await?
    };
    let Move { from, to, owned } = match found {
        Found::Nothing => return Ok(None),
        Found::Pending(pause) => {
            return Ok(Some(ended(key, Verdict::LookAgain(pause), Reach::Local, Vec::new())));
        }
        Found::Known => {
            return Ok(Some(ended(key, Verdict::LookAgain(Duration::ZERO), Reach::Local, Vec::new())));
        }
        Found::Moved(it) => it,
    };
    let (old, new) = (Key::new(key.mapping.clone(), from.clone()), Key::new(key.mapping.clone(), to.clone()));
    let renamed = match post.mapping.layout {
        Layout::Flat => Ok(Renamed::Yes),
        Layout::Mirror => desk.shelf.rename(&post.mapping, &from, &to, &owned).await,
    };
    match renamed {
        Ok(Renamed::Yes) => {
            let (ledger, name) = (desk.ledger.clone(), key.mapping.clone());
            let (was, is) = (from.clone(), to.clone());
            let renamed = blocking(move || ledger.rename_directory(&name, &was, &is, ambient::now())).await?;
            let Some(also) = renamed else {
                // Something new was put there meanwhile; what moved follows file by file, and its folder is found by its name.
                refused.insert((old, new));
                return Ok(None);
            };
            tracing::info!(mapping = %key.mapping, "the directory {from} was renamed to {to}; nothing was sent");
            Ok(Some(ended(key, Verdict::LookAgain(Duration::ZERO), Reach::Cloud, also)))
        }
        Ok(Renamed::No(why)) => {
            tracing::info!(mapping = %key.mapping, "the directory {from} was renamed to {to}, its files are moved one by one: {why}");
            refused.insert((old, new));
            Ok(None)
        }
        Err(failure) => Ok(Some(ended(key, Verdict::Failed(failure), Reach::Cloud, Vec::new()))),
    }
}

fn ended(key: &Key, verdict: Verdict, reach: Reach, also: Vec<Key>) -> Ended {
    Ended { key: key.clone(), verdict, reach, was: State::Ready, is: State::Ready, entry: None, also }
}

/// Whether a path of which nothing is known holds a file that was seen elsewhere with this very stat: a look that costs a stat
/// and a search by inode, before anything is read.
async fn may_have_moved(desk: &Arc<Desk>, post: &Arc<Post>, key: &Key) -> Result<bool, ledger::Error> {
    let (desk, post, key) = (Arc::clone(desk), Arc::clone(post), key.clone());
    blocking(move || Ok(!elsewhere(&desk, &post, &key)?.is_empty())).await
}

/// Where else in its mapping a file of which nothing is known was seen with this very stat.
fn elsewhere(desk: &Desk, post: &Post, key: &Key) -> Result<Vec<RelPath>, ledger::Error> {
    if !desk.ledger.entry(key)?.is_unsent() || desk.ledger.is_foreign()? {
        return Ok(Vec::new());
    }
    let Ok(stat) = disk::stat(&post.root, &key.path) else { return Ok(Vec::new()) };
    if stat.kind != Kind::File || stat.fingerprint.size == 0 {
        return Ok(Vec::new());
    }
    let mut paths = desk.ledger.seen_as(&key.mapping, &stat.fingerprint)?;
    paths.retain(|path| !renamed_directories(path, &key.path).is_empty());
    Ok(paths)
}

/// A directory that has another name now, and the remote files of ours below it, by folder.
struct Move {
    from: RelPath,
    to: RelPath,
    owned: HashMap<FolderId, HashSet<SourceFileId>>,
}

enum Found {
    Nothing,
    /// It is too early to tell.
    Pending(Duration),
    /// Another bundle's step has dealt with it.
    Known,
    Moved(Move),
}

fn find(desk: &Desk, post: &Post, key: &Key, refused: &BTreeSet<(Key, Key)>) -> Result<Found, ledger::Error> {
    if !desk.ledger.entry(key)?.is_unsent() {
        return Ok(Found::Known);
    }
    for path in elsewhere(desk, post, key)? {
        for (from, to) in renamed_directories(&path, &key.path) {
            let pair =
                (Key::new(key.mapping.clone(), from.clone()), Key::new(key.mapping.clone(), to.clone()));
            if refused.contains(&pair) || !is_gone(desk, post, &pair.0)? {
                continue;
            }
            let needed = post.mapping.policy.delete_settle;
            let wait = desk.departures.wait(&pair.0, needed, ambient::tick());
            if !wait.is_zero() {
                return Ok(Found::Pending(wait));
            }
            match whole(desk, post, &key.mapping, &from, &to)? {
                Found::Nothing => {}
                found @ (Found::Pending(_) | Found::Known | Found::Moved(_)) => return Ok(found),
            }
        }
    }
    Ok(Found::Nothing)
}

/// Whether everything that is known below `from` lies below `to` now, by its stats, and is ours.
fn whole(
    desk: &Desk,
    post: &Post,
    mapping: &MappingName,
    from: &RelPath,
    to: &RelPath,
) -> Result<Found, ledger::Error> {
    const PAGE: usize = 500;
    if !desk.ledger.keys_below(mapping, to, None, 1)?.is_empty() {
        return Ok(Found::Nothing);
    }
    let mut owned: HashMap<FolderId, HashSet<SourceFileId>> = HashMap::new();
    let mut after = None;
    loop {
        let page = desk.ledger.keys_below(mapping, from, after.as_ref(), PAGE)?;
        for key in &page {
            let entry = desk.ledger.entry(key)?;
            if entry.attempt != Attempt::Idle {
                return Ok(Found::Pending(desk.patience.poll_first));
            }
            let Some(path) = key.path.rebased(from, to) else { return Ok(Found::Nothing) };
            let stat = disk::stat(&post.root, &path).ok().map(|stat| stat.fingerprint);
            let is_there = match (entry.seen, stat) {
                (Some(seen), Some(stat)) => {
                    is_same_file(&Seen { trust: crate::file::sighting::Trust::Settled, ..seen }, &stat)
                }
                // What was gone before stays gone.
                (_, None) => entry.state() == State::Deleted,
                (None, Some(_)) => true,
            };
            if !is_there || !collect(&entry, &mut owned) {
                return Ok(Found::Nothing);
            }
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.path.clone()),
            Some(_) | None => break,
        }
    }
    for shelf in desk.ledger.shelves_below(mapping, from)? {
        owned.entry(shelf).or_default();
    }
    Ok(Found::Moved(Move { from: from.clone(), to: to.clone(), owned }))
}

/// Takes down the remote files of a bundle; false if one of them is not ours.
fn collect(entry: &Entry, owned: &mut HashMap<FolderId, HashSet<SourceFileId>>) -> bool {
    let parts = entry
        .current
        .iter()
        .flat_map(|current| current.parts().map(|part| (current.folder, part.source_file, part.title)));
    let copies = entry.copies.iter().map(|copy| (copy.folder, copy.source_file, copy.title));
    for (folder, file, title) in parts.chain(copies) {
        if title != Title::Owned {
            return false;
        }
        owned.entry(folder).or_default().insert(file);
    }
    true
}
