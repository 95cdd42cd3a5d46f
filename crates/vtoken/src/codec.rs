//! Stored form of changes.
//!
//! A record of the log is a list of changes; a snapshot is the list that makes the whole state. Each change is
//! one tag byte and its fields; numbers are big endian, byte strings carry a 4-byte length, options one byte
//! (0 or 1) before the value. Tags and field orders are on disk in users' installations: never renumber, add new
//! tags at the end.

use thiserror::Error;
use zeroize::Zeroizing;

use crate::firmware::Firmware;
use crate::pin::PinRecord;
use crate::secret::SecretBytes;
use crate::state::{
    Change, DeviceRecord, ExchangeDomain, Initialisation, KeyKind, KeyRecord, PinReference, Pka,
    RegisteredKey, SharedDomain,
};

/// A key of any origin. The first versions noted none, so it says nothing of where the key is from.
const KEY: u8 = 0x06;
/// The same fields, of a key that the token made itself.
const KEY_MADE_HERE: u8 = 0x11;

/// Why stored changes cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum DecodeError {
    /// The bytes end inside a field.
    #[error("the record ends inside a field")]
    Truncated,
    /// A tag this version does not know.
    #[error("unknown {what} {tag:#04x}: written by a newer version?")]
    Unknown { what: &'static str, tag: u8 },
    /// A reference is not text.
    #[error("a holder reference is not text")]
    NotText,
}

/// Encodes a list of changes.
pub(crate) fn encode(changes: &[Change]) -> Zeroizing<Vec<u8>> {
    let mut out = Encoder {
        bytes: Zeroizing::new(Vec::with_capacity(256)),
    };
    for change in changes {
        out.change(change);
    }
    out.bytes
}

/// Decodes what [`encode`] wrote.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Change>, DecodeError> {
    let mut input = Decoder { rest: bytes };
    let mut changes = Vec::new();
    while !input.rest.is_empty() {
        changes.push(input.change()?);
    }
    Ok(changes)
}

struct Encoder {
    bytes: Zeroizing<Vec<u8>>,
}

impl Encoder {
    fn change(&mut self, change: &Change) {
        match change {
            Change::Personalise(device) => {
                self.u8(0x01);
                self.bytes(device.private_key.expose());
                self.bytes(device.chr.as_bytes());
                self.bytes(&device.certificates);
            }
            Change::Initialise(values) => {
                self.u8(0x02);
                self.initialisation(values);
            }
            Change::SetOptions(options) => {
                self.u8(0x03);
                self.raw(&options.to_be_bytes());
            }
            Change::PutFile { fid, contents } => {
                self.u8(0x04);
                self.raw(&fid.to_be_bytes());
                self.bytes(contents);
            }
            Change::DeleteFile { fid } => {
                self.u8(0x05);
                self.raw(&fid.to_be_bytes());
            }
            Change::PutKey { id, key } => {
                let tag = if key.made_here { KEY_MADE_HERE } else { KEY };
                self.raw(&[tag, *id]);
                self.key(key);
            }
            Change::DeleteKey { id } => self.raw(&[0x07, *id]),
            Change::SetUseCounter { id, left } => {
                self.raw(&[0x08, *id]);
                self.raw(&left.to_be_bytes());
            }
            Change::PinTries { reference, left } => self.raw(&[0x09, reference_byte(*reference), *left]),
            Change::SetPin { reference, pin } => {
                self.raw(&[0x0A, reference_byte(*reference)]);
                self.option(pin.as_ref(), Self::pin);
            }
            Change::PutKeyDomain { index, domain } => {
                self.raw(&[0x0B, *index]);
                self.option(domain.as_ref(), Self::key_domain);
            }
            Change::PutExchangeDomain { index, domain } => {
                self.raw(&[0x10, *index]);
                self.bytes(&domain.uid);
                self.option(domain.kek.as_ref(), |out, kek| out.bytes(kek.expose()));
            }
            Change::RegisterPka { slot, key } => {
                self.raw(&[0x0C, *slot]);
                self.registered_key(key);
            }
            Change::SetFirmware(firmware) => {
                let (major, minor) = firmware.version();
                self.raw(&[0x20, major, minor]);
            }
        }
    }

