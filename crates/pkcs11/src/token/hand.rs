//! A token in the hand of one thread.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use chancery_iso7816::{
    StatusWord,
    tlv::{Reader, Tag},
};
use chancery_schsm::{Fid, KeyId, TokenInfo, fid};

use super::{
    cache::CacheFolder,
    card::{Card, PinReference, PinState},
    failure::Failure,
    files::{Files, Known},
    objects::Built,
    place::{Device, Identity, Place},
};
use crate::{
    error::{Code, Error},
    slot::{Pin, User},
};

/// The connection to a token and what is known of it.
pub(super) struct Hand {
    device: Option<Box<dyn Device>>,
    held: bool,
    selected: bool,
    name: Identity,
    cache: Option<CacheFolder>,
    looked_on_disk: bool,
    pub(super) firmware: (u8, u8),
    pub(super) user: Option<User>,
    /// Kept while the security officer is logged in: setting a PIN takes it once more.
    pub(super) so_pin: Option<Pin>,
    pub(super) pin: Option<PinState>,
    /// Whether it was right when it was presented last, by this module.
    pin_good: bool,
    pub(super) files: Files,
    pub(super) built: Built,
    /// Keys whose public key was seen to be theirs.
    pub(super) proven: BTreeSet<KeyId>,
    /// Keys that do not sign raw blocks.
    pub(super) unraw: BTreeSet<KeyId>,
}

impl Hand {
    pub(super) fn new(name: Identity, cache: Option<CacheFolder>) -> Self {
        Self {
            device: None,
            held: false,
            selected: false,
            name,
            cache,
            looked_on_disk: false,
            firmware: (0, 0),
            user: None,
            so_pin: None,
            pin: None,
            pin_good: false,
            files: Files::default(),
            built: Built::default(),
            proven: BTreeSet::new(),
            unraw: BTreeSet::new(),
        }
    }

    /// Makes the token ready for commands.
    pub(super) fn open(&mut self, place: &dyn Place, wait: Duration) -> Result<(), Failure> {
        if !self.held {
            self.take_up(place, wait)?;
        }
        if !self.selected {
            self.firmware = self.card()?.select()?;
            self.selected = true;
        }
        if !std::mem::replace(&mut self.looked_on_disk, true) {
            self.recall()?;
        }
        Ok(())
    }

    fn take_up(&mut self, place: &dyn Place, wait: Duration) -> Result<(), Failure> {
        let known = self.device.is_some();
        if !known {
            self.device = Some(place.connect()?);
        }
        let begun = match &mut self.device {
            Some(device) => device.begin(wait),
            None => return Err(Code::TOKEN_NOT_PRESENT.into()),
        };
        let reset = match begun {
            Ok(reset) => reset || !known,
            // The other end was started anew since the last time.
            Err(error) if known && error.code() == Code::DEVICE_REMOVED => {
                self.device = None;
                let mut device = place.connect()?;
                device.begin(wait)?;
                self.device = Some(device);
                true
            }
            Err(error) => {
                self.device = None;
                return Err(error.into());
            }
        };
        self.held = true;
        if reset {
            self.selected = false;
            self.log_out();
            self.doubt();
        }
        Ok(())
    }

    /// Somebody else may have changed the token.
    fn doubt(&mut self) {
        self.files.doubt();
        self.built.clear();
        self.proven.clear();
        self.pin = None;
    }

    /// Looks at what is remembered, and whether it is of this device.
    fn recall(&mut self) -> Result<(), Failure> {
        let Some(cache) = self.cache.clone() else {
            return Ok(());
        };
        let (name, is_device) = match &self.name {
            Identity::Device(name) => (name.clone(), true),
            Identity::Place(name) => (name.clone(), false),
        };
        let Some(remembered) = cache.load(&name) else {
            return Ok(());
        };
        let device = remembered.files.get(&fid::DEVICE_CERTIFICATES).cloned().flatten();
        let serial = device.as_deref().and_then(serial_number);
        let named = is_device || serial.is_some_and(|serial| name.contains(&serial));
        if !named {
            // Another token may be in the reader: its PIN must not be asked for in this one's name.
            let now = self.card()?.read(fid::DEVICE_CERTIFICATES)?;
            if now != device {
                self.files.read(fid::DEVICE_CERTIFICATES, now);
                return Ok(());
            }
        }
        if remembered.firmware == self.firmware {
            self.pin_good = remembered.pin_good;
            if self.pin_good {
                // As far as this module knows, all tries are there.
                self.pin = self.pin.or(Some(PinState::Tries(u8::MAX)));
            }
            self.files = Files::from_disk(remembered);
        }
        Ok(())
    }

