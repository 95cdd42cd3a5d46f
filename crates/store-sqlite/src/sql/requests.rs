//! Requests and the decisions on them.

use chancery_api::{ActId, CertificateId, RequestNumber};
use chancery_store::{
    ActRecord, DecisionKind, DecisionRecord, RequestKind, RequestRecord, RequestState, StoreError,
};

use super::{
    acts::ActRow,
    error::{Key, Table, WriteError, table},
};
use crate::database::{Connection, Pool};

pub(crate) const REQUEST: Table = table!("request");
pub(crate) const DECISION: Table = table!("decision");

pub(crate) struct RequestRow {
    pub(crate) number: i64,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) title: String,
    pub(crate) document: Vec<u8>,
    pub(crate) evidence: Vec<u8>,
    pub(crate) tbs: Option<Vec<u8>>,
    pub(crate) certificate_id: Option<Vec<u8>>,
    pub(crate) created_by_uid: i64,
    pub(crate) created_ms: i64,
}

impl TryFrom<RequestRow> for RequestRecord {
    type Error = StoreError;

    fn try_from(row: RequestRow) -> Result<Self, StoreError> {
        let at = REQUEST.row(Key::Number(row.number));
        let certificate = row
            .certificate_id
            .map(|id| at.column("certificate_id", CertificateId::from_slice(&id)));
        Ok(Self {
            number: RequestNumber(row.number),
            kind: at.column("kind", RequestKind::from_name(&row.kind))?,
            state: at.column("state", RequestState::from_name(&row.state))?,
            title: row.title,
            document: row.document,
            evidence: row.evidence,
            tbs: row.tbs,
            certificate: certificate.transpose()?,
            created_by_uid: row.created_by_uid,
            created_ms: row.created_ms,
        })
    }
}

/// A decision with the act that proves it.
struct DecisionRow {
    request_number: i64,
    kind: String,
    id: Vec<u8>,
    person_id: Vec<u8>,
    verb: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
    nonce: Vec<u8>,
    created_ms: i64,
}

impl TryFrom<DecisionRow> for DecisionRecord {
    type Error = StoreError;

    fn try_from(row: DecisionRow) -> Result<Self, StoreError> {
        let at = DECISION.row(Key::Number(row.request_number));
        Ok(Self {
            request: RequestNumber(row.request_number),
            kind: at.column("kind", DecisionKind::from_name(&row.kind))?,
            act: ActRecord::try_from(ActRow {
                id: row.id,
                person_id: row.person_id,
                verb: row.verb,
                payload: row.payload,
                signature: row.signature,
                nonce: row.nonce,
                created_ms: row.created_ms,
            })?
            .into(),
        })
    }
}

macro_rules! select {
    ($tail:literal $(, $argument:expr)*) => {
        sqlx::query_as!(
            RequestRow,
            "SELECT number, kind, state, title, document, evidence, tbs, certificate_id, created_by_uid, created_ms \
             FROM request " + $tail
            $(, $argument)*
        )
    };
}

