//! The node: one process per data directory, Unix socket, token threads.
