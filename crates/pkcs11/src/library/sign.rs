//! Signatures, in one part and in many.

use std::sync::Arc;

use cryptoki_sys as ck;
use zeroize::Zeroizing;

use super::{Library, ObjectHandle, Output, Room, SessionHandle, session::Desk, table::Active};
use crate::{
    error::{Code, Result},
    hash::{Hash, Hasher},
    mechanism::{Mechanism, Parameters, Scheme, SignatureKind},
    slot::{Object, ObjectId, SignInput},
};

/// A signature that was begun.
pub(super) struct Signing {
    pub(super) key: ObjectId,
    pub(super) is_authenticated: bool,
    scheme: Prepared,
    collected: Collected,
    /// Of the signature, in bytes.
    length: usize,
    in_parts: bool,
}

/// A scheme with everything that is known before the data.
#[derive(Clone, Copy)]
enum Prepared {
    RsaPkcs1,
    RsaRaw,
    RsaPss {
        hash: Hash,
        mask: Hash,
        salt_length: usize,
    },
    Ecdsa,
}

/// The data so far.
enum Collected {
    /// Hashed here.
    Hashed(Hash, Box<Hasher>),
    /// Taken as it is.
    Plain(Zeroizing<Vec<u8>>),
}

/// What is signed as it is has at most so many bytes: the longest modulus.
const LONGEST_PLAIN: usize = 1024;

impl Library {
    /// `C_SignInit`
    ///
    /// # Errors
    /// `CKR_OPERATION_ACTIVE`, `CKR_MECHANISM_INVALID`, `CKR_MECHANISM_PARAM_INVALID`, `CKR_KEY_HANDLE_INVALID`,
    /// `CKR_KEY_TYPE_INCONSISTENT`, `CKR_KEY_FUNCTION_NOT_PERMITTED`, `CKR_USER_NOT_LOGGED_IN`.
    pub fn sign_begin(&self, session: SessionHandle, mechanism: &Mechanism, key: ObjectHandle) -> Result<()> {
        let desk = self.desk(session)?;
        self.table().session(session)?.signing.is_free()?;
        Self::require_offer(&desk, mechanism, ck::CKF_SIGN)?;
        let kind = SignatureKind::of(mechanism.kind).ok_or(Code::MECHANISM_INVALID)?;
        let scheme = Prepared::of(kind, &mechanism.parameters)?;
        let key_type = match kind.scheme {
            Scheme::Ecdsa => ck::CKK_EC,
            Scheme::RsaPkcs1 | Scheme::RsaRaw | Scheme::RsaPss => ck::CKK_RSA,
        };
        let key = self.private_key(&desk, key, key_type, ck::CKA_SIGN)?;
        let signing = Signing {
            key: key.id,
            is_authenticated: !key.attributes.get_flag(ck::CKA_ALWAYS_AUTHENTICATE),
            scheme,
            collected: match kind.hashed_by {
                Some(hash) => Collected::Hashed(hash, Box::new(hash.start())),
                None => Collected::Plain(Zeroizing::default()),
            },
            length: signature_length(&key, kind.scheme),
            in_parts: false,
        };
        self.table().session(session)?.signing.begin(signing)
    }

    /// Ends a signature that was begun (`C_SignInit` without a mechanism).
    ///
    /// # Errors
    /// `CKR_SESSION_HANDLE_INVALID`.
    pub fn sign_cancel(&self, session: SessionHandle) -> Result<()> {
        self.cancel(session, ck::CKF_SIGN)
    }

