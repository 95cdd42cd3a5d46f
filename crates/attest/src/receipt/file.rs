//! The file a receipt is kept in: its JSON as the program prints it, or in canonical form, and no byte else.

use chancery_api::{Receipt, canonical_json};

/// Bytes that are no receipt.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// Not the JSON of a receipt.
    #[error("the receipt cannot be read: {0}")]
    Json(String),
    /// Another version.
    #[error("the receipt has version {0}, known is 1")]
    Version(u32),
    /// JSON written otherwise: a byte could be changed unnoticed.
    #[error("the receipt is not written as chancery writes it: something in it was changed")]
    Form,
}

/// A receipt as a file: indented JSON, its members in alphabetical order.
///
/// # Errors
/// [`ReceiptError::Json`]; not for a receipt that was read.
pub fn encode_receipt(receipt: &Receipt) -> Result<Vec<u8>, ReceiptError> {
    let canonical = canonical_json(receipt).map_err(|error| ReceiptError::Json(error.to_string()))?;
    let value: serde_json::Value =
        serde_json::from_slice(&canonical).map_err(|error| ReceiptError::Json(error.to_string()))?;
    Ok(format!("{value:#}\n").into_bytes())
}

/// Reads a receipt as [`encode_receipt`] writes it, or in canonical form.
///
/// # Errors
/// [`ReceiptError`].
pub fn parse_receipt(bytes: &[u8]) -> Result<Receipt, ReceiptError> {
    let receipt: Receipt =
        serde_json::from_slice(bytes).map_err(|error| ReceiptError::Json(error.to_string()))?;
    if receipt.v != 1 {
        return Err(ReceiptError::Version(receipt.v));
    }
    let canonical = canonical_json(&receipt).map_err(|error| ReceiptError::Json(error.to_string()))?;
    if canonical == bytes || encode_receipt(&receipt)? == bytes {
        Ok(receipt)
    } else {
        Err(ReceiptError::Form)
    }
}

/// Whether JSON seems to be a receipt: by members no other format has.
pub(crate) fn seems_receipt(bytes: &[u8]) -> bool {
    let has = |member: &[u8]| bytes.windows(member.len()).any(|window| window == member);
    has(b"\"statements\"") || has(b"\"leaf_body\"")
}
