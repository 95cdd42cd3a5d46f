//! As many tokens as one node has to hold.

use std::collections::BTreeSet;
use std::time::Duration;

use chancery_api::Hash32;
use chancery_gateway::ram::ConnectorChange;
use chancery_iso7816::Transport;
use chancery_keys::Connect;

use crate::agent::Agent;
use crate::server::Server;

/// Tokens attached at a time.
const TOKENS: u8 = 200;
/// Commands to each.
const COMMANDS: u8 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_tokens_are_used_at_the_same_time_and_no_answer_is_lost_or_mixed_up() {
    let mut server = Server::start().await;
    let name = |n: u8| format!("hsm-{n}");
    let mut agents = Vec::new();
    for n in 0..TOKENS {
        let ticket = format!("ticket-of-connector-number-{n:05}");
        server
            .connectors
            .allow_connector(&name(n), Hash32::of(ticket.as_bytes()), None);
        agents.push(Agent::start_as(
            server.address,
            &ticket,
            move |command: &[u8]| vec![n, command[3], 0x90, 0x00],
        ));
    }
    let mut came = BTreeSet::new();
    while came.len() < usize::from(TOKENS) {
        match server.change().await {
            ConnectorChange::Came { name } => came.insert(name),
            change @ ConnectorChange::Went { .. } => panic!("{change:?}"),
        };
    }
    let users: Vec<_> = (0..TOKENS)
        .map(|n| {
            let mut token = server.connectors.way_to(&name(n)).connect().unwrap();
            tokio::task::spawn_blocking(move || {
                for command in 0..COMMANDS {
                    let answer = token.transmit(&[0x00, 0x84, 0x00, command, 0x02]).unwrap();
                    assert_eq!(*answer, [n, command, 0x90, 0x00]);
                }
            })
        })
        .collect();
    for user in users {
        tokio::time::timeout(Duration::from_secs(60), user)
            .await
            .unwrap()
            .unwrap();
    }
    let all = server.connectors.all();
    let connected = all.iter().filter(|status| status.connected.is_some()).count();
    assert_eq!(connected, usize::from(TOKENS));
    assert!(all.iter().all(|status| status.lost.is_none()));
    server.connectors.close();
    for agent in agents {
        assert_eq!(agent.ended().await.status, 204);
    }
}
