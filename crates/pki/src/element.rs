//! One DER element with its exact bytes, for the places that must keep or compare bytes as they came.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, TagNumber};

/// A DER element borrowed from the input: tag, whole encoding, content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) tag: Tag,
    /// Tag, length and content octets.
    pub(crate) raw: &'a [u8],
    /// Content octets alone.
    pub(crate) value: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads exactly one element; anything after it is an error.
    pub(crate) fn parse(bytes: &'a [u8]) -> der::Result<Self> {
        let mut reader = SliceReader::new(bytes)?;
        let element = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(element)
    }

    /// Reads elements until the input ends.
    pub(crate) fn parse_all(bytes: &'a [u8]) -> der::Result<Vec<Self>> {
        let mut reader = SliceReader::new(bytes)?;
        let mut elements = Vec::new();
        while !reader.is_finished() {
            elements.push(Self::read(&mut reader)?);
        }
        Ok(elements)
    }

    /// Length in octets of the first element of `bytes`, header included.
    pub(crate) fn first_length(bytes: &'a [u8]) -> der::Result<usize> {
        let mut reader = SliceReader::new(bytes)?;
        Ok(reader.tlv_bytes()?.len())
    }

    /// The elements inside a constructed element.
    pub(crate) fn children(&self) -> der::Result<Vec<Self>> {
        if !self.tag.is_constructed() {
            return Err(self.tag.unexpected_error(Some(Tag::Sequence)).into());
        }
        Self::parse_all(self.value)
    }

    /// The elements inside a SEQUENCE.
    pub(crate) fn sequence(&self) -> der::Result<Vec<Self>> {
        self.expect(Tag::Sequence)?.children()
    }

    /// This element, if it has the tag.
    pub(crate) fn expect(&self, tag: Tag) -> der::Result<&Self> {
        self.tag.assert_eq(tag)?;
        Ok(self)
    }

    /// The element as a value of a type.
    pub(crate) fn decode<T>(&self) -> der::Result<T>
    where
        T: Decode<'a, Error = der::Error>,
    {
        T::from_der(self.raw)
    }

    /// The element as an object identifier.
    pub(crate) fn oid(&self) -> der::Result<ObjectIdentifier> {
        self.decode()
    }

    /// The content of a BIT STRING of whole octets.
    pub(crate) fn octets_of_bit_string(&self) -> der::Result<&'a [u8]> {
        self.expect(Tag::BitString)?;
        match self.value.split_first() {
            Some((0, octets)) => Ok(octets),
            _ => Err(Tag::BitString.value_error().into()),
        }
    }

    fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let raw = reader.tlv_bytes()?;
        let any = AnyRef::from_der(raw)?;
        Ok(Self {
            tag: any.header().tag(),
            raw,
            value: any.value(),
        })
    }
}

/// The context-specific tag `[number]`.
pub(crate) fn context(number: u32, constructed: bool) -> Tag {
    TagNumber(number).context_specific(constructed)
}

/// The elements as an array of known length.
pub(crate) fn exactly<'a, const N: usize>(elements: Vec<Element<'a>>) -> der::Result<[Element<'a>; N]> {
    elements
        .try_into()
        .map_err(|_| der::Error::from(Tag::Sequence.length_error()))
}

/// The magnitude of a non-negative DER INTEGER: big endian, no leading zero octets, empty for zero.
pub(crate) fn unsigned<'a>(element: &Element<'a>) -> der::Result<&'a [u8]> {
    element.expect(Tag::Integer)?;
    match element.value {
        [] => Err(Tag::Integer.length_error().into()),
        [0] => Ok(&[]),
        [0, next, ..] if next & 0x80 == 0 => Err(Tag::Integer.non_canonical_error().into()),
        [0, rest @ ..] => Ok(rest),
        [first, ..] if first & 0x80 != 0 => Err(Tag::Integer.value_error().into()),
        value => Ok(value),
    }
}
