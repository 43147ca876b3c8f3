//! Random lives of one bundle against a forgetful model of disk and cloud, with a kill before and after every deed.
//!
//! The oracle looks at disk and cloud, never at the entry: after quiet there is exactly one live remote file for what is on disk.

use std::time::Duration;

use uuid::Uuid;

use super::*;
use crate::file::content::Content;
use crate::file::entry::{RemotePart, Title};
use crate::file::sighting::{Seen, Trust, Whole};
use crate::file::{Attempt, ContentHash, Entry, Fingerprint, RelPath, Sighting};
use crate::mapping::{Adopt, Policy};
use crate::patience::Patience;
use crate::verdict::{Blame, Verdict};

/// A small generator with a seed: a failing life is told by its number alone.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }
}

struct Cloud {
    files: Vec<Remote1>,
    tasks: Vec<Task>,
    next: u128,
    listing_lag: u64,
}

struct Remote1 {
    id: SourceFileId,
    content: u8,
    visible_at: u64,
    /// The attempt that made it, as only the oracle knows.
    attempt: AttemptId,
}

struct Task {
    id: UploadTaskId,
    file: SourceFileId,
    done_at: u64,
    fails: bool,
}

struct World {
    now: u64,
    disk: u8,
    cloud: Cloud,
    entry: Entry,
    dice: Dice,
    calm: bool,
    lost_after_arrival: u64,
}

fn patience() -> Patience {
    Patience { ambiguous_wait: Duration::from_secs(90), ..Patience::default() }
}

fn part(content: u8) -> Part {
    Part {
        name: PartName::from_text("chair.fbx").unwrap(),
        path: RelPath::from_bytes(b"chair.fbx").unwrap(),
        content: Content { hash: ContentHash([content; 32]), size: 10 },
    }
}

fn whole(content: u8) -> Whole {
    let part = part(content);
    let fingerprint = Fingerprint {
        size: 10,
        mtime: Timestamp::from_nanos(i64::from(content)),
        ctime: Timestamp::EPOCH,
        inode: 1,
        device: 1,
    };
    Whole {
        seen: Seen { fingerprint, content: part.content, trust: Trust::Settled },
        parts: vec![part],
        members: Vec::new(),
        missing: Vec::new(),
        doubts: Vec::new(),
    }
}

