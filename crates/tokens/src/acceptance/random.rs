//! Whether bytes could be random: finds generators that are stuck, biased or repeat themselves, and no others.

use std::collections::HashSet;

/// Collects bytes and judges them.
#[derive(Clone, Debug)]
pub struct RandomCheck {
    counts: [u64; 256],
    bits: u64,
    bytes: u64,
    blocks: HashSet<[u8; BLOCK]>,
    repeated: u64,
    last: Option<u8>,
    run: u32,
    longest: u32,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RandomVerdict {
    /// Bytes looked at.
    pub bytes: u64,
    /// What is wrong, in sentences; empty when nothing is.
    pub wrong: Vec<String>,
}

/// Length of blocks that must not occur twice, in bytes.
const BLOCK: usize = 8;

/// Blocks remembered: 2 MiB of random bytes.
const MOST_BLOCKS: usize = 262_144;

/// Fewer bytes tell nothing of their distribution.
const ENOUGH: u64 = 4096;

impl Default for RandomCheck {
    fn default() -> Self {
        Self {
            counts: [0; 256],
            bits: 0,
            bytes: 0,
            blocks: HashSet::new(),
            repeated: 0,
            last: None,
            run: 0,
            longest: 0,
        }
    }
}

impl RandomCheck {
    /// Takes bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(count) = self.counts.get_mut(usize::from(*byte)) {
                *count += 1;
            }
            self.bits += u64::from(byte.count_ones());
            self.bytes += 1;
            self.run = if self.last == Some(*byte) { self.run + 1 } else { 1 };
            self.longest = self.longest.max(self.run);
            self.last = Some(*byte);
        }
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        for block in blocks {
            if self.blocks.len() < MOST_BLOCKS && !self.blocks.insert(*block) {
                self.repeated += 1;
            }
        }
    }

    /// Judges all bytes so far. A good generator is called wrong less than once in a million times.
    #[must_use]
    pub fn verdict(&self) -> RandomVerdict {
        let mut wrong = Vec::new();
        if self.repeated > 0 {
            wrong.push(format!(
                "{} blocks of {BLOCK} bytes came more than once",
                self.repeated
            ));
        }
        // A run of 6 equal bytes has a chance of one in 2^40 at each place.
        if self.longest >= 7 {
            wrong.push(format!("a byte came {} times in a row", self.longest));
        }
        if self.bytes >= ENOUGH {
            self.judge_distribution(&mut wrong);
        }
        RandomVerdict {
            bytes: self.bytes,
            wrong,
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "counts far below 2^52 in a statistic that needs two digits"
    )]
    fn judge_distribution(&self, wrong: &mut Vec<String>) {
        let total = self.bytes as f64;
        // Ones among all bits: mean 4 a byte, variance 2 a byte.
        let deviation = (self.bits as f64 - 4.0 * total) / (2.0 * total).sqrt();
        if deviation.abs() > 6.0 {
            wrong.push(format!(
                "ones and zeros are {:.1} standard deviations from equal",
                deviation.abs()
            ));
        }
        // 255 degrees of freedom: mean 255, standard deviation 22.6.
        let expected = total / 256.0;
        let square: f64 = self
            .counts
            .iter()
            .map(|count| (*count as f64 - expected).powi(2) / expected)
            .sum();
        if !(130.0..=420.0).contains(&square) {
            wrong.push(format!(
                "the distribution of bytes is not even (chi square {square:.0}, about 255 expected)"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(bytes: &[u8]) -> Vec<String> {
        let mut check = RandomCheck::default();
        for part in bytes.chunks(1024) {
            check.add(part);
        }
        check.verdict().wrong
    }

    #[test]
    fn the_systems_own_bytes_pass() {
        let mut bytes = vec![0; 65_536];
        getrandom::fill(&mut bytes).unwrap();
        assert!(verdict(&bytes).is_empty());
    }

    #[test]
    fn broken_generators_are_found() {
        let mut bytes = vec![0; 65_536];
        getrandom::fill(&mut bytes).unwrap();
        assert!(!verdict(&vec![0x55; 16_384]).is_empty(), "stuck");
        let counter: Vec<u8> = (0..16_384_u32).flat_map(u32::to_be_bytes).collect();
        assert!(!verdict(&counter).is_empty(), "counter");
        let biased: Vec<u8> = bytes.iter().map(|byte| byte | 0x01).collect();
        assert!(!verdict(&biased).is_empty(), "one bit stuck");
        let mut repeating = bytes.clone();
        repeating.extend_from_slice(&bytes[..1024]);
        assert!(!verdict(&repeating).is_empty(), "repeats");
        let ascii: Vec<u8> = bytes.iter().map(|byte| byte & 0x7F).collect();
        assert!(!verdict(&ascii).is_empty(), "high bit clear");
        let even: Vec<u8> = (0..=255_u8).cycle().take(65_536).collect();
        assert!(!verdict(&even).is_empty(), "too even");
    }
}
