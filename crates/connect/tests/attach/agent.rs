//! The agent at work, and what it told.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chancery_connect::{AttachError, Attachment, Happened, Server, Trust};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Agent {
    stop: watch::Sender<bool>,
    told: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<Result<(), AttachError>>,
}

impl Agent {
    /// Attaches to a server without encryption.
    pub(crate) fn start(url: &str, attachment: Attachment) -> Self {
        Self::trusting(url, &Trust::System, attachment)
    }

    pub(crate) fn trusting(url: &str, trust: &Trust, attachment: Attachment) -> Self {
        let server = Server::new(url, trust).unwrap();
        let (stop, stopped) = watch::channel(false);
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let into = Arc::clone(&told);
        let task = tokio::spawn(async move {
            let tell = move |happened: Happened| into.lock().unwrap().push(format!("{happened:?}"));
            attachment.run(&server, stopped, &tell).await
        });
        Self { stop, told, task }
    }

    pub(crate) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// How often something like this was told.
    pub(crate) fn count(&self, what: &str) -> usize {
        self.told().iter().filter(|line| line.contains(what)).count()
    }

    pub(crate) fn stop(&self) {
        self.stop.send(true).unwrap();
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> (Result<(), AttachError>, Vec<String>) {
        let ended = tokio::time::timeout(PATIENCE, self.task).await;
        let told = self.told.lock().unwrap().clone();
        (
            ended
                .unwrap_or_else(|_| panic!("it did not end: {told:?}"))
                .unwrap(),
            told,
        )
    }
}

/// Waits until something holds.
#[track_caller]
pub(crate) fn until(what: &str, holds: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
