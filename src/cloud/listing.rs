//! Reading a list page by page, and whether what was read may be called the whole. Knows no request and no shape.
//!
//! The API pages by offset while others upload, tells no order, and may hand out less than it is asked for.

use std::collections::HashSet;

use uuid::Uuid;

/// What was read of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items, each once, in the order in which they were met.
    pub items: Vec<T>,
    /// Whether these are all: only then does absence mean anything.
    pub complete: Complete,
}

/// Whether a listing is the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Complete {
    /// The server counted as many as were read, on every page, and where there was more than one page a second reading found the
    /// same. Inferred: it counts all pages and not the one that it hands out, and
    /// does so with every success. If it counted the page, a long list would end after the first one and be called complete.
    Yes,
    /// Not known, with the reason.
    No(String),
}

/// How many items are asked for at once.
pub(super) const LIMIT: usize = 100;
/// What the server hands out unasked; no server is expected to hand out less than that when asked for more.
const DEFAULT_LIMIT: usize = 10;
/// Where reading ends for good: more than any folder holds, and a server may invent pages for ever.
const MOST: usize = 1_000_000;

/// Whether another page is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Page,
    End,
}

/// A list that is being read.
#[derive(Debug)]
pub(super) struct Pages<T> {
    items: Vec<T>,
    ids: HashSet<Uuid>,
    received: usize,
    largest: usize,
    count: Option<u64>,
    flaw: Option<String>,
}

impl<T> Pages<T> {
    pub(super) fn new() -> Self {
        Self { items: Vec::new(), ids: HashSet::new(), received: 0, largest: 0, count: None, flaw: None }
    }

    /// The offset of the next page: as many as were received, whatever was asked for.
    pub(super) fn offset(&self) -> usize {
        self.received
    }

    pub(super) fn items(&self) -> &[T] {
        &self.items
    }

    /// Takes a page of a list that the server counts; `count` is what it told beside this page.
    pub(super) fn take_counted(&mut self, page: Vec<(Uuid, T)>, count: Option<u64>) -> Next {
        match (self.count, count) {
            (_, None) => self.flawed("the server did not tell how many there are"),
            (Some(before), Some(now)) if before != now => {
                self.flawed(&format!("the server counted {before}, then {now} while it was read"));
            }
            (None, Some(_)) if self.received > 0 => self.flawed("the server counted late"),
            (None | Some(_), Some(_)) => {}
        }
        self.count = count.or(self.count);
        let wanted = self.count;
        // That the count is of the whole list is inferred. A full page that the count equals may as well have been counted
        // by itself, so one more is asked for: only an empty one settles it.
        let is_full = page.len() == LIMIT || page.len() == DEFAULT_LIMIT;
        let may_be_per_page = is_full && count == Some(page.len() as u64);
        match self.add(page) {
            Step::Stale => Next::End,
            Step::Grew if may_be_per_page => Next::Page,
            Step::Grew => match wanted {
                Some(count) if self.received as u64 >= count => Next::End,
                Some(_) | None => Next::Page,
            },
        }
    }

    /// Takes a page of a list that the server does not count: it ends where a page is short.
    pub(super) fn take_uncounted(&mut self, page: Vec<(Uuid, T)>) -> Next {
        let length = page.len();
        self.take_outermost(page, length)
    }

    /// As [`Pages::take_uncounted`], where the server counts only `length` of the items as the page's own.
    pub(super) fn take_outermost(&mut self, page: Vec<(Uuid, T)>, length: usize) -> Next {
        let nested = page.len() - length.min(page.len());
        let short = length < self.largest || length < DEFAULT_LIMIT;
        self.largest = self.largest.max(length);
        let step = self.add(page);
        self.received -= nested;
        match step {
            Step::Stale => Next::End,
            Step::Grew if short => Next::End,
            Step::Grew => Next::Page,
        }
    }

    fn add(&mut self, page: Vec<(Uuid, T)>) -> Step {
        self.received += page.len();
        let before = self.items.len();
        let mut repeated = false;
        for (id, item) in page {
            if self.ids.insert(id) {
                self.items.push(item);
            } else {
                repeated = true;
            }
        }
        if repeated {
            self.flawed("something was listed twice, so the list moved while it was read");
        }
        if self.items.len() >= MOST {
            self.flawed("it is longer than any list should be");
            return Step::Stale;
        }
        // Also where the server ignores the offset and hands out the first page for ever.
        if self.items.len() == before { Step::Stale } else { Step::Grew }
    }

    fn flawed(&mut self, why: &str) {
        self.flaw.get_or_insert_with(|| why.to_owned());
    }

