//! A client that says what a test wants, byte for byte.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const ATR: &str = "3BFE1800008131FE458031815448534D31738021408107FA";

/// `E8` with the ATR of a SmartCard-HSM.
pub(crate) fn hello() -> Vec<u8> {
    bytes(&format!("E81AC018{ATR}"))
}

pub(crate) fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

/// A client on one connection after the other.
pub(crate) struct Client {
    pub(crate) server: SocketAddr,
    pub(crate) path: String,
    /// Sent with every POST.
    pub(crate) headers: Vec<(String, String)>,
    stream: Option<TcpStream>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Client {
    pub(crate) fn new(server: SocketAddr, path: &str) -> Self {
        Self {
            server,
            path: path.to_owned(),
            headers: Vec::new(),
            stream: None,
        }
    }

    /// One that has the connector's ticket.
    pub(crate) fn bearer(server: SocketAddr, ticket: &str) -> Self {
        let mut client = Self::new(server, "/rt/connector");
        client.with("Authorization", &format!("Bearer {ticket}"));
        client
    }

    pub(crate) fn with(&mut self, name: &str, value: &str) {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Another connection of the same session.
    pub(crate) fn beside(&self) -> Self {
        Self {
            server: self.server,
            path: self.path.clone(),
            headers: self.headers.clone(),
            stream: None,
        }
    }

    /// Posts and waits for the reply.
    pub(crate) async fn post(&mut self, body: &[u8]) -> Reply {
        self.post_with(&[], body).await
    }

    pub(crate) async fn post_hex(&mut self, body: &str) -> Reply {
        self.post(&bytes(body)).await
    }

    pub(crate) async fn post_with(&mut self, headers: &[(&str, String)], body: &[u8]) -> Reply {
        self.send(headers, body).await;
        self.reply().await.unwrap()
    }

    /// Posts without waiting.
    pub(crate) async fn send(&mut self, headers: &[(&str, String)], body: &[u8]) {
        self.try_send(headers, body).await.unwrap();
    }

    /// Posts without waiting, if the server can be reached.
    pub(crate) async fn try_send(&mut self, headers: &[(&str, String)], body: &[u8]) -> io::Result<()> {
        let head = self.head(headers, body.len());
        let stream = self.connected().await?;
        let sent = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body).await
        }
        .await;
        if sent.is_err() {
            self.cut();
        }
        sent
    }

    /// Posts part of a request and cuts the connection.
    pub(crate) async fn send_half(&mut self, headers: &[(&str, String)], body: &[u8]) {
        let head = self.head(headers, body.len());
        let stream = self.connected().await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&body[..body.len() / 2]).await.unwrap();
        self.cut();
    }

    /// Cuts the connection.
    pub(crate) fn cut(&mut self) {
        self.stream = None;
    }

    /// The reply to what was sent, `None` when the connection ends before; keeps the session it names.
    pub(crate) async fn reply(&mut self) -> Option<Reply> {
        let stream = self.stream.as_mut()?;
        let reply = tokio::time::timeout(Duration::from_secs(30), read(stream))
            .await
            .unwrap();
        let Some(reply) = reply else {
            self.stream = None;
            return None;
        };
        if let Some(cookie) = reply.header("set-cookie") {
            let pair = cookie.split(';').next().unwrap().to_owned();
            self.with("Cookie", &pair);
        }
        if let Some(session) = reply.header("x-chancery-session") {
            let session = session.to_owned();
            self.with("X-Chancery-Session", &session);
        }
        Some(reply)
    }

    fn head(&self, headers: &[(&str, String)], length: usize) -> String {
        let mut head = format!(
            "POST {} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\
             Content-Type: application/org.openscdp-content-mgt-response;version=1.0\r\nContent-Length: {length}\r\n",
            self.path
        );
        let all = self.headers.iter().map(|(name, value)| (name.as_str(), value));
        for (name, value) in all.chain(headers.iter().map(|(name, value)| (*name, value))) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head
    }

    async fn connected(&mut self) -> io::Result<&mut TcpStream> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.server).await?;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        Ok(self.stream.as_mut().unwrap())
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.headers.iter().filter(|(known, _)| known == name).count()
    }

    pub(crate) fn sequence(&self) -> Option<u64> {
        self.header("x-chancery-sequence")
            .map(|text| text.parse().unwrap())
    }
}

/// One HTTP/1.1 reply with a Content-Length, or without a body.
async fn read(stream: &mut TcpStream) -> Option<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .iter()
        .find(|(name, _)| name == "content-length")
        .map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Reply {
        status,
        headers,
        body,
    })
}
