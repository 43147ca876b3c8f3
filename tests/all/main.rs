//! The tests that see versync from outside, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "the helpers of tests are tests too: they stand outside of #[test], where clippy.toml lets them do as they like"
)]

mod answers; // what the API may answer, row by row
mod neighbours; // what other people do in the cloud
mod dice; // numbers that are the same for the same seed
mod world; // a temporary studio, an emulator, a ledger
mod process; // the real binary in a cleared environment
mod commands; // what the commands print, and how they end
mod panel; // commands beside a running service, and the socket that they speak over
mod provision; // the cloud set up by a key, scenes opened, sessions seen
mod strangers; // servers of others, which must not hear our secrets
mod tokens; // tokens that run out, sources that fail
mod secrets; // no secret is found where none belongs
mod live; // what an artist does while versync watches
mod saves; // how the programs of artists save, and that nothing half-written ever leaves
mod trouble; // requests that break, answers that are lost, processes that are killed
mod kills; // the binary killed at a moment that the cloud tells of
mod odd_trees; // names, links, pipes and permissions that stop nothing
mod roots; // roots that go away, change, fall silent and come back
mod mounts; // the same with real mounts, where the machine allows them
mod failing_disk; // no room for the ledger or for the log, and bytes that cannot be read
mod hostile; // models that name what they should not
mod many; // trees of many files, killed in the middle
mod power_cut; // a machine that went down without warning
mod lifecycle; // signals, watchdogs, second instances, state directories
mod watching; // events that are lost, late, limited or not to be had
mod second_machine; // what is already there is found again, not sent again
mod verify; // here and there compared, and what is there taken note of
mod knobs; // whichever way an unknown of the cloud turns out
mod manifest; // what became of every path, as a file for others
mod moves; // what is renamed or moved keeps its ids, and nothing is sent
mod policies; // what is taken away from the cloud, and what never is
mod assets; // what was made of files that go: what nothing uses goes too
mod clearing; // killed, or unheard, at each request by which something is taken away
mod changing; // files that change under our hands
mod history; // a morning of one artist, and every upload of it
mod bundles; // a model arrives with its textures, and is refreshed with them
mod names; // how members are called on their way
mod searching; // how far a file is searched that is not where its name says
mod series; // the slices of a volume arrive together, and are one bundle whatever becomes of them
mod taking; // nothing is taken away or handed on that somebody else still has
mod refresh; // how far the change of a shared texture may reach
mod real_models; // the models of other people's tools, synced as they are
mod openapi; // requests and answers agree with the description of the API
mod first_sync; // a tree arrives whole, once, and is known afterwards
mod architecture; // the map of src/ and the rules of the house
mod docs; // the documents say what the code does
mod matrix; // every row of the fault matrix has its test, or says why not
mod packaging; // service files agree with the defaults of the code
mod corpus; // real models and hostile ones: what they name