fn cloud_trouble() -> crate::verdict::Failure {
    crate::verdict::Failure::new(Blame::Cloud, "the network is down")
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let listing_lag = dice.roll(60);
        Self {
            now: 1_000,
            disk: 1,
            cloud: Cloud { files: Vec::new(), tasks: Vec::new(), next: 1, listing_lag },
            entry: Entry::default(),
            dice,
            calm: false,
            lost_after_arrival: 0,
        }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_stat(i64::try_from(self.now).unwrap(), 0)
    }

    fn fresh(&mut self) -> Uuid {
        self.cloud.next += 1;
        Uuid::from_u128(self.cloud.next)
    }

    fn mishap(&mut self, sides: u64) -> bool {
        !self.calm && self.dice.roll(sides) == 0
    }

    /// One step as `delivery` takes it; the process may be killed at any of its seams.
    fn step(&mut self) -> Verdict {
        let sighting = match self.entry.attempt {
            Attempt::Idle => Sighting::Whole(whole(self.disk)),
            _ => Sighting::Unlooked,
        };
        let mut entry = self.entry.clone();
        if let Sighting::Whole(whole) = &sighting {
            entry.seen = Some(whole.seen);
        }
        let moment = Moment { now: self.time(), attempt: AttemptId::from_uuid(self.fresh()) };
        let policy = Policy { adopt: Adopt::Never, ..Policy::default() };
        let mut action = decide(&entry, &sighting, &policy, &Origin::Nowhere, &Remote::Unasked, moment);
        if action == Action::Consult {
            if self.mishap(10) {
                return Verdict::Failed(cloud_trouble());
            }
            let namesakes = self.listing();
            let remote = Remote::Folder(FolderId::from_uuid(Uuid::from_u128(1)), namesakes);
            action = decide(&entry, &sighting, &policy, &Origin::Nowhere, &remote, moment);
        }
        if let Some(intended) = before(&entry, &action, moment.now) {
            self.entry = intended.clone();
            entry = intended;
            if self.mishap(15) {
                return Verdict::LookAgain(Duration::ZERO);
            }
        }
        let outcome = self.perform(&action);
        if self.mishap(15) {
            return Verdict::LookAgain(Duration::ZERO);
        }
        let (entry, verdict) = after(&entry, &action, outcome, &patience(), self.time());
        self.entry = entry;
        verdict
    }

    fn listing(&self) -> Vec<Namesake> {
        let shown = self.cloud.files.iter().filter(|file| file.visible_at <= self.now);
        shown
            .map(|file| Namesake {
                vouched: None,
                source_file: file.id,
                name: part(0).name,
                size: 10,
                claim: Claimed::Nobodys,
            })
            .collect()
    }

    fn perform(&mut self, action: &Action) -> Outcome {
        match action {
            Action::Upload(intent) => self.upload(intent),
            Action::LookUp(intent, _) => {
                if self.mishap(10) {
                    return Outcome::Failed(cloud_trouble());
                }
                let found = self.cloud.files.iter().find(|file| {
                    file.visible_at <= self.now && !intent.fence.contains(&file.id) && !self.knows(file.id)
                });
                match found {
                    Some(file) => {
                        let task = self.cloud.tasks.iter().find(|task| task.file == file.id);
                        Outcome::Found(Finding {
                            task: task.map(|task| task.id),
                            files: vec![(part(0).name, file.id)],
                            surplus: Vec::new(),
                        })
                    }
                    None => Outcome::NotThere,
                }
            }
            Action::Follow(intent, conversion) => {
                if self.mishap(10) {
                    return Outcome::Failed(cloud_trouble());
                }
                let task = self.cloud.tasks.iter().find(|task| Some(task.id) == conversion.task);
                let Some(task) = task else { return Outcome::TaskGone };
                if task.done_at > self.now {
                    return Outcome::Underway(Conversion {
                        progress: "converting".into(),
                        ..conversion.clone()
                    });
                }
                if task.fails {
                    return Outcome::GaveUp(GaveUp {
                        how: HowItEnded::Error,
                        what: "failed to convert".into(),
                        files: vec![(part(0).name, task.file)],
                    });
                }
                Outcome::Converted(vec![RemotePart {
                    part: intent.parts[0].clone(),
                    source_file: task.file,
                    title: Title::Owned,
                    assets: Vec::new(),
                }])
            }
            Action::Rest
            | Action::Forget
            | Action::Wait(_)
            | Action::StandAside(..)
            | Action::Consult
            | Action::Verify(_)
            | Action::Relocate(_)
            | Action::Clear(_)
            | Action::Restore(_) => Outcome::Nothing,
        }
    }

    fn upload(&mut self, intent: &Intent) -> Outcome {
        // A file that changed since it was hashed never gets its last chunk out.
        if intent.parts[0].content != part(self.disk).content {
            return Outcome::Changed;
        }
        if self.mishap(6) {
            return Outcome::NotTaken(cloud_trouble());
        }
        let file = SourceFileId::from_uuid(self.fresh());
        let task = UploadTaskId::from_uuid(self.fresh());
        let lag = if self.cloud.listing_lag == 0 { 0 } else { self.dice.roll(self.cloud.listing_lag) };
        self.cloud.files.push(Remote1 {
            id: file,
            content: self.disk,
            visible_at: self.now + lag,
            attempt: intent.id,
        });
        let done_at = self.now + 1 + self.dice.roll(40);
        let fails = self.mishap(12);
        self.cloud.tasks.push(Task { id: task, file, done_at, fails });
        if self.mishap(4) {
            self.lost_after_arrival += 1;
            return Outcome::Unanswered(cloud_trouble());
        }
        if self.mishap(10) {
            return Outcome::TakenUnnamed;
        }
        Outcome::Taken(task)
    }

    fn knows(&self, id: SourceFileId) -> bool {
        let current = self.entry.current.iter().any(|current| current.lead.source_file == id);
        current || self.entry.copies.iter().any(|copy| copy.source_file == id)
    }

    fn live(mut self, seed: u64) -> u64 {
        for _ in 0..160 {
            if self.dice.roll(8) == 0 {
                self.disk = u8::try_from(self.dice.roll(4)).unwrap() + 1;
            }
            if self.dice.roll(12) == 0
                && let Some(again) = rearm(&self.entry, self.time())
            {
                self.entry = again;
            }
            let pause = match self.step() {
                Verdict::LookAgain(pause) => pause.as_secs(),
                Verdict::Failed(_) => 1,
                Verdict::Done | Verdict::Instead(_) => 0,
            };
            self.now += pause + self.dice.roll(3);
        }
        self.calm = true;
        for task in &mut self.cloud.tasks {
            task.fails = false;
        }
        // A version that failed to convert waits for new bytes: the artist saves once more.
        self.disk = 9;
        let mut rounds = 0;
        loop {
            match self.step() {
                Verdict::Done => break,
                Verdict::LookAgain(pause) => self.now += pause.as_secs().max(1),
                Verdict::Failed(_) | Verdict::Instead(_) => self.now += 1,
            }
            rounds += 1;
            assert!(rounds < 400, "life {seed} does not come to rest: {:?}", self.entry.attempt);
        }
        self.judge(seed);
        self.lost_after_arrival
    }

    fn judge(&self, seed: u64) {
        let current = self.entry.current.as_ref().expect("a version is live");
        let live = self.cloud.files.iter().find(|file| file.id == current.lead.source_file);
        let live = live.unwrap_or_else(|| panic!("life {seed}: the live id is not in the cloud"));
        assert_eq!(live.content, self.disk, "life {seed}: the cloud holds what is on disk");
        let holding = self.cloud.files.iter().filter(|file| file.content == self.disk).count();
        assert_eq!(holding, 1, "life {seed}: it was sent once");
        for file in &self.cloud.files {
            assert!(
                self.knows(file.id),
                "life {seed}: {:?} of {:?} is known to nobody",
                file.id,
                file.attempt
            );
        }
    }
}

#[test]
fn c2_c4_c5_c6_c7_a4_after_any_life_the_cloud_holds_what_is_on_disk_exactly_once() {
    #[expect(clippy::disallowed_methods, reason = "the length of a campaign is set from outside the test")]
    let lives = std::env::var("VERSYNC_LIVES").ok().and_then(|lives| lives.parse().ok()).unwrap_or(5_000);
    let lost: u64 = (0..lives).map(|seed| World::new(seed).live(seed)).sum();
    assert!(lost > lives / 2, "the fault that matters most hardly ever happened: {lost} in {lives} lives");
}
