//! What retries may cost the cloud. Pure: it knows neither a clock nor what is retried.
//!
//! A bucket that all retries share, since all go to one host. Backing off spaces the tries of one trouble; the bucket bounds
//! those of many that come and go, where successes in between end every pause early. A first try is free.

/// What is left to spend on retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget(u32);

/// Whether a retry may come as soon as backing off allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// It is paid for.
    Soon,
    /// Nothing is left: it waits as long as any retry ever does.
    Late,
}

/// What a full bucket holds: a hundred retries.
const FULL: u32 = 500;
/// What a retry costs.
const PRICE: u32 = 5;
/// What a success gives back. So about one try in six may fail for ever without a retry having to wait longer.
const EARNED: u32 = 1;

impl Budget {
    pub(super) const fn full() -> Self {
        Self(FULL)
    }

    /// Pays for a retry, if it can.
    pub(super) fn spend(&mut self) -> Retry {
        match self.0.checked_sub(PRICE) {
            Some(left) => {
                self.0 = left;
                Retry::Soon
            }
            None => Retry::Late,
        }
    }

    /// The cloud did what it was asked.
    pub(super) fn earn(&mut self) {
        self.0 = (self.0 + EARNED).min(FULL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_retries_are_paid_for_and_five_successes_pay_for_one_more() {
        let mut budget = Budget::full();
        assert!((0..100).all(|_| budget.spend() == Retry::Soon));
        assert_eq!(budget.spend(), Retry::Late);
        (0..4).for_each(|_| budget.earn());
        assert_eq!(budget.spend(), Retry::Late, "four do not");
        budget.earn();
        assert_eq!((budget.spend(), budget.spend()), (Retry::Soon, Retry::Late));
        (0..10_000).for_each(|_| budget.earn());
        assert_eq!(budget, Budget::full(), "good times are not saved up beyond that");
    }
}
