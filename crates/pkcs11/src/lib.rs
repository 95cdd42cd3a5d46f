//! The PKCS#11 module without its C symbols: slots, sessions, objects, local tokens, signers of a node.
