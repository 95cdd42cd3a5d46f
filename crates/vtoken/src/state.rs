//! What a token remembers, and the changes that can be made to it.
//!
//! [`State`] is only ever altered by applying a [`Change`]; a change that was applied has been made durable
//! before (see [`crate::persistent`]). Applying cannot fail: what a change refers to and does not find (a
//! counter of a key that is gone) is left as it is, so that a log once written can always be read again.

use std::collections::BTreeMap;

use crate::firmware::Firmware;
use crate::pin::PinRecord;
use crate::secret::SecretBytes;

/// File identifier of the device certificate chain (C.DevAut followed by C.DICA).
pub(crate) const FID_DEVICE_CERTIFICATES: u16 = 0x2F02;

/// Everything a token remembers when it has no power.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// What the factory put in; never erased.
    pub(crate) device: DeviceRecord,
    /// What the token behaves like; never altered after it was made.
    pub(crate) firmware: Firmware,
    /// False until the first INITIALIZE DEVICE.
    pub(crate) initialised: bool,
    /// Option bits of INITIALIZE DEVICE (DO 80).
    pub(crate) options: u16,
    /// PIN reference 81; absent when only public key authentication is used.
    pub(crate) user_pin: Option<PinRecord>,
    /// PIN reference 88 (initialization code).
    pub(crate) so_pin: Option<PinRecord>,
    /// Key domain slots. Empty: the device has no key domains. `None`: slot configured, domain not created.
    pub(crate) key_domains: Vec<Option<KeyDomain>>,
    /// The key encryption key that nobody knows, of a device initialised without key domains (32 bytes).
    pub(crate) random_kek: Option<SecretBytes>,
    /// Public key authentication, when configured.
    pub(crate) pka: Option<Pka>,
    /// Keys by key id (01..=FF); the device key is in `device`.
    pub(crate) keys: BTreeMap<u8, KeyRecord>,
    /// Elementary files by file identifier, EF 2F02 excepted. Ask [`State::file`].
    pub(crate) files: BTreeMap<u16, Vec<u8>>,
}

/// What the factory put into a token.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct DeviceRecord {
    /// Private scalar of the device authentication key on brainpoolP256r1, 32 bytes, big endian.
    pub(crate) private_key: SecretBytes,
    /// Holder reference of the device certificate, 8..=16 characters.
    pub(crate) chr: String,
    /// Content of EF 2F02: C.DevAut | C.DICA.
    pub(crate) certificates: Vec<u8>,
}

/// One key domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyDomain {
    /// Its key encryption key comes from shares.
    Shared(SharedDomain),
    /// Its key encryption key comes from key agreement within a group of devices.
    Exchange(ExchangeDomain),
}

impl KeyDomain {
    /// The key encryption key, once it is complete.
    pub(crate) fn complete_kek(&self) -> Option<&SecretBytes> {
        match self {
            Self::Shared(domain) => domain.complete_kek(),
            Self::Exchange(domain) => domain.kek.as_ref(),
        }
    }
}

/// A key domain whose devices agree on their key encryption key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExchangeDomain {
    /// Who the group is: x | y of its signer's public key.
    pub(crate) uid: Vec<u8>,
    /// 32 bytes, once agreed on.
    pub(crate) kek: Option<SecretBytes>,
}

/// A key domain whose key encryption key comes from shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedDomain {
    /// Number of shares the key is made of.
    pub(crate) expected_shares: u8,
    /// Number of shares imported so far.
    pub(crate) received_shares: u8,
    /// XOR of the shares imported so far, 32 bytes; the key itself once all are there.
    pub(crate) kek: SecretBytes,
}

impl SharedDomain {
    /// A domain that waits for its shares.
    pub(crate) fn awaiting(expected_shares: u8) -> Self {
        Self {
            expected_shares,
            received_shares: 0,
            kek: SecretBytes::from(&[0u8; 32][..]),
        }
    }

    /// The key encryption key, once all shares are there.
    pub(crate) fn complete_kek(&self) -> Option<&SecretBytes> {
        (self.received_shares >= self.expected_shares).then_some(&self.kek)
    }
}

/// Public key authentication, n of m.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pka {
    /// n: keys that must answer.
    pub(crate) required: u8,
    /// m slots, `None` while no key is registered in one.
    pub(crate) slots: Vec<Option<RegisteredKey>>,
}

