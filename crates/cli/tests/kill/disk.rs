//! The disk is full: nothing is half done, and with space again everything goes on.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use chancery_api::{FailureKind, RequestNumber, WhyView};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tempfile::TempDir;

use crate::{ledger::Ledger, world::World};

/// A file system of 2 MiB.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// `None` where this user may not mount.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "chancery-test"])
            .arg(dir.path())
            .output()
            .ok()?;
        // Dropping one that is not mounted would try to take it down.
        output.status.success().then(|| Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Fills the disk but for so many bytes.
    fn fill(&self, leave: u64) {
        let mut ballast = File::create(self.ballast()).unwrap();
        let block = [0x55; 1024];
        while ballast.write_all(&block).is_ok() {}
        let length = ballast.metadata().unwrap().len();
        ballast.set_len(length.checked_sub(leave).unwrap()).unwrap();
    }

    fn empty(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A directory that stays mounted is the next test run's to find.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

/// What every refusal says.
const NO_SPACE: &str = "o space ";

/// A signature on a disk that is filling up: done, or refused with a sentence that says one of these.
fn refused(world: &World, args: &[&str], words: &[&str]) -> bool {
    let ended = world.run(&[args, &["--json"]].concat());
    if ended.code == Some(0) {
        return false;
    }
    assert_eq!(ended.code, Some(8), "{ended:?}");
    let failure = ended.failure();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(
        words.iter().any(|words| failure.message.contains(words)),
        "{failure:?}"
    );
    true
}

/// What was refused for want of space is done now: by the same command, or by the one that is named.
/// Returns how far it had got.
fn finish(world: &World, requests: &[RequestNumber], args: &[&str]) -> String {
    let states: Vec<_> = requests
        .iter()
        .map(|number| world.json::<WhyView>(&["request", "why", &number.to_string()]))
        .collect();
    if states.iter().all(|why| why.request.state == "approved") {
        world.run(args).ok();
    }
    for why in states.iter().filter(|why| why.request.state == "signing") {
        assert_eq!(
            why.next.as_deref(),
            Some(format!("chancery request resume {}", why.request.request).as_str())
        );
        world
            .run(&["request", "resume", &why.request.request.to_string()])
            .ok();
    }
    for number in requests {
        let why: WhyView = world.json(&["request", "why", &number.to_string()]);
        assert_eq!(why.request.state, "done", "{why:?}");
    }
    let states: Vec<_> = states.iter().map(|why| why.request.state.as_str()).collect();
    states.join(" ")
}

#[test]
fn a_full_disk_stops_everything_and_harms_nothing() {
    let Some(disk) = SmallDisk::mount() else {
        // Without the right to mount, the limit below is the full disk.
        println!("no right to mount: the limit of a file's size stands for the full disk");
        return a_node_that_may_not_write_on(&LIMITS);
    };
    let world = World::at(disk.path().join("data"));
    let mut ledger = Ledger::default();
    world.unlock(&["hsm-a"]);
    let mut waiting = world.base.approved.clone().into_iter();
    let mut found = Vec::new();
    for leave in [0, 16, 80, 100, 120, 150, 200, 0] {
        let requests: Vec<_> = waiting.by_ref().take(3).collect();
        let numbers: Vec<_> = requests.iter().map(ToString::to_string).collect();
        let mut args = vec!["request", "sign", "--as", "carol"];
        args.extend(numbers.iter().map(String::as_str));
        disk.fill(leave * 1024);
        let was_refused = refused(&world, &args, &[NO_SPACE]);
        assert!(was_refused || leave > 0, "signed without any space");
        world.run(&["request", "list"]).ok();
        disk.empty();
        found.push(format!("{leave} KiB: {}", finish(&world, &requests, &args)));
        ledger.compare(&world);
        world.audit_holds(&format!("{leave} KiB were free"));
    }
    println!("{found:?}");
    assert!(
        found.iter().any(|found| found.contains("signing")),
        "none was recorded and then not finished; try other sizes: {found:?}"
    );

    // The other writers, and a node that has to start.
    disk.fill(0);
    let chain = world.path("chain.pem").display().to_string();
    let bundle = world.path("audit.jsonl").display().to_string();
    let export_chain = ["cert", "export", "#7", "--chain", "--out", &chain];
    let export_log = ["audit", "log", "--export", &bundle];
    for args in [
        &["crl", "create", "root", "--as", "carol"][..],
        &["vtoken", "create", "spare"],
        &["vtoken", "create", "dave", "--init"],
        &export_chain,
        &export_log,
    ] {
        world.run(args).fails(8, NO_SPACE);
        let half = [&chain, &bundle]
            .into_iter()
            .find(|file| Path::new(file).exists());
        assert_eq!(half, None, "half written: {args:?}");
    }
    let node = world.node().unwrap();
    world.kill(node);
    world.wait_for_the_end_of(node);
    let listed: Vec<serde_json::Value> = world.json(&["vtoken", "list"]);
    assert_eq!(listed.len(), 5, "half made: {listed:?}");
    disk.empty();
    // Its index has to be made anew, as after the machine's end: what else the database needs depends on when it was last tidied up.
    fs::remove_file(world.path("center.db-shm")).unwrap();
    // A page for the log in which the node says why.
    disk.fill(4096);
    let started = world.run(&["hsm", "list"]).fails(8, NO_SPACE);
    assert!(
        !started.err.contains(" ERROR "),
        "a log instead of a sentence: {started:?}"
    );
    disk.empty();

    // Its end empties the database's log, which has taken most of the disk.
    world.run(&["hsm", "list"]).ok();
    world.run(&["stop"]).ok();
    world.unlock(&["hsm-a"]);
    for args in [
        &["crl", "create", "root", "--as", "carol"][..],
        &["vtoken", "create", "spare"],
        &["vtoken", "create", "dave", "--init"],
        &export_chain,
        &export_log,
        &["audit", "verify", "--bundle", &bundle],
    ] {
        world.run(args).ok();
    }
    ledger.close(&world);
    world.run(&["stop"]).ok();
    world.audit_holds("at the end");
}

/// What the database's log may still grow by, in KiB, until writing fails.
const LIMITS: [u64; 5] = [0, 12, 80, 110, 150];

#[test]
fn a_node_whose_files_may_not_grow_goes_on_when_they_may() {
    a_node_that_may_not_write_on(&LIMITS);
}

fn a_node_that_may_not_write_on(limits: &[u64]) {
    let world = World::new();
    let mut ledger = Ledger::default();
    let mut node = Foreground::start(&world);
    world.unlock(&["hsm-a"]);
    let mut waiting = world.base.approved.clone().into_iter();
    let mut count = 0;
    for more in limits {
        let requests: Vec<_> = waiting.by_ref().take(3).collect();
        let numbers: Vec<_> = requests.iter().map(ToString::to_string).collect();
        let mut args = vec!["request", "sign", "--as", "carol"];
        args.extend(numbers.iter().map(String::as_str));
        let written = fs::metadata(world.path("center.db-wal")).unwrap().len();
        node.limit(Some(written + more * 1024));
        let was_refused = refused(&world, &args, &[NO_SPACE, "the database failed"]);
        assert!(was_refused || *more > 0, "signed without writing");
        count += usize::from(was_refused);
        world.run(&["request", "list"]).ok();
        node.limit(None);
        finish(&world, &requests, &args);
        ledger.compare(&world);
        world.audit_holds(&format!("{more} KiB could be written"));
    }
    assert!(count > 0, "nothing was refused");
    ledger.close(&world);
    world.run(&["stop"]).ok();
    assert!(
        node.child.wait().unwrap().success(),
        "the same node went on to the end"
    );
    world.audit_holds("at the end");
}

/// A node in the foreground, whose files can be kept from growing.
struct Foreground {
    child: Child,
}

impl Foreground {
    fn start(world: &World) -> Self {
        // The signal that comes with the error would end the process; a full disk sends none.
        let script = "trap '' XFSZ; exec \"$0\" serve";
        let mut child = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_chancery")])
            .env("CHANCERY_DATA_DIR", world.data().path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("the node is ready") {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "the node did not start");
        }
        thread::spawn(move || io::copy(&mut log, &mut io::sink()));
        Self { child }
    }

    /// Largest size of a file that the node may write, in bytes.
    fn limit(&mut self, bytes: Option<u64>) {
        let pid = Pid::from_child(&self.child);
        prlimit(
            Some(pid),
            Resource::Fsize,
            Rlimit {
                current: bytes,
                maximum: None,
            },
        )
        .unwrap();
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        // It has ended when the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
