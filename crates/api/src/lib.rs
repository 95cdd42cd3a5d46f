//! Typed, versioned messages between the node and its clients; canonical JSON; act statements.
