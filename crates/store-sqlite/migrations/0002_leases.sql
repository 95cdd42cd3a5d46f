-- Signing keys, and leases: a quorum's permission to use one.

CREATE TABLE signing_key (
    -- Request that asked for it. Immutable.
    request_number INTEGER NOT NULL PRIMARY KEY REFERENCES request (number),
    -- Name of the signer. Immutable.
    name TEXT NOT NULL,
    -- Key id reserved on the HSM before the key is generated. Immutable.
    key_id INTEGER NOT NULL,
    -- Signer once the key exists. Set once.
    signer_id BLOB REFERENCES signer (id),
    -- X.509 certificate stored with it, DER. Mutable.
    certificate BLOB,
    -- When. Immutable.
    created_ms INTEGER NOT NULL,
    CONSTRAINT signing_key_name_once UNIQUE (name),
    CONSTRAINT signing_key_signer_once UNIQUE (signer_id)
) STRICT;

CREATE TABLE lease (
    -- Identifier. Immutable.
    id BLOB NOT NULL PRIMARY KEY,
    -- Signer it permits to use. Immutable.
    signer_id BLOB NOT NULL REFERENCES signer (id),
    -- Who asked: "local:UID", or "client:" and the SHA-256 of the client's key. Immutable.
    requester TEXT NOT NULL,
    -- Canonical JSON of the lease text, which custodians sign. Immutable.
    text BLOB NOT NULL,
    -- When. Immutable.
    created_ms INTEGER NOT NULL,
    -- Where it stands. Mutable.
    state TEXT NOT NULL,
    -- Who ended it and why, one sentence. Mutable.
    because TEXT,
    -- Distinct digests reserved so far. Mutable, never less.
    used INTEGER NOT NULL,
    -- What was left of its time when this row was written last. Mutable, never more.
    remaining_ms INTEGER NOT NULL,
    -- Lease epoch of the node that serves it; what another one writes is refused. Mutable.
    epoch INTEGER NOT NULL,
    -- When it ended. Set once; nothing changes afterwards.
    ended_ms INTEGER,
    CONSTRAINT lease_id_length CHECK (length(id) = 16)
) STRICT;

-- Leases that are not over; few.
CREATE INDEX lease_open ON lease (created_ms, id) WHERE ended_ms IS NULL;
-- Pages of all leases, newest first.
CREATE INDEX lease_by_time ON lease (created_ms, id);

CREATE TABLE lease_manifest (
    -- Lease. Immutable, like the whole row.
    lease_id BLOB NOT NULL PRIMARY KEY REFERENCES lease (id),
    -- Hash function of the digests.
    hash TEXT NOT NULL,
    -- The digests it names, each once, ascending, one after the other.
    digests BLOB NOT NULL
) STRICT;

CREATE TABLE lease_answer (
    -- Lease. Immutable, like the whole row.
    lease_id BLOB NOT NULL REFERENCES lease (id),
    -- Place among the answers for this lease, from 1.
    place INTEGER NOT NULL,
    -- HSM it was given for.
    hsm_id BLOB NOT NULL REFERENCES hsm (id),
    -- Which time that HSM's custodians were asked for this lease, from 1.
    attempt INTEGER NOT NULL,
    -- Custodian.
    person_id BLOB NOT NULL REFERENCES person (id),
    -- The custodian's name.
    person TEXT NOT NULL,
    -- CHR of the custodian key.
    chr TEXT NOT NULL,
    -- EF 2F02 of the custodian's token.
    chain BLOB NOT NULL,
    -- Authenticated request of the custodian key.
    key_request BLOB NOT NULL,
    -- Kind of statement.
    kind TEXT NOT NULL,
    -- The HSM's challenge, or the node's nonce, 8 bytes.
    challenge BLOB NOT NULL,
    -- Place in the audit log that the statement names: number of leaves.
    log_size INTEGER NOT NULL,
    -- Root hash at that size, 32 bytes.
    log_root BLOB NOT NULL,
    -- The answer to the HSM's challenge.
    unlock BLOB,
    -- Signature over the statement.
    statement BLOB NOT NULL,
    -- Reason of a refusal.
    reason TEXT,
    -- When.
    answered_ms INTEGER NOT NULL,
    PRIMARY KEY (lease_id, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease_digest (
    -- Lease. Immutable, like the whole row.
    lease_id BLOB NOT NULL REFERENCES lease (id),
    -- Digest, as it is written. It counts from now on, whatever becomes of it.
    digest TEXT NOT NULL,
    -- When.
    reserved_ms INTEGER NOT NULL,
    PRIMARY KEY (lease_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease_signature (
    -- Lease. Immutable, like the whole row.
    lease_id BLOB NOT NULL,
    -- Digest, as it is written.
    digest TEXT NOT NULL,
    -- ECDSA: plain r | s. RSA: as long as the modulus.
    signature BLOB NOT NULL,
    -- HSM that made it.
    hsm_id BLOB NOT NULL REFERENCES hsm (id),
    -- Attempt of the custodians' answers that were in force on that HSM.
    attempt INTEGER NOT NULL,
    -- When.
    signed_ms INTEGER NOT NULL,
    -- Hash of the audit leaf that records it, 32 bytes.
    leaf_hash BLOB NOT NULL,
    -- Number of leaves when this row was written: the leaf is not before.
    log_size INTEGER NOT NULL,
    PRIMARY KEY (lease_id, digest),
    FOREIGN KEY (lease_id, digest) REFERENCES lease_digest (lease_id, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE lease_call (
    -- Who called, as in lease. Immutable, like the whole row.
    requester TEXT NOT NULL,
    -- The caller's own key for the call.
    idempotency_key TEXT NOT NULL,
    -- Lease the call was answered under.
    lease_id BLOB NOT NULL REFERENCES lease (id),
    -- SHA-256 of what was asked for, 32 bytes.
    call_hash BLOB NOT NULL,
    -- When.
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (requester, idempotency_key)
) STRICT, WITHOUT ROWID;
