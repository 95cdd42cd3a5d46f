//! The functions of PKCS#11, by chapter (3.1, 5.4 to 5.21).

pub(crate) mod crypto;
pub(crate) mod general;
pub(crate) mod object;
pub(crate) mod session;
pub(crate) mod slot;
pub(crate) mod unsupported;
