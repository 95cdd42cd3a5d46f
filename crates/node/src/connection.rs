//! One connection: calls in, in order, replies out.

use std::{future::Future, time::Duration};

use chancery_api::{Failure, FailureKind, MAX_MESSAGE};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, info};

use crate::{
    buffer::Buffer,
    wire::{self, LineReader, ReceivedCall, TooLong},
};

/// Who calls, as the operating system says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// User id of the process at the other end.
    pub(crate) uid: u32,
}

impl Caller {
    /// Who it is in the words of leases.
    pub(crate) const fn requester(self) -> chancery_api::Requester {
        chancery_api::Requester::Local { uid: self.uid }
    }
}

/// What answers calls.
pub(crate) trait Service: Send + Sync + 'static {
    /// Answers one call with the line of its reply.
    fn call(
        &self,
        caller: Caller,
        method: &str,
        params: &RawValue,
    ) -> impl Future<Output = Result<Buffer, Failure>> + Send;

    /// Whether a call asked the node to end.
    fn stop_asked(&self) -> bool;
}

/// Whether connections should end, and how one asks for that.
pub(crate) struct Ending {
    /// True once the node ends.
    pub(crate) ends: watch::Receiver<bool>,
    /// Set when the answer to a call that ends the node was sent.
    pub(crate) ask: watch::Sender<bool>,
}

/// How long a connection may stay open between calls.
const IDLE: Duration = Duration::from_secs(600);
/// How long a line may take from its first byte to its line feed.
const LINE: Duration = Duration::from_secs(30);
/// How long the other end may take to read a reply.
const WRITE: Duration = Duration::from_secs(30);
/// Who connected just before the node decided to end is still answered.
const FRESH: Duration = Duration::from_secs(1);

/// Answers calls until the other end is done, misbehaves, or the node ends.
pub(crate) async fn run<S: Service>(
    service: &S,
    caller: Caller,
    reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    mut ending: Ending,
) {
    let mut lines = LineReader::new(reader);
    let opened = Instant::now();
    let (mut since, mut calls) = (opened, 0_u64);
    loop {
        match lines.next_line() {
            Ok(None) => {}
            Ok(Some(length)) => {
                let answered = answer(service, caller, lines.line(length)).await;
                lines.consume(length);
                let (reply, go_on) = match &answered {
                    Ok(reply) => (reply, true),
                    Err(reply) => (reply, false),
                };
                let sent = send(&mut writer, reply).await;
                if service.stop_asked() {
                    ending.ask.send_replace(true);
                }
                if !(sent && go_on) {
                    return;
                }
                since = Instant::now();
                calls += 1;
                continue;
            }
            Err(TooLong) => {
                info!(
                    limit = MAX_MESSAGE,
                    "closed a connection: a line was longer than {MAX_MESSAGE} bytes"
                );
                let failure = Failure::new(
                    FailureKind::Invalid,
                    format!("the line is longer than {MAX_MESSAGE} bytes"),
                );
                send(&mut writer, &wire::failed(&failure)).await;
                return;
            }
        }
        let between_calls = lines.is_empty();
        let ends = *ending.ends.borrow();
        if ends && between_calls && (calls > 0 || opened.elapsed() >= FRESH) {
            return;
        }
        let mut deadline = since + if between_calls { IDLE } else { LINE };
        if ends {
            deadline = deadline.min(opened.max(since) + FRESH);
        }
        let read = tokio::select! {
            biased;
            read = lines.fill() => read,
            changed = ending.ends.changed(), if !ends => match changed {
                Ok(()) => continue,
                // The node is gone already.
                Err(_) => return,
            },
            () = sleep_until(deadline) => {
                debug!("closed a connection: nothing came in time");
                return;
            }
        };
        match read {
            Ok(0) if lines.is_empty() => return,
            Ok(0) => {
                let failure = Failure::new(FailureKind::Invalid, "the line ends without a line feed");
                send(&mut writer, &wire::failed(&failure)).await;
                return;
            }
            Ok(_) if between_calls => since = Instant::now(),
            Ok(_) => {}
            Err(error) => {
                debug!(
                    error = &error as &dyn std::error::Error,
                    "closed a connection: reading failed"
                );
                return;
            }
        }
    }
}

/// The reply to a line; `Err` when the connection cannot go on after it.
async fn answer<S: Service>(service: &S, caller: Caller, line: &[u8]) -> Result<Buffer, Buffer> {
    let call = ReceivedCall::parse(line).map_err(|failure| {
        info!(uid = caller.uid, kind = ?failure.kind, bytes = line.len(), "closed a connection: its line is no call");
        wire::failed(&failure)
    })?;
    let begun = Instant::now();
    let outcome = service.call(caller, &call.method, call.params).await;
    let milliseconds = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Ok(reply) => {
            debug!(method = %call.method, uid = caller.uid, milliseconds, "answered a call");
            Ok(reply)
        }
        Err(failure) => {
            debug!(uid = caller.uid, kind = ?failure.kind, milliseconds, "a call failed");
            if failure.kind == FailureKind::Internal {
                tracing::error!(method = %call.method, "a call failed for a defect of the node");
            }
            Ok(wire::failed(&failure))
        }
    }
}

async fn send(writer: &mut (impl AsyncWrite + Unpin), line: &Buffer) -> bool {
    let sent = timeout(WRITE, async {
        writer.write_all(line.as_slice()).await?;
        writer.flush().await
    });
    matches!(sent.await, Ok(Ok(())))
}

#[cfg(test)]
mod tests;
