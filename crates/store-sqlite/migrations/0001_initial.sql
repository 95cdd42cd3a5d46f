-- The first schema. Migrations are only ever added, never edited: their checksums are in every database.
--
-- Conventions: *_ms are milliseconds and *_seconds are seconds since the Unix epoch (UTC); identifiers are the
-- 16 bytes of a UUID; states and kinds are the words the models name, and are checked when a row is read: a list
-- of words in a constraint could not grow without rebuilding its table. A row is a cache or a claim, the rights
-- are in the signed acts. "Immutable" columns are written once with the row.

CREATE TABLE act (
    -- Identifier, the same as in the payload. Immutable, like the whole row.
    id BLOB NOT NULL PRIMARY KEY,
    -- Person who signed. Not a foreign key: the first manager's act is older than any row about people.
    person_id BLOB NOT NULL,
    -- Verb, as in the payload.
    verb TEXT NOT NULL,
    -- Canonical JSON as signed.
    payload BLOB NOT NULL,
    -- ECDSA signature, DER.
    signature BLOB NOT NULL,
    -- The node's nonce, 32 bytes; each is spent once.
    nonce BLOB NOT NULL,
    -- When it was handed in.
    created_ms INTEGER NOT NULL,
    CONSTRAINT act_id_length CHECK (length(id) = 16 AND length(person_id) = 16),
    CONSTRAINT act_nonce_once UNIQUE (nonce)
) STRICT;

CREATE TABLE request (
    -- Number from 1, in the order of creation. Immutable.
    number INTEGER NOT NULL PRIMARY KEY,
    -- What it is for. Immutable.
    kind TEXT NOT NULL,
    -- Where it stands. Mutable.
    state TEXT NOT NULL,
    -- One line for lists. Immutable.
    title TEXT NOT NULL,
    -- Canonical JSON of the subject; its hash is what approvals cover. Immutable.
    document BLOB NOT NULL,
    -- What came with it: PKCS#10 in DER for certificates, nothing for CAs. Immutable.
    evidence BLOB NOT NULL,
    -- To-be-signed bytes prepared at approval. Mutable.
    tbs BLOB,
    -- Certificate recorded for it last. Mutable. Not a foreign key: a claim may name it before it is inserted.
    certificate_id BLOB,
    -- Uid of the process that opened it. Immutable.
    created_by_uid INTEGER NOT NULL,
    -- When. Immutable.
    created_ms INTEGER NOT NULL,
    CONSTRAINT request_number_positive CHECK (number > 0)
) STRICT;

-- Lists of requests in one state, newest first.
CREATE INDEX request_by_state ON request (state, number);

