//! Shared SmartCard-HSM vocabulary: file ids, algorithm ids, key blob, DKEK, PKCS#15; no I/O.
