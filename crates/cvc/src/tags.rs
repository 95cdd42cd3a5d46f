//! Tags of the data objects (reference: BSI TR-03110-3 D.2).

use chancery_iso7816::tlv::Tag;

/// Certificate or request: body and signature.
pub(crate) const CERTIFICATE: Tag = Tag(0x7F21);
/// Certificate or request body, the signed bytes.
pub(crate) const BODY: Tag = Tag(0x7F4E);
/// Certificate profile identifier, one byte 00.
pub(crate) const PROFILE: Tag = Tag(0x5F29);
/// Certification authority reference.
pub(crate) const CAR: Tag = Tag(0x42);
/// Public key.
pub(crate) const PUBLIC_KEY: Tag = Tag(0x7F49);
/// Certificate holder reference.
pub(crate) const CHR: Tag = Tag(0x5F20);
/// Certificate holder authorisation template.
pub(crate) const ROLE: Tag = Tag(0x7F4C);
/// Certificate effective date.
pub(crate) const EFFECTIVE: Tag = Tag(0x5F25);
/// Certificate expiration date.
pub(crate) const EXPIRES: Tag = Tag(0x5F24);
/// Certificate extensions.
pub(crate) const EXTENSIONS: Tag = Tag(0x65);
/// Signature.
pub(crate) const SIGNATURE: Tag = Tag(0x5F37);
/// Authentication: a request signed once more.
pub(crate) const AUTHENTICATION: Tag = Tag(0x67);
/// Object identifier.
pub(crate) const OID: Tag = Tag(0x06);
/// Discretionary data: the role bits.
pub(crate) const DISCRETIONARY: Tag = Tag(0x53);

/// Context tags inside a public key (reference: BSI TR-03110-3 D.3).
pub(crate) mod key {
    use chancery_iso7816::tlv::Tag;

    /// EC: prime modulus. RSA: modulus.
    pub(crate) const P_OR_MODULUS: Tag = Tag(0x81);
    /// EC: first coefficient. RSA: public exponent.
    pub(crate) const A_OR_EXPONENT: Tag = Tag(0x82);
    /// EC: second coefficient.
    pub(crate) const B: Tag = Tag(0x83);
    /// EC: base point.
    pub(crate) const G: Tag = Tag(0x84);
    /// EC: order of the base point.
    pub(crate) const N: Tag = Tag(0x85);
    /// EC: public point.
    pub(crate) const Q: Tag = Tag(0x86);
    /// EC: cofactor.
    pub(crate) const COFACTOR: Tag = Tag(0x87);
    /// Key generation only. RSA: modulus length in bits.
    pub(crate) const BITS: Tag = Tag(0x02);
}
