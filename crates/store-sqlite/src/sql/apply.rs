//! One change's rows.

use chancery_store::Write;

use super::{
    acts, audit, cas, certificates, crls, error::WriteError, hsms, lease_digests, lease_widenings, leases,
    network, people, requests, signers, signing_keys,
};
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
        Write::InsertSigningKey(key) => signing_keys::insert(connection, key).await,
        Write::SetSigningKeySigner { request, signer } => {
            signing_keys::set_signer(connection, *request, *signer).await
        }
        Write::SetSigningKeyCertificate { request, certificate } => {
            signing_keys::set_certificate(connection, *request, certificate).await
        }
        Write::InsertLease(lease, manifest) => leases::insert(connection, lease, manifest.as_ref()).await,
        Write::ClaimLease { lease, epoch } => leases::claim(connection, *lease, *epoch).await,
        Write::UpdateLease {
            lease,
            epoch,
            state,
            because,
            used,
            remaining_ms,
            wait_remaining_ms,
            ended_ms,
        } => {
            let update = leases::Update {
                lease: *lease,
                epoch: *epoch,
                state: *state,
                because: because.as_deref(),
                used: *used,
                remaining_ms: *remaining_ms,
                wait_remaining_ms: *wait_remaining_ms,
                ended_ms: *ended_ms,
            };
            leases::update(connection, &update).await
        }
        Write::WidenLease {
            widening,
            epoch,
            text,
            remaining_ms,
        } => lease_widenings::widen(connection, widening, *epoch, text, *remaining_ms).await,
        Write::InsertLeaseAnswer(answer) => leases::insert_answer(connection, answer).await,
        Write::ReserveDigest {
            lease,
            digest,
            reserved_ms,
        } => lease_digests::reserve(connection, *lease, digest, *reserved_ms).await,
        Write::InsertLeaseSignature(signature) => {
            lease_digests::insert_signature(connection, signature).await
        }
        Write::InsertLeaseCall(call) => lease_digests::insert_call(connection, call).await,
        Write::PutConnector(connector) => network::put_connector(connection, connector).await,
        Write::BindConnector { name, device } => network::bind_connector(connection, name, device).await,
        Write::RevokeConnector { name, revoked_ms } => {
            network::revoke_connector(connection, name, *revoked_ms).await
        }
        Write::PutClient(client) => network::put_client(connection, client).await,
        Write::RevokeClient { name, revoked_ms } => {
            network::revoke_client(connection, name, *revoked_ms).await
        }
        Write::InsertCheckpoint { size, note } => audit::insert_checkpoint(connection, *size, note).await,
    }
}
