//! The cases a passport tells apart, with their fixed names and sentences.

use serde::{Serialize, Serializer};

/// Whether a key on a token is the one that is named beside it: whoever has the PIN can write another key's request there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Binding {
    /// Nobody looked, which takes the PIN and a use of the key.
    #[default]
    NotChecked,
    /// The key made a signature, or agreed on a secret, that the named public key confirms.
    ByUse,
    /// It did, and the named public key does not confirm it.
    OtherKey,
    /// Its uses are counted, or it permits none that could show it.
    Unprovable,
    /// Neither a request nor a certificate beside it names a public key.
    NothingNamed,
}

impl Binding {
    /// Every case.
    pub const ALL: [Self; 5] = [
        Self::NotChecked,
        Self::ByUse,
        Self::OtherKey,
        Self::Unprovable,
        Self::NothingNamed,
    ];

    /// The fixed name in JSON.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotChecked => "not-checked",
            Self::ByUse => "by-use",
            Self::OtherKey => "other-key",
            Self::Unprovable => "unprovable",
            Self::NothingNamed => "nothing-named",
        }
    }

    /// The fixed sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotChecked => {
                "not shown that the key on the token is the one named beside it: nobody used it"
            }
            Self::ByUse => "the key on the token was used and is the one named beside it",
            Self::OtherKey => "ANOTHER KEY than the one named beside it is on the token",
            Self::Unprovable => {
                "not shown that the key on the token is the one named beside it: no use that could show it is free"
            }
            Self::NothingNamed => "nothing beside the key names its public key",
        }
    }
}

impl Serialize for Binding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// Ways a private key could leave its token, as its token describes its key domain. Nobody signs this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExportPath {
    /// The token has no key domain.
    NoneKnown,
    /// The domain has a DKEK of shares.
    Dkek,
    /// Shares are missing.
    DkekIncomplete,
    /// The domain has a key encryption key without shares.
    KekWithoutShares,
    /// The domain's key encryption key is agreed between member tokens.
    Xkek,
    /// Whatever the key's domain: its algorithm list leaves wrapping out.
    NotListed,
    /// Whatever the key's domain: its uses are counted.
    Counted,
    /// The token has key domains and does not say which is the key's.
    Unclear,
    /// The key was found in a file: it has left.
    InFile,
    /// There is no token to ask.
    NotAsked,
}

impl ExportPath {
    /// Every path.
    pub const ALL: [Self; 10] = [
        Self::NoneKnown,
        Self::Dkek,
        Self::DkekIncomplete,
        Self::KekWithoutShares,
        Self::Xkek,
        Self::NotListed,
        Self::Counted,
        Self::Unclear,
        Self::InFile,
        Self::NotAsked,
    ];

    /// The fixed name in JSON.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoneKnown => "none-known",
            Self::Dkek => "dkek",
            Self::DkekIncomplete => "dkek-incomplete",
            Self::KekWithoutShares => "kek-without-shares",
            Self::Xkek => "xkek",
            Self::NotListed => "not-listed",
            Self::Counted => "counted",
            Self::Unclear => "unclear",
            Self::InFile => "in-file",
            Self::NotAsked => "not-asked",
        }
    }

    /// Who could hold copies; the fixed sentence.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoneKnown => "no export path is known: the token says that it has no key domain",
            Self::Dkek => "everybody who can assemble the shares of this DKEK can make and use copies",
            Self::DkekIncomplete => {
                "the DKEK lacks shares: no copies at present, and everybody's who later has all shares"
            }
            Self::KekWithoutShares => {
                "the token says that its key encryption key has no shares: no other holder is known"
            }
            Self::Xkek => "every token that is or becomes a member of this exchange domain can hold a copy",
            Self::NotListed => {
                "the key's list of uses leaves wrapping out: no copies can be made of it on this token"
            }
            Self::Counted => {
                "its uses are counted: virtual tokens never wrap such a key; whether a device does is not known"
            }
            Self::Unclear => {
                "the token has key domains and does not say which is the key's: copies are possible"
            }
            Self::InFile => "the file itself is a copy: everybody who has the key encryption key can use it",
            Self::NotAsked => "unknown: there is no token here to ask",
        }
    }
}

impl Serialize for ExportPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}