/// The public key of a custodian.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RegisteredKey {
    /// Holder reference of the request, sequence digits included.
    pub(crate) chr: String,
    /// The public key as SubjectPublicKeyInfo, DER.
    pub(crate) spki: Vec<u8>,
    /// The authenticated request it came with (`7F21 | 42 | 5F37`).
    pub(crate) request: Vec<u8>,
}

/// One key of the key store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyRecord {
    /// Kind of `secret`.
    pub(crate) kind: KeyKind,
    /// EC and RSA: PKCS#8 PrivateKeyInfo, DER. AES: the key.
    pub(crate) secret: SecretBytes,
    /// Allowed algorithm identifiers (DO 91); `None` = no restriction.
    pub(crate) algorithms: Option<Vec<u8>>,
    /// Uses left (DO 90); `None` = not counted.
    pub(crate) use_counter: Option<u32>,
    /// Key domain the key belongs to (DO 92).
    pub(crate) key_domain: Option<u8>,
    /// Generated or derived by this token. False for what came with UNWRAP, and for keys that were stored before this was
    /// noted: somebody outside may have chosen them.
    pub(crate) made_here: bool,
}

/// Kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// Elliptic curve.
    Ec,
    /// RSA.
    Rsa,
    /// AES.
    Aes,
}

/// Which PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PinReference {
    /// 81
    User,
    /// 88
    So,
}

/// What INITIALIZE DEVICE sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Initialisation {
    /// Option bits.
    pub(crate) options: u16,
    /// New user PIN.
    pub(crate) user_pin: Option<PinRecord>,
    /// New SO-PIN.
    pub(crate) so_pin: Option<PinRecord>,
    /// Key domain slots.
    pub(crate) key_domains: Vec<Option<SharedDomain>>,
    /// Key encryption key nobody knows.
    pub(crate) random_kek: Option<SecretBytes>,
    /// Public key authentication.
    pub(crate) pka: Option<Pka>,
}

/// One change of a [`State`]. Stored: see `codec.rs` before altering it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Factory personalisation.
    Personalise(DeviceRecord),
    /// Erases all but the device record, then sets what INITIALIZE DEVICE says.
    Initialise(Initialisation),
    /// Replaces the option bits.
    SetOptions(u16),
    /// Creates or replaces a whole file.
    PutFile { fid: u16, contents: Vec<u8> },
    /// Deletes a file.
    DeleteFile { fid: u16 },
    /// Creates or replaces a key.
    PutKey { id: u8, key: KeyRecord },
    /// Destroys a key.
    DeleteKey { id: u8 },
    /// Uses left of a counted key.
    SetUseCounter { id: u8, left: u32 },
    /// Tries left of a PIN.
    PinTries { reference: PinReference, left: u8 },
    /// Creates, replaces or removes a PIN.
    SetPin {
        reference: PinReference,
        pin: Option<PinRecord>,
    },
    /// Creates, advances (a share more) or deletes the domain in a configured slot.
    PutKeyDomain { index: u8, domain: Option<SharedDomain> },
    /// Creates an exchange domain in a configured slot, or sets or deletes its key encryption key.
    PutExchangeDomain { index: u8, domain: ExchangeDomain },
    /// Registers or replaces the key in a configured slot.
    RegisterPka { slot: u8, key: RegisteredKey },
    /// Factory: what the token behaves like. Left out where it is the default.
    SetFirmware(Firmware),
}

