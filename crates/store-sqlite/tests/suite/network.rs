//! Connectors and clients.

use chancery_store::{ClientRecord, ConnectorRecord, Store, Write};

use crate::{fresh, samples::commit};

fn connector(name: &str, ticket: u8) -> ConnectorRecord {
    ConnectorRecord {
        name: name.to_owned(),
        ticket_hash: vec![ticket; 32],
        device: None,
        created_ms: i64::from(ticket),
        revoked_ms: None,
    }
}

fn client(name: &str, key: u8) -> ClientRecord {
    ClientRecord {
        name: name.to_owned(),
        key_hash: vec![key; 32],
        public_key: vec![key; 91],
        custodian: key.is_multiple_of(2).then(|| "ann".to_owned()),
        created_ms: i64::from(key),
        revoked_ms: None,
    }
}

#[tokio::test]
async fn a_connector_is_bound_once_and_made_anew_only_after_it_was_revoked() {
    let (_directory, store) = fresh().await;
    let one = |write| commit(&store, vec![write]);
    let bind = |device: &str| Write::BindConnector {
        name: "cupboard".to_owned(),
        device: device.to_owned(),
    };
    let revoke = |name: &str| Write::RevokeConnector {
        name: name.to_owned(),
        revoked_ms: 77,
    };
    assert_eq!(store.connectors().await.unwrap(), []);
    one(Write::PutConnector(connector("cupboard", 1))).await.unwrap();
    one(Write::PutConnector(connector("attic", 2))).await.unwrap();
    let both = [connector("attic", 2), connector("cupboard", 1)];
    assert_eq!(store.connectors().await.unwrap(), both);
    for taken in [connector("cupboard", 3), connector("cellar", 1)] {
        one(Write::PutConnector(taken)).await.unwrap_err();
    }

    one(bind("UTCHDA")).await.unwrap();
    one(bind("UTCHDA")).await.unwrap();
    one(bind("UTCHDB")).await.unwrap_err();
    one(revoke("cupboard")).await.unwrap();
    one(revoke("cupboard")).await.unwrap_err();
    one(revoke("nobody")).await.unwrap_err();
    one(bind("UTCHDA")).await.unwrap_err();
    let revoked = ConnectorRecord {
        device: Some("UTCHDA".to_owned()),
        revoked_ms: Some(77),
        ..connector("cupboard", 1)
    };
    assert_eq!(
        store.connectors().await.unwrap(),
        [connector("attic", 2), revoked]
    );

    one(Write::PutConnector(connector("cupboard", 4))).await.unwrap();
    let both = [connector("attic", 2), connector("cupboard", 4)];
    assert_eq!(store.connectors().await.unwrap(), both);
    let mut short = connector("short", 5);
    short.ticket_hash.truncate(31);
    one(Write::PutConnector(short)).await.unwrap_err();
}

#[tokio::test]
async fn a_key_is_one_client_and_a_name_is_free_again_after_revocation() {
    let (_directory, store) = fresh().await;
    let one = |write| commit(&store, vec![write]);
    let revoke = || Write::RevokeClient {
        name: "build".to_owned(),
        revoked_ms: 88,
    };
    assert_eq!(store.clients().await.unwrap(), []);
    one(Write::PutClient(client("build", 1))).await.unwrap();
    one(Write::PutClient(client("ann-laptop", 2))).await.unwrap();
    let both = [client("ann-laptop", 2), client("build", 1)];
    assert_eq!(store.clients().await.unwrap(), both);
    assert_eq!(
        store.client_by_key(&[1; 32]).await.unwrap(),
        Some(client("build", 1))
    );
    assert_eq!(store.client_by_key(&[9; 32]).await.unwrap(), None);
    for taken in [client("build", 3), client("other", 1)] {
        one(Write::PutClient(taken)).await.unwrap_err();
    }
    one(revoke()).await.unwrap();
    one(revoke()).await.unwrap_err();
    let found = store.client_by_key(&[1; 32]).await.unwrap().unwrap();
    assert_eq!(found.revoked_ms, Some(88));
    one(Write::PutClient(client("other", 1))).await.unwrap_err();
    one(Write::PutClient(client("build", 4))).await.unwrap();
    assert_eq!(store.client_by_key(&[1; 32]).await.unwrap(), None);
    assert_eq!(
        store.client_by_key(&[4; 32]).await.unwrap(),
        Some(client("build", 4))
    );
}
