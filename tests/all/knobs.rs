//! One history under every position of every knob of the emulator: whichever way an unknown of the cloud turns out, each
//! file arrives once and nothing is lost, or it is blocked with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use versync::cloud::{Client, Scope, Source};
use versync::daemon::Why;
use versync::emulator::{Fault, FaultKind, Knobs};
use versync::file::{Entry, MappingName, State};

use crate::dice::Dice;
use crate::world::{World, hash_of};

const UPLOAD: &str = "/folders/{id}/source-files";

/// What comes of the history under a knob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// Every file arrives.
    Whole,
    /// Every file arrives, or stands aside in one of these states with a reason.
    Partly(&'static [State]),
    /// No pass comes to its end, and nothing is sent twice.
    Ends(End),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Login,
    Cloud,
}

use Comes::{Ends, Partly, Whole};
use State::{Blocked, ConversionFailed, Stalled};

/// Each open question of the API with its answers, but for the ones that the history starts from.
const POSITIONS: &[(&str, &str, Comes)] = &[
    ("upload_field", "file", Whole),
    ("upload_field", "files", Partly(&[Blocked])),
    ("part_path", "strip", Whole),
    ("part_path", "cut", Whole),
    ("part_path", "reject", Whole),
    ("same_name", "replace_same_id", Whole),
    ("same_name", "replace_new_id", Whole),
    ("same_name", "conflict", Partly(&[Blocked])),
    ("asset_ids", "stable", Whole),
    ("dedup", "on", Whole),
    ("omit_upload_task_id", "on", Whole),
    ("listing_lag_ms", "150", Whole),
    ("companion_tasks", "on", Whole),
    ("rejected_files", "drop", Whole),
    ("sibling_names", "reject", Whole),
    ("forbidden_characters", "#", Partly(&[Blocked])),
    ("name_case", "insensitive", Whole),
    ("max_name_bytes", "10", Partly(&[Blocked])),
    ("folders", "nested", Whole),
    ("folders", "roots", Whole),
    ("subfolders", "recursive", Whole),
    ("order", "newest", Whole),
    ("order", "random", Whole),
    ("order", "unstable", Whole),
    ("insert_during_paging", "on", Whole),
    ("page_max", "1", Whole),
    ("page_max", "3", Whole),
    ("asset_paging", "per_type", Whole),
    ("name_filter", "substring", Whole),
    ("name_filter", "ignored", Whole),
    ("requests_per_second", "25", Whole),
    ("max_upload_bytes", "4000", Partly(&[Blocked])),
    ("early_refusals", "on", Whole),
    ("stall_after_bytes", "10", Ends(End::Cloud)),
    ("upload_bytes_per_second", "20000", Whole),
    ("cut_after_bytes", "10", Ends(End::Cloud)),
    ("ttl", "units", Whole),
    ("max_ttl_hours", "1", Whole),
    ("expires_on", "ms", Whole),
    ("expires_on", "skewed", Whole),
    ("mint_revokes", "on", Whole),
    ("late_expiry", "checked", Whole),
    ("late_expiry", "always", Ends(End::Cloud)),
    ("id_delay_ms", "150", Whole),
    ("grant_delay_ms", "150", Whole),
    ("list_delay_ms", "150", Whole),
    ("progress", "percent", Whole),
    ("progress", "non_monotonic", Whole),
    ("task_end", "success", Whole),
    ("task_end", "error", Partly(&[ConversionFailed])),
    ("task_end", "rejected", Partly(&[Blocked])),
    ("task_end", "never", Partly(&[Stalled])),
    ("task_end", "unknown_status", Partly(&[Stalled])),
    ("task_retention_ms", "1", Whole),
    ("non_empty_folder", "403", Whole),
    ("non_empty_folder", "400", Whole),
    ("referenced_assets", "cascade", Whole),
    ("task_routes", "403", Whole),
    ("grant_inheritance", "off", Whole),
    ("api_key_uploader", "null", Whole),
    ("corrupt_downloads", "on", Whole),
    ("size_error", "1", Partly(&[Blocked])),
    ("clock_skew_s", "21600", Whole),
    ("clock_skew_s", "-21600", Whole),
    ("drop_underscore_headers", "on", Ends(End::Login)),
    ("extra_fields", "on", Whole),
];

