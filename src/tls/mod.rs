//! What stands between the socket and a request: TLS, client certificates, and the accept loop that bounds what a peer may
//! do. Also makes the certificates of a first start.
//!
//! OpenSSL and hyper's connections are used here and their types go no further, save the request body: a handler gets a
//! [`Connection`](crate::resync::Connection) and a request. Nothing here knows what is asked for, or by which phone.

mod accept;
mod acceptor;
mod bounds;
pub mod certificates;
mod client;
mod context;
mod conversation;
mod forwarded;
mod handshake;
mod legacy;
mod pem;
mod proxy;
mod revocation;
mod stall;
mod trust;
mod verify;

pub use accept::{BindError, ConnectionError, ConnectionFailure, Listening, bind, serve};
pub use acceptor::{Acceptor, End};
pub use bounds::Bounds;
pub use client::{ClientTls, ClientTlsError};
pub use forwarded::{ForwardedError, phone_behind};
pub use handshake::HandshakeError;
pub use proxy::{ProxyError, read_proxy_header};
pub use revocation::revocation_lists;
