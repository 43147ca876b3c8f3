//! What is taken away, and what is handed on, where two things happen at once: nothing is taken that somebody still has.

use std::fs;

use versync::emulator::{Fault, FaultKind, Turn};
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
