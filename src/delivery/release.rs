//! What becomes of the files that a bundle carried when it carries them no more.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::desk::Desk;
use crate::file::Key;
use crate::file::entry::AsideState;
use crate::ledger;
use crate::plan::Action;
use crate::worker::blocking;

/// Whether a bundle carries nothing any more: its lead is gone, or not ours to send.
pub(super) fn releases(action: &Action) -> bool {
    match action {
        Action::Forget => true,
        Action::StandAside(aside, _) => matches!(aside.state, AsideState::Deleted | AsideState::Detached),
        Action::Rest
        | Action::Wait(_)
        | Action::Consult
        | Action::Verify(_)
        | Action::Relocate(_)
        | Action::Clear(_)
        | Action::Restore(_)
        | Action::Upload(_)
        | Action::LookUp(..)
        | Action::Follow(..) => false,
    }
}

/// Forgets what a lead refers to. The files that it carried are their own now, or other models'.
pub(super) async fn release(desk: &Arc<Desk>, lead: &Key) -> Result<Vec<Key>, ledger::Error> {
    super::series::forget(desk, lead);
    let (ledger, lead) = (desk.ledger.clone(), lead.clone());
    blocking(move || {
        let carried = ledger.references(&lead)?;
        ledger.put_references(&lead, &[])?;
        ledger.put_sought(&lead, &BTreeSet::new())?;
        Ok(carried.into_iter().map(|(path, _)| Key::new(lead.mapping.clone(), path)).collect())
    })
    .await
}
