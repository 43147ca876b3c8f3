//! The rows X1 to X5 of the fault matrix: tokens that run out, sources that fail, files that are rotated. X6 is in `secrets`.

use std::path::Path;
use std::time::Duration;

use futures_util::future::try_join_all;
use versync::cloud::{self, Client, Scope, Secret, Source, Tokens};
use versync::id::FolderId;
use versync::patience::Patience;

use crate::world::World;

const MINT: &str = "/users/{id}/tokens";

impl World {
    fn client_by(&self, source: Source) -> Client {
        let patience = Patience {
            retry_first: Duration::from_millis(1),
            retry_max: Duration::from_millis(1),
            ..Patience::default()
        };
        let options = cloud::Options {
            url: self.emulator.url().parse().unwrap(),
            upload_field: "file".to_owned(),
            ca_file_pem: None,
            proxy: cloud::Proxy::None,
            patience: patience.clone(),
        };
        Client::new(options, Tokens::new(source, patience)).unwrap()
    }

    fn by_key(&self) -> Client {
        self.client_by(Source::ApiKey {
            key_file: self.secret("api-key", &self.emulator.seeds().api_key),
            user_id: self.emulator.seeds().user_id.parse().unwrap(),
            scope: Scope::Write,
            ttl: Duration::from_secs(3600),
        })
    }

    fn folder(&self) -> FolderId {
        self.emulator.seeds().folder_id.parse().unwrap()
    }

    async fn sixty_four(&self, client: &Client) {
        try_join_all((0..64).map(|_| client.folder(self.folder()))).await.unwrap();
    }
}

/// A source that counts how often it is asked, and does `script` with the number in `$n`.
fn counting(directory: &Path, script: &str) -> Source {
    let count = directory.join("count").display().to_string();
    let script = format!("echo >> '{count}'; n=$(wc -l < '{count}'); {script}");
    let argv = ["/bin/sh", "-c", &script].map(str::to_owned).to_vec();
    // Paused time runs while the command does.
    Source::Command { argv, timeout: Duration::from_secs(1 << 30) }
}

fn asked(directory: &Path) -> u64 {
    std::fs::metadata(directory.join("count")).map_or(0, |meta| meta.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn x1_sixty_four_requests_at_once_mint_one_token_and_one_more_when_it_dies() {
    let world = World::new().await;
    let client = world.by_key();
    world.sixty_four(&client).await;
    assert_eq!(world.requests("POST", MINT), 1);
    world.emulator.expire_tokens();
    world.sixty_four(&client).await;
    assert_eq!(world.requests("POST", MINT), 2);
}

#[tokio::test(start_paused = true)]
async fn x2_while_the_source_is_down_the_old_token_is_used_and_the_source_is_asked_ever_more_seldom() {
    let directory = tempfile::tempdir().unwrap();
    let script = r#"[ "$n" = 1 ] && printf '{"user_token":"fake-first","expires_in":3600}'"#;
    let tokens = Tokens::new(counting(directory.path(), script), Patience::default());
    let first = Secret::new("fake-first").unwrap();
    assert_eq!(tokens.current().await.unwrap(), first);
    tokio::time::advance(Duration::from_secs(2_900)).await;
    let mut tries = Vec::new();
    for _ in 0..1_200 {
        assert_eq!(tokens.current().await.unwrap(), first, "not refused yet, so it is used");
        tries.push(asked(directory.path()));
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let (early, late) = (tries[60] - 1, tries[1_199] - tries[600]);
    assert!((4..=8).contains(&early), "in the first minute it was asked {early} times");
    assert!((1..=3).contains(&late), "in the last ten minutes it was asked {late} times");

    tokens.reject(&first);
    assert!(tokens.current().await.unwrap_err().needs_login());
}

#[tokio::test]
async fn x3_whatever_is_said_of_its_life_a_token_is_believed_for_30_s_to_24_h() {
    let directory = tempfile::tempdir().unwrap();
    let (shortest, longest) = (Duration::from_secs(30), Duration::from_secs(24 * 3600));
    for (expiry, least, most) in [
        (r#""expires_in": 0"#, 29, 30),
        (r#""expires_in": -5"#, 29, 30),
        (r#""expires_in": 1e300"#, 24 * 3600 - 5, 24 * 3600),
        (r#""expires_in": 3600000"#, 24 * 3600 - 5, 24 * 3600),
        (r#""expires_in": 3600"#, 3590, 3600),
        (r#""expires_in": 3600.5"#, 3590, 3601),
        (r#""expires_in": 3600, "expires_on": 1"#, 3590, 3600),
        (r#""expires_on": 1"#, 29, 30),
        (r#""expires_on": 99999999999999"#, 24 * 3600 - 5, 24 * 3600),
        (r#""expires_in": 3600, "expires_on": "soon""#, 3590, 3600),
    ] {
        let file = directory.path().join("token");
        std::fs::write(&file, format!(r#"{{ "user_token": "fake", {expiry} }}"#)).unwrap();
        let tokens = Tokens::new(Source::File(file), Patience::default());
        tokens.current().await.unwrap();
        let left = tokens.life().remaining.unwrap();
        assert!((least..=most).contains(&left.as_secs()), "{expiry}: {left:?}");
        assert!(left <= longest && left + Duration::from_secs(1) >= shortest, "{expiry}: {left:?}");
    }
    for silent in ["", r#", "expires_in": null"#, r#", "expires_in": "1h""#] {
        let file = directory.path().join("token");
        std::fs::write(&file, format!(r#"{{ "user_token": "fake"{silent} }}"#)).unwrap();
        let tokens = Tokens::new(Source::File(file), Patience::default());
        tokens.current().await.unwrap();
        assert_eq!(tokens.life().remaining, None, "{silent}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x4_a_token_that_died_unnoticed_is_replaced_without_an_error() {
    // As after a night asleep: by our clocks it is young, and the cloud no longer takes it.
    let world = World::new().await;
    let client = world.by_key();
    for nights in 1..=3 {
        client.folder(world.folder()).await.unwrap();
        assert_eq!(world.requests("POST", MINT), nights);
        world.emulator.advance(Duration::from_secs(8 * 3600));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn x5_a_token_file_that_was_replaced_is_read_again_before_and_after_a_refusal() {
    let world = World::new().await;
    let client = world.client_by(Source::File(world.dir().join("token")));
    client.folder(world.folder()).await.unwrap();
    for replaced in [true, false, true] {
        world.emulator.expire_tokens();
        if !replaced {
            // Nobody has logged in yet: that is told, and ends by itself.
            assert!(client.folder(world.folder()).await.unwrap_err().needs_login());
        }
        let token = world.emulator.mint(versync::emulator::Level::Write, 3600);
        std::fs::rename(world.secret("next", &token), world.dir().join("token")).unwrap();
        client.folder(world.folder()).await.unwrap();
    }
}
