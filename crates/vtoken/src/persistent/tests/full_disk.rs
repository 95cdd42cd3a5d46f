//! A disk that fills up.

use std::process::Command;

use super::*;
use crate::RealFiles;

#[test]
fn a_full_disk_refuses_and_later_takes_the_change_wherever_it_strikes() {
    let bench = Bench::new();
    let story = short_story();
    let disk = bench.disk.fork();
    disk.limit_space(Some(1 << 20));
    let mut token = bench.open(&disk).unwrap();
    story.iter().for_each(|commit| token.commit(commit).unwrap());
    drop(token);
    let needed = u64::try_from(bench.log(&disk).len()).unwrap();

    let mut refused = 0;
    for space in 0..needed {
        let disk = bench.disk.fork();
        disk.limit_space(Some(space));
        let mut token = bench
            .open(&disk)
            .unwrap_or_else(|error| panic!("space {space}: {error}"));
        for commit in &story {
            let (state, mark) = (token.state().clone(), token.mark());
            if let Err(failure) = token.commit(commit) {
                refused += 1;
                assert!(
                    matches!(failure, StoreFailure::Full { .. }),
                    "space {space}: {failure}"
                );
                assert_eq!((token.state(), token.mark()), (&state, mark), "space {space}");
                let found = bench.open(&disk.after_crash(Survival::Lost)).unwrap();
                assert_eq!((found.state(), found.mark()), (&state, mark), "space {space}");
                disk.limit_space(None);
                token
                    .commit(commit)
                    .unwrap_or_else(|error| panic!("space {space}: {error}"));
            }
        }
        let (state, mark) = (token.state().clone(), token.mark());
        for survival in [Survival::Lost, Survival::Kept, Survival::Mixed(space)] {
            let found = bench.open(&disk.after_crash(survival)).unwrap();
            assert_eq!(
                (found.state(), found.mark()),
                (&state, mark),
                "space {space}, {survival:?}"
            );
        }
    }
    assert!(refused > 1000, "{refused}");
}

#[test]
fn compaction_that_finds_no_space_does_not_stop_the_token() {
    let bench = Bench::new();
    let mut token = bench.open(&bench.disk).unwrap();
    let file = |fill| Change::PutFile {
        fid: 0xCF00,
        contents: vec![fill; 600],
    };
    for fill in 0..13 {
        token.commit(&[file(fill)]).unwrap();
    }
    assert!(
        bench.log(&bench.disk).len() > 8 << 10,
        "the next commit would compact"
    );
    bench.disk.limit_space(Some(500));
    token.commit(&[Change::SetOptions(5)]).unwrap();
    let names = bench.disk.list(Path::new("/tokens/hsm")).unwrap();
    assert!(
        !names.iter().any(|name| name == "state.log.new"),
        "the space of the attempt is given back"
    );
    let (state, mark) = (token.state().clone(), token.mark());
    drop(token);
    // Opening without space works, too.
    let found = bench.open(&bench.disk).unwrap();
    assert_eq!((found.state(), found.mark()), (&state, mark));
}

/// A file system of 2 MiB where this process may mount one, else a limit on the disk in memory: the same
/// expectations either way.
#[test]
fn a_small_file_system_fills_up_and_recovers() {
    let dir = tempfile::tempdir().unwrap();
    let at_rest = AtRest::MachineSecret(dir.path().join("machine-secret"));
    let mount = dir.path().join("small");
    std::fs::create_dir(&mount).unwrap();
    match Mounted::tmpfs(&mount) {
        Some(_mounted) => {
            let ballast = mount.join("ballast");
            let fill = || {
                use std::io::Write;
                let mut file = std::fs::File::create(&ballast).unwrap();
                while file.write_all(&[1; 4096]).is_ok() {}
            };
            let free = || std::fs::remove_file(&ballast).unwrap();
            fills_up_and_recovers(Arc::new(RealFiles), &mount.join("tokens"), &at_rest, &fill, &free);
        }
        None => {
            let disk = ReplayFiles::new();
            let (fill, free) = (|| disk.limit_space(Some(100)), || disk.limit_space(None));
            fills_up_and_recovers(
                Arc::new(disk.clone()),
                Path::new("/tokens"),
                &at_rest,
                &fill,
                &free,
            );
        }
    }
}

fn fills_up_and_recovers(
    files: Arc<dyn Files>,
    tokens_dir: &Path,
    at_rest: &AtRest,
    fill: &dyn Fn(),
    free: &dyn Fn(),
) {
    let path = make(Arc::clone(&files), tokens_dir, "hsm", at_rest);
    let mut token = Persistent::open(Arc::clone(&files), &path, at_rest).unwrap();
    token.commit(&[initialise()]).unwrap();
    fill();
    let (state, mark) = (token.state().clone(), token.mark());
    let large = [Change::PutFile {
        fid: 0xCF00,
        contents: vec![1; 60_000],
    }];
    assert!(matches!(token.commit(&large), Err(StoreFailure::Full { .. })));
    assert!(matches!(token.commit(&large), Err(StoreFailure::Full { .. })));
    assert_eq!((token.state(), token.mark()), (&state, mark));
    drop(token);
    let mut token = Persistent::open(Arc::clone(&files), &path, at_rest).unwrap();
    assert_eq!(
        (token.state(), token.mark()),
        (&state, mark),
        "a token opens on a full disk"
    );
    let taken = token.commit(&large);
    assert!(matches!(taken, Err(StoreFailure::Full { .. })));
    free();
    token.commit(&large).unwrap();
    let (state, mark) = (token.state().clone(), token.mark());
    drop(token);
    let token = Persistent::open(files, &path, at_rest).unwrap();
    assert_eq!((token.state(), token.mark()), (&state, mark));
}

struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(at: &Path) -> Option<Self> {
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs"])
            .arg(at)
            .stderr(std::process::Stdio::null())
            .status();
        status
            .is_ok_and(|status| status.success())
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
