//! What goes over the line while a token is attached, opened and used: everything is written down inside TLS, at the agent's end
//! and at the node's, and no PIN is in it, nor a plain command after the channel was opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::Hash32;
use chancery_connect::{Policy, Trust};
use chancery_gateway::ram::{Connectors, Options, router};
use chancery_keys::{Connect, Hsm};
use chancery_ram::message::{CommandObject, CommandTemplate};
use tokio::sync::watch;

use crate::attachment::attachment;
use crate::hsm::{Installation, PIN, SO_PIN, clock, open, sign};
use crate::recorder::{Bodies, Record, check, forward, listener};
use crate::server::{NAME, TICKET};

/// VERIFY of a PIN with six characters, without these.
const VERIFY: [u8; 5] = [0x00, 0x20, 0x00, 0x81, 0x06];

#[tokio::test(flavor = "multi_thread")]
async fn no_pin_and_no_plain_command_goes_over_the_line_once_the_channel_is_open() {
    let installation = Installation::new();
    let mut custodians = ["ann", "bob"].map(|name| installation.custodian(name));
    let (token, spki) = installation.hsm_with_key(&mut custodians).await;

    let connectors = Connectors::new(clock(), Options::default());
    connectors.allow_connector(NAME, Hash32::of(TICKET.as_bytes()), None);
    let mut changes = connectors.changes();
    let directory = tempfile::tempdir().unwrap();
    let (at_node, at_agent) = (Record::default(), Record::default());
    let node_directory = directory.path().join("node");
    let node = listener(&node_directory, router(Arc::clone(&connectors)), &at_node).await;
    let to = format!("https://localhost:{}/rt/connector", node.tokens().unwrap().port());
    let agent_directory = directory.path().join("agent");
    let forwarding = forward(&node_directory.join("node.pem"), &to);
    let before_agent = listener(&agent_directory, forwarding, &at_agent).await;

    // Our agent, as its owner runs it: key 1 may be used, nothing may be managed.
    let pinned = Trust::certificate(&std::fs::read(agent_directory.join("node.pem")).unwrap()).unwrap();
    let address = format!("https://localhost:{}", before_agent.tokens().unwrap().port());
    let server = chancery_connect::Server::new(&address, &pinned).unwrap();
    let attachment = attachment(token, Policy::new().with_key(1));
    let (stop, stopped) = watch::channel(false);
    let agent = tokio::spawn(async move { attachment.run(&server, stopped, &|_| {}).await });
    tokio::time::timeout(Duration::from_secs(20), changes.recv())
        .await
        .unwrap()
        .unwrap();

    let way = Arc::new(connectors.way_to(NAME));
    let anchors = Arc::clone(&installation.anchors);
    let hsm = tokio::task::spawn_blocking(move || Hsm::start("hsm", way, anchors, clock()).unwrap())
        .await
        .unwrap();
    open(&hsm, &mut custodians).await;
    sign(&hsm, &spki, 4, 5).await;
    hsm.closed("the test is over").await;

    let secrets = [PIN.as_bytes().to_vec(), hex::decode(SO_PIN).unwrap()];
    let check = |bodies: &Bodies| check(bodies, &secrets);
    for record in [&at_node, &at_agent] {
        let shown = check(&record.bodies()).unwrap();
        // Custodians' answers and signatures are among what was looked at.
        assert!(shown.protected[&0x82] >= 2, "{shown:?}");
        assert!(shown.protected[&0x68] >= 20, "{shown:?}");
        assert_eq!(
            shown.opened_again, 0,
            "nothing at all was plain after the first opening"
        );
        // The agent, what is in between and the node speak HTTP/2.
        assert_eq!(record.bodies().versions, ["HTTP/2.0".to_owned()].into());
    }

    // The control run: one plain command, and the same check fails.
    let mut way = connectors.way_to(NAME).connect().unwrap();
    let plain = tokio::task::spawn_blocking(move || way.transmit(&[0x00, 0x84, 0x00, 0x00, 0x08]));
    assert!(plain.await.unwrap().is_ok());
    for record in [&at_node, &at_agent] {
        let failed = check(&record.bodies()).unwrap_err();
        assert!(
            failed.ends_with("a plain 84 after the channel was opened"),
            "{failed}"
        );
    }

    // And a PIN, which the agent keeps from its token, but which would have come over the line.
    let mut way = connectors.way_to(NAME).connect().unwrap();
    let verify = [&VERIFY[..], PIN.as_bytes()].concat();
    let refused = tokio::task::spawn_blocking(move || way.transmit(&verify));
    assert_eq!(*refused.await.unwrap().unwrap(), [0x69, 0x82]);
    for record in [&at_node, &at_agent] {
        assert_eq!(check(&record.bodies()).unwrap_err(), "a PIN is in a body");
    }
    // A PIN nobody looks for: the instruction says enough.
    let unknown = [&VERIFY[..], &[1, 2, 3, 4, 5, 6]].concat();
    let template = CommandTemplate(vec![CommandObject::Command(unknown.into())]);
    let without = Bodies {
        given: BTreeMap::from([(1, template.encode().unwrap().to_vec())]),
        ..Bodies::default()
    };
    assert_eq!(check(&without).unwrap_err(), "template 1: 20");

    stop.send_replace(true);
    agent.await.unwrap().unwrap();
    connectors.close();
    before_agent.close(Duration::from_secs(5)).await;
    node.close(Duration::from_secs(5)).await;
    assert_eq!(at_node.bodies().given, at_agent.bodies().given);
}
