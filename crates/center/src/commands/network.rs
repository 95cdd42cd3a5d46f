//! `connector`, `ticket` and `client`: who may come from the network.
//!
//! A connector's ticket brings a token to the node and no right to anything: which device it is, is proven by chip authentication,
//! what it may become is decided by an act. A client's key lets it ask for leases, which custodians decide on.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chancery_api::{
    Base64, ClientAdd, ClientRevoke, ClientView, ConnectorAdd, ConnectorRevoke, ConnectorTicket,
    ConnectorView, Failure, FailureKind, Hash32, SecretText, TicketAdd, TicketView,
};
use chancery_store::{Change, ClientRecord, ConnectorRecord, HsmRecord, Write};
use openssl::{
    pkey::{Id, PKey, Public},
    x509::{X509, X509Req},
};
use serde_json::json;

use super::person::check_name;
use crate::{
    Center, Connection,
    committer::store_failure,
    env::rfc3339,
    event::{Actor, event},
};

/// What a locator of a token behind a connector starts with.
pub(crate) const CONNECTOR: &str = "connector:";

/// Bytes of randomness in a ticket.
const TICKET: usize = 32;
/// Where foreign agents are answered.
const TICKET_PATH: &str = "/rt/t/";
/// Most characters of a device's CHR.
const LONGEST_CHR: usize = 16;