/// Knobs that cannot turn the outcome of this history, with the reason.
const ELSEWHERE: &[(&str, &str)] = &[
    ("download_redirect", "a URL of the test's own: cloud::tests follows redirects by hand"),
    ("conversion_ms", "a duration: every history turns it down"),
];

#[test]
fn every_knob_is_turned() {
    let turned: BTreeSet<_> =
        POSITIONS.iter().map(|it| it.0).chain(ELSEWHERE.iter().map(|it| it.0)).collect();
    let all: BTreeSet<_> = Knobs::names().into_iter().collect();
    assert_eq!(turned, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn h12_h18_a1_a3_a5_a9_a11_a12_a13_under_every_single_knob_each_file_arrives_once_or_says_why_not() {
    let mut histories = tokio::task::JoinSet::new();
    let mut failures = Vec::new();
    let mut positions = POSITIONS.iter();
    loop {
        while histories.len() < 6
            && let Some((name, value, comes)) = positions.next()
        {
            histories.spawn(async move {
                let mut knobs = Knobs::default();
                knobs.set(name, value).unwrap();
                let lived = tokio::spawn(history(knobs, *comes, None)).await;
                lived.map_err(|panic| format!("{name} = {value}: {}", said(panic)))
            });
        }
        match histories.join_next().await {
            Some(lived) => failures.extend(lived.unwrap().err()),
            None => break,
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Seeded mixtures of knobs that let files arrive, with answers lost on the way.
#[tokio::test(flavor = "multi_thread")]
async fn a4_a5_under_random_knobs_and_lost_answers_each_file_arrives_once() {
    let seeds = std::env::var("VERSYNC_KNOB_SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(16_u64);
    let mut histories = tokio::task::JoinSet::new();
    let mut failures = Vec::new();
    let mut next = 0..seeds;
    loop {
        while histories.len() < 6
            && let Some(seed) = next.next()
        {
            histories.spawn(async move {
                let mut dice = Dice::new(seed);
                let mut knobs = Knobs::default();
                // Where an upload leaves no new id and its answer is lost, its bytes are the only witness: they must be true.
                let is_mixed = |it: &&(&str, &str, Comes)| it.2 == Whole && it.0 != "corrupt_downloads";
                let benign: Vec<_> = POSITIONS.iter().filter(is_mixed).collect();
                let mut mixture = Vec::new();
                for _ in 0..=dice.roll(5) {
                    let (name, value, _) = benign[usize::try_from(dice.roll(benign.len() as u64)).unwrap()];
                    knobs.set(name, value).unwrap();
                    mixture.push(format!("{name}={value}"));
                }
                let lost = u32::try_from(dice.roll(6)).unwrap() + 1;
                let lived = tokio::spawn(history(knobs, Whole, Some(lost))).await;
                lived.map_err(|panic| format!("seed {seed} ({}): {}", mixture.join(" "), said(panic)))
            });
        }
        match histories.join_next().await {
            Some(lived) => failures.extend(lived.unwrap().err()),
            None => break,
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn said(panic: tokio::task::JoinError) -> String {
    let panic = panic.into_panic();
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

/// First sync, edit, rename, delete, restart.
async fn history(mut knobs: Knobs, comes: Comes, lost: Option<u32>) {
    knobs.conversion_ms = 40;
    let world = World::new().await;
    world.emulator.set_knobs(knobs.clone());
    world.secret("api-key", &world.emulator.seeds().api_key);
    let mut local: BTreeMap<&str, Vec<u8>> = BTreeMap::from([
        ("top.glb", b"glTF top".to_vec()),
        ("kit a/chair.fbx", b"chair".repeat(200)),
        ("kit a/wood.png", b"wood".to_vec()),
        ("kit b/c/scan.las", b"LASF".repeat(3_000)),
        ("kit b/c/odd #1.obj", b"odd".to_vec()),
    ]);
    for (path, bytes) in &local {
        world.write(path, bytes);
    }
    if let Some(nth) = lost {
        world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::AcceptThenLose).nth(nth));
        world.emulator.fault(Fault::next("POST", UPLOAD, FaultKind::AcceptThenReset).nth(nth + 3));
    }
    let client = world.client_with(Source::ApiKey {
        key_file: world.dir().join("api-key"),
        user_id: world.emulator.seeds().user_id.parse().unwrap(),
        scope: Scope::Write,
        ttl: Duration::from_secs(3_600),
    });

    if let Ends(end) = comes {
        pass(&world, &client, 3).await.expect_err("no pass comes to its end");
        let why = pass(&world, &client, 1).await.expect_err("no pass comes to its end");
        match end {
            End::Login => assert!(matches!(why, Why::NeedsLogin(_)), "{why:?}"),
            End::Cloud => assert!(matches!(why, Why::CloudTrouble(_)), "{why:?}"),
        }
        assert!(world.remote().is_empty(), "{:?}", world.remote());
        return;
    }
    settle(&world, &client, &local, comes).await;

    local.insert("kit a/chair.fbx", b"chair, edited".repeat(100));
    world.write("kit a/chair.fbx", &local["kit a/chair.fbx"]);
    settle(&world, &client, &local, comes).await;

    let wood = local.remove("kit a/wood.png").unwrap();
    local.insert("kit a/oak.png", wood);
    std::fs::rename(world.root().join("kit a/wood.png"), world.root().join("kit a/oak.png")).unwrap();
    settle(&world, &client, &local, comes).await;

    local.remove("kit b/c/scan.las");
    std::fs::remove_file(world.root().join("kit b/c/scan.las")).unwrap();
    settle(&world, &client, &local, comes).await;

    world.emulator.clear_requests();
    settle(&world, &client, &local, comes).await;
    assert_eq!(world.requests("POST", UPLOAD), 0, "after a restart nothing is left to send");
    for path in ["kit a/wood.png", "kit b/c/scan.las"].iter().filter(|_| comes == Whole) {
        let entry = world.entry(path);
        assert!(entry == Entry::default() || entry.state() == State::Deleted, "{path}: {:?}", entry.state());
    }
}

/// Passes until one comes to its end.
async fn pass(world: &World, client: &Client, tries: u32) -> Result<(), Why> {
    let mut why = Why::Stopped;
    for _ in 0..tries {
        let passed = tokio::time::timeout(Duration::from_secs(60), world.sync_as(client.clone())).await;
        let Ok((ending, _)) = passed else {
            panic!("a pass does not come to rest: {}", still_open(world).await)
        };
        why = ending.why;
        if why == Why::Finished {
            return Ok(());
        }
    }
    Err(why)
}

/// What keeps a pass from its end.
async fn still_open(world: &World) -> String {
    world.let_go().await;
    let ledger = world.ledger();
    let open = ledger.open_keys(&MappingName::new("studio"), None, 100).unwrap();
    let told = open.iter().map(|key| {
        let entry = ledger.entry(key).unwrap();
        format!("{key} {} {:?} {:?}", entry.state(), entry.reason(), entry.attempt)
    });
    told.collect::<Vec<_>>().join("; ")
}

/// Syncs, then looks at disk and cloud: what lives in the cloud is what is on disk, once, and nothing that lived is gone.
async fn settle(world: &World, client: &Client, local: &BTreeMap<&str, Vec<u8>>, comes: Comes) {
    pass(world, client, 8).await.unwrap_or_else(|why| panic!("no pass came to its end: {why:?}"));
    let remote = world.remote();
    for path in local.keys() {
        let entry = world.entry(path);
        let state = entry.state();
        let hash = hash_of(&world.root().join(path));
        match comes {
            Partly(states) if states.contains(&state) => {
                assert!(entry.reason().is_some_and(|reason| !reason.is_empty()), "{path}: {state}");
                continue;
            }
            Whole | Partly(_) | Ends(_) => {
                assert_eq!(state, State::Synced, "{path}: {:?}", entry.reason());
            }
        }
        let current = entry.current.unwrap();
        let id = current.lead.source_file.to_string();
        let (_, live) =
            remote.iter().find(|(_, stored)| stored.id == id).expect("the live id is in the cloud");
        assert_eq!(live.blake3, hash, "{path}: the live id holds what is on disk");
        assert!(!current.lead.assets.is_empty(), "{path} has assets");
        let same: Vec<_> = remote
            .iter()
            .filter(|(at, stored)| {
                let name = path.rsplit('/').next();
                stored.blake3 == hash && (stored.id == id || at.rsplit('/').next() == name)
            })
            .collect();
        assert_eq!(same.len(), 1, "{path} is there once: {same:#?}");
    }
}
