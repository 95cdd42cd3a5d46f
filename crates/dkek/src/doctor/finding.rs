//! What the doctor has to say.

use std::fmt;

/// Something found out about the case as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The shares are more than enough, and all of one set.
    OneSet {
        /// How many lie on one polynomial.
        shares: usize,
        /// How many of them are needed.
        threshold: usize,
    },
    /// A share is wrong.
    WrongShare {
        /// Where it comes from.
        source: String,
        /// Its id as written.
        id: String,
        /// Groups of the value that differ, from 1.
        groups: Vec<usize>,
    },
    /// A share appears twice.
    Duplicate {
        /// Where it comes from.
        source: String,
        /// Where it was before.
        of: String,
    },
    /// Two values for one id.
    Conflict {
        /// Where one comes from.
        source: String,
        /// Where the other comes from.
        other: String,
        /// The id as written.
        id: String,
    },
    /// A share with another prime.
    OtherSet {
        /// Where it comes from.
        source: String,
        /// Its id as written.
        id: String,
    },
    /// A share with something wrong in itself.
    Faulty {
        /// Where it comes from.
        source: String,
        /// Its id as written.
        id: String,
        /// What.
        fault: String,
    },
    /// Fewer than the pages say are needed.
    TooFew {
        /// Different shares given.
        have: usize,
        /// Shares needed.
        need: u8,
    },
    /// The first defect: the password begins with zero bytes.
    LeadingZeros {
        /// The share file.
        file: String,
    },
    /// The second defect: ids that mean two things.
    AmbiguousIds {
        /// The share file they open.
        file: String,
        /// Ids as printed and as they must be typed into `sc-hsm-tool`.
        ids: Vec<(String, String)>,
    },
    /// Ids that had been noted as they are typed.
    HexadecimalIds {
        /// The share file they open.
        file: String,
    },
    /// The third defect: a wrong key went into a token, and it is known now.
    WrongKeyImported {
        /// The share file.
        file: String,
        /// The token or wrapped key that has it.
        target: String,
        /// By what it was made, in words.
        by: String,
    },
    /// The same, before anything happened: `sc-hsm-tool` would take this combination.
    WouldPass {
        /// The share file.
        file: String,
        /// Which combination, in words.
        by: String,
        /// The wrong key's check value.
        kcv: String,
    },
    /// Nothing opens a file.
    Closed {
        /// The share file.
        file: String,
    },
    /// A token or wrapped key that no key fits.
    Unexplained {
        /// Its name.
        target: String,
        /// Its check value.
        kcv: String,
    },
    /// A token whose DKEK is all zeros.
    ZeroKey {
        /// Its name.
        target: String,
    },
    /// More could be tried.
    NotAllTried {
        /// The share file.
        file: String,
        /// Passwords left out.
        left: usize,
    },
}

impl Finding {
    /// A name that programs can rely on.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::OneSet { .. } => "one-set",
            Self::WrongShare { .. } => "wrong-share",
            Self::Duplicate { .. } => "duplicate",
            Self::Conflict { .. } => "conflict",
            Self::OtherSet { .. } => "other-set",
            Self::Faulty { .. } => "faulty",
            Self::TooFew { .. } => "too-few",
            Self::LeadingZeros { .. } => "leading-zeros",
            Self::AmbiguousIds { .. } => "ambiguous-ids",
            Self::HexadecimalIds { .. } => "hexadecimal-ids",
            Self::WrongKeyImported { .. } => "wrong-key-imported",
            Self::WouldPass { .. } => "would-pass",
            Self::Closed { .. } => "closed",
            Self::Unexplained { .. } => "unexplained",
            Self::ZeroKey { .. } => "zero-key",
            Self::NotAllTried { .. } => "not-all-tried",
        }
    }

    /// Whether something has to be mended or found out.
    #[must_use]
    pub const fn is_trouble(&self) -> bool {
        !matches!(self, Self::OneSet { .. } | Self::HexadecimalIds { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneSet { shares, threshold } => {
                write!(
                    f,
                    "{shares} password shares belong together; {threshold} of them are enough"
                )
            }
            Self::WrongShare { source, id, groups } => {
                write!(f, "share {id} ({source}) is wrong: the others say another value")?;
                match groups.as_slice() {
                    [] | [_, _, _, _] => Ok(()),
                    [group] => write!(f, ", which differs in group {group}"),
                    groups => write!(f, ", which differs in groups {}", Numbers(groups)),
                }
            }
            Self::Duplicate { source, of } => write!(f, "{source} is the same share as {of}: it counts once"),
            Self::Conflict { source, other, id } => {
                write!(
                    f,
                    "two shares {id} with different values ({other}; {source}): one of them is wrong"
                )
            }
            Self::OtherSet { source, id } => {
                write!(
                    f,
                    "share {id} ({source}) has another prime: it is of another set, or its prime is mistyped"
                )
            }
            Self::Faulty { source, id, fault } => write!(f, "share {id} ({source}): {fault}"),
            Self::TooFew { have, need } => {
                write!(
                    f,
                    "{have} different shares are too few: {need} are needed, as their pages say"
                )
            }
            Self::LeadingZeros { file } => write!(
                f,
                "the password of {file} begins with a zero byte, which sc-hsm-tool drops: it cannot open the file with any shares. \
                 chancery can; --mend writes a file that both open"
            ),
            Self::AmbiguousIds { file, ids } => {
                write!(
                    f,
                    "share ids of 10 and more were printed in decimal, and sc-hsm-tool reads them in hexadecimal: to open {file} with it type"
                )?;
                for (index, (printed, typed)) in ids.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma} {typed} for {printed}")?;
                }
                f.write_str("; --mend writes a file whose shares have ids up to 9")
            }
            Self::HexadecimalIds { file } => {
                write!(
                    f,
                    "the share ids that open {file} are written in hexadecimal here, as sc-hsm-tool wants them typed"
                )
            }
            Self::WrongKeyImported { file, target, by } => write!(
                f,
                "{target} has a wrong DKEK: {by} opens {file} to nonsense that passes the padding check of sc-hsm-tool, and that was \
                 imported. --mend writes a share file that holds the key it really has"
            ),
            Self::WouldPass { file, by, kcv } => write!(
                f,
                "{by} opens {file} to nonsense that passes the padding check of sc-hsm-tool: it would import a wrong DKEK with KCV {kcv}"
            ),
            Self::Closed { file } => write!(f, "nothing given opens {file}"),
            Self::Unexplained { target, kcv } => {
                write!(f, "no key made of what was given has the KCV {kcv} of {target}")
            }
            Self::ZeroKey { target } => {
                write!(
                    f,
                    "the DKEK of {target} is all zeros: the same share was imported twice; keys wrapped under it are as good as open"
                )
            }
            Self::NotAllTried { file, left } => {
                write!(
                    f,
                    "{left} further passwords were not tried with {file}: raise --effort to try them, at about 3 s each"
                )
            }
        }
    }
}

/// `1, 2 and 3`.
struct Numbers<'a>(&'a [usize]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, number) in self.0.iter().enumerate() {
            match index {
                0 => {}
                last if last + 1 == self.0.len() => f.write_str(" and ")?,
                _ => f.write_str(", ")?,
            }
            write!(f, "{number}")?;
        }
        Ok(())
    }
}
