//! One command a file: conditions first, then the change, then the answer.

mod act;
mod approve;
mod audit;
mod ca;
mod certificate;
mod crl;
mod custodian;
mod finish;
mod hsm_attach;
mod hsm_compare;
mod hsm_init;
mod hsm_view;
mod import;
mod person;
mod reject;
mod request_view;
mod resume;
mod revoke;
mod sign;
mod signer;
mod unlock;
mod why;

pub(crate) use certificate::was_issued;
pub(crate) use import::document as certificate_document;
