//! Methods and views around the network: connectors of remote tokens, and clients.

use serde::{Deserialize, Serialize};

use crate::methods::methods;
use crate::{Base64, Hash32, HsmDocument, SecretText};

methods! {
    /// Makes a connector: a long-lived ticket with which an agent attaches one token.
    ConnectorAdd("connector.add") -> ConnectorTicket {
        /// Name of the connector.
        name: String,
        /// CHR of the one device it may attach; the first HSM attached through it when absent.
        device: Option<String>,
    }
    /// All connectors.
    ConnectorList("connector.list") -> Vec<ConnectorView> {}
    /// Ends a connector: its ticket is worth nothing any more, its session is closed.
    ConnectorRevoke("connector.revoke") -> ConnectorView {
        /// Its name.
        name: String,
    }
    /// Makes a single-use ticket, five minutes long, for a program that can carry nothing but an address.
    TicketAdd("ticket.add") -> TicketView {
        /// Connector whose device is attached with it, for this session only.
        connector: String,
    }
    /// Enrols a client by its public key: it may ask for leases, nothing more. What it gets, custodians decide.
    ClientAdd("client.add") -> ClientView {
        /// Name of the client.
        name: String,
        /// SubjectPublicKeyInfo, certificate or PKCS#10 request of its key, DER or PEM.
        key: Base64,
        /// Name of the custodian whose agent this is; a client of a custodian sees what waits for that custodian.
        custodian: Option<String>,
    }
    /// What custodians are told of the HSMs, to accept them on machines of their own.
    HsmIdentities("hsm.identities") -> Vec<HsmIdentityView> {}
    /// All clients.
    ClientList("client.list") -> Vec<ClientView> {}
    /// Ends a client: its leases end with it.
    ClientRevoke("client.revoke") -> ClientView {
        /// Its name.
        name: String,
    }
}

/// A new connector's ticket. It is shown once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorTicket {
    /// The connector.
    pub connector: ConnectorView,
    /// The ticket.
    pub ticket: SecretText,
}

/// A connector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectorView {
    /// Its name.
    pub name: String,
    /// CHR of the device it is bound to.
    pub device: Option<String>,
    /// HSM attached through it.
    pub hsm: Option<String>,
    /// `connected`, `not connected` or `revoked`.
    pub state: String,
    /// Since when, RFC 3339, UTC.
    pub since: Option<String>,
    /// Address of the agent.
    pub address: Option<String>,
    /// Why it was lost last.
    pub because: Option<String>,
}

/// A single-use ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketView {
    /// Path on the endpoint, `/rt/t/<ticket>`.
    pub path: SecretText,
    /// Seconds it lasts.
    pub seconds: u64,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientView {
    /// Its name.
    pub name: String,
    /// SHA-256 of its SubjectPublicKeyInfo (DER).
    pub key: Hash32,
    /// Custodian whose agent it is.
    pub custodian: Option<String>,
    /// `enrolled` or `revoked`.
    pub state: String,
    /// When it was enrolled, RFC 3339, UTC.
    pub since: String,
}

/// An HSM by its own certificates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HsmIdentityView {
    /// Name, device and device key.
    pub hsm: HsmDocument,
    /// EF 2F02.
    pub chain: Base64,
}
