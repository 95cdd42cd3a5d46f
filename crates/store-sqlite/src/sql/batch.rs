//! Rows of one kind, eight a statement: each statement costs a round trip, which is more than its work.
//!
//! Places that are left over repeat the first row, and a row that is there already is left alone. So what a statement has done is told
//! by the number of rows it touched: less than were asked for means that something did not fit, not what. Whoever needs to know writes
//! the rows one by one.

use chancery_api::{ActId, CertificateId, RequestNumber};
use chancery_store::{
    ActRecord, CertificateRecord, CertificateState, Change, DecisionKind, RequestState, Write,
};

use super::{
    acts::ACT,
    certificates::CERTIFICATE,
    error::{Table, WriteError},
    requests::{DECISION, REQUEST},
};
use crate::database::{Connection, QueryResult};

/// Rows a statement.
pub(super) const EIGHT: usize = 8;

/// The rows of changes that issue certificates: those that claim signatures and those that record them.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    acts: Vec<&'a ActRecord>,
    certificates: Vec<&'a CertificateRecord>,
    claims: Vec<(RequestNumber, CertificateId)>,
    decisions: Vec<(RequestNumber, DecisionKind, ActId)>,
    issued: Vec<(i64, CertificateId, &'a [u8])>,
    moved: Vec<(RequestState, RequestState, RequestNumber)>,
}

impl<'a> Batch<'a> {
    /// Takes a change's rows, if all of them are of the kinds gathered here.
    ///
    /// The changes of a group were handed in while none of them was made: none builds on another, and any order is right. Within a
    /// change, [`Self::write`] keeps the order that rows which refer to each other need.
    pub(crate) fn take(&mut self, change: &'a Change) -> bool {
        let fits = change.writes.iter().all(|write| match write {
            Write::InsertAct(_)
            | Write::ClaimRequest { .. }
            | Write::InsertDecision { .. }
            | Write::IssueCertificate { .. } => true,
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
                self.issued.push((*epoch, *certificate, der));
            }
            Write::MoveRequest { request, from, to } => self.moved.push((*from, *to, *request)),
            _ => {}
        }
    }

    /// Writes everything gathered; `false` when not every row fitted, and then the transaction has to be given up.
    pub(crate) async fn write(self, connection: &mut Connection) -> Result<bool, WriteError> {
        // A statement has one epoch and one change of state. More in a group is possible, and rare.
        let same_epoch = self
            .issued
            .iter()
            .all(|(epoch, ..)| self.issued.first().is_some_and(|first| first.0 == *epoch));
        let same_move = self.moved.iter().all(|(from, to, _)| {
            self.moved
                .first()
                .is_some_and(|first| (first.0, first.1) == (*from, *to))
        });
        if !same_epoch || !same_move {
            return Ok(false);
        }
        Ok(insert_acts(connection, &self.acts).await?
            && insert_certificates(connection, &self.certificates).await?
            && claim(connection, &self.claims).await?
            && insert_decisions(connection, &self.decisions).await?
            && issue(connection, &self.issued).await?
            && change_state(connection, &self.moved).await?)
    }
}