impl Center {
    /// Makes a connector, or one anew that was revoked.
    ///
    /// # Errors
    /// When the name is taken.
    pub async fn connector_add(&self, call: &ConnectorAdd, uid: u32) -> Result<ConnectorTicket, Failure> {
        check_name(&call.name)?;
        if let Some(device) = &call.device {
            check_chr(device)?;
        }
        if self
            .connector_record(&call.name)
            .await
            .is_ok_and(|known| known.revoked_ms.is_none())
        {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("there is a connector named {} already", call.name),
            )
            .with_remedy(format!(
                "another name; or, when its ticket is lost: chancery connector revoke {}, then this again",
                call.name
            )));
        }
        let ticket = self.ticket();
        let hash = Hash32::of(ticket.secret_text().as_bytes());
        let now = self.clock.now_ms();
        let record = ConnectorRecord {
            name: call.name.clone(),
            ticket_hash: hash.0.to_vec(),
            device: call.device.clone(),
            created_ms: now,
            revoked_ms: None,
        };
        let data = json!({ "connector": record.name, "device": record.device, "ticket": hash });
        self.commit(Change {
            writes: vec![Write::PutConnector(record.clone())],
            events: vec![event(now, "connector-added", &Actor::Local(uid), &data)?],
        })
        .await?;
        if let Some(network) = self.network.get() {
            network.allow_connector(&record.name, hash, record.device.clone());
        }
        Ok(ConnectorTicket {
            connector: self.connector_view(&record, &self.hsm_records().await?),
            ticket,
        })
    }

    /// All connectors, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn connector_list(&self) -> Result<Vec<ConnectorView>, Failure> {
        let hsms = self.hsm_records().await?;
        let connectors = self.connector_records().await?;
        Ok(connectors
            .iter()
            .map(|record| self.connector_view(record, &hsms))
            .collect())
    }

    /// Ends a connector.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown one, [`FailureKind::Conflict`] for one that is revoked.
    pub async fn connector_revoke(&self, call: &ConnectorRevoke, uid: u32) -> Result<ConnectorView, Failure> {
        let mut record = self.connector_record(&call.name).await?;
        refuse_revoked(&record)?;
        let now = self.clock.now_ms();
        let data = json!({ "connector": record.name, "device": record.device });
        self.commit(Change {
            writes: vec![Write::RevokeConnector {
                name: record.name.clone(),
                revoked_ms: now,
            }],
            events: vec![event(now, "connector-revoked", &Actor::Local(uid), &data)?],
        })
        .await?;
        record.revoked_ms = Some(now);
        if let Some(network) = self.network.get() {
            network.forget_connector(&record.name);
        }
        self.connector_went(&record.name).await?;
        Ok(self.connector_view(&record, &self.hsm_records().await?))
    }

    /// Makes a single-use ticket.
    ///
    /// # Errors
    /// When the connector is unknown or revoked, or nobody listens.
    pub async fn ticket_add(&self, call: &TicketAdd, uid: u32) -> Result<TicketView, Failure> {
        let record = self.connector_record(&call.connector).await?;
        refuse_revoked(&record)?;
        let network = self.network.get().ok_or_else(|| {
            Failure::new(
                FailureKind::Conflict,
                "the node listens on no network address, so that no ticket is of use",
            )
            .with_remedy("chancery stop; chancery serve --listen HOST:PORT")
        })?;
        let ticket = self.ticket();
        let hash = Hash32::of(ticket.secret_text().as_bytes());
        let seconds = network.ticket_seconds();
        let now = self.clock.now_ms();
        let data = json!({ "connector": record.name, "ticket": hash, "seconds": seconds });
        self.commit(Change {
            writes: Vec::new(),
            events: vec![event(now, "ticket-added", &Actor::Local(uid), &data)?],
        })
        .await?;
        network.add_ticket(&record.name, hash);
        Ok(TicketView {
            path: SecretText::new(format!("{TICKET_PATH}{}", ticket.secret_text())),
            seconds,
        })
    }

    /// Enrols a client, or one anew that was revoked.
    ///
    /// # Errors
    /// When the name or the key is taken, or the key cannot be used.
    pub async fn client_add(&self, call: &ClientAdd, uid: u32) -> Result<ClientView, Failure> {
        check_name(&call.name)?;
        if let Some(custodian) = &call.custodian {
            self.people().await?.by_name(custodian)?;
        }
        let public_key = public_key(&call.key)?;
        let key = Hash32::of(&public_key);
        for known in self.client_records().await? {
            let same_name = known.name == call.name;
            if same_name && known.revoked_ms.is_none() {
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!("there is a client named {} already", call.name),
                )
                .with_remedy("another name; or chancery client revoke NAME first"));
            }
            if known.key_hash == key.0 && !same_name {
                let state = if known.revoked_ms.is_none() { "is" } else { "was" };
                return Err(Failure::new(
                    FailureKind::Conflict,
                    format!("this key {state} that of client {}", known.name),
                )
                .with_remedy("chancery client key --out FILE makes another key"));
            }
        }
        let now = self.clock.now_ms();
        let record = ClientRecord {
            name: call.name.clone(),
            key_hash: key.0.to_vec(),
            public_key,
            custodian: call.custodian.clone(),
            created_ms: now,
            revoked_ms: None,
        };
        let data = json!({ "client": record.name, "key": key, "custodian": record.custodian });
        self.commit(Change {
            writes: vec![Write::PutClient(record.clone())],
            events: vec![event(now, "client-added", &Actor::Local(uid), &data)?],
        })
        .await?;
        client_view(&record)
    }

    /// All clients, by name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn client_list(&self) -> Result<Vec<ClientView>, Failure> {
        self.client_records().await?.iter().map(client_view).collect()
    }

    /// Ends a client, and its leases with it.
    ///
    /// # Errors
    /// [`FailureKind::NotFound`] for an unknown one, [`FailureKind::Conflict`] for one that is revoked.
    pub async fn client_revoke(&self, call: &ClientRevoke, uid: u32) -> Result<ClientView, Failure> {
        let mut record = self
            .client_records()
            .await?
            .into_iter()
            .find(|record| record.name == call.name)
            .ok_or_else(|| {
                Failure::new(
                    FailureKind::NotFound,
                    format!("there is no client named {}", call.name),
                )
                .with_remedy("chancery client list")
            })?;
        if record.revoked_ms.is_some() {
            return Err(Failure::new(
                FailureKind::Conflict,
                format!("client {} is revoked already", record.name),
            ));
        }
        let key = key_hash(&record)?;
        let now = self.clock.now_ms();
        let data = json!({ "client": record.name, "key": key });
        self.commit(Change {
            writes: vec![Write::RevokeClient {
                name: record.name.clone(),
                revoked_ms: now,
            }],
            events: vec![event(now, "client-revoked", &Actor::Local(uid), &data)?],
        })
        .await?;
        record.revoked_ms = Some(now);
        self.end_leases_of(key, &format!("client {} was revoked", record.name))
            .await?;
        client_view(&record)
    }

    /// The client that is enrolled with this key.
    ///
    /// # Errors
    /// [`FailureKind::Refused`] when there is none, or it was revoked.
    pub async fn enrolled_client(&self, key: Hash32) -> Result<ClientView, Failure> {
        let found = self
            .store
            .client_by_key(&key.0)
            .await
            .map_err(|error| store_failure(&error))?;
        match found {
            Some(record) if record.revoked_ms.is_none() => client_view(&record),
            Some(record) => Err(Failure::new(
                FailureKind::Refused,
                format!("client {} was revoked", record.name),
            )
            .with_remedy("on the node: chancery client add NAME --key CERTIFICATE, with another key")),
            None => Err(Failure::new(
                FailureKind::Refused,
                format!("no client is enrolled with the key {key}"),
            )
            .with_remedy("on the node: chancery client add NAME --key CERTIFICATE")),
        }
    }

    pub(crate) async fn connector_record(&self, name: &str) -> Result<ConnectorRecord, Failure> {
        self.connector_records()
            .await?
            .into_iter()
            .find(|record| record.name == name)
            .ok_or_else(|| {
                Failure::new(
                    FailureKind::NotFound,
                    format!("there is no connector named {name}"),
                )
                .with_remedy(format!("chancery connector add {name} --ticket-file FILE"))
            })
    }

    pub(crate) async fn connector_records(&self) -> Result<Vec<ConnectorRecord>, Failure> {
        self.store
            .connectors()
            .await
            .map_err(|error| store_failure(&error))
    }

    async fn client_records(&self) -> Result<Vec<ClientRecord>, Failure> {
        self.store.clients().await.map_err(|error| store_failure(&error))
    }

    fn connector_view(&self, record: &ConnectorRecord, hsms: &[HsmRecord]) -> ConnectorView {
        let now = self
            .network
            .get()
            .and_then(|network| network.connector(&record.name))
            .unwrap_or(Connection {
                connected: None,
                lost: None,
            });
        let locator = locator(&record.name);
        let (state, since) = match (record.revoked_ms, &now.connected) {
            (Some(at), _) => ("revoked", Some(at)),
            (None, Some((since, _))) => ("connected", Some(*since)),
            (None, None) => ("not connected", now.lost.as_ref().map(|(at, _)| *at)),
        };
        ConnectorView {
            name: record.name.clone(),
            device: record.device.clone(),
            hsm: hsms
                .iter()
                .find(|hsm| hsm.locator == locator)
                .map(|hsm| hsm.name.clone()),
            state: state.to_owned(),
            since: since.map(rfc3339),
            address: now.connected.map(|(_, address)| address),
            because: now.lost.map(|(_, because)| because),
        }
    }

    fn ticket(&self) -> SecretText {
        SecretText::new(URL_SAFE_NO_PAD.encode(self.random::<TICKET>()))
    }
}