    fn initialisation(&mut self, values: &Initialisation) {
        self.raw(&values.options.to_be_bytes());
        self.option(values.user_pin.as_ref(), Self::pin);
        self.option(values.so_pin.as_ref(), Self::pin);
        self.list(&values.key_domains, |out, domain| {
            out.option(domain.as_ref(), Self::key_domain)
        });
        self.option(values.random_kek.as_ref(), |out, kek| out.bytes(kek.expose()));
        self.option(values.pka.as_ref(), |out, pka| {
            out.u8(pka.required);
            out.list(&pka.slots, |out, slot| {
                out.option(slot.as_ref(), Self::registered_key)
            });
        });
    }

    fn pin(&mut self, pin: &PinRecord) {
        self.raw(&pin.salt);
        self.raw(&pin.verifier);
        self.raw(&[pin.length, pin.tries_left, pin.tries_max, u8::from(pin.transport)]);
    }

    fn key_domain(&mut self, domain: &SharedDomain) {
        self.raw(&[domain.expected_shares, domain.received_shares]);
        self.bytes(domain.kek.expose());
    }

    fn registered_key(&mut self, key: &RegisteredKey) {
        self.bytes(key.chr.as_bytes());
        self.bytes(&key.spki);
        self.bytes(&key.request);
    }

    fn key(&mut self, key: &KeyRecord) {
        self.u8(match key.kind {
            KeyKind::Ec => 1,
            KeyKind::Rsa => 2,
            KeyKind::Aes => 3,
        });
        self.bytes(key.secret.expose());
        self.option(key.algorithms.as_ref(), |out, list| out.bytes(list));
        self.option(key.use_counter.as_ref(), |out, left| out.raw(&left.to_be_bytes()));
        self.option(key.key_domain.as_ref(), |out, domain| out.u8(*domain));
    }

    fn option<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.u8(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.length(values.len());
        for value in values {
            write(self, value);
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.raw(bytes);
    }

    fn length(&mut self, length: usize) {
        let length = u32::try_from(length).expect("a card's values are far below 4 GiB");
        self.raw(&length.to_be_bytes());
    }

    fn u8(&mut self, byte: u8) {
        self.raw(&[byte]);
    }

    /// Appends; a buffer that is outgrown is wiped, which `Vec` alone would not do.
    fn raw(&mut self, bytes: &[u8]) {
        let needed = self.bytes.len() + bytes.len();
        if needed > self.bytes.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(self.bytes.capacity() * 2)));
            larger.extend_from_slice(&self.bytes);
            self.bytes = larger;
        }
        self.bytes.extend_from_slice(bytes);
    }
}

fn reference_byte(reference: PinReference) -> u8 {
    match reference {
        PinReference::User => 0x81,
        PinReference::So => 0x88,
    }
}

struct Decoder<'a> {
    rest: &'a [u8],
}

impl<'a> Decoder<'a> {
    fn change(&mut self) -> Result<Change, DecodeError> {
        Ok(match self.u8()? {
            0x01 => Change::Personalise(DeviceRecord {
                private_key: SecretBytes::from(self.bytes()?),
                chr: self.text()?,
                certificates: self.bytes()?.to_vec(),
            }),
            0x02 => Change::Initialise(self.initialisation()?),
            0x03 => Change::SetOptions(self.u16()?),
            0x04 => Change::PutFile {
                fid: self.u16()?,
                contents: self.bytes()?.to_vec(),
            },
            0x05 => Change::DeleteFile { fid: self.u16()? },
            tag @ (KEY | KEY_MADE_HERE) => Change::PutKey {
                id: self.u8()?,
                key: KeyRecord {
                    made_here: tag == KEY_MADE_HERE,
                    ..self.key()?
                },
            },
            0x07 => Change::DeleteKey { id: self.u8()? },
            0x08 => Change::SetUseCounter {
                id: self.u8()?,
                left: self.u32()?,
            },
            0x09 => Change::PinTries {
                reference: self.reference()?,
                left: self.u8()?,
            },
            0x0A => Change::SetPin {
                reference: self.reference()?,
                pin: self.option(Self::pin)?,
            },
            0x0B => Change::PutKeyDomain {
                index: self.u8()?,
                domain: self.option(Self::key_domain)?,
            },
            0x0C => Change::RegisterPka {
                slot: self.u8()?,
                key: self.registered_key()?,
            },
            0x10 => Change::PutExchangeDomain {
                index: self.u8()?,
                domain: ExchangeDomain {
                    uid: self.bytes()?.to_vec(),
                    kek: self.option(|input| Ok(SecretBytes::from(input.bytes()?)))?,
                },
            },
            0x20 => Change::SetFirmware(self.firmware()?),
            tag => return Err(DecodeError::Unknown { what: "change", tag }),
        })
    }

