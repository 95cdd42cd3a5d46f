//! One byte string for one value: the JSON that is hashed and signed.
//!
//! The form is that of RFC 8785 restricted to what our documents use: object members sorted by their UTF-8 bytes, no white space,
//! integers only. A value with a fraction or an exponent is refused instead of being normalised.

use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

/// Why a value has no canonical form.
#[derive(Debug, Error)]
pub enum CanonicalError {
    /// The value cannot be expressed as JSON at all.
    #[error("the value cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// A number is not an integer that fits 64 bits.
    #[error("number {0} is not an integer")]
    NotAnInteger(String),
}

/// Writes `value` in canonical form.
///
/// # Errors
/// [`CanonicalError`] when the value is no JSON or holds a number that is not an integer.
pub fn canonical_json<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CanonicalError> {
    let value = serde_json::to_value(value)?;
    let mut out = Vec::with_capacity(512);
    write_value(&value, &mut out)?;
    Ok(out)
}

fn write_value(value: &Value, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    match value {
        Value::Number(number) if !(number.is_i64() || number.is_u64()) => {
            return Err(CanonicalError::NotAnInteger(number.to_string()));
        }
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_value(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            out.push(b'{');
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                serde_json::to_writer(&mut *out, name)?;
                out.push(b':');
                write_value(&members[name], out)?;
            }
            out.push(b'}');
        }
        scalar => serde_json::to_writer(&mut *out, scalar)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_sorted_at_every_depth() {
        let value: Value = serde_json::from_str(r#"{"b":[{"z":1,"a":null}],"a":"é\n"}"#).unwrap();
        assert_eq!(
            canonical_json(&value).unwrap(),
            "{\"a\":\"é\\n\",\"b\":[{\"a\":null,\"z\":1}]}".as_bytes()
        );
    }

    #[test]
    fn fractions_are_refused() {
        assert!(matches!(
            canonical_json(&1.5),
            Err(CanonicalError::NotAnInteger(_))
        ));
    }
}
