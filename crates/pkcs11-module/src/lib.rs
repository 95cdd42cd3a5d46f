//! `libchancery_pkcs11.so`: the C symbols of the PKCS#11 module.
