//! Calls to a node over TLS: blocking, without a runtime.
