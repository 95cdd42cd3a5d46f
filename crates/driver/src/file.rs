//! Elementary files: READ, UPDATE and DELETE by file identifier, within limits.

use chancery_iso7816::tlv::{Reader, Tag};
use chancery_iso7816::{CommandApdu, StatusWord, Transport};
use chancery_schsm::{Fid, fid};

use crate::error::{Doing, Error};
use crate::session::Session;

/// Largest Le: whatever the file holds.
const ALL: u32 = 65_536;

/// READ BINARY commands spent on one file before it counts as endless.
const MAX_READS: usize = 300;

impl<T: Transport> Session<T> {
    /// Reads a file whole; `None` when it does not exist.
    ///
    /// One APDU where the card gives the file at once; a file of data objects is complete when they are.
    pub(crate) fn read_file(&mut self, fid: Fid) -> Result<Option<Vec<u8>>, Error> {
        let doing = Doing::new("READ BINARY", format!("file {fid}"));
        let limit = self.link.limits().max_file;
        let mut content = Vec::new();
        for _ in 0..MAX_READS {
            let offset = u16::try_from(content.len()).map_err(|_| Error::TooLarge {
                doing: doing.clone(),
                limit,
            })?;
            let [high, low] = offset.to_be_bytes();
            let [p1, p2] = fid.to_bytes();
            let command = CommandApdu::new(0x00, 0xB1, p1, p2)
                .with_data(&[0x54, 0x02, high, low])
                .map(|c| c.expecting(ALL).extended());
            let response = self.link.exchange(&doing, command)?;
            let ended = match response.status {
                StatusWord(0x9000) => response.data.is_empty(),
                StatusWord(0x6282) => true,
                StatusWord(0x6A82) if content.is_empty() => return Ok(None),
                // A read behind the end: some cards know no warning for it.
                StatusWord(0x6B00) if !content.is_empty() => true,
                status => return Err(Error::refused(&doing, status)),
            };
            if content.len() + response.data.len() > limit {
                return Err(Error::TooLarge { doing, limit });
            }
            content.extend_from_slice(&response.data);
            if ended || is_complete(&content) {
                return Ok(Some(content));
            }
        }
        Err(Error::protocol(
            &doing,
            format!("the file has not ended after {MAX_READS} reads"),
        ))
    }

    /// Reads a file that holds one data object and drops what an earlier, longer content left behind it.
    ///
    /// `None` when the file is absent, empty, or cut off within the data object.
    pub(crate) fn read_object(&mut self, fid: Fid) -> Result<Option<Vec<u8>>, Error> {
        Ok(self
            .read_file(fid)?
            .and_then(|content| first_object(&content).map(<[u8]>::to_vec)))
    }

    /// Writes `content` from offset 0 on; creates the file. A longer old content keeps its tail on real cards.
    pub(crate) fn update_file(&mut self, fid: Fid, content: &[u8]) -> Result<(), Error> {
        let doing = Doing::new("UPDATE BINARY", format!("file {fid}"));
        if content.len() > usize::from(u16::MAX) {
            return Err(Error::TooLarge {
                doing,
                limit: usize::from(u16::MAX),
            });
        }
        // CLA INS P1 P2, Lc (3), DO 54 (4), DO 53 header (at most 4).
        let room = self.link.limits().max_command.saturating_sub(4 + 3 + 4 + 4);
        let mut offset = 0usize;
        loop {
            let rest = content.get(offset..).unwrap_or_default();
            let chunk = rest.get(..room).unwrap_or(rest);
            let [.., high, low] = offset.to_be_bytes();
            let mut data = vec![0x54, 0x02, high, low, 0x53];
            match *chunk.len().to_be_bytes().as_slice() {
                [.., 0, length @ 0..=0x7F] => data.push(length),
                [.., 0, length] => data.extend([0x81, length]),
                [.., high, low] => data.extend([0x82, high, low]),
                _ => return Err(Error::input(&doing, "a chunk without length")),
            }
            data.extend_from_slice(chunk);
            let [p1, p2] = fid.to_bytes();
            let command = CommandApdu::new(0x00, 0xD7, p1, p2).with_data(&data);
            self.link.expect_ok(&doing, command, Error::refused)?;
            offset += chunk.len();
            if offset >= content.len() {
                return Ok(());
            }
        }
    }

    /// Deletes a file or key; `false` when there was none.
    pub(crate) fn delete_file(&mut self, fid: Fid) -> Result<bool, Error> {
        let doing = Doing::new("DELETE FILE", format!("{fid}"));
        let command = CommandApdu::new(0x00, 0xE4, 0x02, 0x00).with_data(&fid.to_bytes());
        let response = self.link.exchange(&doing, command)?;
        match response.status {
            StatusWord::OK => Ok(true),
            StatusWord(0x6A82) => Ok(false),
            status => Err(Error::refused(&doing, status)),
        }
    }

    /// Replaces a file so that nothing of an older, longer content survives; nothing is sent when it is so already.
    pub(crate) fn replace_file(&mut self, fid: Fid, content: &[u8]) -> Result<(), Error> {
        if let Some(old) = self.read_file(fid)? {
            if old == content {
                return Ok(());
            }
            if old.len() > content.len() {
                self.delete_file(fid)?;
            }
        }
        self.update_file(fid, content)
    }

    /// Puts `data` into `command`, or into the scratch file first when it does not fit one APDU.
    pub(crate) fn oversize(
        &mut self,
        command: CommandApdu,
        data: &[u8],
    ) -> Result<Result<CommandApdu, chancery_iso7816::ApduError>, Error> {
        // Header, extended Lc and Le.
        if data.len() + 4 + 3 + 2 <= self.link.limits().max_command {
            return Ok(command.with_data(data));
        }
        self.update_file(fid::SCRATCH, data)?;
        Ok(Ok(command))
    }
}

/// The data object a file starts with, as it stands there; `None` when it is not all there.
pub(crate) fn first_object(content: &[u8]) -> Option<&[u8]> {
    Some(Reader::new(content).next().ok()??.raw)
}

/// True when the content is a sequence of whole data objects of the kinds the card's files hold.
pub(crate) fn is_complete(content: &[u8]) -> bool {
    const OUTERMOST: [Tag; 7] = [
        Tag(0x30),
        Tag(0x67),
        Tag(0x7F21),
        Tag(0xA0),
        Tag(0xA5),
        Tag(0xA8),
        Tag(0x04),
    ];
    let mut objects = Reader::new(content);
    let mut any = false;
    loop {
        match objects.next() {
            Ok(Some(object)) if OUTERMOST.contains(&object.tag) => any = true,
            Ok(None) => return any,
            _ => return false,
        }
    }
}
