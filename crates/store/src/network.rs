//! Rows of connectors and clients. Times are milliseconds since the Unix epoch (UTC).

/// A long-lived ticket with which an agent attaches one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorRecord {
    /// Name, unique.
    pub name: String,
    /// SHA-256 of the ticket; the ticket itself is nowhere.
    pub ticket_hash: Vec<u8>,
    /// CHR of the one device it may attach; absent until the first HSM is attached through it.
    pub device: Option<String>,
    /// When it was made.
    pub created_ms: i64,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}

/// A client that may call over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRecord {
    /// Name, unique.
    pub name: String,
    /// SHA-256 of its SubjectPublicKeyInfo (DER), unique.
    pub key_hash: Vec<u8>,
    /// Its SubjectPublicKeyInfo, DER.
    pub public_key: Vec<u8>,
    /// Name of the custodian whose agent it is.
    pub custodian: Option<String>,
    /// When it was enrolled.
    pub created_ms: i64,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
}
