//! One change's rows.

use chancery_store::Write;

use super::{acts, audit, cas, certificates, crls, error::WriteError, hsms, people, requests, signers};
use crate::database::Connection;

/// Writes one row.
pub(crate) async fn apply(connection: &mut Connection, write: &Write) -> Result<(), WriteError> {
    match write {
        Write::InsertAct(act) => acts::insert(connection, act).await,
        Write::InsertPerson(person) => people::insert(connection, person).await,
        Write::InsertHsm(hsm) => hsms::insert(connection, hsm).await,
        Write::UpdateHsm(hsm) => hsms::update(connection, hsm).await,
        Write::SetHsmMark { hsm, mark } => hsms::set_mark(connection, *hsm, mark).await,
        Write::InsertCustodian(custodian) => hsms::insert_custodian(connection, custodian).await,
        Write::ClearCustodians(hsm) => hsms::clear_custodians(connection, *hsm).await,
        Write::InsertSigner(signer) => signers::insert(connection, signer).await,
        Write::PutReplica(replica) => signers::put_replica(connection, replica).await,
        Write::InsertCa(ca) => cas::insert(connection, ca).await,
        Write::SetCaSigner { ca, signer } => cas::set_signer(connection, *ca, *signer).await,
        Write::SetCaCertificate { ca, certificate } => {
            cas::set_certificate(connection, *ca, *certificate).await
        }
        Write::InsertRequest(request) => requests::insert(connection, request).await,
        Write::MoveRequest { request, from, to } => {
            requests::change_state(connection, *request, *from, *to).await
        }
        Write::SetRequestTbs { request, state, tbs } => {
            requests::set_tbs(connection, *request, *state, tbs).await
        }
        Write::ClaimRequest { request, certificate } => {
            requests::claim(connection, *request, *certificate).await
        }
        Write::InsertDecision { request, kind, act } => {
            requests::insert_decision(connection, *request, *kind, *act).await
        }
        Write::InsertCertificate(certificate) => certificates::insert(connection, certificate).await,
        Write::ReclaimCertificate { certificate, epoch } => {
            certificates::reclaim(connection, *certificate, *epoch).await
        }
        Write::IssueCertificate {
            certificate,
            epoch,
            der,
        } => certificates::issue(connection, *certificate, *epoch, der).await,
        Write::RevokeCertificate {
            certificate,
            revoked_seconds,
            reason,
            act,
        } => certificates::revoke(connection, *certificate, *revoked_seconds, *reason, *act).await,
        Write::InsertCrl(crl) => crls::insert(connection, crl).await,
        Write::ReclaimCrl { ca, number, epoch } => crls::reclaim(connection, *ca, *number, *epoch).await,
        Write::IssueCrl {
            ca,
            number,
            epoch,
            der,
        } => crls::issue(connection, *ca, *number, *epoch, der).await,
        Write::InsertCheckpoint { size, note } => audit::insert_checkpoint(connection, *size, note).await,
    }
}
