//! Readers for virtual tokens: a slot of pcscd through vpcd, and a Unix socket.
