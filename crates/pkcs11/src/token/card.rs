//! The commands of a SmartCard-HSM that the module needs, one function each.

use chancery_iso7816::{
    CommandApdu, ResponseApdu, StatusWord, Transport,
    tlv::{Reader, Tag, Writer},
};
use chancery_schsm::{Algorithm, Fid, KeyId, fid};
use zeroize::Zeroizing;

use super::failure::Failure;
use crate::slot::KeyKind;

/// A token whose application is selected, or about to be.
pub(super) struct Card<'a>(pub(super) &'a mut dyn Transport);

/// What the user PIN, or the security officer's, is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PinState {
    /// Presented.
    Verified,
    /// To be presented; so many tries are left.
    Tries(u8),
    /// No tries are left.
    Blocked,
    /// It has to be changed before it is good for anything.
    Transport,
    /// There is none.
    Missing,
}

/// References of PINs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PinReference {
    User = 0x81,
    SecurityOfficer = 0x88,
}

/// E8 and the body of OID 1.3.6.1.4.1.24991.2.1.
const APPLICATION: [u8; 11] = [0xE8, 0x2B, 0x06, 0x01, 0x04, 0x01, 0x81, 0xC3, 0x1F, 0x02, 0x01];
/// Everything a file holds, in one answer.
const ALL: u32 = 65_536;
/// Data of one UPDATE BINARY, in bytes: what the smallest readers carry.
const CHUNK: usize = 768;
/// Random bytes in one answer.
const RANDOM: usize = 1024;
/// The longest signature or block, and some more.
const RESULT: u32 = 1024;
/// A file of a token is shorter.
const LONGEST_FILE: usize = 65_536;

