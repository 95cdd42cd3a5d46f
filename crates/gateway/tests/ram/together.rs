//! Callers who wait for their answers share the ways to a card that is far away.

use std::collections::VecDeque;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use chancery_keys::Token;
use chancery_ram::message::{CommandObject, CommandTemplate, ResponseObject, ResponseTemplate};

use crate::raw::{Client, bytes, hello};
use crate::relay::Relay;
use crate::server::{Server, TICKET};

/// Delay of the line in each direction.
const DELAY: Duration = Duration::from_millis(5);
/// INS 68.
const SIGN: [u8; 5] = [0x80, 0x68, 0x01, 0x20, 0x00];

/// A foreign client, until the server ends it: how many templates held commands.
async fn templates(mut client: Client) -> usize {
    let mut templates = 0;
    let mut reply = client.post(&hello()).await;
    while reply.status == 200 {
        let objects = CommandTemplate::parse(&reply.body).unwrap().0;
        let results: Vec<_> = objects
            .iter()
            .filter(|object| matches!(object, CommandObject::Command(_)))
            .map(|_| ResponseObject::Response(bytes("9000").into()))
            .collect();
        templates += usize::from(!results.is_empty());
        let response = ResponseTemplate {
            executed: Some(i32::try_from(results.len()).unwrap()),
            results,
        };
        reply = client.post(&response.encode().unwrap()).await;
    }
    templates
}

/// Callers who each want `each` signatures, one after the other, of a token's thread that waits for them and for answers
/// at one place.
fn sign(token: &mut dyn Token, callers: usize, each: usize) {
    enum Job {
        Sign(usize),
        Ready,
    }
    let (jobs, queue) = mpsc::channel();
    let ready = jobs.clone();
    assert!(token.on_ready(Arc::new(move || drop(ready.send(Job::Ready)))));
    let mut left = vec![each; callers];
    for caller in 0..callers {
        jobs.send(Job::Sign(caller)).unwrap();
    }
    let mut asked = VecDeque::new();
    while left.iter().any(|left| *left > 0) {
        match queue.recv().unwrap() {
            Job::Sign(caller) => {
                token.send(&SIGN).unwrap();
                asked.push_back(caller);
            }
            Job::Ready => {}
        }
        while let Some(&caller) = asked.front() {
            let Some(answer) = token.try_receive().unwrap() else {
                break;
            };
            assert_eq!(*answer, bytes("9000"));
            asked.pop_front();
            left[caller] -= 1;
            if left[caller] > 0 {
                jobs.send(Job::Sign(caller)).unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_wait_share_round_trips() {
    const CALLERS: usize = 16;
    const EACH: usize = 4;
    let mut server = Server::start().await;
    let line = Relay::start(server.address, DELAY).await;
    let client = tokio::spawn(templates(Client::bearer(line.address, TICKET)));
    server.came().await;
    server
        .on_thread(|token| sign(token, CALLERS, EACH))
        .await
        .unwrap();
    server.connectors.close();
    // One for each of them together is best; where the processors are busy elsewhere, some come late and have one of their own.
    let templates = client.await.unwrap();
    assert!(
        (EACH..=CALLERS * EACH / 2).contains(&templates),
        "{templates} templates for {CALLERS} callers with {EACH} commands each"
    );
}
