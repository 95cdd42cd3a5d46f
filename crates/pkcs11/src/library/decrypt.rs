//! Decryption, in one part or collected from many.

use cryptoki_sys as ck;
use zeroize::Zeroizing;

use super::{Library, ObjectHandle, Output, Room, SessionHandle, session::Desk, table::Active};
use crate::{
    error::{Code, Result},
    hash::Hash,
    mechanism::{Mechanism, Parameters},
    padding,
    slot::ObjectId,
};

/// A decryption that was begun.
pub(super) struct Decryption {
    pub(super) key: ObjectId,
    pub(super) is_authenticated: bool,
    unpad: Unpad,
    cryptogram: Vec<u8>,
    in_parts: bool,
    /// Of the modulus, in bytes.
    length: usize,
    /// Waits for a buffer that is large enough.
    plain: Option<Zeroizing<Vec<u8>>>,
}

/// What comes off the block.
#[derive(Clone)]
enum Unpad {
    Nothing,
    Pkcs1,
    Oaep { hash: Hash, mask: Hash, label: Vec<u8> },
}

impl Library {
    /// `C_DecryptInit`
    ///
    /// # Errors
    /// `CKR_OPERATION_ACTIVE`, `CKR_MECHANISM_INVALID`, `CKR_MECHANISM_PARAM_INVALID`, `CKR_KEY_HANDLE_INVALID`,
    /// `CKR_KEY_TYPE_INCONSISTENT`, `CKR_KEY_FUNCTION_NOT_PERMITTED`, `CKR_USER_NOT_LOGGED_IN`.
    pub fn decrypt_begin(
        &self,
        session: SessionHandle,
        mechanism: &Mechanism,
        key: ObjectHandle,
    ) -> Result<()> {
        let desk = self.desk(session)?;
        self.table().session(session)?.decryption.is_free()?;
        Self::require_offer(&desk, mechanism, ck::CKF_DECRYPT)?;
        let unpad = Unpad::of(mechanism)?;
        let key = self.private_key(&desk, key, ck::CKK_RSA, ck::CKA_DECRYPT)?;
        let decryption = Decryption {
            key: key.id,
            is_authenticated: !key.attributes.get_flag(ck::CKA_ALWAYS_AUTHENTICATE),
            unpad,
            cryptogram: Vec::new(),
            in_parts: false,
            length: key.key_bits.div_ceil(8),
            plain: None,
        };
        self.table().session(session)?.decryption.begin(decryption)
    }

    /// Ends a decryption that was begun (`C_DecryptInit` without a mechanism).
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub fn decrypt_cancel(&self, session: SessionHandle) -> Result<()> {
        self.cancel(session, ck::CKF_DECRYPT)
    }

    /// `C_Decrypt`
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`, `CKR_ENCRYPTED_DATA_LEN_RANGE`, `CKR_ENCRYPTED_DATA_INVALID`, and as of
    /// [`Decipher::decrypt_raw`](crate::Decipher::decrypt_raw). Each of them ends the operation.
    pub fn decrypt(&self, session: SessionHandle, cryptogram: &[u8], room: Room) -> Result<Output> {
        let (desk, mut decryption) = self.take_decryption(session)?;
        if decryption.in_parts {
            self.put_decryption(session, Some(decryption));
            return Err(Code::OPERATION_ACTIVE.into());
        }
        if room != Room::Query && decryption.plain.is_none() {
            decryption.cryptogram = cryptogram.to_vec();
        }
        self.finish_decryption(session, &desk, decryption, room)
    }

    /// `C_DecryptUpdate`: collects; there is no output before the end.
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`, `CKR_ENCRYPTED_DATA_LEN_RANGE`, which ends the operation.
    pub fn decrypt_update(&self, session: SessionHandle, part: &[u8]) -> Result<()> {
        let (_, mut decryption) = self.take_decryption(session)?;
        decryption.in_parts = true;
        if decryption.cryptogram.len() + part.len() > decryption.length {
            self.put_decryption(session, None);
            return Err(Code::ENCRYPTED_DATA_LEN_RANGE.into());
        }
        decryption.cryptogram.extend_from_slice(part);
        self.put_decryption(session, Some(decryption));
        Ok(())
    }

