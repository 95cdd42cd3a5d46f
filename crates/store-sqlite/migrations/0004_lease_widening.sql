-- What custodians add to a lease while its request waits. The text of a lease is replaced then, and only then.

CREATE TABLE lease_widening (
    -- Lease. Immutable, like the whole row.
    lease_id BLOB NOT NULL REFERENCES lease (id),
    -- Place among the widenings of this lease, from 1.
    place INTEGER NOT NULL,
    -- Canonical JSON of the text that was replaced.
    text BLOB NOT NULL,
    -- Place of the last answer about that text, 0 for none.
    last_answer INTEGER NOT NULL,
    -- Custodian, by the word of the node.
    person_id BLOB NOT NULL REFERENCES person (id),
    -- The custodian's name.
    person TEXT NOT NULL,
    -- When.
    widened_ms INTEGER NOT NULL,
    PRIMARY KEY (lease_id, place)
) STRICT, WITHOUT ROWID;
