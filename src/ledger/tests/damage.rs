//! Whatever rots in the file, no step ever acts upon an id, a state or bytes that were not written.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::*;

/// Every one-byte change of a value, and its loss.
fn flips(value: &Value) -> Vec<Value> {
    let bytes = |bytes: &[u8]| {
        (0..bytes.len())
            .flat_map(|index| {
                [1_u8, 0x20, 0x80].map(|bit| {
                    let mut flipped = bytes.to_vec();
                    flipped[index] ^= bit;
                    flipped
                })
            })
            .chain((!bytes.is_empty()).then(|| bytes[1..].to_vec()))
            .map(Value::Blob)
            .collect()
    };
    let mut flips: Vec<Value> = match value {
        Value::Null => vec![Value::Integer(0), Value::Blob(vec![0; 16]), Value::Blob(vec![0; 32])],
        Value::Integer(number) => (0..64).map(|bit| Value::Integer(number ^ (1_i64 << bit))).collect(),
        Value::Text(text) => bytes(text.as_bytes()),
        Value::Blob(blob) => bytes(blob),
        Value::Real(_) => unreachable!("no column holds one"),
    };
    flips.push(Value::Null);
    flips
}

struct Table {
    name: &'static str,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

fn table(db: &Connection, name: &'static str) -> Table {
    let mut statement = db.prepare(&format!("SELECT * FROM {name}")).unwrap();
    let columns: Vec<_> = statement.column_names().map(str::to_owned).collect();
    let rows = statement.query_map([], |row| (0..columns.len()).map(|at| row.get(at)).collect()).unwrap();
    Table { name, rows: rows.map(Result::unwrap).collect(), columns }
}

/// Puts `flipped` into one cell; false if the table itself does not take it.
fn flip(db: &Connection, table: &Table, row: &[Value], column: usize, flipped: &Value) -> bool {
    let same: Vec<_> =
        table.columns.iter().zip(2..).map(|(name, place)| format!("{name} IS ?{place}")).collect();
    let cast = if matches!(row[column], Value::Text(_)) { "CAST(?1 AS TEXT)" } else { "?1" };
    let sql =
        format!("UPDATE {} SET {} = {cast} WHERE {}", table.name, table.columns[column], same.join(" AND "));
    let values = std::iter::once(flipped).chain(row);
    db.prepare(&sql).unwrap().execute(params_from_iter(values)).is_ok_and(|changed| changed == 1)
}

#[test]
fn l4_every_flipped_byte_of_a_row_is_found_or_harmless() {
    const TABLES: [&str; 8] = ["bundle", "file", "part", "asset", "copy", "fence", "conversion", "directory"];
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let entry = rich();
    ledger.put(&key("a/b"), &entry, None, at(1)).unwrap();
    let writer = ledger.lock().unwrap();
    let db = &writer.connection;
    db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    let (mut found, mut harmless) = (0_u32, 0_u32);
    for table in TABLES.map(|name| table(db, name)) {
        assert!(!table.rows.is_empty(), "{}", table.name);
        for row in &table.rows {
            for (column, value) in row.iter().enumerate() {
                for flipped in flips(value) {
                    db.execute_batch("BEGIN").unwrap();
                    if flip(db, &table, row, column, &flipped) {
                        let what = || format!("{}.{} = {flipped:?}", table.name, table.columns[column]);
                        match load::load(db, &key("a/b")) {
                            Ok(Some(read)) if read == entry => harmless += 1,
                            Ok(None) | Err(Fault::Damage) => found += 1,
                            Ok(Some(read)) => panic!("{} gave {read:?}", what()),
                            Err(Fault::Error(error)) => panic!("{} gave {error}", what()),
                        }
                        // A row that seems to belong to another path must not lend it its ids.
                        for other in tree::keys(db, &props(), &RelPath::root(), Which::All, None, 9).unwrap()
                        {
                            let read = load::load(db, &other);
                            let is_fine = other == key("a/b") || matches!(read, Err(Fault::Damage));
                            assert!(is_fine, "{} gave {other} an entry", what());
                        }
                        let listing = tree::listing(db, &props(), &rel("a")).unwrap();
                        for known in listing.files {
                            assert!(known.seen.is_none() || known.seen == entry.seen, "{}", what());
                        }
                    }
                    db.execute_batch("ROLLBACK").unwrap();
                }
            }
        }
    }
    assert!(found > 2_000, "{found} found, {harmless} harmless");
}

#[test]
fn l4_a_damaged_bundle_is_absent_counted_and_looked_at_again() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.put(&key("a/b"), &rich(), None, at(1)).unwrap();
    ledger.put(&key("a/c"), &rich(), None, at(1)).unwrap();
    ledger.put_digests(&props(), &[(rel("a"), Digest([1; 32]))]).unwrap();
    let rot = "UPDATE part SET source_file = zeroblob(16) WHERE position = 0 AND slot = 'current'
               AND bundle = (SELECT id FROM bundle WHERE path = CAST('a/b' AS BLOB))";
    ledger.write(|db, _| Ok(db.execute(rot, [])?)).unwrap();
    let (damaged, last) = ledger.damaged_keys(&props(), None, 9).unwrap();
    assert_eq!((damaged, last), (vec![key("a/b")], Some(rel("a/c"))));
    for _ in 0..2 {
        assert_eq!(ledger.entry(&key("a/b")).unwrap(), Entry::default());
    }
    assert_eq!(ledger.damaged_rows(), 1);
    assert_eq!(ledger.digest(&props(), &rel("a")).unwrap(), None, "its directory is compared again");
    assert_eq!(ledger.entry(&key("a/c")).unwrap(), rich());

