//! Real data and helpers.

use std::path::PathBuf;

use chancery_attest::{Input, NamedInput, Verdict, Verification};
use chancery_cvc::TrustAnchors;
use time::{Date, Month};

/// A file of the repository's test data as it stands.
pub(crate) fn text(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../testdata")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The bytes of a hexadecimal file of the repository's test data.
pub(crate) fn data(name: &str) -> Vec<u8> {
    let text = String::from_utf8(text(name)).unwrap();
    hex::decode(text.split_whitespace().collect::<String>()).unwrap()
}

pub(crate) const NITROKEY: &str = "vectors/nitrokey-hsm2-fw4.1-ef2f02.hex";
pub(crate) const REQUEST: &str = "vectors/nitrokey-hsm2-fw4.1-efce01.hex";
pub(crate) const OF_2016: &str = "vectors/smartcardhsm-2016-ef2f02.hex";

/// A day on which the Nitrokey's certificates are valid and those of 2016 are not.
pub(crate) fn today() -> Date {
    Date::from_calendar_date(2026, Month::November, 21).unwrap()
}

pub(crate) fn production() -> TrustAnchors {
    TrustAnchors::production().unwrap()
}

/// Files by what they hold, examined together under the production root.
pub(crate) fn examine(files: &[(&str, &[u8])], at: Date) -> Verification {
    let inputs: Vec<NamedInput> = files
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), Input::recognise(bytes)))
        .collect();
    Verification::of(&inputs, &production(), at)
}

/// `file claim verdict` of every claim.
pub(crate) fn said(verification: &Verification) -> Vec<String> {
    verification
        .claims
        .iter()
        .map(|claim| {
            let code = match claim.verdict {
                Verdict::Readable(verdict) => verdict.code(),
                Verdict::Chain(verdict) => verdict.code(),
                Verdict::Origin(verdict) => verdict.code(),
                Verdict::Possession(verdict) => verdict.code(),
                Verdict::Match(verdict) => verdict.code(),
                Verdict::Wrapped(verdict) => verdict.code(),
                Verdict::Channel(verdict) => verdict.code(),
                Verdict::Signature(verdict) => verdict.code(),
                Verdict::Lease(verdict) => verdict.code(),
                Verdict::Extent(verdict) => verdict.code(),
                Verdict::Custodian(verdict) => verdict.code(),
                Verdict::Quorum(verdict) => verdict.code(),
                Verdict::Log(verdict) => verdict.code(),
                _ => "?",
            };
            format!("{} {} {code}", claim.file, claim.verdict.claim())
        })
        .collect()
}

/// Numbers that look random and are the same in every run (splitmix64).
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(limit).unwrap()).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// A copy with one byte changed, dropped or added.
pub(crate) fn damage(good: &[u8], numbers: &mut Numbers) -> Vec<u8> {
    let mut bad = good.to_vec();
    match numbers.below(3) {
        0 => {
            let at = numbers.below(good.len());
            bad[at] ^= u8::try_from(1 + numbers.below(255)).unwrap();
        }
        1 => {
            bad.remove(numbers.below(good.len()));
        }
        _ => bad.insert(numbers.below(good.len() + 1), numbers.byte()),
    }
    // To add a byte equal to its neighbour is no change.
    bad
}