async fn insert_acts(connection: &mut Connection, rows: &[&ActRecord]) -> Result<bool, WriteError> {
    for some in rows.chunks(EIGHT) {
        let Some([a, b, c, d, e, f, g, h]) = filled(some) else {
            continue;
        };
        let id = |act: &ActRecord| act.id.as_bytes().to_vec();
        let person = |act: &ActRecord| act.person.as_bytes().to_vec();
        let (ids, people) = (
            [a, b, c, d, e, f, g, h].map(id),
            [a, b, c, d, e, f, g, h].map(person),
        );
        let [ia, ib, ic, id, ie, if_, ig, ih] = &ids;
        let [pa, pb, pc, pd, pe, pf, pg, ph] = &people;
        let result = sqlx::query!(
            "INSERT INTO act (id, person_id, verb, payload, signature, nonce, created_ms) VALUES \
             ($1, $2, $3, $4, $5, $6, $7), ($8, $9, $10, $11, $12, $13, $14), \
             ($15, $16, $17, $18, $19, $20, $21), ($22, $23, $24, $25, $26, $27, $28), \
             ($29, $30, $31, $32, $33, $34, $35), ($36, $37, $38, $39, $40, $41, $42), \
             ($43, $44, $45, $46, $47, $48, $49), ($50, $51, $52, $53, $54, $55, $56) \
             ON CONFLICT DO NOTHING",
            ia,
            pa,
            a.verb,
            a.payload,
            a.signature,
            a.nonce,
            a.created_ms,
            ib,
            pb,
            b.verb,
            b.payload,
            b.signature,
            b.nonce,
            b.created_ms,
            ic,
            pc,
            c.verb,
            c.payload,
            c.signature,
            c.nonce,
            c.created_ms,
            id,
            pd,
            d.verb,
            d.payload,
            d.signature,
            d.nonce,
            d.created_ms,
            ie,
            pe,
            e.verb,
            e.payload,
            e.signature,
            e.nonce,
            e.created_ms,
            if_,
            pf,
            f.verb,
            f.payload,
            f.signature,
            f.nonce,
            f.created_ms,
            ig,
            pg,
            g.verb,
            g.payload,
            g.signature,
            g.nonce,
            g.created_ms,
            ih,
            ph,
            h.verb,
            h.payload,
            h.signature,
            h.nonce,
            h.created_ms
        )
        .execute(&mut *connection)
        .await;
        if !touched(ACT, result, some.len())? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn insert_certificates(
    connection: &mut Connection,
    rows: &[&CertificateRecord],
) -> Result<bool, WriteError> {
    for some in rows.chunks(EIGHT) {
        let Some([a, b, c, d, e, f, g, h]) = filled(some) else {
            continue;
        };
        let keys = |row: &CertificateRecord| {
            let request = row.request.map(|request| request.0);
            (
                row.id.as_bytes().to_vec(),
                row.ca.as_bytes().to_vec(),
                request,
                row.act.as_bytes().to_vec(),
            )
        };
        let [ka, kb, kc, kd, ke, kf, kg, kh] = &[a, b, c, d, e, f, g, h].map(keys);
        let result = sqlx::query!(
            "INSERT INTO certificate (state, id, ca_id, request_number, act_id, serial, profile, subject, names, \
             not_after_seconds, tbs, epoch, created_ms) VALUES \
             ('signing', $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12), \
             ('signing', $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24), \
             ('signing', $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36), \
             ('signing', $37, $38, $39, $40, $41, $42, $43, $44, $45, $46, $47, $48), \
             ('signing', $49, $50, $51, $52, $53, $54, $55, $56, $57, $58, $59, $60), \
             ('signing', $61, $62, $63, $64, $65, $66, $67, $68, $69, $70, $71, $72), \
             ('signing', $73, $74, $75, $76, $77, $78, $79, $80, $81, $82, $83, $84), \
             ('signing', $85, $86, $87, $88, $89, $90, $91, $92, $93, $94, $95, $96) \
             ON CONFLICT DO NOTHING",
            ka.0, ka.1, ka.2, ka.3, a.serial, a.profile, a.subject, a.names, a.not_after_seconds, a.tbs, a.epoch, a.created_ms,
            kb.0, kb.1, kb.2, kb.3, b.serial, b.profile, b.subject, b.names, b.not_after_seconds, b.tbs, b.epoch, b.created_ms,
            kc.0, kc.1, kc.2, kc.3, c.serial, c.profile, c.subject, c.names, c.not_after_seconds, c.tbs, c.epoch, c.created_ms,
            kd.0, kd.1, kd.2, kd.3, d.serial, d.profile, d.subject, d.names, d.not_after_seconds, d.tbs, d.epoch, d.created_ms,
            ke.0, ke.1, ke.2, ke.3, e.serial, e.profile, e.subject, e.names, e.not_after_seconds, e.tbs, e.epoch, e.created_ms,
            kf.0, kf.1, kf.2, kf.3, f.serial, f.profile, f.subject, f.names, f.not_after_seconds, f.tbs, f.epoch, f.created_ms,
            kg.0, kg.1, kg.2, kg.3, g.serial, g.profile, g.subject, g.names, g.not_after_seconds, g.tbs, g.epoch, g.created_ms,
            kh.0, kh.1, kh.2, kh.3, h.serial, h.profile, h.subject, h.names, h.not_after_seconds, h.tbs, h.epoch, h.created_ms
        )
        .execute(&mut *connection)
        .await;
        if !touched(CERTIFICATE, result, some.len())? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn claim(
    connection: &mut Connection,
    rows: &[(RequestNumber, CertificateId)],
) -> Result<bool, WriteError> {
    for some in rows.chunks(EIGHT) {
        let Some(eight) = filled(some) else { continue };
        let [a, b, c, d, e, f, g, h] = eight.map(|(request, _)| request.0);
        let ids = eight.map(|(_, certificate)| certificate.as_bytes().to_vec());
        let [ia, ib, ic, id, ie, if_, ig, ih] = &ids;
        let result = sqlx::query!(
            "UPDATE request SET state = 'signing', certificate_id = CASE number \
             WHEN $1 THEN $2 WHEN $3 THEN $4 WHEN $5 THEN $6 WHEN $7 THEN $8 \
             WHEN $9 THEN $10 WHEN $11 THEN $12 WHEN $13 THEN $14 WHEN $15 THEN $16 ELSE certificate_id END \
             WHERE state = 'approved' AND number IN ($1, $3, $5, $7, $9, $11, $13, $15)",
            a,
            ia,
            b,
            ib,
            c,
            ic,
            d,
            id,
            e,
            ie,
            f,
            if_,
            g,
            ig,
            h,
            ih
        )
        .execute(&mut *connection)
        .await;
        if !touched(REQUEST, result, some.len())? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn insert_decisions(
    connection: &mut Connection,
    rows: &[(RequestNumber, DecisionKind, ActId)],
) -> Result<bool, WriteError> {
    for some in rows.chunks(EIGHT) {
        let Some(eight) = filled(some) else { continue };
        let [a, b, c, d, e, f, g, h] = eight.map(|(request, ..)| request.0);
        let [ka, kb, kc, kd, ke, kf, kg, kh] = eight.map(|(_, kind, _)| kind.name());
        let ids = eight.map(|(.., act)| act.as_bytes().to_vec());
        let [ia, ib, ic, id, ie, if_, ig, ih] = &ids;
        let result = sqlx::query!(
            "INSERT INTO decision (request_number, place, kind, act_id) VALUES \
             ($1, (SELECT COALESCE(MAX(place), 0) + 1 FROM decision WHERE request_number = $1), $2, $3), \
             ($4, (SELECT COALESCE(MAX(place), 0) + 1 FROM decision WHERE request_number = $4), $5, $6), \
             ($7, (SELECT COALESCE(MAX(place), 0) + 1 FROM decision WHERE request_number = $7), $8, $9), \
             ($10, (SELECT COALESCE(MAX(place), 0) + 1 FROM decision WHERE request_number = $10), $11, $12), \
             ($13, (SELECT COALESCE(MAX(place), 0) + 1 FROM decision WHERE request_number = $13), $14, $15), \
             ($16, (SELECT COALESCE(MAX(place), 0) + 1 FROM decision WHERE request_number = $16), $17, $18), \
             ($19, (SELECT COALESCE(MAX(place), 0) + 1 FROM decision WHERE request_number = $19), $20, $21), \
             ($22, (SELECT COALESCE(MAX(place), 0) + 1 FROM decision WHERE request_number = $22), $23, $24) \
             ON CONFLICT DO NOTHING",
            a,
            ka,
            ia,
            b,
            kb,
            ib,
            c,
            kc,
            ic,
            d,
            kd,
            id,
            e,
            ke,
            ie,
            f,
            kf,
            if_,
            g,
            kg,
            ig,
            h,
            kh,
            ih
        )
        .execute(&mut *connection)
        .await;
        if !touched(DECISION, result, some.len())? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn issue(
    connection: &mut Connection,
    rows: &[(i64, CertificateId, &[u8])],
) -> Result<bool, WriteError> {
    for some in rows.chunks(EIGHT) {
        let Some(eight) = filled(some) else { continue };
        let (epoch, ..) = eight[0];
        let [a, b, c, d, e, f, g, h] = eight.map(|(.., der)| der);
        let ids = eight.map(|(_, id, _)| id.as_bytes().to_vec());
        let [ia, ib, ic, id, ie, if_, ig, ih] = &ids;
        let result = sqlx::query!(
            "UPDATE certificate SET state = 'issued', der = CASE id \
             WHEN $2 THEN $3 WHEN $4 THEN $5 WHEN $6 THEN $7 WHEN $8 THEN $9 \
             WHEN $10 THEN $11 WHEN $12 THEN $13 WHEN $14 THEN $15 WHEN $16 THEN $17 ELSE der END \
             WHERE state = 'signing' AND epoch = $1 AND id IN ($2, $4, $6, $8, $10, $12, $14, $16)",
            epoch,
            ia,
            a,
            ib,
            b,
            ic,
            c,
            id,
            d,
            ie,
            e,
            if_,
            f,
            ig,
            g,
            ih,
            h
        )
        .execute(&mut *connection)
        .await;
        if !touched(CERTIFICATE, result, some.len())? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn change_state(
    connection: &mut Connection,
    rows: &[(RequestState, RequestState, RequestNumber)],
) -> Result<bool, WriteError> {
    for some in rows.chunks(EIGHT) {
        let Some(eight) = filled(some) else { continue };
        let (from, to, _) = eight[0];
        let (from, to) = (from.name(), to.name());
        let [a, b, c, d, e, f, g, h] = eight.map(|(.., request)| request.0);
        let result = sqlx::query!(
            "UPDATE request SET state = $2 WHERE state = $1 AND number IN ($3, $4, $5, $6, $7, $8, $9, $10)",
            from,
            to,
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h
        )
        .execute(&mut *connection)
        .await;
        if !touched(REQUEST, result, some.len())? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The rows and, in the places left over, the first again; `None` when there is no row.
pub(super) fn filled<R: Copy>(some: &[R]) -> Option<[R; EIGHT]> {
    let mut all = [*some.first()?; EIGHT];
    for (place, row) in all.iter_mut().zip(some) {
        *place = *row;
    }
    Some(all)
}

/// Whether exactly so many rows were touched. A violated constraint means that something did not fit.
fn touched(table: Table, result: Result<QueryResult, sqlx::Error>, rows: usize) -> Result<bool, WriteError> {
    match result.map_err(|error| table.write_error(&"one of a batch", error)) {
        Ok(result) => Ok(usize::try_from(result.rows_affected()) == Ok(rows)),
        Err(WriteError::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
