//! A router between a phone and the rest of the world: what the phone sends goes out from a port of the router's, and only those whom
//! the phone wrote to can write back, by that port.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

/// A way for datagrams to one server. It has a runtime of its own, so that a test needs none.
pub struct Nat {
    /// Where the phone sends its datagrams.
    pub inside: SocketAddr,
    outside: Arc<Mutex<SocketAddr>>,
    reboot: Arc<Notify>,
    rebooted: std::sync::mpsc::Receiver<()>,
    _runtime: Runtime,
}

async fn outer(server: SocketAddr) -> UdpSocket {
    // Another address than the phone's and the server's.
    let socket = UdpSocket::bind("127.0.0.2:0").await.unwrap();
    // What others send is dropped from then on.
    socket.connect(server).await.unwrap();
    socket
}

impl Nat {
    pub fn to(server: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inner = runtime.block_on(UdpSocket::bind("127.0.0.1:0")).unwrap();
        let mut outer_socket = runtime.block_on(outer(server));
        let inside = inner.local_addr().unwrap();
        let outside = Arc::new(Mutex::new(outer_socket.local_addr().unwrap()));
        let reboot = Arc::new(Notify::new());
        let (shown, told, (done, rebooted)) = (outside.clone(), reboot.clone(), std::sync::mpsc::channel());
        runtime.spawn(async move {
            let mut phone = None;
            let (mut out, mut back) = (vec![0; 4096], vec![0; 4096]);
            loop {
                tokio::select! {
                    Ok((length, from)) = inner.recv_from(&mut out) => {
                        phone = Some(from);
                        let _ = outer_socket.send(&out[..length]).await;
                    }
                    Ok(length) = outer_socket.recv(&mut back) => {
                        if let Some(phone) = phone {
                            let _ = inner.send_to(&back[..length], phone).await;
                        }
                    }
                    () = told.notified() => {
                        outer_socket = outer(server).await;
                        *shown.lock().unwrap() = outer_socket.local_addr().unwrap();
                        let _ = done.send(());
                    }
                }
            }
        });
        Self { inside, outside, reboot, rebooted, _runtime: runtime }
    }

    /// The address by which the server sees the phone.
    pub fn outside(&self) -> SocketAddr {
        *self.outside.lock().unwrap()
    }

    /// Forgets its port, and takes another for what comes next.
    pub fn reboot(&self) {
        self.reboot.notify_one();
        self.rebooted.recv().unwrap();
    }
}