    /// `C_Sign`
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`, `CKR_DATA_LEN_RANGE`, and as of [`Slot::sign`](crate::Slot::sign). Each of them
    /// ends the operation.
    pub fn sign(&self, session: SessionHandle, data: &[u8], room: Room) -> Result<Output> {
        let (desk, mut signing) = self.take_signing(session)?;
        if signing.in_parts {
            self.put_signing(session, Some(signing));
            return Err(Code::OPERATION_ACTIVE.into());
        }
        if let Some(output) = signing.too_early(room) {
            self.put_signing(session, Some(signing));
            return Ok(output);
        }
        let signed = signing
            .add(data)
            .and_then(|()| self.finish_signing(&desk, signing));
        self.put_signing(session, None);
        signed
    }

    /// `C_SignUpdate`
    ///
    /// # Errors
    /// `CKR_OPERATION_NOT_INITIALIZED`, `CKR_DATA_LEN_RANGE`, which ends the operation.
    pub fn sign_update(&self, session: SessionHandle, part: &[u8]) -> Result<()> {
        let (_, mut signing) = self.take_signing(session)?;
        signing.in_parts = true;
        let added = signing.add(part);
        self.put_signing(session, added.is_ok().then_some(signing));
        added
    }

    /// `C_SignFinal`
    ///
    /// # Errors
    /// As [`Library::sign`].
    pub fn sign_end(&self, session: SessionHandle, room: Room) -> Result<Output> {
        let (desk, signing) = self.take_signing(session)?;
        if let Some(output) = signing.too_early(room) {
            self.put_signing(session, Some(signing));
            return Ok(output);
        }
        let signed = self.finish_signing(&desk, signing);
        self.put_signing(session, None);
        signed
    }

    fn finish_signing(&self, desk: &Desk, signing: Signing) -> Result<Output> {
        if !signing.is_authenticated {
            return Err(Code::USER_NOT_LOGGED_IN.into());
        }
        let (hash, data) = signing.collected.finish();
        let input = match signing.scheme {
            Prepared::RsaPkcs1 => {
                let info = match hash {
                    Some(hash) => Zeroizing::new(hash.digest_info(&data)),
                    None => data,
                };
                let signature = desk.device.sign(signing.key, &SignInput::RsaPkcs1(&info));
                return self.signed(desk, signature);
            }
            Prepared::RsaRaw => {
                // A short block is a small number.
                let zeros = signing.length.checked_sub(data.len());
                let zeros = zeros.ok_or(Code::DATA_LEN_RANGE)?;
                let block = Zeroizing::new([vec![0; zeros].as_slice(), &data].concat());
                let signature = desk.device.sign(signing.key, &SignInput::RsaRaw(&block));
                return self.signed(desk, signature);
            }
            Prepared::RsaPss {
                hash,
                mask,
                salt_length,
            } => {
                if data.len() != hash.length() {
                    return Err(Code::DATA_LEN_RANGE.into());
                }
                SignInput::RsaPss {
                    hash,
                    mask,
                    salt_length,
                    digest: &data,
                }
            }
            Prepared::Ecdsa => {
                if data.is_empty() {
                    return Err(Code::DATA_LEN_RANGE.into());
                }
                SignInput::Ecdsa { hash, digest: &data }
            }
        };
        let signature = desk.device.sign(signing.key, &input).and_then(|signature| {
            // A signature of another length is no signature, and callers made room for this one.
            if signature.len() == signing.length {
                Ok(signature)
            } else {
                Err(Code::DEVICE_ERROR.into())
            }
        });
        self.signed(desk, signature)
    }

    fn signed(&self, desk: &Desk, signature: Result<Vec<u8>>) -> Result<Output> {
        let signature = self.noted(desk.slot, signature)?;
        self.notices().forget();
        Ok(Output::Done(Zeroizing::new(signature)))
    }

    fn take_signing(&self, session: SessionHandle) -> Result<(Desk, Signing)> {
        let desk = self.desk(session)?;
        let signing = self.table().session(session)?.signing.take()?;
        Ok((desk, signing))
    }

    fn put_signing(&self, session: SessionHandle, signing: Option<Signing>) {
        // A session that was closed meanwhile has no operations.
        if let Ok(session) = self.table().session(session) {
            Active::put(&mut session.signing, signing);
        }
    }
}

impl Signing {
    fn add(&mut self, part: &[u8]) -> Result<()> {
        match &mut self.collected {
            Collected::Hashed(_, hasher) => hasher.update(part),
            Collected::Plain(data) => {
                if data.len() + part.len() > LONGEST_PLAIN {
                    return Err(Code::DATA_LEN_RANGE.into());
                }
                data.extend_from_slice(part);
            }
        }
        Ok(())
    }

    /// The answer before anything is done, unless there is room for the signature.
    fn too_early(&self, room: Room) -> Option<Output> {
        match room {
            Room::Query => Some(Output::Length(self.length)),
            Room::Bytes(bytes) if bytes < self.length => Some(Output::TooSmall(self.length)),
            Room::Bytes(_) => None,
        }
    }
}

impl Collected {
    fn finish(self) -> (Option<Hash>, Zeroizing<Vec<u8>>) {
        match self {
            Self::Hashed(hash, hasher) => (Some(hash), Zeroizing::new(hasher.finish())),
            Self::Plain(data) => (None, data),
        }
    }
}

impl Prepared {
    fn of(kind: SignatureKind, parameters: &Parameters) -> Result<Self> {
        match (kind.scheme, parameters) {
            (Scheme::RsaPkcs1, Parameters::None) => Ok(Self::RsaPkcs1),
            (Scheme::RsaRaw, Parameters::None) => Ok(Self::RsaRaw),
            (Scheme::Ecdsa, Parameters::None) => Ok(Self::Ecdsa),
            (
                Scheme::RsaPss,
                Parameters::Pss {
                    hash,
                    mask,
                    salt_length,
                },
            ) => {
                let hash = Hash::of_mechanism(*hash).ok_or(Code::MECHANISM_PARAM_INVALID)?;
                let mask = Hash::of_mask(*mask).ok_or(Code::MECHANISM_PARAM_INVALID)?;
                if kind.hashed_by.is_some_and(|by| by != hash) || *salt_length > LONGEST_PLAIN {
                    return Err(Code::MECHANISM_PARAM_INVALID.into());
                }
                Ok(Self::RsaPss {
                    hash,
                    mask,
                    salt_length: *salt_length,
                })
            }
            _ => Err(Code::MECHANISM_PARAM_INVALID.into()),
        }
    }
}

fn signature_length(key: &Arc<Object>, scheme: Scheme) -> usize {
    let bytes = key.key_bits.div_ceil(8);
    match scheme {
        Scheme::Ecdsa => 2 * bytes,
        Scheme::RsaPkcs1 | Scheme::RsaRaw | Scheme::RsaPss => bytes,
    }
}