impl Card<'_> {
    /// SELECT. Whoever was logged in is not any more. Version of the firmware: major, minor.
    pub(super) fn select(&mut self) -> Result<(u8, u8), Failure> {
        let command = CommandApdu::new(0x00, 0xA4, 0x04, 0x04);
        let answer = self.done(
            "select the application",
            with(command, &APPLICATION)?.expecting(256),
        )?;
        let version = || -> Option<(u8, u8)> {
            let mut information = Reader::new(&answer).next().ok()??.children();
            while let Some(field) = information.next().ok()? {
                if field.tag == Tag(0x85) {
                    let [.., major, minor] = *field.value else {
                        return None;
                    };
                    return Some((major, minor));
                }
            }
            None
        };
        version().ok_or(Failure::Nonsense("select the application"))
    }

    /// READ BINARY of a whole file; `None` when there is none.
    pub(super) fn read(&mut self, file: Fid) -> Result<Option<Vec<u8>>, Failure> {
        let doing = "read a file";
        let mut content: Vec<u8> = Vec::new();
        loop {
            let [high, low] = file.to_bytes();
            let Ok(offset) = u16::try_from(content.len()) else {
                return Err(Failure::Nonsense(doing));
            };
            let [first, second] = offset.to_be_bytes();
            let command = with(CommandApdu::new(0x00, 0xB1, high, low), &[0x54, 2, first, second])?;
            let answer = self.ask(command.expecting(ALL))?;
            match answer.status {
                StatusWord::OK | StatusWord::WARNING_EOF => {}
                StatusWord::FILE_NOT_FOUND if content.is_empty() => return Ok(None),
                status => return Err(Failure::Status(doing, status)),
            }
            content.extend_from_slice(&answer.data);
            // All there is was asked for; only a reader that carries less gives less.
            let ends = answer.status == StatusWord::WARNING_EOF || answer.data.len() < 255;
            if ends || is_whole(&content) || content.len() >= LONGEST_FILE {
                return Ok(Some(content));
            }
        }
    }

    /// ENUMERATE OBJECTS
    pub(super) fn list(&mut self) -> Result<Vec<Fid>, Failure> {
        let command = CommandApdu::new(0x80, 0x58, 0, 0).expecting(ALL);
        let answer = self.done("list the objects", command)?;
        Ok(fid::parse_list(&answer))
    }

    /// VERIFY without data.
    pub(super) fn pin_state(&mut self, reference: PinReference) -> Result<PinState, Failure> {
        let status = self.ask(CommandApdu::new(0x00, 0x20, 0, reference as u8))?.status;
        PinState::of(status).ok_or(Failure::Status("ask for the state of the PIN", status))
    }

    /// VERIFY
    pub(super) fn verify(&mut self, reference: PinReference, pin: &[u8]) -> Result<StatusWord, Failure> {
        let command = CommandApdu::new(0x00, 0x20, 0, reference as u8);
        Ok(self.ask(with(command, pin)?)?.status)
    }

    /// CHANGE REFERENCE DATA
    pub(super) fn change_pin(
        &mut self,
        reference: PinReference,
        old: &[u8],
        new: &[u8],
    ) -> Result<StatusWord, Failure> {
        let both = Zeroizing::new([old, new].concat());
        let command = CommandApdu::new(0x00, 0x24, 0, reference as u8);
        Ok(self.ask(with(command, &both)?)?.status)
    }

    /// RESET RETRY COUNTER with a new PIN.
    pub(super) fn reset_pin(&mut self, so_pin: &[u8], new: &[u8]) -> Result<StatusWord, Failure> {
        let both = Zeroizing::new([so_pin, new].concat());
        let command = CommandApdu::new(0x00, 0x2C, 0, PinReference::User as u8);
        Ok(self.ask(with(command, &both)?)?.status)
    }

    /// GET CHALLENGE
    pub(super) fn random(&mut self, out: &mut [u8]) -> Result<(), Failure> {
        let doing = "draw random bytes";
        for part in out.chunks_mut(RANDOM) {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            let answer = self.done(doing, CommandApdu::new(0x00, 0x84, 0, 0).expecting(length))?;
            let Some(bytes) = answer.get(..part.len()) else {
                return Err(Failure::Nonsense(doing));
            };
            part.copy_from_slice(bytes);
        }
        Ok(())
    }

    /// SIGN
    pub(super) fn sign(
        &mut self,
        key: KeyId,
        algorithm: Algorithm,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let command = CommandApdu::new(0x80, 0x68, key.0, algorithm.id());
        self.done("sign", with(command, data)?.expecting(RESULT))
    }

    /// DECIPHER
    pub(super) fn decipher(
        &mut self,
        key: KeyId,
        algorithm: Algorithm,
        data: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let command = CommandApdu::new(0x80, 0x62, key.0, algorithm.id());
        self.done("use a private key", with(command, data)?.expecting(RESULT))
    }

    /// GENERATE ASYMMETRIC KEY PAIR: the new key's authenticated request.
    pub(super) fn generate(&mut self, key: KeyId, kind: KeyKind<'_>) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let mut data = Writer::new();
        data.tlv(Tag(0x5F29), &[0])
            .tlv(Tag(0x42), b"UTCA00001")
            .nested(Tag(0x7F49), |parameters| match kind {
                KeyKind::Rsa { bits, exponent } => {
                    parameters
                        .tlv(
                            Tag(0x06),
                            &[0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x01, 0x02],
                        )
                        .tlv(Tag(0x82), exponent)
                        .tlv(Tag(0x02), &bits.to_be_bytes());
                }
                KeyKind::Ec { curve } => {
                    parameters.tlv(
                        Tag(0x06),
                        &[0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x02, 0x03],
                    );
                    curve.write_domain(parameters);
                }
            })
            .tlv(Tag(0x5F20), format!("UTKEY{:03}00000", key.0).as_bytes());
        let command = CommandApdu::new(0x00, 0x46, key.0, 0);
        self.done(
            "generate a key pair",
            with(command, &data.finish())?.expecting(ALL),
        )
    }

    /// UPDATE BINARY in as many parts as it takes. A file that was there is deleted first, because tokens do not shorten one.
    pub(super) fn write(&mut self, file: Fid, content: &[u8]) -> Result<(), Failure> {
        self.delete(file)?;
        let [high, low] = file.to_bytes();
        let mut offset = 0_u16;
        for part in content.chunks(CHUNK) {
            let mut data = Writer::new();
            data.tlv(Tag(0x54), &offset.to_be_bytes()).tlv(Tag(0x53), part);
            let command = CommandApdu::new(0x00, 0xD7, high, low);
            self.done("write a file", with(command, &data.finish())?)?;
            offset = u16::try_from(part.len())
                .ok()
                .and_then(|length| offset.checked_add(length))
                .ok_or(Failure::Nonsense("write a file"))?;
        }
        Ok(())
    }

    /// DELETE FILE; nothing to do when there is none.
    pub(super) fn delete(&mut self, file: Fid) -> Result<(), Failure> {
        let command = with(CommandApdu::new(0x00, 0xE4, 0x02, 0x00), &file.to_bytes())?;
        match self.ask(command)?.status {
            StatusWord::OK | StatusWord::FILE_NOT_FOUND => Ok(()),
            status => Err(Failure::Status("delete a file", status)),
        }
    }

    fn done(&mut self, doing: &'static str, command: CommandApdu) -> Result<Zeroizing<Vec<u8>>, Failure> {
        let answer = self.ask(command)?;
        if answer.is_ok() {
            Ok(answer.data)
        } else {
            Err(Failure::Status(doing, answer.status))
        }
    }

    fn ask(&mut self, command: CommandApdu) -> Result<ResponseApdu, Failure> {
        let answer = self.0.transmit(&command.encode())?;
        ResponseApdu::parse(&answer).map_err(|_| Failure::Nonsense("exchange a command"))
    }
}

impl PinState {
    fn of(status: StatusWord) -> Option<Self> {
        Some(match status {
            StatusWord::OK => Self::Verified,
            StatusWord::AUTHENTICATION_BLOCKED => Self::Blocked,
            StatusWord::REFERENCE_DATA_NOT_USABLE => Self::Transport,
            StatusWord::REFERENCE_NOT_FOUND | StatusWord::AUTHENTICATION_FAILED => Self::Missing,
            status => match status.retries_left()? {
                0 => Self::Blocked,
                tries => Self::Tries(tries),
            },
        })
    }
}

fn with(command: CommandApdu, data: &[u8]) -> Result<CommandApdu, Failure> {
    command
        .with_data(data)
        .map_err(|_| Failure::Nonsense("build a command"))
}

/// Whether a file's content is a whole data object, so that nothing is missing.
fn is_whole(content: &[u8]) -> bool {
    Reader::new(content).next().is_ok()
}
