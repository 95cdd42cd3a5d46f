//! Verification of attestations and key passports, offline.
//!
//! Pure: bytes, trust anchors and a date in, verdicts out. Nothing here reads a file, a token or a clock.
//!
//! * [`Input`]: tells by content what a file is;
//! * [`Verification`]: examines files together and gives one [`Claim`] with one fixed [`Verdict`] for everything that
//!   can be claimed of them;
//! * [`Passport`]: what is proven of one key, what its token merely says, and what is only a label;
//! * [`Transcript`] and [`ChannelFinding`]: a key generated through a recorded secure channel;
//! * [`Attestation`]: the proof of one key's origin as it is kept in a file. The writing side is
//!   `chancery_tokens::archive`;
//! * [`ReceiptFinding`]: whether a quorum permitted a signature;
//! * [`KeyFingerprint`]: what names a public key here.
//!
//! An authentic request proves that a key was generated in a device, or derived inside it from another. It does not prove
//! that it is the key a token or a wrapped key beside it holds, and not that the private key is nowhere
//! else, and no flag of PKCS#11 or PKCS#15 proves anything: where copies may be follows from the key domain.

mod attestation;
mod canonical;
mod channel;
mod evidence;
mod fingerprint;
mod input;
mod passport;
mod receipt;
mod text;
mod transcript;
mod verdict;
mod verify;

pub use attestation::{Attestation, AttestationError, Seen};
pub use channel::{Attributes, ChannelFinding, Domain, GeneratedInChannel, Held};
pub use evidence::{ChainFinding, RequestFinding};
pub use fingerprint::KeyFingerprint;
pub use input::{Input, InputError, Kind, MAX_INPUT, Subject};
pub use passport::{
    Binding, Copy, CopyBasis, Export, ExportPath, KeyFacts, Labels, Origin, Passport, Token, TokenFacts,
    kcv_of,
};
pub use receipt::{
    Agreed, CustodianVerdict, ExtentVerdict, Known, LeaseVerdict, LogVerdict, Permit, QuorumVerdict,
    ReceiptError, ReceiptFinding, SignatureVerdict, encode_receipt, parse_receipt,
};
pub use transcript::{Recorded, Transcript, TranscriptError};
pub use verdict::{
    ChainVerdict, ChannelVerdict, InputVerdict, MatchVerdict, OriginVerdict, Outcome, PossessionVerdict,
    WrappedVerdict,
};
pub use verify::{Channel, Claim, Device, Key, NamedInput, Verdict, Verification, algorithm, nature};
