//! X.509 profiles, requests, certificates and CRLs: deterministic to-be-signed bytes, lint.
