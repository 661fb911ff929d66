//! A client of the admin API: real bytes over a real connection, and what came back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::deployment::{Deployment, Reply, Running};

/// Makes a token as an operator does, by the command.
pub fn token(deployment: &Deployment, arguments: &[&str]) -> String {
    let output = deployment.run(&[&["token", "create"], arguments].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

/// One that asks with a token, or none.
pub struct Client {
    pub address: SocketAddr,
    pub token: Option<String>,
}

impl Client {
    pub fn new(address: SocketAddr, token: Option<&str>) -> Self {
        Self { address, token: token.map(str::to_owned) }
    }

    /// With a new token of this scope, and bound to this group.
    pub fn of(running: &Running, scope: &str, group: Option<&str>) -> Self {
        let name = format!("{scope}-{}-{:08x}", group.unwrap_or("all"), fastrand::u32(..));
        let mut arguments = vec!["--name", &name, "--scope", scope];
        if let Some(group) = group {
            arguments.extend(["--group", group]);
        }
        let token = token(&running.deployment, &arguments);
        Self::new(running.server().admin_address().unwrap(), Some(&token))
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], "")
    }

    /// With a JSON body.
    pub fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        self.ask(method, path, &[&["Content-Type: application/json"], headers].concat(), body)
    }

    pub fn ask(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        let mut lines =
            vec![format!("{method} {path} HTTP/1.1"), "Host: admin".to_owned(), "Connection: close".to_owned()];
        lines.extend(self.token.as_ref().map(|token| format!("Authorization: Bearer {token}")));
        lines.extend(headers.iter().map(|header| (*header).to_owned()));
        if !body.is_empty() || !matches!(method, "GET" | "HEAD") {
            lines.push(format!("Content-Length: {}", body.len()));
        }
        raw(self.address, &format!("{}\r\n\r\n{body}", lines.join("\r\n")))
    }
}

/// Sends these bytes, and reads until the server closes.
pub fn raw(address: SocketAddr, request: &str) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    // The server may answer, and close, before it has read all of a body that it doesn't want.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let split = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let head = String::from_utf8(answer[..split].to_vec()).unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    Reply { status, head, body: answer[split + 4..].to_vec() }
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The word of a problem's type; it has to be one as RFC 9457 has it.
    pub fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.head);
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{problem}");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
        problem["type"].as_str().unwrap().strip_prefix("urn:resyncd:problem:").unwrap().to_owned()
    }
}
