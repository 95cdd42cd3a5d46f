//! The doctor: whether share files, password shares, tokens and wrapped keys belong together, and what went wrong.
//!
//! It knows three things that `sc-hsm-tool` did wrong. It drops leading zero bytes of a recovered password, so that such a file opens no
//! more. It prints share ids in decimal and reads them in hexadecimal. And it takes any key for right whose decryption ends in some
//! padding, so that one wrong combination of shares in 256 puts 32 bytes of nonsense into a token, under which keys are then wrapped.
//!
//! Every password tried costs a derivation of seconds. What can be told by calculation is told so: shares that are more than enough lie on
//! one polynomial, or show which of them does not.

mod advice;
mod candidates;
mod examine;
mod finding;
mod mend;
mod set;

use chancery_schsm::{Kcv, KekShare, ShareFile, ShareFileKey};
use zeroize::Zeroizing;

use crate::text::{Fault, IdReading, ShareText};
use crate::typed::Typed;

pub use advice::{for_a_lost_key, for_a_wrong_key, for_a_zero_key};
pub use examine::examine;
pub use finding::Finding;
pub use mend::Unmendable;

/// Derives the key of a share file from a password: seconds each time.
pub type Derive<'a> = dyn FnMut(&ShareFile, &[u8]) -> ShareFileKey + 'a;

/// All there is.
#[derive(Debug, Default)]
pub struct Case {
    /// Share files, one for each share of the DKEK, with a name.
    pub files: Vec<(String, ShareFile)>,
    /// Password shares.
    pub shares: Vec<GivenShare>,
    /// What was typed into `sc-hsm-tool`, as far as somebody knows.
    pub typed: Vec<(String, Typed)>,
    /// Plain passwords.
    pub passwords: Vec<(String, Zeroizing<Vec<u8>>)>,
    /// Tokens and wrapped keys.
    pub targets: Vec<Target>,
    /// Most passwords to try with a file.
    pub effort: usize,
    /// Whether to look for what `sc-hsm-tool` could have imported when nothing is right; each combination costs a derivation.
    pub look_for_imports: bool,
}

/// A password share and where it comes from.
#[derive(Clone, Debug)]
pub struct GivenShare {
    /// File and line, or who typed it.
    pub source: String,
    /// The share as written.
    pub text: ShareText,
}

/// Something that a DKEK has to fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TargetKind,
    /// Key check value.
    pub kcv: Kcv,
}

/// Kinds of targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// A key domain of a token.
    Token,
    /// A wrapped key.
    WrappedKey,
}

/// What was found out.
#[derive(Debug)]
pub struct Diagnosis {
    /// Each password share that was given, in order.
    pub shares: Vec<ShareVerdict>,
    /// What came out of the files: shares of a DKEK.
    pub opened: Vec<Opened>,
    /// The keys they make, right ones first.
    pub keys: Vec<FoundKey>,
    /// For each target in order the keys, by index, that it fits.
    pub fits: Vec<Vec<usize>>,
    /// What is to be said.
    pub findings: Vec<Finding>,
    /// Passwords tried.
    pub tried: usize,
}

/// What one password share is worth.
#[derive(Clone, Debug)]
pub struct ShareVerdict {
    /// Where it comes from.
    pub source: String,
    /// Its id as written: not secret.
    pub id: String,
    /// What can be seen in it alone.
    pub faults: Vec<Fault>,
    /// What the others and the files say of it.
    pub standing: Standing,
}

/// How a share stands to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing could be found out.
    Unknown,
    /// It helped to open a file, or it lies on one polynomial with more than enough others.
    Right,
    /// The others say that it must have another value; in these groups.
    Wrong {
        /// Groups that differ, from 1.
        groups: Vec<usize>,
    },
    /// The same as another one.
    Duplicate {
        /// Where the other one comes from.
        of: String,
    },
    /// Its prime is another one's.
    OtherSet,
    /// It cannot be read.
    Unreadable,
}

/// How a file was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// By a plain password.
    Password {
        /// Where it comes from.
        source: String,
    },
    /// By password shares.
    Shares {
        /// Indices of the shares in the case.
        shares: Vec<usize>,
        /// How their ids were read.
        reading: IdReading,
        /// The password begins with zero bytes, and they were kept.
        zeros_kept: bool,
    },
    /// By shares as `sc-hsm-tool` reads them.
    AsToolReads {
        /// Indices of the shares in the case.
        shares: Vec<usize>,
    },
    /// By what was typed.
    Typed {
        /// Where it comes from.
        source: String,
    },
}

/// What came out of a file.
#[derive(Clone, Debug)]
pub struct Opened {
    /// Index of the file in the case.
    pub file: usize,
    /// The share of the DKEK.
    pub share: KekShare,
    /// By what.
    pub how: How,
    /// Whether all padding is right. If not, this is what `sc-hsm-tool` takes for the share.
    pub right: bool,
}

/// A DKEK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// Its check value.
    pub kcv: Kcv,
    /// Indices of the opened shares it is made of, one for each file.
    pub parts: Vec<usize>,
    /// Whether all of these are right.
    pub right: bool,
}

impl Diagnosis {
    /// Whether everything given belongs together and nothing has to be mended.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| !finding.is_trouble())
            && self.fits.iter().all(|keys| !keys.is_empty())
            && !self.opened.is_empty()
    }
}

#[cfg(test)]
mod tests;
