//! Key agreement.

use cryptoki_sys as ck;
use zeroize::Zeroizing;

use super::{Library, ObjectHandle, SessionHandle};
use crate::{
    attribute::{Attributes, Template},
    error::{Code, Result},
    hash::Hash,
    mechanism::{Mechanism, Parameters},
    slot::Object,
};

impl Library {
    /// `C_DeriveKey`: a secret key of the session from ECDH (PKCS#11 3.1, 6.3.19).
    ///
    /// # Errors
    /// `CKR_MECHANISM_INVALID`, `CKR_MECHANISM_PARAM_INVALID`, `CKR_TEMPLATE_INCONSISTENT`, `CKR_KEY_SIZE_RANGE`, and as of
    /// [`Decipher::agree`](crate::Decipher::agree).
    pub fn derive_key(
        &self,
        session: SessionHandle,
        mechanism: &Mechanism,
        base: ObjectHandle,
        template: &Template,
    ) -> Result<ObjectHandle> {
        let desk = self.desk(session)?;
        Self::require_offer(&desk, mechanism, ck::CKF_DERIVE)?;
        let Parameters::Ecdh {
            derivation,
            shared,
            public,
        } = &mechanism.parameters
        else {
            return Err(Code::MECHANISM_PARAM_INVALID.into());
        };
        let derivation = Derivation::of(*derivation, shared)?;
        let new = NewKey::of(template)?;
        let key = self.private_key(&desk, base, ck::CKK_EC, ck::CKA_DERIVE)?;
        let point = plain_point(public, key.key_bits).ok_or(Code::MECHANISM_PARAM_INVALID)?;
        let device = desk.device.decipher().ok_or(Code::FUNCTION_NOT_SUPPORTED)?;
        let secret = self.noted(desk.slot, device.agree(key.id, point))?;
        let value = derivation.apply(&secret, new.length.unwrap_or(secret.len()))?;
        let attributes = new.attributes(template, &value);
        let made = |id| Object {
            id,
            attributes,
            key_bits: value.len() * 8,
        };
        Ok(self.table().add_session_object(session, desk.slot, made))
    }
}

/// A secret key as a template describes it.
struct NewKey {
    key_type: ck::CK_KEY_TYPE,
    /// In bytes.
    length: Option<usize>,
}

impl NewKey {
    fn of(template: &Template) -> Result<Self> {
        let class = template.number(ck::CKA_CLASS)?;
        if class.is_some_and(|class| class != ck::CKO_SECRET_KEY)
            || template.flag(ck::CKA_TOKEN)? == Some(true)
            || template.bytes(ck::CKA_VALUE).is_some()
        {
            return Err(Code::TEMPLATE_INCONSISTENT.into());
        }
        let length = template
            .number(ck::CKA_VALUE_LEN)?
            .map(|length| usize::try_from(length).map_err(|_| Code::ATTRIBUTE_VALUE_INVALID))
            .transpose()?;
        Ok(Self {
            key_type: template
                .number(ck::CKA_KEY_TYPE)?
                .unwrap_or(ck::CKK_GENERIC_SECRET),
            length,
        })
    }

    fn attributes(&self, template: &Template, value: &[u8]) -> Attributes {
        let mut attributes = Attributes::new()
            .flag(ck::CKA_PRIVATE, false)
            .flag(ck::CKA_MODIFIABLE, false)
            .flag(ck::CKA_EXTRACTABLE, true)
            .flag(ck::CKA_SENSITIVE, false)
            .bytes(ck::CKA_LABEL, [])
            .bytes(ck::CKA_ID, []);
        for (kind, value) in template.iter() {
            attributes.set(kind, value);
        }
        let attributes = attributes
            .number(ck::CKA_CLASS, ck::CKO_SECRET_KEY)
            .number(ck::CKA_KEY_TYPE, self.key_type)
            .flag(ck::CKA_TOKEN, false)
            .flag(ck::CKA_LOCAL, false)
            .flag(ck::CKA_ALWAYS_SENSITIVE, false)
            .flag(ck::CKA_NEVER_EXTRACTABLE, false)
            .number(
                ck::CKA_VALUE_LEN,
                ck::CK_ULONG::try_from(value.len()).unwrap_or(0),
            );
        if attributes.get_flag(ck::CKA_SENSITIVE) || !attributes.get_flag(ck::CKA_EXTRACTABLE) {
            attributes.sensitive(ck::CKA_VALUE)
        } else {
            attributes.bytes(ck::CKA_VALUE, value)
        }
    }
}

/// What becomes of the shared secret.
enum Derivation<'a> {
    /// Nothing.
    Null,
    /// ANSI X9.63 with this hash function and shared data (SEC 1, 3.6.1).
    X963(Hash, &'a [u8]),
}

impl<'a> Derivation<'a> {
    fn of(function: ck::CK_EC_KDF_TYPE, shared: &'a [u8]) -> Result<Self> {
        Ok(match function {
            ck::CKD_NULL if shared.is_empty() => Self::Null,
            ck::CKD_SHA1_KDF => Self::X963(Hash::Sha1, shared),
            ck::CKD_SHA224_KDF => Self::X963(Hash::Sha224, shared),
            ck::CKD_SHA256_KDF => Self::X963(Hash::Sha256, shared),
            ck::CKD_SHA384_KDF => Self::X963(Hash::Sha384, shared),
            ck::CKD_SHA512_KDF => Self::X963(Hash::Sha512, shared),
            _ => return Err(Code::MECHANISM_PARAM_INVALID.into()),
        })
    }

    /// A key of `length` bytes. Of a secret that is not hashed the leading bytes are left out (PKCS#11 3.1, 6.3.19).
    fn apply(&self, secret: &[u8], length: usize) -> Result<Zeroizing<Vec<u8>>> {
        if length == 0 || length > LONGEST {
            return Err(Code::KEY_SIZE_RANGE.into());
        }
        match self {
            Self::Null => {
                let skipped = secret.len().checked_sub(length).ok_or(Code::KEY_SIZE_RANGE)?;
                Ok(Zeroizing::new(secret.get(skipped..).unwrap_or_default().to_vec()))
            }
            Self::X963(hash, shared) => {
                let mut out = Zeroizing::new(Vec::with_capacity(length + hash.length()));
                for counter in 1_u32.. {
                    if out.len() >= length {
                        break;
                    }
                    let block = Zeroizing::new(hash.digest(&[secret, &counter.to_be_bytes(), shared]));
                    out.extend_from_slice(&block);
                }
                out.truncate(length);
                Ok(out)
            }
        }
    }
}

/// Longest derived key, in bytes.
const LONGEST: usize = 1024;

/// The point as it is or, as some callers give it, in an OCTET STRING.
fn plain_point(public: &[u8], bits: usize) -> Option<&[u8]> {
    let length = 1 + 2 * bits.div_ceil(8);
    let is_point = |point: &[u8]| point.len() == length && point.first() == Some(&4);
    if is_point(public) {
        return Some(public);
    }
    let inner = public
        .len()
        .checked_sub(length)
        .and_then(|header| public.get(header..))?;
    (public.first() == Some(&4) && public.len() - length <= 3 && is_point(inner)).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_plain_and_wrapped() {
        let point = [&[4], [7; 64].as_slice()].concat();
        assert_eq!(plain_point(&point, 256), Some(point.as_slice()));
        assert_eq!(
            plain_point(&[&[4, 65], point.as_slice()].concat(), 256),
            Some(point.as_slice())
        );
        assert_eq!(plain_point(&point[1..], 256), None);
        assert_eq!(plain_point(&[], 256), None);
        assert_eq!(plain_point(&point, 384), None);
    }
}
