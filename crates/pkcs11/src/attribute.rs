//! Attributes of objects, and templates of them (PKCS#11 3.1, 4.1).

use std::collections::BTreeMap;

use cryptoki_sys as ck;
use zeroize::Zeroizing;

use crate::error::{Code, Result};

/// `CKA_...`
pub type Kind = ck::CK_ATTRIBUTE_TYPE;

/// What an attribute is.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// Bytes as C sees them: numbers in the machine's order, booleans as one byte, text without a final zero.
    Bytes(Zeroizing<Vec<u8>>),
    /// There is one, and nobody gets it.
    Sensitive,
}

/// The attributes of an object.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<Kind, Value>);

/// Attributes as a caller gave them, in its order.
#[derive(Clone, Default)]
pub struct Template(Vec<(Kind, Zeroizing<Vec<u8>>)>);

impl Attributes {
    /// No attributes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With these bytes.
    #[must_use]
    pub fn bytes(mut self, kind: Kind, value: impl Into<Vec<u8>>) -> Self {
        self.set(kind, value);
        self
    }

    /// With this truth value.
    #[must_use]
    pub fn flag(self, kind: Kind, value: bool) -> Self {
        self.bytes(kind, [u8::from(value)])
    }

    /// With this number.
    #[must_use]
    pub fn number(self, kind: Kind, value: ck::CK_ULONG) -> Self {
        self.bytes(kind, value.to_ne_bytes())
    }

    /// With one that nobody gets.
    #[must_use]
    pub fn sensitive(mut self, kind: Kind) -> Self {
        self.0.insert(kind, Value::Sensitive);
        self
    }

    /// Sets one.
    pub fn set(&mut self, kind: Kind, value: impl Into<Vec<u8>>) {
        self.0.insert(kind, Value::Bytes(Zeroizing::new(value.into())));
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, kind: Kind) -> Option<&Value> {
        self.0.get(&kind)
    }

    /// The bytes of one that is not sensitive.
    #[must_use]
    pub fn get_bytes(&self, kind: Kind) -> Option<&[u8]> {
        match self.0.get(&kind) {
            Some(Value::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }

    /// A truth value; `false` when there is none.
    #[must_use]
    pub fn get_flag(&self, kind: Kind) -> bool {
        self.get_bytes(kind) == Some(&[1])
    }

    /// A number.
    #[must_use]
    pub fn get_number(&self, kind: Kind) -> Option<ck::CK_ULONG> {
        number(self.get_bytes(kind)?)
    }

    /// Whether each attribute of the template is there with the same bytes.
    #[must_use]
    pub fn matches(&self, template: &Template) -> bool {
        template
            .0
            .iter()
            .all(|(kind, value)| self.get_bytes(*kind) == Some(value.as_slice()))
    }
}

impl Template {
    /// From kinds and values.
    #[must_use]
    pub fn new(attributes: Vec<(Kind, Zeroizing<Vec<u8>>)>) -> Self {
        Self(attributes)
    }

    /// Kinds and values, in the caller's order.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, &[u8])> {
        self.0.iter().map(|(kind, value)| (*kind, value.as_slice()))
    }

    /// Kinds, in the caller's order.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        self.0.iter().map(|(kind, _)| *kind).collect()
    }

    /// The bytes of one.
    #[must_use]
    pub fn bytes(&self, wanted: Kind) -> Option<&[u8]> {
        self.iter()
            .find_map(|(kind, value)| (kind == wanted).then_some(value))
    }

    /// The bytes of one, none when it is missing or empty.
    #[must_use]
    pub fn filled(&self, wanted: Kind) -> Option<&[u8]> {
        self.bytes(wanted).filter(|value| !value.is_empty())
    }

    /// A truth value.
    ///
    /// # Errors
    /// `CKR_ATTRIBUTE_VALUE_INVALID` when it is neither `CK_TRUE` nor `CK_FALSE`.
    pub fn flag(&self, wanted: Kind) -> Result<Option<bool>> {
        match self.bytes(wanted) {
            None => Ok(None),
            Some([0]) => Ok(Some(false)),
            Some([1]) => Ok(Some(true)),
            Some(_) => Err(Code::ATTRIBUTE_VALUE_INVALID.into()),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// `CKR_ATTRIBUTE_VALUE_INVALID` when it has not the length of a `CK_ULONG`.
    pub fn number(&self, wanted: Kind) -> Result<Option<ck::CK_ULONG>> {
        self.bytes(wanted)
            .map(|value| number(value).ok_or_else(|| Code::ATTRIBUTE_VALUE_INVALID.into()))
            .transpose()
    }

    /// Text.
    ///
    /// # Errors
    /// `CKR_ATTRIBUTE_VALUE_INVALID` when it is not UTF-8.
    pub fn text(&self, wanted: Kind) -> Result<Option<&str>> {
        self.bytes(wanted)
            .map(|value| std::str::from_utf8(value).map_err(|_| Code::ATTRIBUTE_VALUE_INVALID.into()))
            .transpose()
    }
}

impl std::fmt::Debug for Attributes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.kinds()).finish()
    }
}

fn number(bytes: &[u8]) -> Option<ck::CK_ULONG> {
    Some(ck::CK_ULONG::from_ne_bytes(bytes.try_into().ok()?))
}
