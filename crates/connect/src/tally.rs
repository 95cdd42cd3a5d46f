//! Counting what was refused: a server that lies shall not flood who watches.

use std::collections::BTreeMap;

use chancery_ram::policy::{Header, Reason, Refusal};

/// How often commands were refused in one session.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: BTreeMap<(Header, Reason), u64>,
    pub(crate) total: u64,
}

/// Kinds that are told apart; what comes after them is counted only.
const KINDS: usize = 256;

impl Tally {
    /// Counts one; the number to tell, when it is worth telling.
    pub(crate) fn count(&mut self, refusal: &Refusal) -> Option<u64> {
        self.total += 1;
        let key = (refusal.header, refusal.reason);
        if self.kinds.len() >= KINDS && !self.kinds.contains_key(&key) {
            return None;
        }
        let count = self.kinds.entry(key).or_insert(0);
        *count += 1;
        is_power_of_ten(*count).then_some(*count)
    }
}

fn is_power_of_ten(mut number: u64) -> bool {
    while number > 1 && number.is_multiple_of(10) {
        number /= 10;
    }
    number == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_the_tenth_and_the_hundredth_are_told() {
        let refusal = chancery_ram::policy::Policy::new()
            .judge(&[0x80, 0x50, 0, 0], false)
            .unwrap_err();
        let mut tally = Tally::default();
        let told: Vec<u64> = (0..1000).filter_map(|_| tally.count(&refusal)).collect();
        assert_eq!(told, [1, 10, 100, 1000]);
        assert_eq!(tally.total, 1000);
    }
}
