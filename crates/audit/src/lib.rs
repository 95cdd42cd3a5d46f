//! Append-only Merkle log (RFC 6962 hashing) with C2SP signed-note checkpoints; no I/O.
