//! Signatures asked for before earlier ones are there, on a way to the token that takes several commands.

use chancery_iso7816::{CommandApdu, ResponseApdu, StatusWord, Transport};
use chancery_schsm::{Algorithm, KeyId, KeyType};

use crate::card::Authenticated;
use crate::crypto;
use crate::error::{Doing, Error};
use crate::link::{Received, Sent};
use crate::session::sealed::HasSession;

/// Le of an RSA signature, in bytes: the result of RSA-4096.
const RSA_RESULT: u32 = 512;
/// Le of an ECDSA signature, in bytes. Over a short command the way back is booked for no more than this.
const EC_RESULT: u32 = 256;

/// A SIGN command under way. Its signature comes with [`Authenticated::collect`], in the order in which they were submitted.
#[derive(Debug)]
#[must_use = "the answer to a command that was sent has to be collected"]
pub struct Submitted {
    sent: Sent,
    algorithm: Algorithm,
}

/// What came of [`Authenticated::try_collect`].
#[derive(Debug)]
pub enum Collected {
    /// The signature.
    Signature(Vec<u8>),
    /// It is not there yet.
    NotYet(Submitted),
}

impl<T: Transport> Authenticated<T> {
    /// How many signatures may be under way at a time; with 1 there is [`Authenticated::sign`] alone.
    pub fn window(&mut self) -> usize {
        self.session().link.transport().window()
    }

    /// Sends a SIGN command without waiting for the signature. Until everything submitted was collected, no other command can
    /// be sent.
    ///
    /// # Errors
    /// [`Error::Link`]: but for a command that is too long, everything under way is void, and what the token did with it is not
    /// known. Other errors concern this command alone, which was not sent.
    pub fn submit(&mut self, id: KeyId, algorithm: Algorithm, input: &[u8]) -> Result<Submitted, Error> {
        let doing = Doing::new("SIGN", format!("with key {id}, algorithm {:02X}", algorithm.id()));
        let short = algorithm.key_type() == Some(KeyType::Ec) && input.len() < 256;
        let command = CommandApdu::new(0x80, 0x68, id.0, algorithm.id())
            .with_data(input)
            .map(|command| {
                if short {
                    command.expecting(EC_RESULT)
                } else {
                    command.expecting(RSA_RESULT).extended()
                }
            });
        let sent = self.session().link.send(doing, command)?;
        Ok(Submitted { sent, algorithm })
    }

    /// Waits for the signature that was submitted first.
    ///
    /// # Errors
    /// As [`Authenticated::sign`]. After [`Error::Link`] everything under way is void.
    pub fn collect(&mut self, submitted: Submitted) -> Result<Vec<u8>, Error> {
        let response = self.session().link.receive(&submitted.sent)?;
        finished(submitted.sent.doing(), submitted.algorithm, &response)
    }

    /// As [`Authenticated::collect`], without waiting.
    ///
    /// # Errors
    /// As there.
    pub fn try_collect(&mut self, submitted: Submitted) -> Result<Collected, Error> {
        let Submitted { sent, algorithm } = submitted;
        let doing = sent.doing().clone();
        match self.session().link.try_receive(sent)? {
            Received::NotYet(sent) => Ok(Collected::NotYet(Submitted { sent, algorithm })),
            Received::Answer(response) => finished(&doing, algorithm, &response).map(Collected::Signature),
        }
    }
}

fn finished(doing: &Doing, algorithm: Algorithm, response: &ResponseApdu) -> Result<Vec<u8>, Error> {
    if response.status == StatusWord::OK {
        crypto::signature(doing, algorithm, response)
    } else {
        Err(Error::key_use(doing, response.status))
    }
}
