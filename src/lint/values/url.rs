//! URLs (RFC 3986, as far as phones read them).

use super::{Quoted, Wrong, address, has_macros, nearest, span_of};
use crate::packs::Dialect;

/// What the phones of some guide fetch by, or open.
const SCHEMES: [&str; 8] = ["http", "https", "tftp", "ftp", "ftps", "file", "sip", "sips"];

/// A URL with a scheme and a server, or a path on the server that the phone has its profile from.
pub(super) fn url(dialect: Dialect, value: &str) -> Result<(), Wrong> {
    let whole = value.trim_matches(' ');
    if let Some((at, c)) = whole.char_indices().find(|(_, c)| c.is_whitespace() || c.is_control()) {
        let start = span_of(value, whole).start + at;
        let wrong = Wrong::new("a URL cannot hold white space or control characters").at(start..start + c.len_utf8());
        return Err(if c == ' ' { wrong.help("write %20 for a space") } else { wrong });
    }
    // What a macro expands to is not known here.
    if has_macros(dialect, value) {
        return Ok(());
    }
    let Some((scheme, rest)) = whole.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '?'])) else {
        return Ok(());
    };
    if !SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        let help = nearest(scheme, SCHEMES).map(|known| format!("write {known}://"));
        let message = format!("{} is no scheme that phones know: they know {}", Quoted(scheme), SCHEMES.join(", "));
        return Err(Wrong::new(message).helped(help).at(span_of(value, scheme)));
    }
    let server = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
    // Mitel's variables, $$SIPUSERNAME$$, stand anywhere; a file has no server.
    if scheme.eq_ignore_ascii_case("file") || server.contains('$') {
        return Ok(());
    }
    let start = span_of(value, server).start;
    address::host_port(server).map_err(|wrong| {
        // It may be a password that is cut at its slash: nothing of it is repeated.
        let cut = rest
            .contains('@')
            .then(|| Wrong::new("the server or its port is not valid, or a / in a password is not written %2F"));
        cut.map_or(wrong.moved(start), |cut| cut.at(start..start + server.len()))
    })
}
