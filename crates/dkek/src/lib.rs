//! Backup shares of key encryption keys: share files, password shares, and a doctor for both.
