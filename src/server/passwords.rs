//! Ends rotations: once a phone has used its new password, the one before is taken out of its record. Whatever comes between, its
//! next use begins it again, on whichever server.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;

use crate::fleet::{Fleet, FleetError, RotateError};
use crate::identity::password::Settled;

/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// For as long as the server runs.
pub async fn settle(fleet: Fleet, mut settled: Receiver<Settled>) {
    while let Some(Settled { mac, password }) = settled.recv().await {
        let done = fleet.store().within(PATIENCE, fleet.forget_previous(mac, &password)).await;
        match done {
            Ok(Ok(true)) => tracing::info!("{mac} has used its new password; the one before is gone"),
            Ok(Ok(false)) => {}
            Ok(Err(RotateError::Fleet(FleetError::Store(error)))) | Err(error) => {
                tracing::warn!("{mac} has used its new password, and the one before can't be removed for now: {error}");
            }
            Ok(Err(error)) => {
                tracing::warn!("{mac} has used its new password, and the one before can't be removed: {error}");
            }
        }
    }
}
