//! Checksums of rows. `integrity_check` misses most flipped bits, and a flipped remote id must never be acted upon, so what
//! is read must be what was written. A seal is computed from domain values, not from columns: it also covers the decoding.

use uuid::Uuid;

use crate::file::entry::{
    Aside, Asset, Attempt, Conversion, Current, Doubt, Intent, RemoteCopy, RemotePart, Travels,
};
use crate::file::sighting::Seen;
use crate::file::{Content, Entry, Key, Part};
use crate::id::FolderId;
use crate::timestamp::Timestamp;

use super::row;

/// Half of a BLAKE3 hash: against decay, not against an adversary.
pub(super) type Sum = [u8; 16];

/// The seals of an entry: one for each group of rows, so that a group that stays as it was is not written again, and one
/// over all of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seals {
    pub(super) seen: Option<Sum>,
    pub(super) current: Option<Sum>,
    pub(super) attempt: Option<Sum>,
    pub(super) copies: Option<Sum>,
    pub(super) whole: Sum,
}

impl Seals {
    pub(super) fn of(key: &Key, entry: &Entry) -> Self {
        let Entry { seen: seen_row, current, attempt, copies, aside, wanted, travels } = entry;
        let seen = seen_row.as_ref().map(|it| self::seen(key, it));
        let current = current.as_ref().map(|it| seal("current", key, |seal| seal.current(it)));
        let attempt = attempt.intent().map(|_| seal("attempt", key, |seal| seal.attempt(attempt)));
        let copies = (!copies.is_empty())
            .then(|| seal("copies", key, |seal| seal.each(copies, |seal, copy| seal.copy(copy))));
        let whole = seal("entry", key, |seal| {
            for group in [&seen, &current, &attempt, &copies] {
                seal.option(group.as_ref(), |seal, sum| seal.bytes(sum));
            }
            seal.option(aside.as_ref(), Seal::aside);
            // Rows that were written before bundles had members say neither, and stay good.
            if wanted.is_some() || *travels != Travels::Whole {
                seal.option(wanted.as_ref(), |seal, version| seal.bytes(&version.0.0));
                seal.text(row::travels_word(*travels).unwrap_or_default());
            }
        });
        Self { seen, current, attempt, copies, whole }
    }
}

/// The seal of a file row.
pub(super) fn seen(key: &Key, seen: &Seen) -> Sum {
    seal("file", key, |seal| {
        let at = &seen.fingerprint;
        seal.number(at.size);
        seal.time(at.mtime);
        seal.time(at.ctime);
        seal.number(at.inode);
        seal.number(at.device);
        seal.content(&seen.content);
        seal.text(row::trust_word(seen.trust));
    })
}

/// The seal of a directory's remote folder.
pub(super) fn shelf(directory: &Key, folder: FolderId) -> Sum {
    seal("shelf", directory, |seal| seal.id(folder.uuid()))
}

fn seal(domain: &str, key: &Key, fill: impl FnOnce(&mut Seal)) -> Sum {
    let mut seal = Seal(blake3::Hasher::new());
    seal.text(domain);
    seal.text(key.mapping.as_str());
    seal.bytes(key.path.as_bytes());
    fill(&mut seal);
    let hash = seal.0.finalize();
    let mut sum = Sum::default();
    sum.copy_from_slice(&hash.as_bytes()[..16]);
    sum
}

/// Every value goes in with its length or at a fixed width, so no two values make the same bytes.
struct Seal(blake3::Hasher);

impl Seal {
    fn current(&mut self, current: &Current) {
        let Current { version, folder, task, since, lead, members } = current;
        self.bytes(&version.0.0);
        self.id(folder.uuid());
        self.option(task.as_ref(), |seal, task| seal.id(task.uuid()));
        self.time(*since);
        self.remote_part(lead);
        self.each(members, Self::remote_part);
    }

    fn remote_part(&mut self, remote: &RemotePart) {
        let RemotePart { part, source_file, title, assets } = remote;
        self.part(part);
        self.id(source_file.uuid());
        self.text(row::title_word(*title));
        self.each(assets, Self::asset);
    }

    fn part(&mut self, part: &Part) {
        let Part { name, path, content } = part;
        self.text(name.as_str());
        self.bytes(path.as_bytes());
        self.content(content);
    }

    fn asset(&mut self, asset: &Asset) {
        let Asset { id, kind, name } = asset;
        self.id(id.uuid());
        self.text(kind);
        self.text(name);
    }

    fn copy(&mut self, copy: &RemoteCopy) {
        let RemoteCopy { source_file, folder, name, role, title, version, assets, since } = copy;
        self.id(source_file.uuid());
        self.id(folder.uuid());
        self.text(name.as_str());
        self.text(row::role_word(*role));
        self.text(row::title_word(*title));
        self.option(version.as_ref(), |seal, version| seal.bytes(&version.0.0));
        self.each(assets, Self::asset);
        self.time(*since);
    }

    fn attempt(&mut self, attempt: &Attempt) {
        self.text(attempt.word());
        self.option(attempt.intent(), Self::intent);
        match attempt {
            Attempt::Idle | Attempt::Intended(_) => {}
            Attempt::Ambiguous(_, Doubt { absent_since, absences, why }) => {
                self.option(absent_since.as_ref(), |seal, since| seal.time(*since));
                self.number((*absences).into());
                self.text(why);
            }
            Attempt::Sent(_, task) => self.id(task.uuid()),
            Attempt::Converting(_, Conversion { task, files, progress, since }) => {
                self.option(task.as_ref(), |seal, task| seal.id(task.uuid()));
                self.each(files, |seal, (name, file)| {
                    seal.text(name.as_str());
                    seal.id(file.uuid());
                });
                self.text(progress);
                self.time(*since);
            }
        }
    }

    fn intent(&mut self, intent: &Intent) {
        let Intent { id, at, version, folder, parts, fence } = intent;
        self.id(id.uuid());
        self.time(*at);
        self.bytes(&version.0.0);
        self.id(folder.uuid());
        self.each(parts, Self::part);
        self.each(fence, |seal, file| seal.id(file.uuid()));
    }

    fn aside(&mut self, aside: &Aside) {
        let Aside { state, reason, version, since } = aside;
        self.text(state.state().word());
        self.text(reason);
        self.option(version.as_ref(), |seal, version| seal.bytes(&version.0.0));
        self.time(*since);
    }

    fn content(&mut self, content: &Content) {
        self.bytes(&content.hash.0);
        self.number(content.size);
    }

    fn option<T>(&mut self, value: Option<&T>, fill: impl FnOnce(&mut Self, &T)) {
        self.number(value.is_some().into());
        if let Some(value) = value {
            fill(self, value);
        }
    }

    fn each<T>(&mut self, values: &[T], mut fill: impl FnMut(&mut Self, &T)) {
        self.number(values.len() as u64);
        for value in values {
            fill(self, value);
        }
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.update(bytes);
    }

    fn id(&mut self, id: Uuid) {
        self.0.update(id.as_bytes());
    }

    fn time(&mut self, time: Timestamp) {
        self.0.update(&time.nanos().to_le_bytes());
    }

    fn number(&mut self, number: u64) {
        self.0.update(&number.to_le_bytes());
    }
}
