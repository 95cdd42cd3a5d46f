//! Signing keys and their replicas: HSM threads, pool, quorum state.
