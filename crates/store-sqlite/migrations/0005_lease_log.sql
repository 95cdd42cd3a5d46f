-- Where the audit log begins to tell of a lease, and how long it still waits. Conventions as in the first migration.

-- Head of the log when the row was inserted: as audit_head.frontier. Immutable; absent in rows of older programs.
ALTER TABLE lease ADD COLUMN log_frontier BLOB;

-- What was left of its wait for a first quorum when this row was written last. Mutable, never more; absent once it had one.
ALTER TABLE lease ADD COLUMN wait_remaining_ms INTEGER;
