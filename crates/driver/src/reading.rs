//! Reading whatever a foreign token holds, in either state: lists, attributes, files of any length.

use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use chancery_schsm::{Fid, KeyDomainStatus, KeyId};

use crate::error::{Doing, Error};
use crate::file::first_object;
use crate::key::KeyAttributes;
use crate::object::ObjectList;
use crate::session::{AppletAccess, Session};

/// Largest Le: whatever the card gives at once.
const ALL: u32 = 65_536;

/// Bytes that a READ BINARY gives on average at least; the smallest readers known give twice as many.
const LEAST_PIECE: usize = 64;

/// READ BINARY commands for one file that may give less.
const SPARE_READS: usize = 16;

/// A file as far as it could be read.
#[derive(Clone, PartialEq, Eq)]
pub struct FileContent {
    /// The bytes from offset 0 on.
    pub bytes: Vec<u8>,
    /// Why there may be more than that; `None` when this is all.
    pub cut: Option<Cut>,
}

/// Why the rest of a file is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The limit that was asked for.
    Limit,
    /// The card refuses offsets beyond 64 KiB.
    Offset,
    /// The card gives it in pieces so small that it would not end.
    Pieces,
}

impl FileContent {
    /// The data object the file starts with, without the tail an earlier, longer content left behind it; `None` when
    /// there is none or it is not all there.
    #[must_use]
    pub fn object(&self) -> Option<&[u8]> {
        first_object(&self.bytes)
    }
}

impl std::fmt::Debug for FileContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Private data objects are read, too.
        write!(f, "FileContent({} bytes, {:?})", self.bytes.len(), self.cut)
    }
}

/// Reads a file of any length up to `limit` bytes; `None` when it does not exist.
///
/// Files that hold data objects take one command, as with [`Selected::read_file`](crate::Selected::read_file); a file
/// over the limit is cut, not refused. Beyond 64 KiB the offset has four bytes, which not every card takes.
///
/// # Errors
/// A command failed, or the file is private and the token locked.
pub fn read(card: &mut impl AppletAccess, fid: Fid, limit: usize) -> Result<Option<FileContent>, Error> {
    card.session().read_long(fid, limit)
}

/// Every key and file the token lists. One command.
///
/// # Errors
/// A command failed.
pub fn objects(card: &mut impl AppletAccess) -> Result<ObjectList, Error> {
    card.session().enumerate()
}

/// What SELECT tells of a key; `None` when there is no such key. One command.
///
/// # Errors
/// A command failed.
pub fn attributes(card: &mut impl AppletAccess, id: KeyId) -> Result<Option<KeyAttributes>, Error> {
    card.session().key_attributes(id)
}

/// Every key domain with its number. One command for each, and one more.
///
/// # Errors
/// A command failed.
pub fn domains(card: &mut impl AppletAccess) -> Result<Vec<(u8, KeyDomainStatus)>, Error> {
    card.session().key_domains()
}

/// State of one key domain; `None` when there is no such domain. One command.
///
/// # Errors
/// A command failed.
pub fn domain(card: &mut impl AppletAccess, number: u8) -> Result<Option<KeyDomainStatus>, Error> {
    card.session().key_domain(number)
}

impl<T: Transport> Session<T> {
    fn read_long(&mut self, fid: Fid, limit: usize) -> Result<Option<FileContent>, Error> {
        let doing = Doing::new("READ BINARY", format!("file {fid}"));
        let mut bytes = Vec::new();
        let mut reads = 0;
        while reads <= SPARE_READS + bytes.len() / LEAST_PIECE {
            reads += 1;
            let response = self.link.exchange(&doing, read_from(fid, bytes.len()))?;
            let ended = match response.status {
                StatusWord(0x9000) => response.data.is_empty(),
                StatusWord(0x6282) => true,
                StatusWord(0x6A82) if bytes.is_empty() => return Ok(None),
                StatusWord(0x6B00) if !bytes.is_empty() && bytes.len() <= usize::from(u16::MAX) => true,
                _ if bytes.len() > usize::from(u16::MAX) => {
                    return Ok(Some(FileContent {
                        bytes,
                        cut: Some(Cut::Offset),
                    }));
                }
                status => return Err(Error::refused(&doing, status)),
            };
            bytes.extend_from_slice(&response.data);
            if bytes.len() > limit {
                bytes.truncate(limit);
                return Ok(Some(FileContent {
                    bytes,
                    cut: Some(Cut::Limit),
                }));
            }
            if ended || crate::file::is_complete(&bytes) {
                return Ok(Some(FileContent { bytes, cut: None }));
            }
        }
        Ok(Some(FileContent {
            bytes,
            cut: Some(Cut::Pieces),
        }))
    }
}

/// READ BINARY from this offset: two bytes as far as they reach, then four.
fn read_from(fid: Fid, offset: usize) -> Result<CommandApdu, chancery_iso7816::ApduError> {
    let mut data = vec![0x54];
    match u16::try_from(offset) {
        Ok(short) => {
            data.push(2);
            data.extend_from_slice(&short.to_be_bytes());
        }
        Err(_) => {
            data.push(4);
            data.extend_from_slice(&u32::try_from(offset).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    let [p1, p2] = fid.to_bytes();
    CommandApdu::new(0x00, 0xB1, p1, p2)
        .with_data(&data)
        .map(|command| command.expecting(ALL).extended())
}
