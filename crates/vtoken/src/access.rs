//! Who may do what: the one place where authentication state turns into permission.

use crate::session::Session;
use crate::state::State;

/// EF 2F03, TokenInfo.
pub(crate) const FID_TOKEN_INFO: u16 = 0x2F03;
/// EF 2F10, scratch file for command data too long for one APDU.
pub(crate) const FID_SCRATCH: u16 = 0x2F10;
/// EF 2F02, device certificate chain.
pub(crate) const FID_DEVICE_CERTIFICATES: u16 = 0x2F02;

/// Option: RESET RETRY COUNTER with the SO-PIN is enabled.
pub(crate) const OPTION_RESET_RETRY: u16 = 0x0001;
/// Option: the initial user PIN is a transport PIN.
pub(crate) const OPTION_TRANSPORT_PIN: u16 = 0x0002;
/// Option: registered custodian keys may be replaced.
pub(crate) const OPTION_REPLACE_CUSTODIANS: u16 = 0x0008;
/// Option: a session PIN can be drawn.
pub(crate) const OPTION_SESSION_PIN: u16 = 0x0004;
/// Option: user PIN and public key authentication are both needed.
pub(crate) const OPTION_PIN_AND_PKA: u16 = 0x0010;
/// Option: RESET RETRY COUNTER may only reset the counter.
pub(crate) const OPTION_RESET_ONLY: u16 = 0x0020;

/// Something that needs permission. What is not here is free: SELECT, ENUMERATE, GET CHALLENGE, status queries,
/// import of key shares, verification of certificates, authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// READ BINARY.
    ReadFile(u16),
    /// UPDATE BINARY.
    WriteFile(u16),
    /// DELETE FILE, of an EF or a key.
    Delete(u16),
    /// GENERATE, SIGN, DECIPHER, WRAP, UNWRAP.
    UseKeys,
    /// Creating and deleting key domains and their keys.
    ManageDomains,
    /// Putting a custodian key into a free slot.
    RegisterCustodian,
    /// Putting another custodian key into an occupied slot.
    ReplaceCustodian,
}

/// Whether the act is permitted now; if not, the status word is 6982.
pub(crate) fn permitted(act: Act, state: &State, session: &Session) -> bool {
    let owner = || authenticated(state, session);
    match act {
        Act::ReadFile(fid) => match Area::of(fid) {
            Area::Free | Area::Factory => true,
            Area::Private => owner(),
            Area::Scratch | Area::Key | Area::DeviceKey => false,
            // No such file can exist: the caller says so with 6A82.
            Area::Nowhere => true,
        },
        Act::WriteFile(fid) => match Area::of(fid) {
            Area::Scratch if !state.firmware.has_scratch_file() => false,
            Area::Free | Area::Private | Area::Scratch => owner() || session.initialised_here.holds(),
            Area::Factory | Area::Key | Area::DeviceKey | Area::Nowhere => false,
        },
        Act::Delete(fid) => match Area::of(fid) {
            Area::Free | Area::Private | Area::Scratch => owner() || session.initialised_here.holds(),
            Area::Key => owner(),
            Area::Nowhere => true,
            Area::Factory | Area::DeviceKey => false,
        },
        Act::UseKeys | Act::ManageDomains => owner(),
        Act::RegisterCustodian => !in_use(state) || owner(),
        Act::ReplaceCustodian => owner() && may_replace_custodians(state),
    }
}

/// Whether the token holds something already that custodians would open. Until then everybody may register them, as hosts
/// do right after the initialisation; from then on the last free slot is the door to it.
fn in_use(state: &State) -> bool {
    let private = |fid: &u16| matches!(Area::of(*fid), Area::Private);
    !state.keys.is_empty() || state.files.keys().any(private)
}

/// Option bit 0008 has two meanings: with 0004 it lets a session PIN outlive a reset, alone it allows the replacement of
/// custodian keys. It never means both: who asks for a session PIN has not asked for replaceable custodians.
fn may_replace_custodians(state: &State) -> bool {
    state.options & (OPTION_SESSION_PIN | OPTION_REPLACE_CUSTODIANS) == OPTION_REPLACE_CUSTODIANS
}

/// Whether a session PIN outlives a reset.
pub(crate) fn keeps_session_pin(state: &State) -> bool {
    let both = OPTION_SESSION_PIN | OPTION_REPLACE_CUSTODIANS;
    state.options & both == both
}

/// Whether the owner is authenticated: by user PIN, or by the quorum, or by both where option 0010 says so.
///
/// With public key authentication configured, the PIN counts while keys are still to be registered (until then
/// the quorum does not exist); afterwards it counts only together with the quorum.
pub(crate) fn authenticated(state: &State, session: &Session) -> bool {
    let pin = session.user_pin.holds() && state.user_pin.as_ref().is_some_and(|record| !record.transport);
    if !quorum_in_force(state) {
        return pin;
    }
    quorum_reached(state, session) && (pin || state.options & OPTION_PIN_AND_PKA == 0)
}

/// Whether public key authentication is configured and all its keys are registered.
pub(crate) fn quorum_in_force(state: &State) -> bool {
    state
        .pka
        .as_ref()
        .is_some_and(|pka| pka.slots.iter().all(Option::is_some))
}

/// Whether enough custodians answered.
pub(crate) fn quorum_reached(state: &State, session: &Session) -> bool {
    quorum_in_force(state)
        && state
            .pka
            .as_ref()
            .is_some_and(|pka| session.custodians.len() >= usize::from(pka.required))
}

/// Areas of the file system by file identifier.
#[derive(Clone, Copy)]
enum Area {
    /// Files everybody may read.
    Free,
    /// CDxx.
    Private,
    /// 2F10.
    Scratch,
    /// 2F02.
    Factory,
    /// CCxx, xx not 00.
    Key,
    /// CC00.
    DeviceKey,
    /// No file has such an identifier.
    Nowhere,
}

impl Area {
    fn of(fid: u16) -> Self {
        let [prefix, _] = fid.to_be_bytes();
        match (fid, prefix) {
            (FID_DEVICE_CERTIFICATES, _) => Self::Factory,
            (FID_TOKEN_INFO, _) | (_, 0xC4 | 0xC8..=0xCB | 0xCE | 0xCF) => Self::Free,
            (FID_SCRATCH, _) => Self::Scratch,
            (0xCC00, _) => Self::DeviceKey,
            (_, 0xCC) => Self::Key,
            (_, 0xCD) => Self::Private,
            _ => Self::Nowhere,
        }
    }
}