pub(crate) async fn last(pool: &Pool) -> Result<RequestNumber, StoreError> {
    let number = sqlx::query_scalar!(r#"SELECT COALESCE(MAX(number), 0) AS "number!: i64" FROM request"#)
        .fetch_one(pool)
        .await
        .map_err(|error| REQUEST.read_error(error))?;
    Ok(RequestNumber(number))
}

pub(crate) async fn request(pool: &Pool, number: RequestNumber) -> Result<Option<RequestRecord>, StoreError> {
    let row = select!("WHERE number = $1", number.0).fetch_optional(pool).await;
    row.map_err(|error| REQUEST.read_error(error))?
        .map(RequestRecord::try_from)
        .transpose()
}

pub(crate) async fn requests(
    pool: &Pool,
    state: Option<RequestState>,
    before: Option<RequestNumber>,
    limit: i64,
) -> Result<Vec<RequestRecord>, StoreError> {
    let before = before.map_or(i64::MAX, |number| number.0);
    let rows = match state.map(RequestState::name) {
        Some(state) => {
            select!(
                "WHERE state = $1 AND number < $2 ORDER BY number DESC LIMIT $3",
                state,
                before,
                limit
            )
            .fetch_all(pool)
            .await
        }
        None => {
            select!("WHERE number < $1 ORDER BY number DESC LIMIT $2", before, limit)
                .fetch_all(pool)
                .await
        }
    };
    let rows = rows.map_err(|error| REQUEST.read_error(error))?;
    rows.into_iter().map(RequestRecord::try_from).collect()
}

pub(crate) async fn decisions(
    pool: &Pool,
    request: RequestNumber,
) -> Result<Vec<DecisionRecord>, StoreError> {
    let rows = sqlx::query_as!(
        DecisionRow,
        "SELECT decision.request_number, decision.kind, act.id, act.person_id, act.verb, act.payload, \
         act.signature, act.nonce, act.created_ms \
         FROM decision JOIN act ON act.id = decision.act_id \
         WHERE decision.request_number = $1 ORDER BY decision.place",
        request.0
    )
    .fetch_all(pool)
    .await
    .map_err(|error| DECISION.read_error(error))?;
    rows.into_iter().map(DecisionRecord::try_from).collect()
}

pub(crate) async fn insert(connection: &mut Connection, request: &RequestRecord) -> Result<(), WriteError> {
    let (kind, state) = (request.kind.name(), request.state.name());
    let certificate = request.certificate.as_ref().map(|id| id.as_bytes().as_slice());
    let result = sqlx::query!(
        "INSERT INTO request (number, kind, state, title, document, evidence, tbs, certificate_id, \
         created_by_uid, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        request.number.0,
        kind,
        state,
        request.title,
        request.document,
        request.evidence,
        request.tbs,
        certificate,
        request.created_by_uid,
        request.created_ms
    )
    .execute(connection)
    .await;
    REQUEST.inserted(&request.number, result)
}

pub(crate) async fn change_state(
    connection: &mut Connection,
    request: RequestNumber,
    from: RequestState,
    to: RequestState,
) -> Result<(), WriteError> {
    let (from, to) = (from.name(), to.name());
    let result = sqlx::query!(
        "UPDATE request SET state = $3 WHERE number = $1 AND state = $2",
        request.0,
        from,
        to
    )
    .execute(connection)
    .await;
    REQUEST.updated(
        &request,
        result,
        &format_args!("a request in state {from} was expected"),
    )
}

pub(crate) async fn set_tbs(
    connection: &mut Connection,
    request: RequestNumber,
    state: RequestState,
    tbs: &[u8],
) -> Result<(), WriteError> {
    let state = state.name();
    let result = sqlx::query!(
        "UPDATE request SET tbs = $3 WHERE number = $1 AND state = $2",
        request.0,
        state,
        tbs
    )
    .execute(connection)
    .await;
    REQUEST.updated(
        &request,
        result,
        &format_args!("a request in state {state} was expected"),
    )
}

pub(crate) async fn claim(
    connection: &mut Connection,
    request: RequestNumber,
    certificate: CertificateId,
) -> Result<(), WriteError> {
    let certificate = certificate.as_bytes().as_slice();
    let result = sqlx::query!(
        "UPDATE request SET state = 'signing', certificate_id = $2 \
         WHERE number = $1 AND state = 'approved'",
        request.0,
        certificate
    )
    .execute(connection)
    .await;
    REQUEST.updated(&request, result, &"a request in state approved was expected")
}

pub(crate) async fn insert_decision(
    connection: &mut Connection,
    request: RequestNumber,
    kind: DecisionKind,
    act: ActId,
) -> Result<(), WriteError> {
    let (kind, act) = (kind.name(), act.as_bytes().as_slice());
    let result = sqlx::query!(
        "INSERT INTO decision (request_number, place, kind, act_id) \
         SELECT $1, COALESCE(MAX(place), 0) + 1, $2, $3 FROM decision WHERE request_number = $1",
        request.0,
        kind,
        act
    )
    .execute(connection)
    .await;
    DECISION.inserted(&request, result)
}
