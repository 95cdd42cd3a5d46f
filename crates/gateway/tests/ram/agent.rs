//! A small agent of our own kind: numbered templates, one ahead, everything posted again after a cut.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use chancery_ram::message::{CommandObject, CommandTemplate, ResponseObject, ResponseTemplate};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::raw::{ATR, Client, Reply, bytes, hello};
use crate::server::TICKET;

/// An agent that runs.
pub(crate) struct Agent {
    stop: mpsc::Sender<()>,
    task: JoinHandle<Told>,
}

/// What an agent was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) notices: Vec<String>,
    /// Numbers of the templates it ran.
    pub(crate) ran: Vec<u64>,
    /// The last `X-Chancery-Lock-In`.
    pub(crate) lock_in: Option<String>,
    /// Status that ended it.
    pub(crate) status: u16,
}

/// What answers commands.
type Card = Box<dyn FnMut(&[u8]) -> Vec<u8> + Send>;

/// Which connections are cut: called with the number of the POST, it says where.
pub(crate) type Cuts = Box<dyn FnMut(u64) -> Cut + Send>;

/// Where the connection of a POST is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    No,
    /// Within the request.
    Request,
    /// After the request, before the answer is read.
    Answer,
}

impl Agent {
    /// Attaches what `card` answers; no command at all is a reset.
    pub(crate) fn start(server: SocketAddr, card: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static) -> Self {
        Self::start_cut(server, card, Box::new(|_| Cut::No))
    }

    /// The same over connections that are cut.
    pub(crate) fn start_cut(
        server: SocketAddr,
        card: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static,
        cuts: Cuts,
    ) -> Self {
        Self::with_client(Client::bearer(server, TICKET), card, cuts)
    }

    /// With a ticket of its own.
    pub(crate) fn start_as(
        server: SocketAddr,
        ticket: &str,
        card: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static,
    ) -> Self {
        Self::with_client(Client::bearer(server, ticket), card, Box::new(|_| Cut::No))
    }

    fn with_client(client: Client, card: impl FnMut(&[u8]) -> Vec<u8> + Send + 'static, cuts: Cuts) -> Self {
        let (stop, stopped) = mpsc::channel(1);
        let task = tokio::spawn(run(client, Box::new(card), cuts, stopped));
        Self { stop, task }
    }

    /// Has it say that the card is gone.
    pub(crate) async fn stop(self) -> Told {
        let _ = self.stop.send(()).await;
        self.ended().await
    }

    /// Waits until the server ends it.
    pub(crate) async fn ended(self) -> Told {
        tokio::time::timeout(Duration::from_secs(30), self.task)
            .await
            .unwrap()
            .unwrap()
    }
}

/// The answer to the template with this number.
struct Answer {
    number: u64,
    body: Vec<u8>,
}

async fn run(mut client: Client, mut card: Card, cuts: Cuts, mut stop: mpsc::Receiver<()>) -> Told {
    let mut told = Told::default();
    client.with("X-Chancery-Agent", "1");
    let first = client.post(&hello()).await;
    assert_eq!(first.sequence(), Some(1));
    let poster = Poster {
        client,
        cuts: std::sync::Arc::new(std::sync::Mutex::new((0, cuts))),
    };
    let (replies, mut replied) = mpsc::channel(16);
    let mut templates = VecDeque::from([first]);
    let mut highest = 1;
    loop {
        while let Some(template) = templates.pop_front() {
            let number = template.sequence().unwrap();
            // The next one, while the card works.
            poster.fetch(highest + 1, &replies);
            let body = tokio::task::block_in_place(|| execute(&template, &mut card, &mut told));
            told.ran.push(number);
            poster.answer(Answer { number, body }, &replies);
        }
        let reply: Reply = tokio::select! {
            reply = replied.recv() => reply.unwrap(),
            _ = stop.recv() => {
                let close = ResponseTemplate {
                    results: vec![ResponseObject::Close { reason: "stopped".to_owned() }],
                    executed: Some(0),
                };
                poster.answer(Answer { number: highest, body: close.encode().unwrap().to_vec() }, &replies);
                replied.recv().await.unwrap()
            }
        };
        if let Some(lock) = reply.header("x-chancery-lock-in") {
            told.lock_in = Some(lock.to_owned());
        }
        match reply.status {
            200 => {
                if let Some(number) = reply.sequence().filter(|&number| number > highest) {
                    highest = number;
                    templates.push_back(reply);
                }
            }
            status => {
                told.status = status;
                return told;
            }
        }
    }
}

fn execute(template: &Reply, card: &mut Card, told: &mut Told) -> Vec<u8> {
    let mut results = Vec::new();
    let mut executed = 0;
    for object in CommandTemplate::parse(&template.body).unwrap().0 {
        match object {
            CommandObject::Command(command) => {
                results.push(ResponseObject::Response(card(&command).into()));
                executed += 1;
            }
            CommandObject::Reset => {
                card(&[]);
                results.push(ResponseObject::Atr(bytes(ATR)));
            }
            CommandObject::Notify { text, .. } => told.notices.push(text),
            CommandObject::Close { reason } => panic!("{reason}"),
        }
    }
    let response = ResponseTemplate {
        results,
        executed: Some(executed),
    };
    response.encode().unwrap().to_vec()
}

/// Posts until there is an answer.
struct Poster {
    client: Client,
    cuts: std::sync::Arc<std::sync::Mutex<(u64, Cuts)>>,
}

impl Poster {
    fn fetch(&self, number: u64, replies: &mpsc::Sender<Reply>) {
        self.post(
            vec![("X-Chancery-Fetch", number.to_string())],
            Vec::new(),
            replies,
        );
    }

    fn answer(&self, answer: Answer, replies: &mpsc::Sender<Reply>) {
        let headers = vec![("X-Chancery-Sequence", answer.number.to_string())];
        self.post(headers, answer.body, replies);
    }

    fn post(&self, headers: Vec<(&'static str, String)>, body: Vec<u8>, replies: &mpsc::Sender<Reply>) {
        let mut client = self.client.beside();
        let cuts = std::sync::Arc::clone(&self.cuts);
        let replies = replies.clone();
        tokio::spawn(async move {
            loop {
                let cut = {
                    let mut cuts = cuts.lock().unwrap();
                    cuts.0 += 1;
                    let number = cuts.0;
                    (cuts.1)(number)
                };
                match cut {
                    Cut::No => {
                        if client.try_send(&headers, &body).await.is_ok()
                            && let Some(reply) = client.reply().await
                        {
                            // The agent may have ended.
                            let _ = replies.send(reply).await;
                            return;
                        }
                        if replies.is_closed() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                    Cut::Request => client.send_half(&headers, &body).await,
                    Cut::Answer => {
                        client.send(&headers, &body).await;
                        tokio::time::sleep(Duration::from_millis(3)).await;
                        client.cut();
                    }
                }
            }
        });
    }
}