    /// `C_DecryptFinal`
    ///
    /// # Errors
    /// As [`Library::decrypt`].
    pub fn decrypt_end(&self, session: SessionHandle, room: Room) -> Result<Output> {
        let (desk, decryption) = self.take_decryption(session)?;
        self.finish_decryption(session, &desk, decryption, room)
    }

    fn finish_decryption(
        &self,
        session: SessionHandle,
        desk: &Desk,
        mut decryption: Decryption,
        room: Room,
    ) -> Result<Output> {
        let Room::Bytes(bytes) = room else {
            let length = decryption.longest();
            self.put_decryption(session, Some(decryption));
            return Ok(Output::Length(length));
        };
        let plain = match decryption.plain.take() {
            Some(plain) => Ok(plain),
            None => self.decrypt_now(desk, &decryption),
        };
        let output = plain.map(|plain| Output::fit(plain.clone(), bytes).or_keep(plain, &mut decryption));
        let goes_on = matches!(output, Ok(Output::TooSmall(_)));
        self.put_decryption(session, goes_on.then_some(decryption));
        output
    }

    fn decrypt_now(&self, desk: &Desk, decryption: &Decryption) -> Result<Zeroizing<Vec<u8>>> {
        if !decryption.is_authenticated {
            return Err(Code::USER_NOT_LOGGED_IN.into());
        }
        if decryption.cryptogram.len() != decryption.length {
            return Err(Code::ENCRYPTED_DATA_LEN_RANGE.into());
        }
        let device = desk.device.decipher().ok_or(Code::FUNCTION_NOT_SUPPORTED)?;
        let block = self.noted(
            desk.slot,
            device.decrypt_raw(decryption.key, &decryption.cryptogram),
        )?;
        decryption
            .unpad
            .apply(block)
            .ok_or_else(|| Code::ENCRYPTED_DATA_INVALID.into())
    }

    fn take_decryption(&self, session: SessionHandle) -> Result<(Desk, Decryption)> {
        let desk = self.desk(session)?;
        let decryption = self.table().session(session)?.decryption.take()?;
        Ok((desk, decryption))
    }

    fn put_decryption(&self, session: SessionHandle, decryption: Option<Decryption>) {
        if let Ok(session) = self.table().session(session) {
            Active::put(&mut session.decryption, decryption);
        }
    }
}

impl Output {
    fn or_keep(self, plain: Zeroizing<Vec<u8>>, decryption: &mut Decryption) -> Self {
        if matches!(self, Self::TooSmall(_)) {
            decryption.plain = Some(plain);
        }
        self
    }
}

impl Decryption {
    /// Length of the longest plain text, in bytes.
    fn longest(&self) -> usize {
        match &self.plain {
            Some(plain) => plain.len(),
            None => self.length,
        }
    }
}

impl Unpad {
    fn of(mechanism: &Mechanism) -> Result<Self> {
        match (mechanism.kind, &mechanism.parameters) {
            (ck::CKM_RSA_X_509, Parameters::None) => Ok(Self::Nothing),
            (ck::CKM_RSA_PKCS, Parameters::None) => Ok(Self::Pkcs1),
            (ck::CKM_RSA_PKCS_OAEP, Parameters::Oaep { hash, mask, label }) => Ok(Self::Oaep {
                hash: Hash::of_mechanism(*hash).ok_or(Code::MECHANISM_PARAM_INVALID)?,
                mask: Hash::of_mask(*mask).ok_or(Code::MECHANISM_PARAM_INVALID)?,
                label: label.clone(),
            }),
            (ck::CKM_RSA_X_509 | ck::CKM_RSA_PKCS | ck::CKM_RSA_PKCS_OAEP, _) => {
                Err(Code::MECHANISM_PARAM_INVALID.into())
            }
            _ => Err(Code::MECHANISM_INVALID.into()),
        }
    }

    fn apply(&self, block: Zeroizing<Vec<u8>>) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Nothing => Some(block),
            Self::Pkcs1 => padding::unpad_pkcs1(&block),
            Self::Oaep { hash, mask, label } => padding::unpad_oaep(&block, *hash, *mask, label),
        }
    }
}
