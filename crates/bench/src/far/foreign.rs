//! A client as others have it: one template at a time, one connection, a cookie, no extension of ours.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use anyhow::{Context as _, bail};
use chancery_iso7816::Transport as _;
use chancery_ram::message::{CommandObject, CommandTemplate, Initiation, ResponseObject, ResponseTemplate};
use zeroize::Zeroizing;

use super::busy::Slow;

/// Attaches the token until the server ends the session.
pub(super) fn attach(server: SocketAddr, ticket: &str, mut token: Slow) -> anyhow::Result<()> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    let mut client = Client {
        stream: BufReader::new(stream),
        path: format!("/rt/t/{ticket}"),
        cookie: None,
    };
    let hello = Initiation {
        atr: token.atr(),
        max_command: None,
        max_response: None,
    };
    let mut asked = client.post(&hello.encode()?)?;
    while let Some(template) = asked {
        let mut results = Vec::new();
        for object in CommandTemplate::parse(&template)?.0 {
            match object {
                CommandObject::Command(command) => {
                    results.push(ResponseObject::Response(token.transmit(&command)?));
                }
                CommandObject::Reset => {
                    token.reset()?;
                    results.push(ResponseObject::Atr(token.atr()));
                }
                CommandObject::Notify { .. } | CommandObject::Close { .. } => {}
            }
        }
        let executed = i32::try_from(results.len())?;
        let response = ResponseTemplate {
            results,
            executed: Some(executed),
        };
        asked = client.post(&response.encode()?)?;
    }
    Ok(())
}

struct Client {
    stream: BufReader<TcpStream>,
    path: String,
    cookie: Option<String>,
}

impl Client {
    /// The body of the answer; `None` at the end of the session.
    fn post(&mut self, body: &[u8]) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
        let cookie = self
            .cookie
            .as_ref()
            .map_or_else(String::new, |cookie| format!("Cookie: {cookie}\r\n"));
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/octet-stream\r\n{cookie}Content-Length: {}\r\n\r\n",
            self.path,
            body.len()
        );
        self.stream
            .get_mut()
            .write_all(&[head.as_bytes(), body].concat())?;
        let status = self.line()?;
        let mut length = 0;
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            } else if name.eq_ignore_ascii_case("set-cookie") {
                self.cookie = value.trim().split(';').next().map(str::to_owned);
            }
        }
        let mut content = Zeroizing::new(vec![0; length]);
        self.stream.read_exact(&mut content)?;
        match status.split(' ').nth(1) {
            Some("200") => Ok(Some(content)),
            Some("204") => Ok(None),
            _ => bail!("the server answered {status:?}"),
        }
    }

    fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).context("reading an answer")?;
        anyhow::ensure!(read > 0, "the server hung up");
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}
