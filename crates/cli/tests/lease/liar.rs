//! A node that lies: somebody between the command and the true node, who changes what is answered.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    thread,
};

use chancery_api::{Base64, LeaseText, canonical_json};
use serde_json::Value;

use crate::common::Home;

/// Changes the answer to a call: the method, and the line that answers it.
pub(crate) type Lie = Box<dyn Fn(&str, &mut Value) + Send>;

/// Stands at the node's socket until it is dropped.
pub(crate) struct Liar {
    at: PathBuf,
    real: PathBuf,
    lie: Arc<Mutex<Lie>>,
}

impl Liar {
    /// Takes the place of the node of this data directory, which runs. It is honest at first.
    pub(crate) fn at(home: &Home) -> Self {
        let (at, real) = (home.data().join("node.sock"), home.data().join("real.sock"));
        home.run(&["status"]).ok();
        fs::rename(&at, &real).unwrap();
        let listener = UnixListener::bind(&at).unwrap();
        let lie: Arc<Mutex<Lie>> = Arc::new(Mutex::new(Box::new(|_, _| {})));
        let (lies, node) = (Arc::clone(&lie), real.clone());
        thread::spawn(move || {
            for caller in listener.incoming() {
                let (lies, node) = (Arc::clone(&lies), node.clone());
                thread::spawn(move || between(&caller.unwrap(), &node, &lies));
            }
        });
        Self { at, real, lie }
    }

    /// From now on it lies like this.
    pub(crate) fn lies(&self, lie: impl Fn(&str, &mut Value) + Send + 'static) {
        *self.lie.lock().unwrap() = Box::new(lie);
    }

    /// From now on it tells the truth.
    pub(crate) fn is_honest(&self) {
        self.lies(|_, _| {});
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        let _ = fs::rename(&self.real, &self.at);
    }
}

/// One connection, until either side ends it.
fn between(caller: &UnixStream, node: &Path, lie: &Mutex<Lie>) {
    let Ok(node) = UnixStream::connect(node) else {
        return;
    };
    let mut calls = BufReader::new(caller).lines();
    let mut answers = BufReader::new(&node).lines();
    while let Some(Ok(call)) = calls.next() {
        if (&node).write_all(format!("{call}\n").as_bytes()).is_err() {
            return;
        }
        let Some(Ok(answer)) = answers.next() else { return };
        let call: Value = serde_json::from_str(&call).unwrap();
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        (lie.lock().unwrap())(call["method"].as_str().unwrap(), &mut answer);
        let mut caller = caller;
        if caller.write_all(format!("{answer}\n").as_bytes()).is_err() {
            return;
        }
    }
}

/// Changes the text of a lease in a view of it, which stays in canonical form.
pub(crate) fn change_text(view: &mut Value, change: impl FnOnce(&mut LeaseText)) {
    let bytes: Base64 = serde_json::from_value(view["text"].clone()).unwrap();
    let mut text: LeaseText = serde_json::from_slice(&bytes.0).unwrap();
    change(&mut text);
    view["text"] = serde_json::to_value(Base64(canonical_json(&text).unwrap())).unwrap();
}
