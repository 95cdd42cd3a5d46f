//! MD5 (RFC 1321) of sixteen bytes, again and again.
//!
//! Twelve of the sixteen words of the block are the padding of such a message and never change: they are added to the
//! constants of their steps beforehand. It takes two thirds of the time of a compression function for any block.

use std::hint::black_box;

use zeroize::Zeroize as _;

/// Replaces `value` by its MD5, `times` times, and tells `progress` now and then how often that has been done. It is not
/// generic: it would be compiled with its caller, which a debug build does not optimise.
pub(super) fn iterate(value: &mut [u8; 16], times: u32, progress: &mut dyn FnMut(u32)) {
    // Constants that the compiler knows it adds last, which is when everything waits for the sum.
    let constants = black_box(&CONSTANTS);
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(value.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    for done in 0..times {
        words = hash(words, constants);
        if done % REPORT_EVERY == 0 {
            progress(done);
        }
    }
    for (word, bytes) in words.iter().zip(value.as_chunks_mut().0) {
        *bytes = word.to_le_bytes();
    }
    words.zeroize();
}

/// The sixteen steps of a round. `$mix` is its function with the addition; the loop is written out, since what each step does
/// depends on its number.
macro_rules! round {
    ($state:ident, $message:ident, $constants:ident, $round:literal, $mix:expr) => {
        round!($state, $message, $constants, $round, $mix; 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    ($state:ident, $message:ident, $constants:ident, $round:literal, $mix:expr; $($step:literal)*) => {$({
        let [a, b, c, d] = $state;
        let sum = a.wrapping_add($constants[$round][$step]);
        let word = $message.get(const { word_of($round, $step) });
        let sum = word.map_or(sum, |word| sum.wrapping_add(*word));
        let sum: u32 = $mix(sum, b, c, d);
        $state = [d, b.wrapping_add(sum.rotate_left(SHIFTS[$round][$step % 4])), b, c];
    })*};
}

fn hash(message: [u32; 4], constants: &[[u32; 16]; 4]) -> [u32; 4] {
    let mut state = INITIAL;
    round!(state, message, constants, 0, |sum: u32, b, c, d| sum
        .wrapping_add(d ^ (b & (c ^ d))));
    // The two parts have no bit in common: the one without `b`, the latest, is added before it is there.
    round!(state, message, constants, 1, |sum: u32, b, c, d: u32| sum
        .wrapping_add(c & !d)
        .wrapping_add(b & d));
    round!(state, message, constants, 2, |sum: u32, b, c, d| sum
        .wrapping_add(b ^ (c ^ d)));
    round!(state, message, constants, 3, |sum: u32, b, c, d: u32| sum
        .wrapping_add(c ^ (b | !d)));
    for (word, initial) in state.iter_mut().zip(INITIAL) {
        *word = word.wrapping_add(initial);
    }
    state
}

/// Which word of the block a step takes.
const fn word_of(round: usize, step: usize) -> usize {
    match round {
        0 => step,
        1 => (5 * step + 1) % 16,
        2 => (3 * step + 5) % 16,
        _ => 7 * step % 16,
    }
}

const REPORT_EVERY: u32 = 250_000;
const INITIAL: [u32; 4] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476];
const SHIFTS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// What each step adds: the constant of the standard, and the word of the block where it is padding.
const CONSTANTS: [[u32; 16]; 4] = {
    let mut constants = SINES;
    let mut round = 0;
    while round < 4 {
        let mut step = 0;
        while step < 16 {
            let padding = match word_of(round, step) {
                4 => 0x80,
                // The length in bits.
                14 => 128,
                _ => 0,
            };
            constants[round][step] = SINES[round][step].wrapping_add(padding);
            step += 1;
        }
        round += 1;
    }
    constants
};

/// 2^32 times the sine of 1 to 64, without sign and fraction.
#[rustfmt::skip]
const SINES: [[u32; 16]; 4] = [
    [
        0xD76A_A478, 0xE8C7_B756, 0x2420_70DB, 0xC1BD_CEEE, 0xF57C_0FAF, 0x4787_C62A, 0xA830_4613, 0xFD46_9501,
        0x6980_98D8, 0x8B44_F7AF, 0xFFFF_5BB1, 0x895C_D7BE, 0x6B90_1122, 0xFD98_7193, 0xA679_438E, 0x49B4_0821,
    ],
    [
        0xF61E_2562, 0xC040_B340, 0x265E_5A51, 0xE9B6_C7AA, 0xD62F_105D, 0x0244_1453, 0xD8A1_E681, 0xE7D3_FBC8,
        0x21E1_CDE6, 0xC337_07D6, 0xF4D5_0D87, 0x455A_14ED, 0xA9E3_E905, 0xFCEF_A3F8, 0x676F_02D9, 0x8D2A_4C8A,
    ],
    [
        0xFFFA_3942, 0x8771_F681, 0x6D9D_6122, 0xFDE5_380C, 0xA4BE_EA44, 0x4BDE_CFA9, 0xF6BB_4B60, 0xBEBF_BC70,
        0x289B_7EC6, 0xEAA1_27FA, 0xD4EF_3085, 0x0488_1D05, 0xD9D4_D039, 0xE6DB_99E5, 0x1FA2_7CF8, 0xC4AC_5665,
    ],
    [
        0xF429_2244, 0x432A_FF97, 0xAB94_23A7, 0xFC93_A039, 0x655B_59C3, 0x8F0C_CC92, 0xFFEF_F47D, 0x8584_5DD1,
        0x6FA8_7E4F, 0xFE2C_E6E0, 0xA301_4314, 0x4E08_11A1, 0xF753_7E82, 0xBD3A_F235, 0x2AD7_D2BB, 0xEB86_D391,
    ],
];

#[cfg(test)]
mod tests {
    use super::*;
    use md5::{Digest, Md5};

    #[test]
    fn the_fast_loop_is_md5() {
        for first in [*b"0123456789abcdef", [0; 16], [0xFF; 16]] {
            let (mut value, mut slow) = (first, first);
            for _ in 0..1000 {
                slow = Md5::digest(slow).into();
            }
            iterate(&mut value, 1000, &mut |_| ());
            assert_eq!(value, slow);
        }
    }
}
