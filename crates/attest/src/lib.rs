//! Verification of attestations and key passports, offline.