    /// Writes what is new to the disk.
    pub(super) fn remember(&mut self) {
        let (Some(cache), Identity::Device(name) | Identity::Place(name)) = (&self.cache, &self.name) else {
            return;
        };
        if let Some(what) = self.files.take_changes(self.firmware, self.pin_good) {
            cache.store(name, &what);
        }
    }

    /// What was remembered is not so.
    pub(super) fn forget(&mut self) {
        self.files.forget();
        self.built.clear();
        self.proven.clear();
        self.forget_on_disk();
    }

    fn forget_on_disk(&self) {
        if let (Some(cache), Identity::Device(name) | Identity::Place(name)) = (&self.cache, &self.name) {
            cache.remove(name);
        }
    }

    /// After work: others may have the token unless somebody is logged in.
    pub(super) fn rest(&mut self) {
        if self.user.is_none()
            && std::mem::take(&mut self.held)
            && let Some(device) = &mut self.device
        {
            device.end();
        }
    }

    /// The connection is gone.
    pub(super) fn drop_device(&mut self) {
        self.device = None;
        self.held = false;
        self.selected = false;
        self.log_out();
        self.doubt();
    }

    /// Forgets who is logged in. The token is told by SELECT before it is used again.
    pub(super) fn log_out(&mut self) {
        self.user = None;
        self.so_pin = None;
    }

    /// Has the token forget who is logged in.
    pub(super) fn log_out_of_token(&mut self) {
        if self.user.take().is_some() && self.held {
            self.selected = false;
            match self.card().and_then(|mut card| card.select()) {
                Ok(_) => self.selected = true,
                // A token that cannot be told is let go of, which resets it or ends its transaction.
                Err(_) => self.drop_device(),
            }
        }
        self.log_out();
        self.rest();
    }

