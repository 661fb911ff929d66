//! What the phone sends when it is asked for its configuration (TR-069 guide, "Configuration Backup and Restore"): the
//! changes made on it, and what its files said.
//!
//! The guide names the files, `local.cfg` and `server.cfg`, and the protocols, but not the HTTP method, nor the order of lines;
//! seen are `<MAC>_local.cfg`, PUT and POST. So the method is the caller's, and lines are in the order of their names.

use bytes::Bytes;

use crate::phone::fetch::{Method, Request};
use crate::phone::state::{Identity, Parameters, State};

use super::files::user_agent;
use super::grammar::folded;

/// A file to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// `00085D1A9870_local.cfg`
    pub name: String,
    pub body: String,
}

/// The changes made on the phone.
pub fn local_file(identity: &Identity, state: &State) -> Upload {
    Upload { name: format!("{}_local.cfg", identity.mac.upper()), body: lines(&state.local, state) }
}

/// What the files said, whatever the user made of it.
pub fn server_file(state: &State) -> Upload {
    let is_local = |name: &String| state.local.keys().any(|local| folded(local) == folded(name));
    let is_overridden = |name: &String| state.access.get(name).is_some_and(|access| access == "locked");
    let mut served = state.parameters.clone();
    served.retain(|name, _| !is_local(name) || is_overridden(name));
    served.extend(state.hidden.clone());
    Upload { name: "server.cfg".to_owned(), body: lines(&served, state) }
}

impl Upload {
    /// Sends the file into a folder: `https://prov.example.com/reports`.
    pub fn request(self, identity: &Identity, method: Method, folder: &str) -> Request {
        Request {
            method,
            url: format!("{}/{}", folder.trim_end_matches('/'), self.name),
            user_agent: user_agent(identity),
            headers: Vec::new(),
            body: Bytes::from(self.body),
            content_type: Some("text/plain".to_owned()),
        }
    }
}

fn lines(parameters: &Parameters, state: &State) -> String {
    let mut text = String::new();
    for (name, value) in parameters {
        match state.access.get(name).map(String::as_str) {
            Some("locked") => text.push('!'),
            Some("forced") => text.push('^'),
            _ => {}
        }
        let quote = if value.contains('#') { "\"" } else { "" };
        text.push_str(&format!("{name}: {quote}{value}{quote}\n"));
    }
    text
}
