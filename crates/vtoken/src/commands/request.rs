//! The authenticated request of a generated key (BSI TR-03110-3 C.2).

use chancery_iso7816::StatusWord;
use chancery_iso7816::tlv::{Tag, Writer};

use super::exchange::OID_GROUP;
use crate::card::{Card, refused};
use crate::crypto::{CryptoError, Hash, PrivateKey};

/// ecdsa-plain-SHA256, 0.4.0.127.0.7.2.2.2.2.3.
const OID_ECDSA_SHA256: [u8; 10] = [4, 0, 0x7F, 0, 7, 2, 2, 2, 2, 3];
/// RSA v1.5 with SHA-256, 0.4.0.127.0.7.2.2.2.1.2.
const OID_RSA_SHA256: [u8; 10] = [4, 0, 0x7F, 0, 7, 2, 2, 2, 1, 2];

const SIGNATURE: Tag = Tag(0x5F37);

/// The names in a request.
pub(crate) struct Names<'a> {
    /// Authority reference; the device's own name when left out.
    pub(crate) authority: Option<&'a [u8]>,
    /// Holder reference.
    pub(crate) holder: &'a [u8],
}

/// `67 { 7F21 { 7F4E {..} 5F37 } 42 5F37 }`: the inner signature is the new key's, the outer one, over 7F21 | 42, the
/// device's. Both are over SHA-256. `group` is the identifier of the exchange domain the key is made for.
pub(crate) fn build(
    card: &mut Card,
    names: &Names<'_>,
    key: &PrivateKey,
    group: Option<&[u8]>,
) -> Result<Vec<u8>, StatusWord> {
    let device_key = card.device_key()?;
    let device_name = card.state().device.chr.as_bytes().to_vec();
    let public_key = public_key(key).map_err(refused)?;
    let mut body = Writer::new();
    body.nested(Tag(0x7F4E), |fields| {
        fields
            .tlv(Tag(0x5F29), &[0])
            .tlv(Tag(0x42), names.authority.unwrap_or(&device_name));
        fields
            .tlv(Tag(0x7F49), &public_key)
            .tlv(Tag(0x5F20), names.holder);
        if let Some(group) = group {
            fields.nested(Tag(0x65), |extensions| {
                extensions.nested(Tag(0x73), |extension| {
                    extension.tlv(Tag(0x06), &OID_GROUP).tlv(Tag(0x80), group);
                });
            });
        }
    });
    let body = body.finish();
    let inner = self_signature(key, &body).map_err(refused)?;
    let mut signed = Writer::new();
    signed.nested(Tag(0x7F21), |request| {
        request.raw(&body).tlv(SIGNATURE, &inner);
    });
    signed.tlv(Tag(0x42), &device_name);
    let signed = signed.finish();
    let outer = device_key
        .sign_hash_plain(Hash::Sha256.of(&signed).as_ref())
        .map_err(refused)?;
    let mut request = Writer::new();
    request.nested(Tag(0x67), |parts| {
        parts.raw(&signed).tlv(SIGNATURE, &outer);
    });
    Ok(request.finish())
}

/// Content of DO 7F49 with the full domain (BSI TR-03110-3 D.3).
fn public_key(key: &PrivateKey) -> Result<Vec<u8>, CryptoError> {
    let mut fields = Writer::new();
    match key {
        PrivateKey::Ec(key) => {
            let domain = key.curve().domain()?;
            fields.tlv(Tag(0x06), &OID_ECDSA_SHA256);
            fields
                .tlv(Tag(0x81), &domain.p)
                .tlv(Tag(0x82), &domain.a)
                .tlv(Tag(0x83), &domain.b);
            fields.tlv(Tag(0x84), &domain.g).tlv(Tag(0x85), &domain.n);
            fields.tlv(Tag(0x86), &key.public_point()?).tlv(Tag(0x87), &[1]);
        }
        PrivateKey::Rsa(key) => {
            fields.tlv(Tag(0x06), &OID_RSA_SHA256);
            fields
                .tlv(Tag(0x81), &key.numbers().n().to_vec())
                .tlv(Tag(0x82), &key.numbers().e().to_vec());
        }
        PrivateKey::Aes(_) => return Err(CryptoError::Algorithm),
    }
    Ok(fields.finish())
}

fn self_signature(key: &PrivateKey, body: &[u8]) -> Result<Vec<u8>, CryptoError> {
    match key {
        PrivateKey::Ec(key) => key.sign_hash_plain(Hash::Sha256.of(body).as_ref()),
        PrivateKey::Rsa(_) => key
            .prepare_sign(0x33, body)?
            .run()
            .map(|signature| signature.to_vec()),
        PrivateKey::Aes(_) => Err(CryptoError::Algorithm),
    }
}
