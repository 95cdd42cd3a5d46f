//! Pointers of C callers become slices, options and values. Nothing else here touches one.

use chancery_pkcs11_library::{
    Code, Mechanism, Output, Parameters, Result, Room, Template, attribute::Kind, hash::Hash,
};
use cryptoki_sys as ck;
use std::ffi::c_void;

/// The promise of a caller of a C function, for as long as the call lasts: each pointer it gave is null or points to as many
/// values as the standard says go with it, and nobody else changes them (PKCS#11 3.1, 5).
pub(crate) struct Call(());

/// No array a caller gives has more elements; it catches lengths that were never set.
const MOST: usize = 1 << 28;
/// No template has more attributes.
const MOST_ATTRIBUTES: usize = 1024;
/// No attribute or parameter in a template is longer, in bytes.
const LONGEST_VALUE: usize = 1 << 20;

impl Call {
    /// Takes the caller's promise.
    ///
    /// # Safety
    /// Pointers that are given to the methods are arguments of a call of a C function whose caller keeps that promise, or
    /// parts of what they point to, and the value does not outlive the call.
    pub(crate) const unsafe fn promised() -> Self {
        Self(())
    }

    /// An array to read; a null pointer only of length 0.
    pub(crate) fn slice<T>(&self, pointer: *const T, length: ck::CK_ULONG) -> Result<&[T]> {
        let length = usize::try_from(length).map_err(|_| Code::ARGUMENTS_BAD)?;
        if length == 0 {
            return Ok(&[]);
        }
        if pointer.is_null() || !pointer.is_aligned() || length > MOST {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        // SAFETY: not null, aligned, below isize::MAX bytes; the caller promised that so many values are there, and that
        // nobody changes them during the call.
        Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
    }

    /// An array to write; a null pointer only of length 0.
    #[expect(
        clippy::mut_from_ref,
        reason = "the memory is the caller's, and each argument is used once"
    )]
    pub(crate) fn slice_mut<T>(&self, pointer: *mut T, length: usize) -> Result<&mut [T]> {
        if length == 0 {
            return Ok(&mut []);
        }
        if pointer.is_null() || !pointer.is_aligned() || length > MOST {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        // SAFETY: not null, aligned, below isize::MAX bytes; the caller promised room for so many values that is used by
        // nobody else during the call.
        Ok(unsafe { std::slice::from_raw_parts_mut(pointer, length) })
    }

    /// Writes a result.
    pub(crate) fn put<T>(&self, pointer: *mut T, value: T) -> Result<()> {
        if pointer.is_null() || !pointer.is_aligned() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        // SAFETY: not null, aligned; the caller promised room for one value. What was there is plain data and not dropped.
        unsafe { pointer.write(value) };
        Ok(())
    }

    /// Reads a plain structure, wherever it lies.
    pub(crate) fn get<T: Copy>(&self, pointer: *const T) -> Result<T> {
        if pointer.is_null() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        // SAFETY: not null; the caller promised a value there, and every structure of this interface is valid with any bits
        // but for function pointers, which are options.
        Ok(unsafe { pointer.read_unaligned() })
    }

    /// How much output a caller takes: a null buffer asks for the length.
    pub(crate) fn room(&self, buffer: *const ck::CK_BYTE, length: *const ck::CK_ULONG) -> Result<Room> {
        let length = self.get(length)?;
        if buffer.is_null() {
            return Ok(Room::Query);
        }
        // A length that was never set is no room of that size.
        Ok(Room::Bytes(usize::try_from(length).unwrap_or(MOST).min(MOST)))
    }

    /// Hands output over.
    pub(crate) fn deliver(
        &self,
        output: &Output,
        buffer: *mut ck::CK_BYTE,
        length: *mut ck::CK_ULONG,
    ) -> Result<()> {
        match output {
            Output::Length(needed) => self.put(length, number(*needed)),
            Output::TooSmall(needed) => {
                self.put(length, number(*needed))?;
                Err(Code::BUFFER_TOO_SMALL.into())
            }
            Output::Done(data) => {
                // The caller's own word for its room, whatever was computed before: output may come from a lying token.
                let room = usize::try_from(self.get(length)?).unwrap_or(usize::MAX);
                if data.len() > room {
                    return Err(Code::DEVICE_ERROR.into());
                }
                self.slice_mut(buffer, data.len())?.copy_from_slice(data);
                self.put(length, number(data.len()))
            }
        }
    }

    /// A list by the convention of `C_GetSlotList`: a null pointer asks how many there are.
    pub(crate) fn list<T: Copy>(&self, items: &[T], buffer: *mut T, count: *mut ck::CK_ULONG) -> Result<()> {
        let room = usize::try_from(self.get(count)?).unwrap_or(MOST);
        if buffer.is_null() {
            return self.put(count, number(items.len()));
        }
        if room < items.len() {
            self.put(count, number(items.len()))?;
            return Err(Code::BUFFER_TOO_SMALL.into());
        }
        self.slice_mut(buffer, items.len())?.copy_from_slice(items);
        self.put(count, number(items.len()))
    }

    /// A template.
    pub(crate) fn template(&self, pointer: *const ck::CK_ATTRIBUTE, count: ck::CK_ULONG) -> Result<Template> {
        let attributes = self.slice(pointer, count)?;
        if attributes.len() > MOST_ATTRIBUTES {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        attributes
            .iter()
            .map(|attribute| {
                let value = self.value(attribute.pValue, attribute.ulValueLen)?;
                Ok((attribute.type_, value.to_vec().into()))
            })
            .collect::<Result<Vec<(Kind, _)>>>()
            .map(Template::new)
    }

    /// A template to be filled in.
    pub(crate) fn blank(
        &self,
        pointer: *mut ck::CK_ATTRIBUTE,
        count: ck::CK_ULONG,
    ) -> Result<&mut [ck::CK_ATTRIBUTE]> {
        let count = usize::try_from(count).map_err(|_| Code::ARGUMENTS_BAD)?;
        if count > MOST_ATTRIBUTES || pointer.is_null() {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        self.slice_mut(pointer, count)
    }

    /// A mechanism with its parameters; `None` of a null pointer, which cancels an operation.
    pub(crate) fn mechanism(&self, pointer: *const ck::CK_MECHANISM) -> Result<Option<Mechanism>> {
        if pointer.is_null() {
            return Ok(None);
        }
        let mechanism = self.get(pointer)?;
        let parameters = self.parameters(&mechanism)?;
        Ok(Some(Mechanism {
            kind: mechanism.mechanism,
            parameters,
        }))
    }

    fn parameters(&self, mechanism: &ck::CK_MECHANISM) -> Result<Parameters> {
        let (pointer, length) = (mechanism.pParameter, mechanism.ulParameterLen);
        if pointer.is_null() || length == 0 {
            return Ok(Parameters::None);
        }
        Ok(match mechanism.mechanism {
            ck::CKM_RSA_PKCS_OAEP if is_size_of::<ck::CK_RSA_PKCS_OAEP_PARAMS>(length) => {
                let given = self.get(pointer.cast::<ck::CK_RSA_PKCS_OAEP_PARAMS>())?;
                Parameters::Oaep {
                    hash: given.hashAlg,
                    mask: given.mgf,
                    label: self.value(given.pSourceData, given.ulSourceDataLen)?.to_vec(),
                }
            }
            ck::CKM_ECDH1_DERIVE if is_size_of::<ck::CK_ECDH1_DERIVE_PARAMS>(length) => {
                let given = self.get(pointer.cast::<ck::CK_ECDH1_DERIVE_PARAMS>())?;
                Parameters::Ecdh {
                    derivation: given.kdf,
                    shared: self
                        .value(given.pSharedData.cast(), given.ulSharedDataLen)?
                        .to_vec(),
                    public: self
                        .value(given.pPublicData.cast(), given.ulPublicDataLen)?
                        .to_vec(),
                }
            }
            kind if is_pss(kind) && is_size_of::<ck::CK_RSA_PKCS_PSS_PARAMS>(length) => {
                let given = self.get(pointer.cast::<ck::CK_RSA_PKCS_PSS_PARAMS>())?;
                Parameters::Pss {
                    hash: given.hashAlg,
                    mask: given.mgf,
                    salt_length: usize::try_from(given.sLen).map_err(|_| Code::MECHANISM_PARAM_INVALID)?,
                }
            }
            _ => Parameters::Other,
        })
    }

    fn value(&self, pointer: *const c_void, length: ck::CK_ULONG) -> Result<&[u8]> {
        if usize::try_from(length).is_ok_and(|length| length > LONGEST_VALUE) {
            return Err(Code::ARGUMENTS_BAD.into());
        }
        self.slice(pointer.cast::<u8>(), length)
    }
}

/// A length for C.
pub(crate) fn number(length: usize) -> ck::CK_ULONG {
    ck::CK_ULONG::try_from(length).unwrap_or(ck::CK_UNAVAILABLE_INFORMATION)
}

/// Text in a field of fixed length, filled up with blanks (PKCS#11 3.1, 3.1). What does not fit is cut between characters.
pub(crate) fn blank_padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    let mut end = text.len().min(N);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    for (place, byte) in field.iter_mut().zip(text.bytes().take(end)) {
        *place = byte;
    }
    field
}

fn is_size_of<T>(length: ck::CK_ULONG) -> bool {
    usize::try_from(length).is_ok_and(|length| length == size_of::<T>())
}

/// Whether a mechanism takes `CK_RSA_PKCS_PSS_PARAMS`.
fn is_pss(kind: ck::CK_MECHANISM_TYPE) -> bool {
    const PSS: [ck::CK_MECHANISM_TYPE; Hash::ALL.len() + 1] = [
        ck::CKM_RSA_PKCS_PSS,
        ck::CKM_SHA1_RSA_PKCS_PSS,
        ck::CKM_SHA224_RSA_PKCS_PSS,
        ck::CKM_SHA256_RSA_PKCS_PSS,
        ck::CKM_SHA384_RSA_PKCS_PSS,
        ck::CKM_SHA512_RSA_PKCS_PSS,
    ];
    PSS.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_padded_and_cut_between_characters() {
        assert_eq!(&blank_padded::<4>("ab"), b"ab  ");
        assert_eq!(&blank_padded::<4>("abcdef"), b"abcd");
        assert_eq!(&blank_padded::<4>("abc\u{e4}"), b"abc ");
    }
}
