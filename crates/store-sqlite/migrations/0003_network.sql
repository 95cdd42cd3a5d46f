-- Who may come from the network: agents with tokens, and clients. Conventions as in the first migration.

CREATE TABLE connector (
    -- Name. A revoked connector's name may be given again; the audit log knows both.
    name TEXT NOT NULL PRIMARY KEY,
    -- SHA-256 of the ticket, which is told once and kept nowhere.
    ticket_hash BLOB NOT NULL,
    -- CHR of the one device it may attach. Mutable: absent until the first HSM is attached through it.
    device TEXT,
    -- When it was made.
    created_ms INTEGER NOT NULL,
    -- When it was revoked. Mutable.
    revoked_ms INTEGER,
    CONSTRAINT connector_ticket_once UNIQUE (ticket_hash),
    CONSTRAINT connector_ticket_length CHECK (length(ticket_hash) = 32)
) STRICT;

CREATE TABLE client (
    -- Name. A revoked client's name may be given again; the audit log knows both.
    name TEXT NOT NULL PRIMARY KEY,
    -- SHA-256 of its SubjectPublicKeyInfo (DER); one key stands for one client.
    key_hash BLOB NOT NULL,
    -- SubjectPublicKeyInfo, DER.
    public_key BLOB NOT NULL,
    -- Name of the custodian whose agent it is.
    custodian TEXT,
    -- When it was enrolled.
    created_ms INTEGER NOT NULL,
    -- When it was revoked. Mutable.
    revoked_ms INTEGER,
    CONSTRAINT client_key_once UNIQUE (key_hash),
    CONSTRAINT client_key_length CHECK (length(key_hash) = 32)
) STRICT;
