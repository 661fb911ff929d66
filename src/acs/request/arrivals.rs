//! Those who wait for a phone to come.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::model::MacAddr;

/// Phones that were asked to come, and who is told when they do. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct Arrivals(Arc<Mutex<HashMap<MacAddr, Waiting>>>);

/// Somebody who waits for a phone.
#[derive(Debug)]
struct Waiting {
    tell: oneshot::Sender<()>,
    /// Whatever it comes for.
    any: bool,
}

/// A place to wait for a phone. It is given up when it is dropped.
#[derive(Debug)]
pub struct Awaited {
    arrivals: Arrivals,
    mac: MacAddr,
    came: oneshot::Receiver<()>,
}

impl Arrivals {
    fn table(&self) -> MutexGuard<'_, HashMap<MacAddr, Waiting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a phone; none where somebody does already.
    pub fn await_one(&self, mac: MacAddr) -> Option<Awaited> {
        let mut table = self.table();
        if table.contains_key(&mac) {
            return None;
        }
        let (tell, came) = oneshot::channel();
        table.insert(mac, Waiting { tell, any: false });
        Some(Awaited { arrivals: self.clone(), mac, came })
    }

    /// A phone has come, because it was asked to or for another reason.
    pub fn came(&self, mac: MacAddr, was_asked: bool) {
        if let Some(waiting) = self.table().get_mut(&mac).filter(|waiting| was_asked || waiting.any) {
            // The place stays taken until whoever waits gives it up.
            let tell = std::mem::replace(&mut waiting.tell, oneshot::channel().0);
            // An error means that nobody waits any more.
            let _ = tell.send(());
        }
    }
}

impl Awaited {
    /// From now on it counts whatever the phone comes for: it is asked in a way that its Inform need not tell of.
    pub fn take_any(&self) {
        if let Some(waiting) = self.arrivals.table().get_mut(&self.mac) {
            waiting.any = true;
        }
    }

    /// Whether it has come by now.
    pub fn has_come(&mut self) -> bool {
        self.came.try_recv().is_ok()
    }

    /// Until it comes.
    pub async fn come(&mut self) {
        if (&mut self.came).await.is_err() {
            // It came, and that was told already.
            std::future::pending().await
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.arrivals.table().remove(&self.mac);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_waits_for_a_phone_and_is_told_once() {
        let (arrivals, mac) = (Arrivals::default(), "00085d000001".parse().unwrap());
        arrivals.came(mac, true);
        let mut awaited = arrivals.await_one(mac).unwrap();
        assert!(arrivals.await_one(mac).is_none() && !awaited.has_come());
        // It comes for another reason.
        arrivals.came(mac, false);
        assert!(!awaited.has_come());
        arrivals.came(mac, true);
        assert!(arrivals.await_one(mac).is_none());
        arrivals.came(mac, true);
        assert!(awaited.has_come());
        drop(awaited);
        let mut awaited = arrivals.await_one(mac).unwrap();
        awaited.take_any();
        arrivals.came(mac, false);
        assert!(awaited.has_come());
        drop(awaited);
        assert!(arrivals.table().is_empty());
    }
}
