//! What the agent says while it runs: lines for people on standard error, or JSON, one object a line, on standard output.

use std::io::{self, Write as _};

use chancery_agent::short_line;
use chancery_connect::{Event, Happened};
use serde::Serialize;

use crate::error::chain;

/// Says lines.
#[derive(Clone, Copy)]
pub(super) struct Teller {
    json: bool,
    several: bool,
}

/// Something that happened.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Line {
    /// Stable name of what happened.
    event: &'static str,
    /// The token, as it was named.
    token: String,
    /// Header of a command that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
    /// How many such commands were refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    /// The same for people.
    text: String,
}

/// Longest text of a server's that is shown, in characters.
pub(super) const LONGEST: usize = 500;

impl Teller {
    pub(super) const fn new(json: bool, several: bool) -> Self {
        Self { json, several }
    }

    pub(super) fn tell(self, token: &str, happened: &Happened) {
        let Some(line) = Line::of(token, happened) else {
            return;
        };
        // Who closed the stream does not want to know.
        if self.json {
            let _ = serde_json::to_string(&line)
                .map_err(io::Error::other)
                .and_then(|line| writeln!(io::stdout().lock(), "{line}"));
        } else if self.several {
            let _ = writeln!(io::stderr().lock(), "{token}: {}", line.text);
        } else {
            let _ = writeln!(io::stderr().lock(), "{}", line.text);
        }
    }
}

impl Line {
    fn of(token: &str, happened: &Happened) -> Option<Self> {
        let (event, text) = match happened {
            Happened::Holding { called, .. } => (
                "holding",
                format!("holding {called}: no other program has it until the end"),
            ),
            Happened::NotTaken { why } => ("not-here", chain(why)),
            Happened::Session(event) => session(event)?,
            Happened::Refused { refusal, count } => {
                let times = match count {
                    1 => String::new(),
                    count => format!(" ({count} times so far)"),
                };
                return Some(Self {
                    event: "refused",
                    token: token.to_owned(),
                    command: Some(refusal.header.to_string()),
                    count: Some(*count),
                    text: format!("REFUSED, the token did not see it: {refusal}{times}"),
                });
            }
            Happened::Ended { end, refused } => {
                let refused = match refused {
                    0 => String::new(),
                    1 => "; one command was refused".to_owned(),
                    number => format!("; {number} commands were refused"),
                };
                let end = short_line(&end.to_string(), LONGEST);
                ("ended", format!("session ended: {end}{refused}"))
            }
            Happened::Waiting { pause } => ("waiting", format!("next attempt in {} s", pause.as_secs())),
            _ => return None,
        };
        Some(Self {
            event,
            token: token.to_owned(),
            command: None,
            count: None,
            text,
        })
    }
}

fn session(event: &Event) -> Option<(&'static str, String)> {
    Some(match event {
        Event::Connected { own: true } => ("connected", "connected".to_owned()),
        Event::Connected { own: false } => (
            "connected",
            "connected to a server that is no Chancery node: a cut ends the session".to_owned(),
        ),
        Event::Notified { id, text, seconds } => {
            let text = short_line(text, LONGEST);
            let left = seconds.map_or_else(String::new, |seconds| format!(" ({seconds} s to go)"));
            let word = if *id < 0 {
                "the server reports an error"
            } else {
                "the server says"
            };
            ("notified", format!("{word}: {text}{left}"))
        }
        Event::Cut { why } => (
            "cut",
            format!(
                "the connection broke ({}); the token stays as it is for up to {} s",
                short_line(why, LONGEST),
                60
            ),
        ),
        Event::Resumed { after } => (
            "resumed",
            format!("the session goes on after {} s", after.as_secs()),
        ),
        Event::LockedInTime => (
            "locked",
            "the time for which the token was unlocked is over: it was reset".to_owned(),
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_stays_on_its_line() {
        let happened = Happened::Session(Event::Notified {
            id: -1,
            text: "all is well\n\u{1b}[2Jhsm-b: connected".to_owned(),
            seconds: Some(3),
        });
        let line = Line::of("hsm-a", &happened).unwrap();
        assert_eq!(line.event, "notified");
        assert_eq!(
            line.text,
            "the server reports an error: all is well\\u{a}\\u{1b}[2Jhsm-b: connected (3 s to go)"
        );
    }
}
