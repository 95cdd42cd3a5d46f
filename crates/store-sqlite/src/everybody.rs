//! What a decision needs to read, in one call to the database's thread and from one state of the database: everybody, the
//! requests, those that made the people, the decisions on them and their acts.

use std::{collections::BTreeSet, fmt::Write as _};

use chancery_api::RequestNumber;
use chancery_store::{DecidedRequest, PersonRecord, StoreError};
use sqlx::{Row as _, sqlite::SqliteRow};

use crate::{
    database::Connection,
    script::{Script, Step, add},
    sql::{ACT, ActRow, DECISION, DecisionKeyRow, PERSON, PersonRow, REQUEST, RequestRow, Table, assemble},
};

/// Everybody, by name, and requests with the decisions on them: those asked for and those that made the people.
pub(crate) async fn everybody_and(
    connection: &mut Connection,
    numbers: &[RequestNumber],
) -> Result<(Vec<PersonRecord>, Vec<DecidedRequest>), StoreError> {
    let numbers = list(numbers);
    let numbers = numbers.as_str();
    let mut script = Script::default();
    script.statement(Step::about(PERSON), "BEGIN");
    add!(
        script,
        Step::about(PERSON),
        as PersonRow,
        "SELECT id, name, document, public_key, chain, key_request, request_number, created_ms \
         FROM person ORDER BY name"
    );
    add!(
        script,
        Step::about(REQUEST),
        as RequestRow,
        "SELECT number, kind, state, title, document, evidence, tbs, certificate_id, created_by_uid, created_ms \
         FROM request WHERE number IN (SELECT value FROM json_each(?) UNION SELECT request_number FROM person)",
        numbers
    );
    add!(
        script,
        Step::about(DECISION),
        as DecisionKeyRow,
        "SELECT request_number, kind, act_id FROM decision \
         WHERE request_number IN (SELECT value FROM json_each(?) UNION SELECT request_number FROM person) \
         ORDER BY request_number, place",
        numbers
    );
    add!(
        script,
        Step::about(ACT),
        as ActRow,
        "SELECT id, person_id, verb, payload, signature, nonce, created_ms FROM act \
         WHERE id IN (SELECT act_id FROM decision \
         WHERE request_number IN (SELECT value FROM json_each(?) UNION SELECT request_number FROM person))",
        numbers
    );
    script.statement(Step::about(PERSON), "COMMIT");
    let found = script.read(connection).await?;
    let [_, people, requests, decisions, acts, _] = found.as_slice() else {
        let source = "not as many answers as questions".into();
        let doing = PERSON.reading;
        return Err(StoreError::Database { doing, source });
    };
    let mut everybody = Vec::with_capacity(people.len());
    for row in rows(PERSON, people, person)? {
        everybody.push(PersonRecord::try_from(row)?);
    }
    let requests = rows(REQUEST, requests, request)?;
    let decisions = rows(DECISION, decisions, decision)?;
    let acts = rows(ACT, acts, act)?;
    Ok((everybody, assemble(requests, decisions, acts)?))
}

/// Numbers as a JSON array, each once.
fn list(numbers: &[RequestNumber]) -> String {
    let numbers: BTreeSet<i64> = numbers.iter().map(|number| number.0).collect();
    let mut text = String::from("[");
    for number in numbers {
        let comma = if text.len() > 1 { "," } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, "{comma}{number}");
    }
    text.push(']');
    text
}

fn rows<R>(
    table: Table,
    rows: &[SqliteRow],
    read: fn(&SqliteRow) -> Result<R, sqlx::Error>,
) -> Result<Vec<R>, StoreError> {
    let rows: Result<Vec<R>, _> = rows.iter().map(read).collect();
    rows.map_err(|error| table.read_error(error))
}

fn person(row: &SqliteRow) -> Result<PersonRow, sqlx::Error> {
    Ok(PersonRow {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        document: row.try_get(2)?,
        public_key: row.try_get(3)?,
        chain: row.try_get(4)?,
        key_request: row.try_get(5)?,
        request_number: row.try_get(6)?,
        created_ms: row.try_get(7)?,
    })
}

fn request(row: &SqliteRow) -> Result<RequestRow, sqlx::Error> {
    Ok(RequestRow {
        number: row.try_get(0)?,
        kind: row.try_get(1)?,
        state: row.try_get(2)?,
        title: row.try_get(3)?,
        document: row.try_get(4)?,
        evidence: row.try_get(5)?,
        tbs: row.try_get(6)?,
        certificate_id: row.try_get(7)?,
        created_by_uid: row.try_get(8)?,
        created_ms: row.try_get(9)?,
    })
}

fn decision(row: &SqliteRow) -> Result<DecisionKeyRow, sqlx::Error> {
    Ok(DecisionKeyRow {
        request_number: row.try_get(0)?,
        kind: row.try_get(1)?,
        act_id: row.try_get(2)?,
    })
}

fn act(row: &SqliteRow) -> Result<ActRow, sqlx::Error> {
    Ok(ActRow {
        id: row.try_get(0)?,
        person_id: row.try_get(1)?,
        verb: row.try_get(2)?,
        payload: row.try_get(3)?,
        signature: row.try_get(4)?,
        nonce: row.try_get(5)?,
        created_ms: row.try_get(6)?,
    })
}
