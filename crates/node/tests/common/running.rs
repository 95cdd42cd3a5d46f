//! A node to talk to.

use std::{sync::mpsc, thread::JoinHandle, time::Duration};

use chancery_api::{Draft, DraftView, Intent, SignedAct};
use chancery_node::{Client, DataDir, Options, ServeError, Stopped, serve};

use crate::common::Manager;

/// A node on a thread of this process.
pub(crate) struct Running {
    pub(crate) data: DataDir,
    thread: JoinHandle<Result<Stopped, ServeError>>,
}

impl Running {
    pub(crate) fn start(data: &DataDir, idle_stop: Option<Duration>) -> Self {
        let (ready, wait) = mpsc::channel();
        let mut options = Options::new(data.clone());
        options.idle_stop = idle_stop;
        options.version = "1.2.3-test".to_owned();
        options.ready = Some(Box::new(move || ready.send(()).unwrap()));
        let thread = std::thread::spawn(move || serve(options));
        if wait.recv_timeout(Duration::from_secs(60)).is_err() {
            panic!("the node did not start: {:?}", thread.join().unwrap());
        }
        Self {
            data: data.clone(),
            thread,
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.data).unwrap()
    }

    pub(crate) fn ended(self) -> Stopped {
        self.thread.join().unwrap().unwrap()
    }
}

/// Has an act drafted and signs it.
pub(crate) fn decide(manager: &Manager, client: &mut Client, intent: Intent) -> SignedAct {
    let DraftView { payload } = client
        .call(&Draft {
            person: manager.name.clone(),
            intent,
        })
        .unwrap();
    manager.sign(payload.0)
}
