//! Rows give no rights: what is changed in the database from outside is noticed before an HSM is asked.

use chancery_api::{Failure, FailureKind, HsmLock, Intent, RequestNumber, Role};
use sqlx::{Connection as _, SqliteConnection};

use crate::support::{World, csr};

/// Changes the database as another program would.
async fn edit(world: &World, sql: &str) {
    let url = format!("sqlite://{}", world.dir.path().join("center.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let changed = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    assert!(changed.rows_affected() > 0, "the edit changed nothing: {sql}");
    connection.close().await.unwrap();
}

/// Signing is refused, and no SIGN command reached an HSM.
async fn refused(world: &World, request: RequestNumber) -> Failure {
    let before = world.signs();
    let failure = world.sign(request).await.unwrap_err();
    assert!(
        matches!(failure.kind, FailureKind::Refused | FailureKind::Blocked),
        "{failure:?}"
    );
    assert!(
        world.center.cert_show(&format!("#{request}")).await.is_err(),
        "no certificate is recorded"
    );
    assert_eq!(before, world.signs());
    failure
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_hsm_locked_no_edit_makes_it_sign() {
    let world = World::ready().await;
    let request = world.approved("www.example.com").await;
    world.center.hsm_lock(&HsmLock { hsms: vec![] }, 0).await.unwrap();
    for sql in [
        "UPDATE hsm SET quorum_required = 0, quorum_total = 0",
        "UPDATE replica SET state = 'verified', checked_ms = 1",
        "DELETE FROM custodian",
        "UPDATE request SET state = 'approved'",
    ] {
        edit(&world, sql).await;
        let failure = world.sign(request).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Blocked, "{sql}: {failure:?}");
        assert!(
            failure.unmet.iter().any(|condition| condition.code == "quorum"),
            "{sql}: {failure:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn altered_to_be_signed_bytes_are_refused() {
    let world = World::ready().await;
    let request = world.approved("www.example.com").await;
    // Another serial number: well-formed, and still not what was approved.
    edit(
        &world,
        &format!("UPDATE request SET tbs = (SELECT tbs FROM certificate LIMIT 1) WHERE number = {request}"),
    )
    .await;
    let failure = refused(&world, request).await;
    assert!(failure.message.contains("to-be-signed bytes"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_request_is_refused() {
    let world = World::ready().await;
    let one = world.approved("www.example.com").await;
    let other = world.approved("evil.example.com").await;
    edit(&world, &format!("UPDATE request SET evidence = (SELECT evidence FROM request WHERE number = {other}) WHERE number = {one}")).await;
    let failure = refused(&world, one).await;
    assert!(failure.message.contains("CSR is another one"), "{failure:?}");
    edit(&world, &format!("UPDATE request SET document = replace(CAST(document AS TEXT), 'evil', 'good') WHERE number = {other}").replace("replace(CAST(document AS TEXT), 'evil', 'good')", "CAST(replace(CAST(document AS TEXT), 'evil', 'good') AS BLOB)")).await;
    refused(&world, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_that_nobody_gave_is_refused() {
    let world = World::ready().await;
    let approved = world.approved("www.example.com").await;
    let open = world.import(&csr("evil.example.com")).await.unwrap();
    edit(
        &world,
        &format!("UPDATE request SET state = 'approved' WHERE number = {open}"),
    )
    .await;
    refused(&world, open).await;
    // Somebody else's approval, moved under this request.
    edit(
        &world,
        &format!("UPDATE decision SET request_number = {open} WHERE request_number = {approved}"),
    )
    .await;
    let failure = refused(&world, open).await;
    assert!(failure.message.contains("approved something else"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_approval_is_refused() {
    let world = World::ready().await;
    for (column, value) in [
        ("signature", "zeroblob(70)"),
        (
            "payload",
            "CAST(replace(CAST(payload AS TEXT), 'www', 'ftp') AS BLOB)",
        ),
        ("person_id", "(SELECT id FROM person WHERE name = 'carol')"),
        ("verb", "'request-sign'"),
    ] {
        let request = world.approved("www.example.com").await;
        edit(
            &world,
            &format!(
                "UPDATE act SET {column} = {value} WHERE id = (SELECT act_id FROM decision WHERE request_number = {request})"
            ),
        )
        .await;
        refused(&world, request).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_written_into_the_database_has_no_rights() {
    let mut world = World::ready().await;
    let request = world.approved("www.example.com").await;
    world
        .open_person("dave", "dave", &[Role::CertificationOfficer])
        .await
        .unwrap();
    edit(
        &world,
        "INSERT INTO person (id, name, document, public_key, chain, key_request, request_number, created_ms) \
         SELECT X'00112233445566778899AABBCCDDEEFF', 'dave', document, X'00', chain, key_request, request_number, 0 \
         FROM person WHERE name = 'carol'",
    )
    .await;
    let failure = world
        .act(
            "dave",
            Intent::RequestSign {
                requests: vec![request],
            },
        )
        .await
        .unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert!(failure.message.contains("dave gives no rights"), "{failure:?}");
    assert!(
        world
            .center
            .warnings()
            .await
            .unwrap()
            .iter()
            .any(|warning| warning.contains("dave"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_role_or_key_is_refused() {
    for sql in [
        "UPDATE person SET document = CAST(replace(CAST(document AS TEXT), 'registration-officer', 'certification-officer') AS BLOB) WHERE name = 'bob'",
        "UPDATE person SET public_key = X'00' WHERE name = 'bob'",
        "UPDATE person SET request_number = NULL WHERE name = 'bob'",
        "UPDATE act SET signature = zeroblob(70) WHERE verb = 'request-approve' AND id = (SELECT act_id FROM decision WHERE request_number = (SELECT request_number FROM person WHERE name = 'bob'))",
    ] {
        let world = World::ready().await;
        let request = world.approved("www.example.com").await;
        edit(&world, sql).await;
        let failure = refused(&world, request).await;
        assert!(failure.message.contains("gives no rights"), "{sql}: {failure:?}");
        let failure = world
            .act(
                "bob",
                Intent::RequestSign {
                    requests: vec![request],
                },
            )
            .await
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pinned_manager_counts_whatever_his_row_says() {
    let mut world = World::ready().await;
    edit(
        &world,
        "UPDATE person SET public_key = X'00', name = 'mallory' WHERE name = 'alice'",
    )
    .await;
    world.add_person("dave", &[Role::Auditor]).await.unwrap();
    assert!(
        world
            .center
            .warnings()
            .await
            .unwrap()
            .iter()
            .any(|warning| warning.contains("pinned one counts"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_interruption_only_bytes_that_were_decided_on_are_signed() {
    let mut world = World::ready().await;
    let request = world.approved("www.example.com").await;
    let act = world
        .signed(
            "carol",
            "carol",
            Intent::RequestSign {
                requests: vec![request],
            },
        )
        .await
        .unwrap();
    // The HSM goes away between the decision and the signature.
    world
        .line
        .unplugged
        .store(true, std::sync::atomic::Ordering::Relaxed);
    world.perform(act).await.unwrap_err();
    assert_eq!(
        world.center.request_show(request).await.unwrap().request.state,
        "signing"
    );
    world.restart().await;
    world.unlock_all().await;
    edit(&world, "UPDATE certificate SET tbs = (SELECT tbs FROM certificate WHERE state = 'issued' LIMIT 1) WHERE state = 'signing'").await;
    let failure = world.center.request_resume(request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused, "{failure:?}");
    assert_eq!(
        world.center.request_show(request).await.unwrap().request.state,
        "signing"
    );
}
