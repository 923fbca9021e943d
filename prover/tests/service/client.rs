//! A client of its own, so that nothing is sent but what a test says.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// An error with this status and code.
    #[track_caller]
    pub(crate) fn is_error(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        let json = self.json();
        assert_eq!(json["code"], code, "{json}");
        assert!(json["message"].as_str().is_some_and(|m| !m.is_empty()) && json.get("step").is_some(), "{json}");
    }

    /// A verdict of this kind.
    #[track_caller]
    pub(crate) fn verdict(&self, expected: &str) -> serde_json::Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        let json = self.json();
        assert_eq!(json["verdict"], expected, "{json}");
        json
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head, body: bytes[end + 4..].to_vec() })
    }
}

/// A connection whose request is not finished yet.
#[derive(Debug)]
pub(crate) struct Open(TcpStream);

impl Open {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        // No test waits for ever.
        stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        Self(stream)
    }

    /// Sends raw bytes; the other side may have closed already.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes);
    }

    /// Everything until the other side closes; `None` if it sends no answer.
    pub(crate) fn answer(mut self) -> Option<Answer> {
        let mut bytes = Vec::new();
        // A connection that is reset after the answer has still given it.
        let _ = self.0.read_to_end(&mut bytes);
        Answer::parse(&bytes)
    }
}

/// A request's head.
pub(crate) fn head(method: &str, path: &str, kind: &str, length: usize) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
    )
    .into_bytes()
}

pub(crate) fn request(address: SocketAddr, method: &str, path: &str, kind: &str, body: &[u8]) -> Answer {
    let mut open = Open::new(address);
    open.send(&head(method, path, kind, body.len()));
    open.send(body);
    open.answer().expect("an answer")
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, "text/plain", b"")
}

pub(crate) fn post(address: SocketAddr, path: &str, body: &[u8]) -> Answer {
    request(address, "POST", path, "application/octet-stream", body)
}

pub(crate) fn post_json(address: SocketAddr, path: &str, body: &serde_json::Value) -> Answer {
    request(address, "POST", path, "application/json", body.to_string().as_bytes())
}
