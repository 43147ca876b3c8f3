//! What the rules and the ledger say, as text or JSON for a reader. Pure.
