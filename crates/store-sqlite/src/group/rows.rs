//! Rows of one kind, eight or one a statement.
//!
//! Places that are left over repeat the first row, and a row that is there already is left alone. So what a statement has done is told
//! by the number of rows it touched: less than were asked for means that something did not fit, not what. Whoever needs to know writes
//! the rows one by one. Nor is a statement that failed undone by itself (`OR FAIL`): the transaction is given up, and so SQLite need not
//! keep what a statement changed.
use chancery_api::{ActId, CertificateId, LeaseId, RequestNumber};
use chancery_store::{
    ActRecord, CertificateRecord, CertificateState, Change, DecisionKind, LeaseSignatureRecord, RequestState,
    Write,
};

use crate::{
    script::{EIGHT, Eight, Script, Step, add, add_eight},
    sql::{
        ACT, CERTIFICATE, CHECKPOINT, DECISION, LEAF, LEASE, LEASE_DIGEST, LEASE_SIGNATURE, REQUEST, Update,
    },
};

/// The rows of changes that issue certificates: those that claim signatures and those that record them; and signed heads of the log.
#[derive(Default)]
pub(crate) struct Rows<'a> {
    acts: Vec<&'a ActRecord>,
    certificates: Vec<&'a CertificateRecord>,
    claims: Vec<(RequestNumber, CertificateId)>,
    decisions: Vec<(RequestNumber, DecisionKind, ActId)>,
    issued: Vec<(CertificateId, i64, &'a [u8])>,
    moved: Vec<(RequestNumber, RequestState, RequestState)>,
    checkpoints: Vec<(i64, &'a str)>,
    leases: Vec<Update<'a>>,
    reserved: Vec<(LeaseId, &'a str, i64)>,
    signed: Vec<&'a LeaseSignatureRecord>,
}

impl<'a> Rows<'a> {
    /// Takes a change's rows, if all of them are of the kinds gathered here.
    ///
    /// The changes of a group were handed in while none of them was made: none builds on another, and any order is right. Within a
    /// change, [`Self::write`] keeps the order that rows which refer to each other need.
    pub(crate) fn take(&mut self, change: &'a Change) -> bool {
        let fits = change.writes.iter().all(|write| match write {
            Write::InsertAct(_)
            | Write::ClaimRequest { .. }
            | Write::InsertDecision { .. }
            | Write::IssueCertificate { .. }
            | Write::InsertCheckpoint { .. }
            | Write::UpdateLease { .. }
            | Write::ReserveDigest { .. }
            | Write::InsertLeaseSignature(_) => true,
            Write::InsertCertificate(certificate) => certificate.state == CertificateState::Signing,
            Write::MoveRequest { from, .. } => *from == RequestState::Signing,
            _ => false,
        });
        if fits {
            for write in &change.writes {
                self.add(write);
            }
        }
        fits
    }

    fn add(&mut self, write: &'a Write) {
        match write {
            Write::InsertAct(act) => self.acts.push(act),
            Write::InsertCertificate(certificate) => self.certificates.push(certificate),
            Write::ClaimRequest { request, certificate } => self.claims.push((*request, *certificate)),
            Write::InsertDecision { request, kind, act } => self.decisions.push((*request, *kind, *act)),
            Write::IssueCertificate {
                certificate,
                epoch,
                der,
            } => {
                self.issued.push((*certificate, *epoch, der));
            }
            Write::MoveRequest { request, from, to } => self.moved.push((*request, *from, *to)),
            Write::InsertCheckpoint { size, note } => self.checkpoints.push((*size, note)),
            Write::UpdateLease {
                lease,
                epoch,
                state,
                because,
                used,
                remaining_ms,
                wait_remaining_ms,
                ended_ms,
            } => self.leases.push(Update {
                lease: *lease,
                epoch: *epoch,
                state: *state,
                because: because.as_deref(),
                used: *used,
                remaining_ms: *remaining_ms,
                wait_remaining_ms: *wait_remaining_ms,
                ended_ms: *ended_ms,
            }),
            Write::ReserveDigest {
                lease,
                digest,
                reserved_ms,
            } => self.reserved.push((*lease, digest, *reserved_ms)),
            Write::InsertLeaseSignature(signature) => self.signed.push(signature),
            _ => {}
        }
    }

    /// Adds what writes everything gathered to a script.
    pub(crate) fn write(&self, script: &mut Script) {
        insert_acts(script, &self.acts);
        insert_certificates(script, &self.certificates);
        claim(script, &self.claims);
        insert_decisions(script, &self.decisions);
        issue(script, &self.issued);
        change_state(script, &self.moved);
        for update in &self.leases {
            update_lease(script, update);
        }
        reserve(script, &self.reserved);
        insert_signatures(script, &self.signed);
        for (size, note) in &self.checkpoints {
            add!(
                script,
                Step::touching(CHECKPOINT, 1),
                "INSERT INTO audit_checkpoint (size, note) VALUES (?, ?) ON CONFLICT DO NOTHING",
                *size,
                *note
            );
        }
    }
}

fn insert_acts(script: &mut Script, acts: &[&ActRecord]) {
    for some in eights(acts) {
        add_eight!(
            script,
            ACT,
            some,
            "INSERT OR FAIL INTO act (id, person_id, verb, payload, signature, nonce, created_ms) VALUES ",
            "(?, ?, ?, ?, ?, ?, ?)",
            " ON CONFLICT DO NOTHING",
            |act| [
                act.id.as_bytes().as_slice(),
                act.person.as_bytes().as_slice(),
                act.verb.as_str(),
                act.payload.as_slice(),
                act.signature.as_slice(),
                act.nonce.as_slice(),
                act.created_ms,
            ]
        );
    }
}

fn insert_certificates(script: &mut Script, certificates: &[&CertificateRecord]) {
    for some in eights(certificates) {
        add_eight!(
            script,
            CERTIFICATE,
            some,
            "INSERT OR FAIL INTO certificate (state, id, ca_id, request_number, act_id, serial, profile, subject, names, \
             not_after_seconds, tbs, epoch, created_ms) VALUES ",
            "('signing', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            " ON CONFLICT DO NOTHING",
            |certificate| [
                certificate.id.as_bytes().as_slice(),
                certificate.ca.as_bytes().as_slice(),
                certificate.request.map(|request| request.0),
                certificate.act.as_bytes().as_slice(),
                certificate.serial.as_slice(),
                certificate.profile.as_str(),
                certificate.subject.as_str(),
                certificate.names.as_str(),
                certificate.not_after_seconds,
                certificate.tbs.as_slice(),
                certificate.epoch,
                certificate.created_ms,
            ]
        );
    }
}

fn claim(script: &mut Script, claims: &[(RequestNumber, CertificateId)]) {
    for some in eights(claims) {
        add_eight!(
            script,
            REQUEST,
            some,
            "WITH claim (number, certificate_id) AS (VALUES ",
            "(?, ?)",
            ") UPDATE OR FAIL request SET state = 'signing', certificate_id = claim.certificate_id FROM claim \
             WHERE request.number = claim.number AND +request.state = 'approved'",
            |claim| [claim.0.0, claim.1.as_bytes().as_slice()]
        );
    }
}

fn insert_decisions(script: &mut Script, decisions: &[(RequestNumber, DecisionKind, ActId)]) {
    for some in eights(decisions) {
        add_eight!(
            script,
            DECISION,
            some,
            "INSERT OR FAIL INTO decision (request_number, place, kind, act_id) VALUES ",
            "(?, (SELECT COALESCE(MAX(place), 0) + 1 FROM decision WHERE request_number = ?), ?, ?)",
            " ON CONFLICT DO NOTHING",
            |decision| [
                decision.0.0,
                decision.0.0,
                decision.1.name(),
                decision.2.as_bytes().as_slice(),
            ]
        );
    }
}

fn issue(script: &mut Script, issued: &[(CertificateId, i64, &[u8])]) {
    for some in eights(issued) {
        add_eight!(
            script,
            CERTIFICATE,
            some,
            "WITH issued (id, epoch, der) AS (VALUES ",
            "(?, ?, ?)",
            ") UPDATE OR FAIL certificate SET state = 'issued', der = issued.der FROM issued \
             WHERE certificate.id = issued.id AND +certificate.state = 'signing' AND certificate.epoch = issued.epoch",
            |issued| [issued.0.as_bytes().as_slice(), issued.1, issued.2]
        );
    }
}

fn change_state(script: &mut Script, moved: &[(RequestNumber, RequestState, RequestState)]) {
    for some in eights(moved) {
        add_eight!(
            script,
            REQUEST,
            some,
            "WITH moved (number, old, new) AS (VALUES ",
            "(?, ?, ?)",
            ") UPDATE OR FAIL request SET state = moved.new FROM moved \
             WHERE request.number = moved.number AND +request.state = moved.old",
            |moved| [moved.0.0, moved.1.name(), moved.2.name()]
        );
    }
}

fn update_lease(script: &mut Script, update: &Update<'_>) {
    add!(
        script,
        Step::touching(LEASE, 1),
        "UPDATE lease SET state = ?, because = ?, used = MAX(used, ?), remaining_ms = MIN(remaining_ms, ?), \
         wait_remaining_ms = MIN(wait_remaining_ms, ?), ended_ms = ? WHERE id = ? AND epoch = ? AND ended_ms IS NULL",
        update.state.name(),
        update.because,
        update.used,
        update.remaining_ms,
        update.wait_remaining_ms,
        update.ended_ms,
        update.lease.as_bytes().as_slice(),
        update.epoch
    );
}

fn reserve(script: &mut Script, reserved: &[(LeaseId, &str, i64)]) {
    for some in eights(reserved) {
        add_eight!(
            script,
            LEASE_DIGEST,
            some,
            "INSERT OR FAIL INTO lease_digest (lease_id, digest, reserved_ms) VALUES ",
            "(?, ?, ?)",
            " ON CONFLICT DO NOTHING",
            |digest| [digest.0.as_bytes().as_slice(), digest.1, digest.2]
        );
    }
}

fn insert_signatures(script: &mut Script, signed: &[&LeaseSignatureRecord]) {
    for some in eights(signed) {
        add_eight!(
            script,
            LEASE_SIGNATURE,
            some,
            "INSERT OR FAIL INTO lease_signature (lease_id, digest, signature, hsm_id, attempt, signed_ms, leaf_hash, \
             log_size) VALUES ",
            "(?, ?, ?, ?, ?, ?, ?, (SELECT size FROM audit_head WHERE id = 1))",
            " ON CONFLICT DO NOTHING",
            |signature| [
                signature.lease.as_bytes().as_slice(),
                signature.digest.as_str(),
                signature.signature.as_slice(),
                signature.hsm.as_bytes().as_slice(),
                signature.attempt,
                signature.signed_ms,
                signature.leaf_hash.as_slice(),
            ]
        );
    }
}

/// Adds leaves of the audit log, each at its index.
pub(super) fn insert_leaves(script: &mut Script, leaves: &[(i64, &[u8])]) {
    for some in eights(leaves) {
        add_eight!(
            script,
            LEAF,
            some,
            "INSERT OR FAIL INTO audit_leaf (leaf_index, body) VALUES ",
            "(?, ?)",
            " ON CONFLICT DO NOTHING",
            |leaf| [leaf.0, leaf.1]
        );
    }
}

/// Eight rows at a time; places that are left over hold the first again.
fn eights<R: Copy>(rows: &[R]) -> impl Iterator<Item = Eight<R>> {
    rows.chunks(EIGHT).filter_map(|some| {
        let mut rows = [*some.first()?; EIGHT];
        for (place, row) in rows.iter_mut().zip(some) {
            *place = *row;
        }
        let count = some.len();
        Some(Eight { rows, count })
    })
}
