//! Killed, or unheard, at each request by which something is taken away: it ends as if nothing had happened, and nothing else is
//! touched.

use std::collections::BTreeSet;
use std::fs;

use versync::delivery;
use versync::emulator::{Fault, FaultKind, Outcome, Turn};
use versync::file::State;

use crate::world::World;

/// Why remote files go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Gone,
    Replaced,
}

/// A studio in which something waits to be taken away, and a person has agreed.
struct Stage {
    world: World,
    cause: Cause,
    fate: &'static str,
    /// The files and assets that have to be there whatever happens: other people's, other models', and those that are used.
    untouchable: BTreeSet<String>,
    /// The assets that go under `delete_with_assets`.
    doomed: BTreeSet<String>,
}

const CHAIR: [(&str, &[u8]); 3] = [
    ("chair.obj", b"mtllib chair.mtl\nv 0 0 0\n"),
    ("chair.mtl", b"newmtl wood\nmap_Kd wood.tga\n"),
    ("wood.tga", b"wood"),
];

fn write_chair(world: &World) {
    CHAIR.iter().for_each(|(path, bytes)| drop(world.write(path, bytes)));
}

impl Stage {
    async fn set(cause: Cause, fate: &'static str) -> Self {
        let world = World::new().await;
        // Somebody else's file of the same name: no ledger remembers that we sent it.
        world.write("chair.obj", b"the chair of somebody else, who uploaded it long before us");
        world.sync().await;
        world.let_go().await;
        fs::remove_dir_all(world.config().state_dir).unwrap();
        world.options(&format!("on_delete = \"{fate}\"\non_change = \"{fate}\""));
        write_chair(&world);
        world.write("lamp.obj", b"lamp");
        world.sync().await;
        let ids = |world: &World| -> BTreeSet<String> {
            let files = world.remote().into_iter().map(|(_, it)| it.id);
            files.chain(world.emulator.asset_ids()).collect()
        };
        let chair = world.entry("chair.obj").current.unwrap();
        let assets = || chair.parts().flat_map(|part| &part.assets);
        let texture = assets().find(|it| it.kind == "texture").unwrap().id.to_string();
        let folder = world.emulator.seeds().folder_id.clone();
        world.emulator.compose_scene(&folder, "Lobby", std::slice::from_ref(&texture)).unwrap();
        let doomed: BTreeSet<_> = assets().map(|it| it.id.to_string()).filter(|it| *it != texture).collect();
        let mut untouchable = ids(&world);
        untouchable.retain(|it| !doomed.contains(it));
        let files: BTreeSet<_> = chair.parts().map(|part| part.source_file.to_string()).collect();
        untouchable.retain(|it| !files.contains(it));
        match cause {
            Cause::Gone => {
                CHAIR.iter().for_each(|(path, _)| fs::remove_file(world.root().join(path)).unwrap())
            }
            Cause::Replaced => drop(world.write("chair.obj", b"mtllib chair.mtl\nv 1 1 1\n")),
        }
        world.sync().await;
        world.let_go().await;
        if let Some(current) = world.entry("chair.obj").current.filter(|_| cause == Cause::Replaced) {
            untouchable.extend(current.parts().map(|part| part.source_file.to_string()));
            untouchable.extend(current.parts().flat_map(|part| &part.assets).map(|it| it.id.to_string()));
        }
        delivery::arm(&world.ledger(), &world.config().mappings[0]).unwrap();
        world.let_go().await;
        world.emulator.clear_requests();
        Self { world, cause, fate, untouchable, doomed }
    }

    /// How many requests it takes, and which of them change anything.
    async fn requests(cause: Cause, fate: &'static str) -> (u32, Vec<u32>) {
        let stage = Self::set(cause, fate).await;
        stage.finish().await;
        let asked = stage.world.emulator.requests();
        // What comes after is not its business.
        let last = asked.iter().rposition(|it| it.method == "DELETE" || it.method == "PUT").unwrap();
        let numbers = (1_u32..).zip(&asked[..=last]);
        let changes = numbers.filter(|(_, it)| it.method != "GET").map(|(n, _)| n).collect();
        (u32::try_from(last).unwrap() + 1, changes)
    }

    async fn finish(&self) {
        self.world.emulator.clear_faults();
        let said = self.world.versync(&["sync"]).await;
        assert_eq!(said.code, 0, "{said:#?}");
    }

    fn there(&self) -> BTreeSet<String> {
        let files = self.world.remote().into_iter().map(|(_, it)| it.id);
        files.chain(self.world.emulator.asset_ids()).collect()
    }

    /// It ended as it should have without any trouble.
    fn is_done(&self, when: &str) {
        let when = format!("{:?}, {}, {when}", self.cause, self.fate);
        self.is_untouched(&when);
        let there = self.there();
        let left: Vec<_> = self.doomed.iter().filter(|it| there.contains(*it)).collect();
        if self.fate == "delete_with_assets" {
            assert!(left.is_empty(), "{when}: {left:?}");
        } else {
            assert_eq!(left.len(), self.doomed.len(), "{when}");
        }
        let names: Vec<_> = self.world.remote().into_iter().map(|(path, _)| path).collect();
        let mut wanted = vec!["chair.obj", "lamp.obj"];
        if self.fate == "archive" {
            wanted.extend([
                "_versync_archive/chair.mtl",
                "_versync_archive/chair.obj",
                "_versync_archive/wood.tga",
            ]);
        }
        if self.cause == Cause::Replaced {
            wanted.extend(["chair.mtl", "chair.obj", "wood.tga"]);
        }
        wanted.sort_unstable();
        assert_eq!(names, wanted, "{when}");
        let entry = self.world.entry("chair.obj");
        let state = match (self.cause, self.fate) {
            (Cause::Gone, "delete") => State::Ready,
            (Cause::Gone, _) => State::Deleted,
            (Cause::Replaced, _) => State::Synced,
        };
        assert_eq!(entry.state(), state, "{when}: {entry:#?}");
        let roles: BTreeSet<_> = entry.copies.iter().map(|it| format!("{:?}", it.role)).collect();
        let wanted: &[&str] = match self.fate {
            "archive" => &["Archived"],
            "delete" => &[],
            _ => &["Remains"],
        };
        assert_eq!(roles.iter().map(String::as_str).collect::<Vec<_>>(), wanted, "{when}");
    }

