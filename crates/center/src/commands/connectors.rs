//! HSMs behind connectors: they come and go, and the center notices.

use std::sync::Arc;

use chancery_api::{Failure, FailureKind, Hash32};
use chancery_keys::{Hsm, Inspection, State};
use chancery_store::{HsmRecord, Write};
use serde_json::json;
use tracing::{info, warn};

use super::{
    hsm_attach::update,
    network::{locator, refuse_revoked},
};
use crate::{
    Center, Network,
    event::{Actor, event},
    tokens::hsm_failure,
};

impl Center {
    /// Gives the center the network edge: it is told of all connectors, and directed from now on. Once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_network(&self, network: Arc<dyn Network>) -> Result<(), Failure> {
        for record in self.connector_records().await? {
            if record.revoked_ms.is_some() {
                continue;
            }
            match <[u8; 32]>::try_from(record.ticket_hash.as_slice()) {
                Ok(hash) => network.allow_connector(&record.name, Hash32(hash), record.device),
                Err(_) => warn!(connector = record.name, "the row of a connector is damaged"),
            }
        }
        // A second one would direct nothing; the node has one.
        let _ = self.network.set(network);
        Ok(())
    }

    /// The token of a connector can be reached: HSMs behind it are taken hold of again.
    ///
    /// # Errors
    /// When the database fails. An HSM that cannot be had stays lost, with the reason.
    pub async fn connector_came(&self, connector: &str) -> Result<(), Failure> {
        let turn = Arc::clone(self.lock(&self.returns).entry(connector.to_owned()).or_default());
        let _one_at_a_time = turn.lock().await;
        let locator = locator(connector);
        for record in self.hsm_records().await? {
            if !record.attached || record.locator != locator {
                continue;
            }
            let was_lost = record.lost.is_some() || self.pool.get(record.id).is_none_or(|hsm| is_lost(&hsm));
            match self.take_again(&record).await {
                Ok((inspection, lost_meanwhile)) => {
                    // What others wrote meanwhile stays.
                    let mut now = self.hsm_record(&record.name).await?;
                    let mut change = self.compare(&now, &inspection).await?;
                    now.lost = None;
                    update(&mut now, &inspection);
                    change.writes.push(Write::UpdateHsm(now));
                    if was_lost || lost_meanwhile {
                        let data =
                            json!({ "hsm": record.name, "device": record.device, "connector": connector });
                        let returned = event(self.clock.now_ms(), "hsm-returned", &Actor::Node, &data)?;
                        change.events.insert(0, returned);
                        info!(hsm = record.name, connector, "an HSM is back");
                    }
                    self.commit(change).await?;
                }
                Err(failure) => {
                    warn!(
                        hsm = record.name,
                        connector,
                        because = failure.message,
                        "an HSM does not come back"
                    );
                    if failure.kind == FailureKind::Refused
                        && let Some(network) = self.network.get()
                    {
                        // Another device came with the connector's ticket: its place is for the right one.
                        network.disconnect_connector(connector, &failure.message);
                    }
                    self.record_loss(&record.name, self.clock.now_ms(), failure.message)
                        .await?;
                }
            }
        }
        Ok(())
    }

    /// The token of a connector cannot be reached any more: the loss is recorded with its cause.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn connector_went(&self, connector: &str) -> Result<(), Failure> {
        let locator = locator(connector);
        for record in self.hsm_records().await? {
            if record.attached && record.locator == locator {
                // Looking at it is what records a loss.
                self.hsm_view(&record).await?;
            }
        }
        Ok(())
    }

    /// Whether it was found lost only now comes with what it holds.
    async fn take_again(&self, record: &HsmRecord) -> Result<(Inspection, bool), Failure> {
        let Some(hsm) = self.pool.get(record.id) else {
            return Ok((self.take_hold(record).await?, true));
        };
        // Whoever used it may have found it lost already, and nobody has looked since.
        self.note_loss(record, &hsm).await?;
        let known = number_of_losses(&hsm);
        match hsm.reconnect().await {
            Ok(inspection) if number_of_losses(&hsm) == known => Ok((inspection, false)),
            Ok(inspection) => {
                if let Some(loss) = hsm.status().last_loss {
                    self.record_loss(&record.name, loss.at_ms, loss.because).await?;
                }
                Ok((inspection, true))
            }
            // Its old session went with the new one; that is known now.
            Err(_) if is_lost(&hsm) => {
                self.note_loss(record, &hsm).await?;
                let inspection = hsm.reconnect().await.map_err(|error| hsm_failure(&error))?;
                Ok((inspection, true))
            }
            Err(error) => Err(hsm_failure(&error)),
        }
    }

    /// The connector an HSM is to be attached through: it must be there, and for that device.
    pub(crate) async fn connector_for(&self, connector: &str) -> Result<String, Failure> {
        refuse_revoked(&self.connector_record(connector).await?)?;
        Ok(locator(connector))
    }

    /// Binds a connector to the device that was attached through it.
    pub(crate) async fn bind_connector(&self, locator: &str, device: &str) -> Result<Option<Write>, Failure> {
        let Some(name) = locator.strip_prefix(super::network::CONNECTOR) else {
            return Ok(None);
        };
        let record = self.connector_record(name).await?;
        refuse_revoked(&record)?;
        if record.device.as_deref().is_some_and(|bound| bound != device) {
            return Err(Failure::new(
                FailureKind::Refused,
                format!(
                    "connector {name} is for device {}, and this is {device}",
                    record.device.unwrap_or_default()
                ),
            )
            .with_remedy(
                "chancery connector add NAME --ticket-file FILE makes a connector for this device",
            ));
        }
        Ok(Some(Write::BindConnector {
            name: name.to_owned(),
            device: device.to_owned(),
        }))
    }

    /// Tells the network edge what [`Self::bind_connector`] wrote.
    pub(crate) async fn connector_bound(&self, locator: &str) -> Result<(), Failure> {
        if let Some(name) = locator.strip_prefix(super::network::CONNECTOR)
            && let Some(network) = self.network.get()
        {
            let record = self.connector_record(name).await?;
            if let Ok(hash) = <[u8; 32]>::try_from(record.ticket_hash.as_slice())
                && record.revoked_ms.is_none()
            {
                network.allow_connector(name, Hash32(hash), record.device);
            }
        }
        Ok(())
    }
}

fn number_of_losses(hsm: &Hsm) -> Option<u64> {
    hsm.status().last_loss.map(|loss| loss.number)
}

fn is_lost(hsm: &Hsm) -> bool {
    matches!(hsm.state(), State::Lost { .. })
}