    // The same entry once more: the seals of its groups are as before, and the rotten row is written all the same.
    ledger.put(&key("a/b"), &rich(), None, at(2)).unwrap();
    assert_eq!(ledger.entry(&key("a/b")).unwrap(), rich());
}

#[test]
fn a_damaged_shelf_is_not_known() {
    let home = home();
    let ledger = Ledger::open(home.path()).unwrap();
    let folder = FolderId::from_uuid(Uuid::from_u128(5));
    ledger.put_shelf(&props(), &rel("a"), folder).unwrap();
    ledger.write(|db, _| Ok(db.execute("UPDATE shelf SET folder = zeroblob(16)", [])?)).unwrap();
    assert_eq!(ledger.shelf(&props(), &rel("a")).unwrap(), None);
    ledger.put_shelf(&props(), &rel("a"), folder).unwrap();
    assert_eq!(ledger.shelf(&props(), &rel("a")).unwrap(), Some(folder));
}

/// A closed ledger with some hundred entries, and the bytes of its file.
fn closed(home: &Path) -> Vec<u8> {
    let ledger = Ledger::open(home).unwrap();
    let batch: Vec<_> = (0..200).map(|number| (key(&format!("d{}/f{number}", number % 7)), rich())).collect();
    ledger.put_all(&batch, at(1)).unwrap();
    drop(ledger);
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::open(home.join("ledger.db")).unwrap(), &mut bytes)
        .unwrap();
    bytes
}

fn replace(home: &Path, bytes: &[u8]) {
    std::io::Write::write_all(&mut std::fs::File::create(home.join("ledger.db")).unwrap(), bytes).unwrap();
}

#[test]
fn l3_a_file_that_is_no_database_is_set_aside_and_never_overwritten() {
    let home = home();
    closed(home.path());
    for number in 1..=2 {
        replace(home.path(), &vec![b'x'; 9_000]);
        assert!(matches!(Reader::open(home.path()), Err(Error::Damaged(_))));
        let ledger = Ledger::open(home.path()).unwrap();
        let aside = home.path().join(format!("ledger.corrupt-{number}"));
        assert_eq!(ledger.was_rebuilt(), Some(&*aside));
        assert_eq!(std::fs::metadata(&aside).unwrap().len(), 9_000);
        assert_eq!(ledger.entry(&key("d1/f1")).unwrap(), Entry::default());
        ledger.put(&key("d1/f1"), &rich(), None, at(2)).unwrap();
        drop(ledger);
        let again = Ledger::open(home.path()).unwrap();
        assert_eq!(again.meta(REBUILT).unwrap().as_deref(), aside.to_str(), "the next start knows it too");
        assert_eq!((again.was_rebuilt(), again.entry(&key("d1/f1")).unwrap()), (None, rich()));
    }
}

#[test]
fn l3_garbage_anywhere_in_the_file_never_becomes_an_entry() {
    let home = home();
    let sound = closed(home.path());
    let pages = sound.len() / 4_096;
    let mut rebuilt = 0;
    for seed in 0..24 {
        let mut rotten = sound.clone();
        let start = (seed * pages / 24) * 4_096 + seed * 37;
        let end = (start + 1_500).min(rotten.len());
        rotten[start..end].iter_mut().zip(0_u8..=u8::MAX).for_each(|(byte, mask)| *byte ^= mask | 1);
        replace(home.path(), &rotten);
        let ledger = match Ledger::open(home.path()) {
            Ok(ledger) => ledger,
            Err(Error::Newer { .. }) => continue,
            Err(error) => panic!("seed {seed}: {error:?}"),
        };
        rebuilt += u32::from(ledger.was_rebuilt().is_some());
        for number in 0..200 {
            match ledger.entry(&key(&format!("d{}/f{number}", number % 7))) {
                Ok(entry) => assert!(entry == rich() || entry == Entry::default(), "seed {seed}"),
                Err(Error::Damaged(_) | Error::Broken) => break,
                Err(error) => panic!("seed {seed}: {error:?}"),
            }
        }
    }
    assert!(rebuilt > 0);
}

#[test]
fn l3_a_truncated_ledger_is_set_aside() {
    let home = home();
    let sound = closed(home.path());
    replace(home.path(), &sound[..sound.len() / 2]);
    assert!(Ledger::open(home.path()).unwrap().was_rebuilt().is_some());
}

#[test]
fn c13_a_ledger_of_a_newer_binary_is_refused_and_left_as_it_is() {
    let home = home();
    closed(home.path());
    let newer = schema::NEWEST + 1;
    let ledger = Ledger::open(home.path()).unwrap();
    let mark = |version: i64| ledger.write(|db, _| Ok(db.pragma_update(None, "user_version", version)?));
    mark(newer).unwrap();
    assert!(matches!(ledger.reader(), Err(Error::Newer { .. })));
    drop(ledger);
    for _ in 0..2 {
        let refused = Ledger::open(home.path()).unwrap_err();
        assert!(matches!(refused, Error::Newer { found, .. } if found == newer), "{refused}");
    }
}

#[test]
fn c13_a_schema_number_that_the_tables_contradict_is_damage() {
    let home = home();
    closed(home.path());
    let ledger = Ledger::open(home.path()).unwrap();
    ledger.write(|db, _| Ok(db.pragma_update(None, "user_version", 0)?)).unwrap();
    drop(ledger);
    assert!(Ledger::open(home.path()).unwrap().was_rebuilt().is_some());
}