    fn initialisation(&mut self) -> Result<Initialisation, DecodeError> {
        Ok(Initialisation {
            options: self.u16()?,
            user_pin: self.option(Self::pin)?,
            so_pin: self.option(Self::pin)?,
            key_domains: self.list(|input| input.option(Self::key_domain))?,
            random_kek: self.option(|input| Ok(SecretBytes::from(input.bytes()?)))?,
            pka: self.option(|input| {
                Ok(Pka {
                    required: input.u8()?,
                    slots: input.list(|input| input.option(Self::registered_key))?,
                })
            })?,
        })
    }

    fn pin(&mut self) -> Result<PinRecord, DecodeError> {
        Ok(PinRecord {
            salt: self.array()?,
            verifier: self.array()?,
            length: self.u8()?,
            tries_left: self.u8()?,
            tries_max: self.u8()?,
            transport: self.flag()?,
        })
    }

    fn key_domain(&mut self) -> Result<SharedDomain, DecodeError> {
        Ok(SharedDomain {
            expected_shares: self.u8()?,
            received_shares: self.u8()?,
            kek: SecretBytes::from(self.bytes()?),
        })
    }

    fn registered_key(&mut self) -> Result<RegisteredKey, DecodeError> {
        Ok(RegisteredKey {
            chr: self.text()?,
            spki: self.bytes()?.to_vec(),
            request: self.bytes()?.to_vec(),
        })
    }

    fn key(&mut self) -> Result<KeyRecord, DecodeError> {
        Ok(KeyRecord {
            kind: match self.u8()? {
                1 => KeyKind::Ec,
                2 => KeyKind::Rsa,
                3 => KeyKind::Aes,
                tag => {
                    return Err(DecodeError::Unknown {
                        what: "kind of key",
                        tag,
                    });
                }
            },
            secret: SecretBytes::from(self.bytes()?),
            algorithms: self.option(|input| Ok(input.bytes()?.to_vec()))?,
            use_counter: self.option(Self::u32)?,
            key_domain: self.option(Self::u8)?,
            made_here: false,
        })
    }

    fn firmware(&mut self) -> Result<Firmware, DecodeError> {
        let [major, minor] = self.array()?;
        Firmware::from_version(major, minor).ok_or(DecodeError::Unknown {
            what: "firmware",
            tag: major,
        })
    }

    fn reference(&mut self) -> Result<PinReference, DecodeError> {
        match self.u8()? {
            0x81 => Ok(PinReference::User),
            0x88 => Ok(PinReference::So),
            tag => Err(DecodeError::Unknown {
                what: "PIN reference",
                tag,
            }),
        }
    }

    fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        // Not reserved ahead: the count is only believed as far as elements follow.
        let mut values = Vec::new();
        for _ in 0..self.u32()? {
            values.push(read(self)?);
        }
        Ok(values)
    }

    fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            tag => Err(DecodeError::Unknown { what: "flag", tag }),
        }
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        let bytes = self.bytes()?;
        str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| DecodeError::NotText)
    }

    fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = usize::try_from(self.u32()?).map_err(|_| DecodeError::Truncated)?;
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }
}

#[cfg(test)]
mod tests;
