//! Many requests with the decisions on them, in few questions: each question costs a round trip, which is more than its
//! work. Sixteen keys a question; places that are left over repeat the first key.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use chancery_api::RequestNumber;
use chancery_store::{ActRecord, DecidedRequest, DecisionKind, DecisionRecord, RequestRecord, StoreError};

use super::{
    acts::{ACT, ActRow},
    error::Key,
    requests::{DECISION, REQUEST, RequestRow},
};
use crate::database::Pool;

/// Keys asked for in one question.
const AT_ONCE: usize = 16;

pub(crate) struct DecisionKeyRow {
    pub(crate) request_number: i64,
    pub(crate) kind: String,
    pub(crate) act_id: Vec<u8>,
}

/// The questions are asked one after the other, each on what is there then. A decision is never changed and its act is
/// inserted before it, so that each decision read finds its act.
pub(crate) async fn decided(
    pool: &Pool,
    numbers: &[RequestNumber],
) -> Result<Vec<DecidedRequest>, StoreError> {
    let numbers: BTreeSet<i64> = numbers.iter().map(|number| number.0).collect();
    let numbers: Vec<i64> = numbers.into_iter().collect();
    let mut requests = Vec::with_capacity(numbers.len());
    for some in numbers.chunks(AT_ONCE) {
        requests.extend(self::requests(pool, &filled(some)).await?);
    }
    let mut decisions = Vec::with_capacity(numbers.len());
    for some in numbers.chunks(AT_ONCE) {
        decisions.extend(keys(pool, &filled(some)).await?);
    }
    let ids: BTreeSet<&[u8]> = decisions.iter().map(|row| row.act_id.as_slice()).collect();
    let ids: Vec<&[u8]> = ids.into_iter().collect();
    let mut acts = Vec::with_capacity(ids.len());
    for some in ids.chunks(AT_ONCE) {
        acts.extend(self::acts(pool, &filled(some)).await?);
    }
    assemble(requests, decisions, acts)
}

/// Requests with the decisions on them, in the decisions' order.
pub(crate) fn assemble(
    requests: Vec<RequestRow>,
    decisions: Vec<DecisionKeyRow>,
    acts: Vec<ActRow>,
) -> Result<Vec<DecidedRequest>, StoreError> {
    let mut found = BTreeMap::new();
    for row in requests {
        let request = RequestRecord::try_from(row)?;
        let decisions = Vec::new();
        found.insert(request.number.0, DecidedRequest { request, decisions });
    }
    let mut known = BTreeMap::new();
    for row in acts {
        let act = ActRecord::try_from(row)?;
        known.insert(act.id.as_bytes().to_vec(), Arc::new(act));
    }
    for row in decisions {
        let at = DECISION.row(Key::Number(row.request_number));
        let act = known
            .get(row.act_id.as_slice())
            .ok_or_else(|| at.corrupt("its act is not there".to_owned()))?;
        let decision = DecisionRecord {
            request: RequestNumber(row.request_number),
            kind: at.column("kind", DecisionKind::from_name(&row.kind))?,
            act: Arc::clone(act),
        };
        // A request that appeared between the questions was not asked for.
        if let Some(decided) = found.get_mut(&row.request_number) {
            decided.decisions.push(decision);
        }
    }
    Ok(found.into_values().collect())
}

async fn requests(pool: &Pool, numbers: &[i64; AT_ONCE]) -> Result<Vec<RequestRow>, StoreError> {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *numbers;
    sqlx::query_as!(
        RequestRow,
        "SELECT number, kind, state, title, document, evidence, tbs, certificate_id, created_by_uid, created_ms \
         FROM request \
         WHERE number IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p
    )
    .fetch_all(pool)
    .await
    .map_err(|error| REQUEST.read_error(error))
}

async fn keys(pool: &Pool, numbers: &[i64; AT_ONCE]) -> Result<Vec<DecisionKeyRow>, StoreError> {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *numbers;
    sqlx::query_as!(
        DecisionKeyRow,
        "SELECT request_number, kind, act_id FROM decision \
         WHERE request_number IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
         ORDER BY request_number, place",
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
        k,
        l,
        m,
        n,
        o,
        p
    )
    .fetch_all(pool)
    .await
    .map_err(|error| DECISION.read_error(error))
}

async fn acts(pool: &Pool, ids: &[&[u8]; AT_ONCE]) -> Result<Vec<ActRow>, StoreError> {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *ids;
    sqlx::query_as!(
        ActRow,
        "SELECT id, person_id, verb, payload, signature, nonce, created_ms FROM act \
         WHERE id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        a,
        b,
        c,
        d,
        e,
        f,
        g,
        h,
        i,
        j,
        k,
        l,
        m,
        n,
        o,
        p
    )
    .fetch_all(pool)
    .await
    .map_err(|error| ACT.read_error(error))
}

/// The keys and, in the places left over, the first again. There is at least one key, and no more than there are places.
fn filled<K: Copy + Default>(some: &[K]) -> [K; AT_ONCE] {
    let mut all = [some.first().copied().unwrap_or_default(); AT_ONCE];
    for (place, key) in all.iter_mut().zip(some) {
        *place = *key;
    }
    all
}