    pub(super) fn card(&mut self) -> Result<Card<'_>, Failure> {
        match &mut self.device {
            Some(device) => Ok(Card(device.as_mut())),
            None => Err(Code::TOKEN_NOT_PRESENT.into()),
        }
    }

    /// Objects of the token.
    pub(super) fn list(&mut self) -> Result<Vec<Fid>, Failure> {
        if let Some(list) = self.files.list() {
            return Ok(list.to_vec());
        }
        let list = self.card()?.list()?;
        self.files.listed(list.clone());
        self.built.clear();
        Ok(list)
    }

    /// Content of a public file; `fresh` when it must have been read since the token was taken up.
    pub(super) fn file(&mut self, file: Fid, fresh: bool) -> Result<Option<Arc<[u8]>>, Failure> {
        if let Known::Content(content) = self.files.get(file, fresh) {
            return Ok(content);
        }
        let content = self.card()?.read(file)?;
        self.built.clear();
        Ok(self.files.read(file, content))
    }

    pub(super) fn serial(&mut self) -> Result<String, Failure> {
        let certificates = self.file(fid::DEVICE_CERTIFICATES, false)?;
        Ok(certificates
            .as_deref()
            .and_then(serial_number)
            .unwrap_or_default())
    }

    pub(super) fn label(&mut self) -> Result<String, Failure> {
        let info = self.file(fid::TOKEN_INFO, false)?;
        let label = info
            .and_then(|info| TokenInfo::parse(&info).ok())
            .map(|info| info.label)
            .filter(|label| !label.is_empty());
        Ok(label.unwrap_or_else(|| "SmartCard-HSM".to_owned()))
    }

    /// What the user's PIN is good for.
    pub(super) fn pin_state(&mut self) -> Result<PinState, Failure> {
        if self.user == Some(User::User) {
            return Ok(PinState::Verified);
        }
        match self.pin {
            Some(state) => Ok(state),
            None => self.card()?.pin_state(PinReference::User),
        }
    }

    /// Presents a PIN.
    pub(super) fn present(&mut self, user: User, pin: &Pin) -> Result<(), Failure> {
        let so_pin;
        let (reference, bytes) = match user {
            User::User | User::Context => (PinReference::User, pin.secret_bytes()),
            User::SecurityOfficer => {
                so_pin = so_pin_bytes(pin)?;
                (PinReference::SecurityOfficer, so_pin.as_slice())
            }
        };
        let limits = match reference {
            PinReference::User => super::describe::PIN_LENGTH,
            PinReference::SecurityOfficer => 8..=8,
        };
        // A PIN that cannot be right must not cost a try.
        if !limits.contains(&bytes.len()) {
            return Err(Code::PIN_LEN_RANGE.into());
        }
        let status = self.card()?.verify(reference, bytes)?;
        self.judged(reference, status)
    }

    /// What a token's answer to a PIN means.
    pub(super) fn judged(&mut self, reference: PinReference, status: StatusWord) -> Result<(), Failure> {
        let whose = match reference {
            PinReference::User => "PIN",
            PinReference::SecurityOfficer => "SO-PIN",
        };
        // From now on the token is asked; at the next start, too, when this was wrong.
        if reference == PinReference::User {
            self.pin = None;
            if self.pin_good != status.is_ok() {
                self.pin_good = status.is_ok();
                self.files.touch();
            }
            if !status.is_ok() {
                self.forget_on_disk();
            }
        }
        if status.is_ok() {
            return Ok(());
        }
        let error: Error = match (status, status.retries_left()) {
            (StatusWord::AUTHENTICATION_BLOCKED, _) | (_, Some(0)) => {
                Code::PIN_LOCKED.because(format!("the token's {whose} is blocked: no tries are left"))
            }
            (_, Some(1)) => Code::PIN_INCORRECT.because(format!("wrong {whose}: one try is left")),
            (_, Some(tries)) => Code::PIN_INCORRECT.because(format!("wrong {whose}: {tries} tries are left")),
            (StatusWord::REFERENCE_DATA_NOT_USABLE, _) => {
                Code::PIN_EXPIRED.because(format!("the token's {whose} is a transport PIN: change it first"))
            }
            (StatusWord::REFERENCE_NOT_FOUND | StatusWord::AUTHENTICATION_FAILED, _) => {
                Code::USER_PIN_NOT_INITIALIZED.because(format!(
                    "the token has no {whose}: it is not initialised, or opened by its custodians"
                ))
            }
            (StatusWord::WRONG_LENGTH | StatusWord::WRONG_DATA, _) => Code::PIN_LEN_RANGE.into(),
            _ => return Err(Failure::Status("present a PIN", status)),
        };
        Err(error.into())
    }
}

/// An SO-PIN as bytes: 16 hexadecimal digits, as other tools write it, or 8 bytes.
pub(super) fn so_pin_bytes(pin: &Pin) -> Result<zeroize::Zeroizing<Vec<u8>>, Failure> {
    let given = pin.secret_bytes();
    if given.len() == 8 {
        return Ok(zeroize::Zeroizing::new(given.to_vec()));
    }
    let (pairs, []) = given.as_chunks::<2>() else {
        return Err(Code::PIN_LEN_RANGE.into());
    };
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|value| u8::try_from(value).ok())
    };
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?))
        .collect();
    match bytes {
        Some(bytes) if bytes.len() == 8 => Ok(zeroize::Zeroizing::new(bytes)),
        Some(_) => Err(Code::PIN_LEN_RANGE.into()),
        None => Err(Code::PIN_INVALID.into()),
    }
}

/// The device's name in its certificate (`7F21 { 7F4E { .. 5F20 holder } .. }`) without the five digits at its end.
fn serial_number(certificates: &[u8]) -> Option<String> {
    let certificate = Reader::new(certificates).next().ok()??;
    let mut certificate = certificate;
    if certificate.tag == Tag(0x67) {
        certificate = certificate.children().next().ok()??;
    }
    let mut body = certificate.children().expect(Tag(0x7F4E)).ok()?.children();
    while let Some(field) = body.next().ok()? {
        if field.tag == Tag(0x5F20) {
            let name = std::str::from_utf8(field.value).ok()?;
            return name.get(..name.len().checked_sub(5)?).map(str::to_owned);
        }
    }
    None
}
