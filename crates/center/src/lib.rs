//! The rules: people, roles, requests, approvals, signing, audit, explain engine.