    fn is_untouched(&self, when: &str) {
        let there = self.there();
        let missing: Vec<_> = self.untouchable.iter().filter(|it| !there.contains(*it)).collect();
        assert!(missing.is_empty(), "{when}: {missing:?}");
    }

    /// Starts a pass and kills it at its `n`-th request: while that waits to be done, or when it is done and its answer is on
    /// its way.
    async fn kill(&self, n: u32, kind: FaultKind) {
        let done = matches!(kind, FaultKind::AcceptThenDelay { .. });
        self.world.emulator.fault(Fault {
            method: "*".to_owned(),
            route: "*".to_owned(),
            turn: Turn::Nth(n),
            kind,
        });
        let started = self.world.start(&["sync"]);
        let number = n as usize;
        let is_there = |world: &World| {
            let asked = world.emulator.requests();
            asked.get(number - 1).is_some_and(|it| !done || it.outcome != Outcome::Open)
        };
        self.world.until_some(is_there).await;
        started.signal("KILL");
        started.end().await;
    }
}

const BEFORE: FaultKind = FaultKind::Delay { ms: 60_000 };
const AFTER: FaultKind = FaultKind::AcceptThenDelay { ms: 60_000 };

async fn killed(cause: Cause, fate: &'static str) {
    let (all, changes) = Stage::requests(cause, fate).await;
    for n in 1..=all {
        for kind in [BEFORE, AFTER] {
            // A question that was not answered is the same question whenever it dies.
            if !changes.contains(&n) && kind == BEFORE && n > 1 {
                continue;
            }
            let stage = Stage::set(cause, fate).await;
            let when = format!("killed at request {n} of {all}, {kind:?}");
            stage.kill(n, kind).await;
            stage.is_untouched(&when);
            stage.finish().await;
            stage.is_done(&when);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c10_killed_at_any_request_of_a_deletion_it_ends_as_without_and_touches_nothing_else() {
    killed(Cause::Gone, "delete").await;
    killed(Cause::Gone, "archive").await;
    killed(Cause::Gone, "delete_with_assets").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn c9_c10_killed_at_any_request_that_takes_an_older_version_away_the_new_one_lives() {
    killed(Cause::Replaced, "delete").await;
    killed(Cause::Replaced, "archive").await;
    killed(Cause::Replaced, "delete_with_assets").await;
}

/// After the kill the same bytes are there again: what is called synced must be there with all that was made of it.
#[tokio::test(flavor = "multi_thread")]
async fn c10_a_file_that_comes_back_after_a_kill_in_its_deletion_is_whole_again() {
    for cause in [Cause::Gone, Cause::Replaced] {
        for fate in ["delete", "archive", "delete_with_assets"] {
            let (_, changes) = Stage::requests(cause, fate).await;
            for n in changes {
                let stage = Stage::set(cause, fate).await;
                stage.kill(n, AFTER).await;
                write_chair(&stage.world);
                stage.finish().await;
                let entry = stage.world.entry("chair.obj");
                assert_eq!(entry.state(), State::Synced, "{cause:?}, {fate}, {n}: {entry:#?}");
                let there = stage.there();
                let home: BTreeSet<_> =
                    stage.world.remote().into_iter().map(|(path, it)| (path, it.id)).collect();
                for part in entry.current.unwrap().parts() {
                    let place = (part.part.name.as_str().to_owned(), part.source_file.to_string());
                    assert!(home.contains(&place), "{cause:?}, {fate}, {n}: {place:?} in {home:?}");
                    for asset in &part.assets {
                        assert!(there.contains(&asset.id.to_string()), "{cause:?}, {fate}, {n}: {asset:?}");
                    }
                }
            }
        }
    }
}

/// The same without a kill: the process goes on, and does not know what became of its request.
#[tokio::test(flavor = "multi_thread")]
async fn c10_an_answer_that_is_lost_at_any_request_of_a_deletion_changes_nothing_in_the_end() {
    for (cause, fate) in [
        (Cause::Gone, "archive"),
        (Cause::Gone, "delete_with_assets"),
        (Cause::Replaced, "delete_with_assets"),
    ] {
        let (all, _) = Stage::requests(cause, fate).await;
        for n in 1..=all {
            let stage = Stage::set(cause, fate).await;
            stage.world.emulator.fault(Fault {
                method: "*".to_owned(),
                route: "*".to_owned(),
                turn: Turn::Nth(n),
                kind: FaultKind::AcceptThenLose,
            });
            stage.world.sync().await;
            stage.world.sync().await;
            stage.is_done(&format!("the answer to request {n} of {all} was lost"));
        }
    }
}
