//! What is taken away, and what is handed on, where two things happen at once: nothing is taken that somebody still has.

use std::fs;

use versync::delivery;
use versync::emulator::{Fault, FaultKind, Outcome, Turn};
use versync::file::State;

use crate::series::slices::{Syntax, slice};
use crate::world::World;

fn volume(world: &World, numbers: &[i32]) {
    for number in numbers {
        world.write(&format!("scan/{number}.dcm"), &slice(Syntax::Explicit, "1.2.3", *number));
    }
}

/// The cloud is away while a series is handed on, and the slice that led comes back before anything was sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_lead_that_comes_back_before_its_heir_has_sent_anything_is_synced_again_and_nothing_is_sent() {
    let world = World::new().await;
    volume(&world, &[1, 2, 3]);
    world.sync().await;
    world.emulator.fault(Fault {
        method: "*".to_owned(),
        route: "*".to_owned(),
        turn: Turn::Every,
        kind: FaultKind::Status { status: 503, body: String::new() },
    });
    fs::remove_file(world.root().join("scan/1.dcm")).unwrap();
    world.sync().await;
    let handed = world.entry("scan/2.dcm");
    assert!(handed.current.is_some(), "it was handed on");
    assert_eq!(handed.state(), State::Ready, "a slice is gone: it has to be sent anew");
    world.emulator.clear_faults();
    world.emulator.clear_requests();
    volume(&world, &[1]);
    world.sync().await;
    assert_eq!(world.entry("scan/2.dcm").state(), State::Synced);
    assert_eq!(world.requests("POST", "/folders/{id}/source-files"), 0);
}

/// A texture is gone and is being deleted, while a model arrives that the cloud knows and that uses equal bytes.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_deleted_is_not_taken_note_of_by_a_model_that_arrives_meanwhile() {
    let world = World::new().await;
    let chair = || {
        world.write("chair.obj", b"mtllib chair.mtl\n");
        world.write("chair.mtl", b"newmtl m\nmap_Kd wood.png\n");
    };
    // Another installation has sent the model, without its texture.
    chair();
    world.sync().await;
    world.let_go().await;
    fs::remove_dir_all(world.config().state_dir).unwrap();
    fs::remove_file(world.root().join("chair.obj")).unwrap();
    // This one knows only the texture, as a file of its own.
    world.options("on_delete = \"delete\"");
    world.write("wood.png", b"wood");
    world.sync().await;
    world.let_go().await;
    delivery::arm(&world.ledger(), &world.config().mappings[0]).unwrap();
    let running = world.run().await;
    world.emulator.fault(Fault::next("DELETE", "/source-files", FaultKind::Delay { ms: 3_000 }));
    world.emulator.clear_requests();
    fs::remove_file(world.root().join("wood.png")).unwrap();
    world.until_requests("DELETE", "/source-files", 1).await;
    world.write("wood.png", b"wood");
    chair();
    let is_whole = |world: &World| {
        let there: Vec<_> = world.emulator.source_files().into_iter().map(|it| it.id).collect();
        let chair = running.entry("chair.obj");
        let lives = |id: String| there.contains(&id);
        chair.state() == State::Synced
            && chair.current.is_some_and(|it| {
                it.members.len() == 2 && it.parts().all(|part| lives(part.source_file.to_string()))
            })
    };
    let is_answered = |world: &World| {
        let requests = world.emulator.requests();
        requests.iter().any(|it| it.method == "DELETE" && it.outcome == Outcome::Answered(204))
    };
    world.until_some(is_answered).await;
    world.until_some(is_whole).await;
}
