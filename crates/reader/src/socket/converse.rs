//! What a client and the server say to each other.

use std::{io, os::unix::net::UnixStream, process, time::Duration};

use chancery_iso7816::TransportError;

use super::{
    seat::{Client, Taken},
    server::{Desk, Offer},
    wire::{Answer, Failure, Request, Status, VERSION, read, write},
};
use crate::Inserted;

/// A client says who it is at once.
const INTRODUCTION: Duration = Duration::from_secs(10);

/// Answers a client until it closes the connection.
pub(super) fn converse<T: Inserted>(desk: &Desk<T>, stream: &UnixStream, client: Client) -> io::Result<()> {
    let mut incoming = stream;
    let mut outgoing = stream;
    stream.set_read_timeout(Some(INTRODUCTION))?;
    let Some(first) = read(&mut incoming)? else {
        return Ok(());
    };
    let Request::Hello { version } = Request::parse(&first)? else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    if version != VERSION {
        let answer = failed(
            Failure::Version,
            process::id(),
            format!("this reader speaks version {VERSION}, the client version {version}"),
        );
        return write(&mut outgoing, &answer.encode());
    }
    let hello = Answer::Hello {
        version: VERSION,
        name: desk.name.clone(),
        atr: desk.atr.clone(),
    };
    write(&mut outgoing, &hello.encode())?;
    stream.set_read_timeout(None)?;
    while let Some(message) = read(&mut incoming)? {
        let request = Request::parse(&message)?;
        let last = request == Request::Unplug;
        let answer = desk.answer(request, client);
        write(&mut outgoing, &answer.encode())?;
        if last {
            tracing::info!(pid = client.pid, "unplugged on request");
            desk.stop.stop();
            return Ok(());
        }
    }
    Ok(())
}

impl<T: Inserted> Desk<T> {
    fn answer(&self, request: Request, client: Client) -> Answer {
        match request {
            Request::Hello { .. } => failed(Failure::Exchange, 0, "it was greeted already".into()),
            Request::Begin { wait_ms } => self.begin(client, Duration::from_millis(wait_ms.into())),
            Request::End => {
                self.seat.give_back(client);
                Answer::Done
            }
            Request::Command(command) => self.held_by(client, || {
                self.transmit(&command)
                    .map_or_else(|error| transport_failed(&error), Answer::Response)
            }),
            Request::Reset => self.held_by(client, || {
                self.reset()
                    .map_or_else(|error| transport_failed(&error), |()| Answer::Done)
            }),
            Request::Status => {
                let (holder, waiting) = self.seat.look();
                Answer::Status(Status {
                    server: process::id(),
                    holder: holder.map(|holder| holder.pid),
                    waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
                    elsewhere: match &self.offer {
                        Offer::Token(_) => None,
                        Offer::Elsewhere { place } => Some(place.clone()),
                    },
                })
            }
            Request::Unplug => Answer::Done,
        }
    }

    fn begin(&self, client: Client, wait: Duration) -> Answer {
        if let Offer::Elsewhere { place } = &self.offer {
            return failed(
                Failure::Elsewhere,
                process::id(),
                format!("the token is plugged into {place}"),
            );
        }
        let reset = match self.seat.take(client, wait, &self.stop) {
            Ok(Taken::Already | Taken::Again) => false,
            Ok(Taken::Anew) => {
                if let Err(error) = self.reset() {
                    self.seat.give_back(client);
                    return transport_failed(&error);
                }
                true
            }
            Err(Some(holder)) => {
                return failed(
                    Failure::Busy,
                    holder.pid,
                    format!("process {} holds the token", holder.pid),
                );
            }
            Err(None) => return failed(Failure::Busy, 0, "others wait for the token, too".into()),
        };
        Answer::Begun { reset }
    }

    fn held_by(&self, client: Client, work: impl FnOnce() -> Answer) -> Answer {
        if self.seat.is_held_by(client) {
            return work();
        }
        let holder = self.seat.look().0.map_or(0, |holder| holder.pid);
        failed(
            Failure::NotHeld,
            holder,
            "this client does not hold the token".into(),
        )
    }
}

fn transport_failed(error: &TransportError) -> Answer {
    let (failure, text) = match error {
        TransportError::Lost { reason } => (Failure::Lost, reason.clone()),
        TransportError::Failed { reason } => (Failure::Exchange, reason.clone()),
        other => (Failure::Exchange, other.to_string()),
    };
    failed(failure, 0, text)
}

const fn failed(failure: Failure, pid: u32, text: String) -> Answer {
    Answer::Failed { failure, pid, text }
}
