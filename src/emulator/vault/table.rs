//! Rows that are found by id and listed in the order in which they came.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Something that is known by an id.
pub(in crate::emulator) trait Row {
    /// Its id.
    fn id(&self) -> Uuid;
}

/// The rows of one kind.
#[derive(Debug)]
pub(in crate::emulator) struct Table<T> {
    rows: BTreeMap<i64, T>,
    places: HashMap<Uuid, i64>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), places: HashMap::new() }
    }
}

impl<T: Row> Table<T> {
    /// The row of this id.
    pub(in crate::emulator) fn get(&self, id: Uuid) -> Option<&T> {
        self.rows.get(self.places.get(&id)?)
    }

    /// The row of this id, to be changed; its id must stay.
    pub(in crate::emulator) fn get_mut(&mut self, id: Uuid) -> Option<&mut T> {
        self.rows.get_mut(self.places.get(&id)?)
    }

    /// Adds a row behind all others.
    pub(in crate::emulator) fn push(&mut self, row: T) {
        let place = self.rows.last_key_value().map_or(0, |(last, _)| last + 1);
        self.put(place, row);
    }

    /// Adds a row before all others.
    pub(in crate::emulator) fn push_front(&mut self, row: T) {
        let place = self.rows.first_key_value().map_or(0, |(first, _)| first - 1);
        self.put(place, row);
    }

    /// Takes a row out.
    pub(in crate::emulator) fn remove(&mut self, id: Uuid) -> Option<T> {
        self.rows.remove(&self.places.remove(&id)?)
    }

    /// Keeps only the rows that pass.
    pub(in crate::emulator) fn retain(&mut self, mut pass: impl FnMut(&T) -> bool) {
        let gone: Vec<Uuid> = self.iter().filter(|row| !pass(row)).map(Row::id).collect();
        for id in gone {
            self.remove(id);
        }
    }

    /// All rows, oldest first.
    pub(in crate::emulator) fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.values()
    }

    /// All rows, oldest first, to be changed; their ids must stay.
    pub(in crate::emulator) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.values_mut()
    }

    fn put(&mut self, place: i64, row: T) {
        self.places.insert(row.id(), place);
        self.rows.insert(place, row);
    }
}

impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows.values())
    }
}

impl<'de, T: Row + Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = Self::default();
        for row in Vec::<T>::deserialize(deserializer)? {
            table.push(row);
        }
        Ok(table)
    }
}
