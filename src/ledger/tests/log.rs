//! The write-ahead log beside others who read: it is emptied as soon as they let it, and nobody waits for anybody.

use super::*;

fn log(home: &TempDir) -> u64 {
    home::log_size(home.path())
}

/// Writes so many bytes of rows that the log grows by about as much.
fn write(ledger: &Ledger, bytes: usize) {
    for n in 0..bytes >> 20 {
        // SQLite writes nothing where the same bytes lie already.
        let value = ["a", "b"][n / 4 % 2].repeat(1 << 20);
        ledger.put_meta(&format!("key {}", n % 4), &value).unwrap();
    }
}

/// A connection of another program.
#[expect(clippy::disallowed_methods, reason = "another program asks nobody")]
fn stranger(home: &TempDir) -> rusqlite::Connection {
    rusqlite::Connection::open(home.path().join("ledger.db")).unwrap()
}

#[test]
fn l12_a_log_that_grew_while_somebody_read_is_cut_once_they_are_gone() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.put_meta("seen", "before").unwrap();
    let reading = stranger(&home);
    reading.execute_batch("BEGIN").unwrap();
    let seen =
        || reading.query_row("SELECT value FROM meta WHERE key = 'seen'", [], |row| row.get::<_, String>(0));
    assert_eq!(seen().unwrap(), "before");
    ledger.put_meta("seen", "after").unwrap();

    write(&ledger, usize::try_from(MOST_LOG).unwrap() + (4 << 20));
    assert!(log(&home) > MOST_LOG, "nothing can be cut that somebody reads");
    assert!(ledger.cut_log().unwrap() > MOST_LOG);
    // Nobody waits: the writer writes, others read what is newest, and the old view stays what it was.
    ledger.put_meta("written", "meanwhile").unwrap();
    let others = Reader::open(home.path()).unwrap();
    assert_eq!(others.meta("seen").unwrap().as_deref(), Some("after"));
    assert_eq!(others.meta("written").unwrap().as_deref(), Some("meanwhile"));
    assert_eq!(seen().unwrap(), "before");

    reading.execute_batch("COMMIT").unwrap();
    assert_eq!(ledger.cut_log().unwrap(), 0);
    write(&ledger, 16 << 20);
    assert!(log(&home) < 8 << 20, "it is emptied as it goes: {}", log(&home));
    assert_eq!(ledger.meta("written").unwrap().as_deref(), Some("meanwhile"));
}

#[test]
fn l12_a_view_of_ours_that_stands_still_in_the_middle_of_a_list_keeps_no_log() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    for name in ["a.fbx", "b.fbx", "c.fbx"] {
        ledger.put(&key(name), &rich(), None, at(1)).unwrap();
    }
    let reader = ledger.reader().unwrap();
    let mut listed = 0;
    let each = &mut |_, _| {
        listed += 1;
        write(&ledger, 16 << 20);
        std::ops::ControlFlow::Continue(())
    };
    reader.bundles(None, None, each).unwrap();
    assert_eq!(listed, 3);
    assert!(log(&home) < 8 << 20, "{}", log(&home));
}
