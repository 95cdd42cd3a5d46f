//! The plaintext of a blob.

use zeroize::Zeroizing;

use super::fields::{Fields, Sink, strip};
use super::{BlobError, MAX_LENGTH, TYPE_AES, TYPE_EC, TYPE_RSA, TYPE_RSA_CRT};
use crate::{KeyMaterial, RsaCrt, RsaSecret};

/// Random prefix, key and padding, a whole number of blocks.
pub(super) fn encode(
    material: &KeyMaterial,
    random_prefix: [u8; 8],
) -> Result<Zeroizing<Vec<u8>>, BlobError> {
    // Sized for the longest blob at once: a buffer that grows leaves copies of the key behind.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(MAX_LENGTH));
    let mut sink = Sink::new(&mut plaintext);
    sink.raw(&random_prefix);
    match material {
        KeyMaterial::Ec {
            bits,
            a,
            b,
            p,
            n,
            g,
            d,
            q,
        } => {
            let field_length = field_length(p, "p of the curve")?;
            let order_length = strip(n).len();
            sink.number(*bits);
            sink.padded(a, field_length, "a of the curve")?;
            sink.padded(b, field_length, "b of the curve")?;
            sink.padded(p, field_length, "p of the curve")?;
            sink.padded(n, order_length, "order of the curve")?;
            sink.field(g, "base point of the curve")?;
            sink.padded(d, order_length, "private number")?;
            sink.field(q, "public point")?;
        }
        KeyMaterial::Rsa { bits, n, e, secret } => {
            let length = field_length(n, "modulus")?;
            sink.number(*bits);
            match secret {
                RsaSecret::Exponent(d) => sink.padded(d, length, "private exponent")?,
                RsaSecret::Crt(crt) => {
                    let half = length
                        .div_ceil(2)
                        .max(strip(&crt.p).len())
                        .max(strip(&crt.q).len());
                    sink.padded(&crt.dp, half, "d mod p-1")?;
                    sink.padded(&crt.dq, half, "d mod q-1")?;
                    sink.padded(&crt.p, half, "first prime")?;
                    sink.padded(&crt.q_inverse, half, "inverse of q")?;
                    sink.padded(&crt.q, half, "second prime")?;
                }
            }
            sink.padded(n, length, "modulus")?;
            sink.field(e, "public exponent")?;
        }
        KeyMaterial::Aes { key } => {
            check_aes_length(key.len())?;
            sink.field(key, "AES key")?;
        }
    }
    plaintext.push(0x80);
    let padded = plaintext.len().next_multiple_of(16);
    plaintext.resize(padded, 0);
    if plaintext.len() > MAX_LENGTH {
        return Err(BlobError::TooLong {
            length: plaintext.len(),
        });
    }
    Ok(plaintext)
}

/// The key in a plaintext; what follows it is padding and not looked at, because some tokens leave it out.
pub(super) fn decode(type_byte: u8, plaintext: &[u8]) -> Result<KeyMaterial, BlobError> {
    let mut fields = Fields::new(plaintext);
    fields.take(8, "random prefix")?;
    match type_byte {
        TYPE_EC => decode_ec(&mut fields),
        TYPE_RSA => {
            let bits = fields.number("key size")?;
            let d = fields.field("private exponent")?;
            let (n, e) = decode_rsa_public(&mut fields)?;
            let d = secret(d, n.len(), "private exponent")?;
            Ok(KeyMaterial::Rsa {
                bits,
                n,
                e,
                secret: RsaSecret::Exponent(d),
            })
        }
        TYPE_RSA_CRT => {
            let bits = fields.number("key size")?;
            let mut part = |field| {
                let value = fields.field(field)?;
                secret(value, value.len(), field)
            };
            let crt = RsaCrt {
                dp: part("d mod p-1")?,
                dq: part("d mod q-1")?,
                p: part("first prime")?,
                q_inverse: part("inverse of q")?,
                q: part("second prime")?,
            };
            let (n, e) = decode_rsa_public(&mut fields)?;
            Ok(KeyMaterial::Rsa {
                bits,
                n,
                e,
                secret: RsaSecret::Crt(crt),
            })
        }
        TYPE_AES => {
            let length = usize::from(fields.number("AES key length")?);
            check_aes_length(length)?;
            Ok(KeyMaterial::Aes {
                key: Zeroizing::new(fields.take(length, "AES key")?.to_vec()),
            })
        }
        type_byte => Err(BlobError::UnknownType { type_byte }),
    }
}

fn decode_ec(fields: &mut Fields<'_>) -> Result<KeyMaterial, BlobError> {
    let bits = fields.number("key size")?;
    let a = fields.field("a of the curve")?;
    let b = fields.field("b of the curve")?;
    let p = strip(fields.field("p of the curve")?).to_vec();
    let n = strip(fields.field("order of the curve")?).to_vec();
    let g = fields.field("base point of the curve")?.to_vec();
    let d = fields.field("private number")?;
    let q = fields.field("public point")?.to_vec();

    let field_length = field_length(&p, "p of the curve")?;
    let a = if a.is_empty() {
        minus_three(&p)
    } else {
        padded(a, field_length, "a of the curve")?
    };
    let b = padded(b, field_length, "b of the curve")?;
    let d = secret(d, n.len(), "private number")?;
    for (point, field) in [(&g, "base point of the curve"), (&q, "public point")] {
        if point.len() != 1 + 2 * field_length || point.first() != Some(&0x04) {
            return Err(BlobError::Key { field });
        }
    }
    Ok(KeyMaterial::Ec {
        bits,
        a,
        b,
        p,
        n,
        g,
        d,
        q,
    })
}

fn decode_rsa_public(fields: &mut Fields<'_>) -> Result<(Vec<u8>, Vec<u8>), BlobError> {
    let n = strip(fields.field("modulus")?).to_vec();
    field_length(&n, "modulus")?;
    let e = strip(fields.field("public exponent")?).to_vec();
    field_length(&e, "public exponent")?;
    Ok((n, e))
}

fn check_aes_length(length: usize) -> Result<(), BlobError> {
    match length {
        16 | 24 | 32 | 64 => Ok(()),
        _ => Err(BlobError::Key {
            field: "AES key length",
        }),
    }
}

/// Length of a number that must not be zero.
fn field_length(number: &[u8], field: &'static str) -> Result<usize, BlobError> {
    match strip(number).len() {
        0 => Err(BlobError::Key { field }),
        length => Ok(length),
    }
}

/// A public number in exactly `length` bytes.
fn padded(number: &[u8], length: usize, field: &'static str) -> Result<Vec<u8>, BlobError> {
    let number = strip(number);
    let zeros = length.checked_sub(number.len()).ok_or(BlobError::Key { field })?;
    let mut out = Vec::with_capacity(length);
    out.resize(zeros, 0);
    out.extend_from_slice(number);
    Ok(out)
}

/// A secret number, not zero, in exactly `length` bytes.
fn secret(number: &[u8], length: usize, field: &'static str) -> Result<Zeroizing<Vec<u8>>, BlobError> {
    field_length(number, field)?;
    padded(number, length, field).map(Zeroizing::new)
}

/// p - 3 in as many bytes as p.
fn minus_three(p: &[u8]) -> Vec<u8> {
    let mut out = p.to_vec();
    let mut subtrahend = 3;
    for byte in out.iter_mut().rev() {
        let (difference, borrow) = byte.overflowing_sub(subtrahend);
        *byte = difference;
        subtrahend = u8::from(borrow);
    }
    out
}