CREATE TABLE decision (
    -- Request that was decided on. Immutable, like the whole row.
    request_number INTEGER NOT NULL REFERENCES request (number),
    -- Place among the decisions on this request, from 1.
    place INTEGER NOT NULL,
    -- What was decided.
    kind TEXT NOT NULL,
    -- The proof. One act may decide on several requests.
    act_id BLOB NOT NULL REFERENCES act (id),
    PRIMARY KEY (request_number, place),
    CONSTRAINT decision_act_once UNIQUE (request_number, act_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE person (
    -- Identifier. Immutable, like the whole row.
    id BLOB NOT NULL PRIMARY KEY,
    -- Name.
    name TEXT NOT NULL,
    -- Canonical JSON of the person document that the managers' acts cover.
    document BLOB NOT NULL,
    -- SubjectPublicKeyInfo (DER) of the key that signs the person's acts; one key stands for one person.
    public_key BLOB NOT NULL,
    -- EF 2F02 of the person's token.
    chain BLOB NOT NULL,
    -- Authenticated request of the key.
    key_request BLOB NOT NULL,
    -- Request that made the person; absent for the first manager.
    request_number INTEGER REFERENCES request (number),
    -- When.
    created_ms INTEGER NOT NULL,
    CONSTRAINT person_id_length CHECK (length(id) = 16),
    CONSTRAINT person_name_once UNIQUE (name),
    CONSTRAINT person_key_once UNIQUE (public_key)
) STRICT;

CREATE TABLE hsm (
    -- Identifier. Immutable.
    id BLOB NOT NULL PRIMARY KEY,
    -- Name. Immutable.
    name TEXT NOT NULL,
    -- CHR of the device certificate. Immutable.
    device TEXT NOT NULL,
    -- Device public key, uncompressed point. Immutable.
    device_key BLOB NOT NULL,
    -- EF 2F02. Immutable.
    chain BLOB NOT NULL,
    -- Act that made it known. Immutable.
    act_id BLOB NOT NULL REFERENCES act (id),
    -- When. Immutable.
    created_ms INTEGER NOT NULL,
    -- Where the token is. Mutable.
    locator TEXT NOT NULL,
    -- Key check value of its key domain, 8 bytes, once known. Mutable.
    kcv BLOB,
    -- Custodians needed to unlock. Mutable.
    quorum_required INTEGER NOT NULL,
    -- Custodian keys to register. Mutable.
    quorum_total INTEGER NOT NULL,
    -- 1 when the node should hold it, else 0. Mutable.
    attached INTEGER NOT NULL,
    -- Newest state seen of a token that tells: sequence number. Mutable.
    mark_sequence INTEGER,
    -- Hash chain value at that number. Mutable.
    mark_hash BLOB,
    -- When the node lost it last; cleared when it is attached again. Mutable.
    lost_ms INTEGER,
    -- Why. Mutable.
    lost_reason TEXT,
    CONSTRAINT hsm_id_length CHECK (length(id) = 16),
    CONSTRAINT hsm_name_once UNIQUE (name),
    CONSTRAINT hsm_device_once UNIQUE (device),
    CONSTRAINT hsm_attached CHECK (attached IN (0, 1)),
    CONSTRAINT hsm_mark_whole CHECK ((mark_sequence IS NULL) = (mark_hash IS NULL)),
    CONSTRAINT hsm_lost_whole CHECK ((lost_ms IS NULL) = (lost_reason IS NULL))
) STRICT;

CREATE TABLE custodian (
    -- HSM the key is registered in. Immutable, like the whole row; rows go when the HSM is initialised anew.
    hsm_id BLOB NOT NULL REFERENCES hsm (id),
    -- Person whose key it is.
    person_id BLOB NOT NULL REFERENCES person (id),
    -- CHR of the key.
    chr TEXT NOT NULL,
    -- SubjectPublicKeyInfo (DER).
    public_key BLOB NOT NULL,
    -- EF 2F02 of the custodian's token.
    chain BLOB NOT NULL,
    -- Authenticated request of the key.
    key_request BLOB NOT NULL,
    -- Request that the managers approved.
    request_number INTEGER NOT NULL REFERENCES request (number),
    PRIMARY KEY (hsm_id, person_id),
    CONSTRAINT custodian_chr_once UNIQUE (hsm_id, chr),
    CONSTRAINT custodian_key_once UNIQUE (hsm_id, public_key)
) STRICT;

CREATE TABLE signer (
    -- Identifier. Immutable, like the whole row.
    id BLOB NOT NULL PRIMARY KEY,
    -- Key check value of its key domain, 8 bytes.
    kcv BLOB NOT NULL,
    -- Key id on the tokens, 1 to 255.
    key_id INTEGER NOT NULL,
    -- Algorithm, as "ec:P-256" or "rsa:3072".
    algorithm TEXT NOT NULL,
    -- SubjectPublicKeyInfo (DER).
    public_key BLOB NOT NULL,
    -- Authenticated request made at the key's birth.
    attestation BLOB NOT NULL,
    -- EF 2F02 of the HSM it was born in.
    chain BLOB NOT NULL,
    -- When.
    created_ms INTEGER NOT NULL,
    CONSTRAINT signer_id_length CHECK (length(id) = 16),
    CONSTRAINT signer_key_once UNIQUE (public_key)
) STRICT;

CREATE TABLE replica (
    -- Signer. Immutable.
    signer_id BLOB NOT NULL REFERENCES signer (id),
    -- HSM. Immutable.
    hsm_id BLOB NOT NULL REFERENCES hsm (id),
    -- What is known of the key on that HSM. Mutable.
    state TEXT NOT NULL,
    -- When the HSM was last asked. Mutable.
    checked_ms INTEGER NOT NULL,
    PRIMARY KEY (signer_id, hsm_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE ca (
    -- Identifier. Immutable.
    id BLOB NOT NULL PRIMARY KEY,
    -- Name. Immutable.
    name TEXT NOT NULL,
    -- Request that asked for it. Immutable.
    request_number INTEGER NOT NULL REFERENCES request (number),
    -- Key id reserved on the HSM before the key is generated. Immutable.
    key_id INTEGER NOT NULL,
    -- Signer once the key exists. Set once.
    signer_id BLOB REFERENCES signer (id),
    -- Its own certificate once recorded. Set once. Not a foreign key: the certificate refers to the CA.
    certificate_id BLOB,
    -- When. Immutable.
    created_ms INTEGER NOT NULL,
    CONSTRAINT ca_id_length CHECK (length(id) = 16),
    CONSTRAINT ca_name_once UNIQUE (name)
) STRICT;

CREATE TABLE certificate (
    -- Identifier. Immutable.
    id BLOB NOT NULL PRIMARY KEY,
    -- Issuing CA; a root's own certificate names itself. Immutable.
    ca_id BLOB NOT NULL REFERENCES ca (id),
    -- Serial number, content bytes of the INTEGER. Immutable.
    serial BLOB NOT NULL,
    -- Request it is for; absent for certificates of the trust center itself. Immutable.
    request_number INTEGER REFERENCES request (number),
    -- Act that had it signed. Immutable.
    act_id BLOB NOT NULL REFERENCES act (id),
    -- Name of the profile. Immutable.
    profile TEXT NOT NULL,
    -- Subject, RFC 4514. Immutable.
    subject TEXT NOT NULL,
    -- Subject alternative names, one a line. Immutable.
    names TEXT NOT NULL,
    -- notAfter. Immutable.
    not_after_seconds INTEGER NOT NULL,
    -- To-be-signed bytes, durable before the HSM is asked. Immutable.
    tbs BLOB NOT NULL,
    -- When it was recorded. Immutable.
    created_ms INTEGER NOT NULL,
    -- Where it stands. Mutable.
    state TEXT NOT NULL,
    -- Lease epoch of the node that claimed the signature; a result of another epoch is refused. Mutable.
    epoch INTEGER NOT NULL,
    -- Certificate, DER. Set once, when it is signed.
    der BLOB,
    -- Revocation time. Set once.
    revoked_seconds INTEGER,
    -- Reason code of RFC 5280 section 5.3.1. Set once.
    revoked_reason INTEGER,
    -- Act that revoked it. Set once.
    revoked_act_id BLOB REFERENCES act (id),
    CONSTRAINT certificate_id_length CHECK (length(id) = 16),
    CONSTRAINT certificate_serial_once UNIQUE (serial, ca_id),
    CONSTRAINT certificate_signed_whole CHECK ((state = 'signing') = (der IS NULL)),
    CONSTRAINT certificate_revoked_whole CHECK (
        (state = 'revoked') = (revoked_seconds IS NOT NULL)
        AND (revoked_seconds IS NULL) = (revoked_reason IS NULL)
        AND (revoked_seconds IS NULL) = (revoked_act_id IS NULL)
    )
) STRICT;

-- Pages of all certificates, newest first.
CREATE INDEX certificate_by_time ON certificate (created_ms, id);
-- Pages of one CA's certificates, newest first.
CREATE INDEX certificate_by_ca ON certificate (ca_id, created_ms, id);
-- Interrupted signatures; nearly always empty.
CREATE INDEX certificate_signing ON certificate (created_ms, id) WHERE state = 'signing';
-- Entries of a CA's CRL, by serial.
CREATE INDEX certificate_revoked ON certificate (ca_id, serial) WHERE state = 'revoked';

CREATE TABLE crl (
    -- CA. Immutable.
    ca_id BLOB NOT NULL REFERENCES ca (id),
    -- CRL number. Immutable.
    number INTEGER NOT NULL,
    -- To-be-signed bytes. Immutable.
    tbs BLOB NOT NULL,
    -- thisUpdate. Immutable.
    this_update_seconds INTEGER NOT NULL,
    -- nextUpdate. Immutable.
    next_update_seconds INTEGER NOT NULL,
    -- Number of entries. Immutable.
    entries INTEGER NOT NULL,
    -- Act that had it signed. Immutable.
    act_id BLOB NOT NULL REFERENCES act (id),
    -- "signing" or "issued". Mutable.
    state TEXT NOT NULL,
    -- Lease epoch of the node that claimed the signature. Mutable.
    epoch INTEGER NOT NULL,
    -- CRL, DER. Set once, when it is signed.
    der BLOB,
    PRIMARY KEY (ca_id, number),
    CONSTRAINT crl_signed_whole CHECK ((state = 'signing') = (der IS NULL))
) STRICT;

CREATE TABLE audit_leaf (
    -- Index from 0, without gaps. Immutable, like the whole row.
    leaf_index INTEGER NOT NULL PRIMARY KEY,
    -- Canonical JSON of the event; the leaf's hash covers exactly these bytes.
    body BLOB NOT NULL
) STRICT;

CREATE TABLE audit_head (
    -- Always 1: the log has one head, and whoever appends locks this row last.
    id INTEGER NOT NULL PRIMARY KEY,
    -- Number of leaves. Mutable.
    size INTEGER NOT NULL,
    -- Roots of the complete subtrees: size as 8 bytes big endian, then 32 bytes each. Mutable.
    frontier BLOB NOT NULL,
    CONSTRAINT audit_head_one CHECK (id = 1)
) STRICT;

INSERT INTO audit_head (id, size, frontier) VALUES (1, 0, X'0000000000000000');

CREATE TABLE audit_checkpoint (
    -- Number of leaves the checkpoint covers. Immutable, like the whole row.
    size INTEGER NOT NULL PRIMARY KEY,
    -- C2SP signed note.
    note TEXT NOT NULL
) STRICT;

CREATE TABLE node_start (
    -- Number of the start, from 1: the lease epoch of that run. Immutable, like the whole row.
    epoch INTEGER NOT NULL PRIMARY KEY,
    -- When.
    started_ms INTEGER NOT NULL
) STRICT;