/// Where an HSM behind this connector is found.
pub(crate) fn locator(connector: &str) -> String {
    format!("{CONNECTOR}{connector}")
}

/// A revoked connector brings nothing any more.
pub(crate) fn refuse_revoked(record: &ConnectorRecord) -> Result<(), Failure> {
    if record.revoked_ms.is_none() {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Conflict,
        format!("connector {} is revoked", record.name),
    )
    .with_remedy(format!(
        "chancery connector add {} --ticket-file FILE makes it anew",
        record.name
    )))
}

fn key_hash(record: &ClientRecord) -> Result<Hash32, Failure> {
    record.key_hash.as_slice().try_into().map(Hash32).map_err(|_| {
        Failure::new(
            FailureKind::Refused,
            format!("the row of client {} is damaged", record.name),
        )
    })
}

fn client_view(record: &ClientRecord) -> Result<ClientView, Failure> {
    Ok(ClientView {
        name: record.name.clone(),
        key: key_hash(record)?,
        custodian: record.custodian.clone(),
        state: if record.revoked_ms.is_none() {
            "enrolled"
        } else {
            "revoked"
        }
        .to_owned(),
        since: rfc3339(record.created_ms),
    })
}

fn check_chr(chr: &str) -> Result<(), Failure> {
    let ok = (1..=LONGEST_CHR).contains(&chr.len()) && chr.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if ok {
        return Ok(());
    }
    Err(Failure::new(
        FailureKind::Invalid,
        format!("{chr:?} is no holder reference of a device: at most {LONGEST_CHR} letters and digits"),
    )
    .with_remedy("chancery token info shows a token's"))
}

/// The SubjectPublicKeyInfo (DER) in a public key, certificate or PKCS#10 request, DER or PEM.
fn public_key(key: &Base64) -> Result<Vec<u8>, Failure> {
    let bytes = key.0.as_slice();
    let invalid = |what: &str| Failure::new(FailureKind::Invalid, what);
    if bytes.windows(PRIVATE.len()).any(|window| window == PRIVATE) {
        return Err(invalid("this is a private key: it stays with the client")
            .with_remedy("give the client's certificate, public key or PKCS#10 request"));
    }
    let found = X509::from_pem(bytes)
        .or_else(|_| X509::from_der(bytes))
        .and_then(|certificate| certificate.public_key())
        .or_else(|_| of_request(bytes))
        .or_else(|_| PKey::public_key_from_pem(bytes))
        .or_else(|_| PKey::public_key_from_der(bytes))
        .map_err(|_| invalid("this is no public key, certificate or PKCS#10 request, neither PEM nor DER"))?;
    let usable = match found.id() {
        Id::RSA => found.bits() >= 2048,
        Id::EC => {
            use openssl::nid::Nid;
            let curve = found.ec_key().ok().and_then(|key| key.group().curve_name());
            matches!(
                curve,
                Some(Nid::X9_62_PRIME256V1 | Nid::SECP384R1 | Nid::SECP521R1)
            )
        }
        Id::ED25519 => true,
        _ => false,
    };
    if !usable {
        return Err(invalid("TLS cannot use this key")
            .with_remedy("P-256, P-384, P-521, Ed25519 or RSA with 2048 bits and more"));
    }
    found.public_key_to_der().map_err(|error| {
        Failure::new(
            FailureKind::Internal,
            format!("the key cannot be written: {error}"),
        )
    })
}

const PRIVATE: &[u8] = b"PRIVATE KEY-----";

fn of_request(bytes: &[u8]) -> Result<PKey<Public>, openssl::error::ErrorStack> {
    let request = X509Req::from_pem(bytes).or_else(|_| X509Req::from_der(bytes))?;
    let key = request.public_key()?;
    // Who asks has the key.
    if request.verify(&key)? {
        Ok(key)
    } else {
        Err(openssl::error::ErrorStack::get())
    }
}
