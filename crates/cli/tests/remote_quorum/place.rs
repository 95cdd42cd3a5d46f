//! Where a party is: a network namespace with one link to the relay, or an address of its own.

use std::{
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU8, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::common::Home;

/// A place on the network. Everything started there ends with it at the latest.
pub(crate) struct Place {
    /// Keeps the namespace; none where there is none.
    namespace: Option<Child>,
    /// Address of the party.
    pub(crate) inside: String,
    /// Address of the relay, as the party sees it.
    pub(crate) outside: String,
}

static NUMBER: AtomicU8 = AtomicU8::new(1);
const PATIENCE: Duration = Duration::from_secs(10);

impl Place {
    /// A new one.
    pub(crate) fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        Self::namespace(number).unwrap_or_else(|| Self {
            namespace: None,
            inside: format!("127.0.0.{}", 100 + number),
            outside: format!("127.0.0.{}", 200 + number),
        })
    }

    /// Whether it is a network of its own.
    pub(crate) fn is_separate(&self) -> bool {
        self.namespace.is_some()
    }

    fn namespace(number: u8) -> Option<Self> {
        let process = std::process::id();
        let holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "exec sleep 3600"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let network = format!("10.{}.{number}", 64 + process % 128);
        let place = Self {
            inside: format!("{network}.2"),
            outside: format!("{network}.1"),
            namespace: Some(holder),
        };
        let pid = place.namespace.as_ref()?.id().to_string();
        let own = std::fs::read_link("/proc/self/ns/net").ok()?;
        let end = Instant::now() + PATIENCE;
        // Until it has left our network, the link would be given to ourselves.
        while std::fs::read_link(format!("/proc/{pid}/ns/net")).ok()? == own {
            if Instant::now() > end {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
        let link = format!("ch{}n{number}", process % 1_000_000);
        let link = link.as_str();
        let succeeds = |words: &[&str]| {
            Command::new(words[0])
                .args(&words[1..])
                .stderr(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        let ip_here = |words: &[&str]| succeeds(&[&["ip"], words].concat());
        let net = format!("--net=/proc/{pid}/ns/net");
        let ip_there = |words: &[&str]| succeeds(&[&["nsenter", &net, "ip"], words].concat());
        let (near, far) = (format!("{}/30", place.outside), format!("{}/30", place.inside));
        let made = ip_here(&[
            "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", &pid,
        ]) && ip_here(&["addr", "add", &near, "dev", link])
            && ip_here(&["link", "set", link, "up"])
            && ip_there(&["addr", "add", &far, "dev", "eth0"])
            && ip_there(&["link", "set", "eth0", "up"])
            && ip_there(&["link", "set", "lo", "up"]);
        made.then_some(place)
    }

    /// The program, at this place.
    pub(crate) fn command(&self, home: &Home, words: &[&str]) -> Command {
        self.moved(home, home.command(words))
    }

    /// A command that works with this home, at this place.
    pub(crate) fn moved(&self, home: &Home, plain: Command) -> Command {
        let Some(namespace) = &self.namespace else {
            return plain;
        };
        let mut there = Command::new("nsenter");
        there
            .arg(format!("--net=/proc/{}/ns/net", namespace.id()))
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(home.dir.path())
            .stdin(Stdio::null());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => there.env(name, value),
                None => there.env_remove(name),
            };
        }
        there
    }

    /// Whether this address can be reached from here at all.
    pub(crate) fn has_way_to(&self, address: &str) -> bool {
        let Some(namespace) = &self.namespace else {
            return true;
        };
        Command::new("nsenter")
            .arg(format!("--net=/proc/{}/ns/net", namespace.id()))
            .args(["ip", "route", "get", address])
            .output()
            .unwrap()
            .status
            .success()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(holder) = &mut self.namespace {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}
