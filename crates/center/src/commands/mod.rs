//! One command a file: conditions first, then the change, then the answer.

mod act;
mod approve;
mod audit;
mod ca;
mod certificate;
mod connectors;
mod crl;
mod custodian;
mod finish;
mod hsm_attach;
mod hsm_compare;
mod hsm_init;
mod hsm_view;
mod import;
mod lease_answer;
mod lease_challenge;
mod lease_end;
mod lease_load;
mod lease_refusal;
mod lease_request;
mod lease_sign;
mod lease_view;
mod network;
mod person;
mod receipt;
mod reject;
mod request_view;
mod resume;
mod revoke;
mod sign;
mod signer;
mod signing_key;
mod unlock;
mod why;

pub(crate) use certificate::was_issued;
pub(crate) use import::document as certificate_document;