impl State {
    /// Applies a change. Cannot fail, see the module's text.
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::Personalise(device) => self.device = device.clone(),
            Change::SetFirmware(firmware) => self.firmware = *firmware,
            Change::Initialise(values) => self.initialise(values),
            Change::SetOptions(options) => self.options = *options,
            Change::PutFile {
                fid: FID_DEVICE_CERTIFICATES,
                contents,
            } => {
                self.device.certificates.clone_from(contents);
            }
            Change::PutFile { fid, contents } => {
                self.files.insert(*fid, contents.clone());
            }
            Change::DeleteFile { fid } => {
                self.files.remove(fid);
            }
            Change::PutKey { id, key } => {
                self.keys.insert(*id, key.clone());
            }
            Change::DeleteKey { id } => {
                self.keys.remove(id);
            }
            Change::SetUseCounter { id, left } => {
                if let Some(counter) = self.keys.get_mut(id).and_then(|key| key.use_counter.as_mut()) {
                    *counter = *left;
                }
            }
            Change::PinTries { reference, left } => {
                if let Some(pin) = self.pin_mut(*reference) {
                    pin.tries_left = *left;
                }
            }
            Change::SetPin { reference, pin } => *self.pin_mut(*reference) = pin.clone(),
            Change::PutKeyDomain { index, domain } => {
                self.put_key_domain(*index, domain.clone().map(KeyDomain::Shared));
            }
            Change::PutExchangeDomain { index, domain } => {
                self.put_key_domain(*index, Some(KeyDomain::Exchange(domain.clone())));
            }
            Change::RegisterPka { slot, key } => {
                let slots = self
                    .pka
                    .as_mut()
                    .map(|pka| pka.slots.as_mut_slice())
                    .unwrap_or_default();
                if let Some(place) = slots.get_mut(usize::from(*slot)) {
                    *place = Some(key.clone());
                }
            }
        }
    }

    /// Content of a file, EF 2F02 included.
    pub(crate) fn file(&self, fid: u16) -> Option<&[u8]> {
        match fid {
            FID_DEVICE_CERTIFICATES => Some(&self.device.certificates),
            _ => self.files.get(&fid).map(Vec::as_slice),
        }
    }

    /// The PIN with this reference, if the token has it.
    pub(crate) fn pin(&self, reference: PinReference) -> Option<&PinRecord> {
        match reference {
            PinReference::User => self.user_pin.as_ref(),
            PinReference::So => self.so_pin.as_ref(),
        }
    }

    /// Changes that make this state out of an empty one.
    pub(crate) fn as_changes(&self) -> Vec<Change> {
        let mut changes = vec![Change::Personalise(self.device.clone())];
        if self.firmware != Firmware::default() {
            changes.push(Change::SetFirmware(self.firmware));
        }
        if self.initialised {
            changes.push(Change::Initialise(Initialisation {
                options: self.options,
                user_pin: self.user_pin.clone(),
                so_pin: self.so_pin.clone(),
                key_domains: self.key_domains.iter().map(shared).collect(),
                random_kek: self.random_kek.clone(),
                pka: self.pka.clone(),
            }));
            changes.extend((0..=u8::MAX).zip(&self.key_domains).filter_map(exchange));
        } else {
            changes.push(Change::SetOptions(self.options));
            for (reference, pin) in [
                (PinReference::User, &self.user_pin),
                (PinReference::So, &self.so_pin),
            ] {
                if pin.is_some() {
                    changes.push(Change::SetPin {
                        reference,
                        pin: pin.clone(),
                    });
                }
            }
        }
        changes.extend(self.keys.iter().map(|(id, key)| Change::PutKey {
            id: *id,
            key: key.clone(),
        }));
        changes.extend(self.files.iter().map(|(fid, contents)| Change::PutFile {
            fid: *fid,
            contents: contents.clone(),
        }));
        changes
    }

    fn initialise(&mut self, values: &Initialisation) {
        *self = Self {
            device: std::mem::take(&mut self.device),
            firmware: self.firmware,
            initialised: true,
            options: values.options,
            user_pin: values.user_pin.clone(),
            so_pin: values.so_pin.clone(),
            key_domains: values
                .key_domains
                .iter()
                .map(|domain| domain.clone().map(KeyDomain::Shared))
                .collect(),
            random_kek: values.random_kek.clone(),
            pka: values.pka.clone(),
            keys: BTreeMap::new(),
            files: BTreeMap::new(),
        };
    }

    fn put_key_domain(&mut self, index: u8, domain: Option<KeyDomain>) {
        if let Some(slot) = self.key_domains.get_mut(usize::from(index)) {
            *slot = domain;
        }
    }

    fn pin_mut(&mut self, reference: PinReference) -> &mut Option<PinRecord> {
        match reference {
            PinReference::User => &mut self.user_pin,
            PinReference::So => &mut self.so_pin,
        }
    }
}

fn shared(slot: &Option<KeyDomain>) -> Option<SharedDomain> {
    match slot {
        Some(KeyDomain::Shared(domain)) => Some(domain.clone()),
        _ => None,
    }
}

fn exchange((index, slot): (u8, &Option<KeyDomain>)) -> Option<Change> {
    match slot {
        Some(KeyDomain::Exchange(domain)) => Some(Change::PutExchangeDomain {
            index,
            domain: domain.clone(),
        }),
        _ => None,
    }
}