    /// What was read.
    pub(super) fn finish(mut self) -> Listing<T> {
        let read = self.items.len();
        if let Some(count) = self.count.filter(|count| *count != read as u64) {
            self.flawed(&format!("the server counts {count} and {read} were read"));
        }
        let complete = self.flaw.map_or(Complete::Yes, Complete::No);
        Listing { items: self.items, complete }
    }

    pub(super) fn into_items(self) -> Vec<T> {
        self.items
    }
}

impl<T> Listing<T> {
    /// This reading and a second one of the same list. While one item goes and another comes between two pages the count stands still,
    /// and a third item can slip from one page to one already read: only two readings that agree prove that none did. What either
    /// of them saw is kept.
    pub(super) fn confirmed_by(mut self, again: Self, id: impl Fn(&T) -> Uuid) -> Self {
        let first: HashSet<Uuid> = self.items.iter().map(&id).collect();
        let second: HashSet<Uuid> = again.items.iter().map(&id).collect();
        self.complete = match (self.complete, again.complete) {
            (Complete::No(why), Complete::Yes | Complete::No(_)) | (Complete::Yes, Complete::No(why)) => {
                Complete::No(why)
            }
            (Complete::Yes, Complete::Yes) if first == second => Complete::Yes,
            (Complete::Yes, Complete::Yes) => {
                Complete::No("two readings did not find the same, so the list moved while it was read".into())
            }
        };
        self.items.extend(again.items.into_iter().filter(|item| !first.contains(&id(item))));
        self
    }
}

enum Step {
    Grew,
    Stale,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `pages` with their counts and says what came of it, and how many pages were read.
    fn read(pages: &[(std::ops::Range<u128>, Option<u64>)]) -> (Listing<u128>, usize) {
        let mut reader = Pages::new();
        for (index, (ids, count)) in pages.iter().enumerate() {
            let page = ids.clone().map(|id| (Uuid::from_u128(id), id)).collect();
            if reader.take_counted(page, *count) == Next::End {
                return (reader.finish(), index + 1);
            }
        }
        (reader.finish(), pages.len() + 1)
    }

    #[test]
    fn a6_a_listing_is_complete_only_if_the_count_stood_still_and_was_met() {
        let complete = |pages: &[_]| read(pages).0.complete == Complete::Yes;
        assert!(complete(&[(0..0, Some(0))]));
        assert!(complete(&[(0..3, Some(3))]));
        assert!(complete(&[(0..10, Some(15)), (10..15, Some(15))]));
        assert!(!complete(&[(0..3, None), (3..3, None)]), "no count");
        assert!(!complete(&[(0..10, Some(15)), (10..16, Some(16))]), "counts differ");
        assert!(!complete(&[(0..10, Some(15)), (9..14, Some(15))]), "shifted");
        assert!(!complete(&[(0..10, Some(15)), (10..10, Some(15))]), "ended early");
        assert!(!complete(&[(0..10, Some(5))]), "more than counted");
    }

    #[test]
    fn a_server_that_counts_each_page_by_itself_is_read_to_the_end_and_not_called_complete() {
        let (listing, pages) = read(&[(0..100, Some(100)), (100..200, Some(100)), (200..250, Some(50))]);
        assert_eq!((listing.items.len(), pages), (250, 3));
        assert_ne!(listing.complete, Complete::Yes);
        let (listing, pages) = read(&[(0..100, Some(100)), (100..100, Some(100))]);
        assert_eq!((listing.complete, pages), (Complete::Yes, 2), "there happened to be just a hundred");
    }

    #[test]
    fn a_server_that_repeats_its_first_page_is_not_read_for_ever() {
        let (listing, read) = read(&[(0..10, Some(30)), (0..10, Some(30)), (0..10, Some(30))]);
        assert_eq!((listing.items.len(), read), (10, 2));
        assert_ne!(listing.complete, Complete::Yes);
    }

    #[test]
    fn an_uncounted_list_ends_at_a_short_page_also_where_the_server_clamps() {
        let page =
            |from: u128, n: u128| (from..from + n).map(|id| (Uuid::from_u128(id), id)).collect::<Vec<_>>();
        let mut pages = Pages::new();
        assert_eq!(pages.take_uncounted(page(0, 25)), Next::Page, "perhaps clamped to 25");
        assert_eq!(pages.take_uncounted(page(25, 25)), Next::Page);
        assert_eq!(pages.take_uncounted(page(50, 24)), Next::End);
        assert_eq!(pages.into_items().len(), 74);
        assert_eq!(Pages::new().take_uncounted(page(0, 9)), Next::End, "fewer than anybody clamps to");
    }
}
