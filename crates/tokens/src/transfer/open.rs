//! Key files: PKCS#8, PKCS#12, the older PEM forms, and bare AES keys.

use std::fmt;

use chancery_cvc::{EcDomain, EcPublicKey, RsaPublicKey};
use chancery_iso7816::tlv::{Reader, Tag};
use chancery_schsm::{KeyMaterial, RsaSecret};
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{Id, PKey, PKeyRef, Private};
use openssl::rsa::RsaRef;
use openssl::{ec::EcKeyRef, error::ErrorStack};
use zeroize::Zeroizing;

/// Longest key file read, in bytes.
pub(super) const MAX_LENGTH: usize = 1024 * 1024;

/// A key in clear from a file, in memory only. `Debug` shows kind and size.
pub struct KeyFile {
    material: KeyMaterial,
    certificate: Option<Vec<u8>>,
    label: Option<String>,
}

/// What a file is expected to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyFileFormat {
    /// PKCS#8 (in clear or encrypted), PKCS#12, or an older PEM form; found out.
    #[default]
    Asymmetric,
    /// An AES key: 16, 24 or 32 bytes.
    Aes,
    /// An AES key in hexadecimal digits.
    AesHex,
}

/// A file from which no key comes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// Longer than 1 MiB.
    #[error("a key file of {0} bytes is over the limit of {MAX_LENGTH}")]
    TooLong(usize),
    /// The password is wrong, or none was given.
    #[error("the file is encrypted and the password does not open it")]
    Password(#[source] Option<ErrorStack>),
    /// Nothing of the kinds read.
    #[error("the file holds no private key: neither PKCS#8 nor PKCS#12 nor an older PEM form")]
    NoKey,
    /// A PKCS#12 file without private key.
    #[error("the PKCS#12 file holds no private key")]
    CertificatesOnly,
    /// A key no token takes.
    #[error("no token takes this key: {0}")]
    Unsupported(String),
    /// Not an AES key.
    #[error("an AES key has 16, 24 or 32 bytes, this file gives {0}")]
    AesLength(usize),
    /// Not hexadecimal digits.
    #[error("the file holds something else than hexadecimal digits")]
    Digits,
    /// The crypto library failed.
    #[error("the crypto library failed")]
    Crypto(#[from] ErrorStack),
}

impl KeyFile {
    /// Reads a key. `password` is asked for one when the file is encrypted.
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn parse(
        bytes: &[u8],
        format: KeyFileFormat,
        mut password: impl FnMut() -> Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, KeyFileError> {
        if bytes.len() > MAX_LENGTH {
            return Err(KeyFileError::TooLong(bytes.len()));
        }
        match format {
            KeyFileFormat::Aes => Self::aes(Zeroizing::new(bytes.to_vec())),
            KeyFileFormat::AesHex => {
                let digits: Zeroizing<Vec<u8>> = Zeroizing::new(
                    bytes
                        .iter()
                        .copied()
                        .filter(|byte| !byte.is_ascii_whitespace())
                        .collect(),
                );
                let key = hex::decode(digits.as_slice()).map_err(|_| KeyFileError::Digits)?;
                Self::aes(Zeroizing::new(key))
            }
            KeyFileFormat::Asymmetric => Self::asymmetric(bytes, &mut password),
        }
    }

    /// The same key with this certificate, DER, in place of one that came in the file.
    #[must_use]
    pub fn with_certificate(mut self, certificate: Vec<u8>) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// The key.
    #[must_use]
    pub const fn material(&self) -> &KeyMaterial {
        &self.material
    }

    /// The key's certificate, DER, if one came with it.
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// The friendly name in a PKCS#12 file.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    fn aes(key: Zeroizing<Vec<u8>>) -> Result<Self, KeyFileError> {
        if !matches!(key.len(), 16 | 24 | 32) {
            return Err(KeyFileError::AesLength(key.len()));
        }
        Ok(Self {
            material: KeyMaterial::Aes { key },
            certificate: None,
            label: None,
        })
    }

    fn asymmetric(
        bytes: &[u8],
        password: &mut dyn FnMut() -> Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, KeyFileError> {
        if bytes.windows(11).any(|part| part == b"-----BEGIN ") {
            return Self::of(&*pem(bytes, password)?, None, None);
        }
        match shape(bytes) {
            Shape::Pkcs12 => {
                let file = Pkcs12::from_der(bytes).map_err(|_| KeyFileError::NoKey)?;
                let parsed = match file.parse2("") {
                    Ok(parsed) => parsed,
                    Err(_) => {
                        let given = password().ok_or(KeyFileError::Password(None))?;
                        let text = std::str::from_utf8(&given).map_err(|_| KeyFileError::Password(None))?;
                        file.parse2(text)
                            .map_err(|error| KeyFileError::Password(Some(error)))?
                    }
                };
                let key = parsed.pkey.ok_or(KeyFileError::CertificatesOnly)?;
                let label = parsed
                    .cert
                    .as_ref()
                    .and_then(|certificate| certificate.alias())
                    .map(|alias| String::from_utf8_lossy(alias).into_owned());
                let certificate = parsed.cert.map(|certificate| certificate.to_der()).transpose()?;
                Self::of(&key, certificate, label)
            }
            Shape::EncryptedPkcs8 => {
                let given = password().ok_or(KeyFileError::Password(None))?;
                let key = PKey::private_key_from_pkcs8_passphrase(bytes, &given)
                    .map_err(|error| KeyFileError::Password(Some(error)))?;
                Self::of(&key, None, None)
            }
            Shape::Other => {
                let key = PKey::private_key_from_der(bytes).map_err(|_| KeyFileError::NoKey)?;
                Self::of(&key, None, None)
            }
        }
    }

    fn of(
        key: &PKeyRef<Private>,
        certificate: Option<Vec<u8>>,
        label: Option<String>,
    ) -> Result<Self, KeyFileError> {
        let material = match key.id() {
            Id::EC => ec_material(&*key.ec_key()?)?,
            Id::RSA => rsa_material(&*key.rsa()?)?,
            _ => {
                return Err(KeyFileError::Unsupported(
                    "it is neither EC on a Weierstrass curve nor RSA".to_owned(),
                ));
            }
        };
        Ok(Self {
            material,
            certificate,
            label,
        })
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({:?})", self.material)
    }
}

/// What a DER file looks like.
enum Shape {
    Pkcs12,
    EncryptedPkcs8,
    Other,
}

/// PKCS#12 starts with version 3, encrypted PKCS#8 with an algorithm and an OCTET STRING.
fn shape(bytes: &[u8]) -> Shape {
    let fields = || -> Option<(Tag, Vec<u8>, Option<Tag>)> {
        let mut fields = Reader::new(bytes).next().ok()??.children();
        let first = fields.next().ok()??;
        let second = fields.next().ok()?.map(|field| field.tag);
        Some((first.tag, first.value.to_vec(), second))
    };
    match fields() {
        Some((Tag(0x02), version, _)) if version == [3] => Shape::Pkcs12,
        Some((Tag(0x30), _, Some(Tag(0x04)))) => Shape::EncryptedPkcs8,
        _ => Shape::Other,
    }
}

fn pem(
    bytes: &[u8],
    password: &mut dyn FnMut() -> Option<Zeroizing<Vec<u8>>>,
) -> Result<PKey<Private>, KeyFileError> {
    let mut asked = false;
    let mut missing = false;
    let key = PKey::private_key_from_pem_callback(bytes, |buffer| {
        asked = true;
        let Some(given) = password() else {
            missing = true;
            return Ok(0);
        };
        match buffer.get_mut(..given.len()) {
            Some(place) => {
                place.copy_from_slice(&given);
                Ok(given.len())
            }
            None => Ok(0),
        }
    });
    key.map_err(|error| match (asked, missing) {
        (true, true) => KeyFileError::Password(None),
        (true, false) => KeyFileError::Password(Some(error)),
        _ => KeyFileError::NoKey,
    })
}

fn ec_material(key: &EcKeyRef<Private>) -> Result<KeyMaterial, KeyFileError> {
    let unsupported = |error: chancery_cvc::KeyError| KeyFileError::Unsupported(error.to_string());
    key.check_key().map_err(|_| {
        KeyFileError::Unsupported("its public and its private half do not belong together".to_owned())
    })?;
    let domain = EcDomain::from_group(key.group()).map_err(unsupported)?;
    let public = EcPublicKey::from_ec_key(key).map_err(unsupported)?;
    let bits = match domain.curve() {
        Some(curve) => curve.bits(),
        None => {
            return Err(KeyFileError::Unsupported(
                "its curve is none that tokens know".to_owned(),
            ));
        }
    };
    let order = i32::try_from(domain.order_len()).unwrap_or(i32::MAX);
    let parameters = domain.parameters().map_err(unsupported)?;
    Ok(KeyMaterial::Ec {
        bits,
        a: parameters.a().to_vec(),
        b: parameters.b().to_vec(),
        p: parameters.prime().to_vec(),
        n: parameters.order().to_vec(),
        g: parameters.generator().to_vec(),
        d: Zeroizing::new(key.private_key().to_vec_padded(order)?),
        q: public.point().to_vec(),
    })
}

fn rsa_material(key: &RsaRef<Private>) -> Result<KeyMaterial, KeyFileError> {
    let broken = || KeyFileError::Unsupported("its numbers do not belong together".to_owned());
    if !key.check_key().map_err(|_| broken())? {
        return Err(broken());
    }
    let public = RsaPublicKey::from_rsa(key).map_err(|error| KeyFileError::Unsupported(error.to_string()))?;
    let bits = match public.bits() {
        1024 => 1024,
        1536 => 1536,
        2048 => 2048,
        3072 => 3072,
        4096 => 4096,
        other => return Err(KeyFileError::Unsupported(format!("RSA of {other} bits"))),
    };
    let length = i32::try_from(public.modulus().len()).unwrap_or(i32::MAX);
    Ok(KeyMaterial::Rsa {
        bits,
        n: public.modulus().to_vec(),
        e: public.exponent().to_vec(),
        secret: RsaSecret::Exponent(Zeroizing::new(key.d().to_vec_padded(length)?)),
    })
}
