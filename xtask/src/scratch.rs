//! Where tests write: into memory, when there is plenty of it. They write small files many thousand times, each durable before it is
//! acknowledged, and a disk's time for that is neither theirs nor steady.

use std::fs;
use std::path::{Path, PathBuf};

use crate::run::Workspace;

/// A folder for the tests of one run, gone when this is dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A folder in memory. `None` where the tests had better use the disk: too little memory, or none they may use so.
    pub(crate) fn new(workspace: &Workspace) -> Option<Self> {
        tidy_up(Path::new(MEMORY));
        let mounts = fs::read_to_string("/proc/mounts").ok()?;
        let sizes = fs::read_to_string("/proc/meminfo").ok()?;
        let mut question = workspace.command("df");
        let answer = question.args(["--output=avail", MEMORY]).output().ok()?;
        let answer = String::from_utf8_lossy(&answer.stdout).into_owned();
        if !runs_programs(&mounts) || available(&sizes)? < NEEDED || free(&answer)? < NEEDED {
            return None;
        }
        let folder = Path::new(MEMORY).join(format!("{NAME}{}", std::process::id()));
        fs::create_dir(&folder).ok()?;
        Some(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is removed by the next run.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Removes the folders of runs that were killed.
fn tidy_up(memory: &Path) {
    let Ok(entries) = fs::read_dir(memory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(NAME));
        if process.is_some_and(|process| {
            process.parse::<u32>().is_ok() && !Path::new("/proc").join(process).exists()
        }) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether the folder is a file system of its own, in memory, from which programs may be started: some tests do that.
fn runs_programs(mounts: &str) -> bool {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?, words.next()?))
        })
        .rfind(|(place, ..)| *place == MEMORY)
        .is_some_and(|(_, kind, options)| {
            kind == "tmpfs" && !options.split(',').any(|option| option == "noexec")
        })
}

/// Memory that can be had without swapping, in KiB, from `/proc/meminfo`.
fn available(sizes: &str) -> Option<u64> {
    let line = sizes
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// The second line of what `df` says, in KiB.
fn free(answer: &str) -> Option<u64> {
    answer.lines().nth(1)?.trim().parse().ok()
}

const MEMORY: &str = "/dev/shm";

/// With the number of the process that made it. Short, because paths of sockets are.
const NAME: &str = "chancery-";

/// In KiB: tests write less than a tenth of it, and the rest is for those who run beside.
const NEEDED: u64 = 6 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_where_programs_can_be_started_from_it() {
        let mounts = |line: &str| format!("/dev/sda / ext4 rw 0 0\n{line}\n");
        assert!(runs_programs(&mounts(
            "tmpfs /dev/shm tmpfs rw,relatime,size=24684092k 0 0"
        )));
        for line in [
            "tmpfs /dev/shm tmpfs rw,nosuid,noexec 0 0",
            "/dev/sdb /dev/shm ext4 rw 0 0",
            "tmpfs /run tmpfs rw 0 0",
        ] {
            assert!(!runs_programs(&mounts(line)), "{line}");
        }
    }

    #[test]
    fn sizes_are_read_in_kib() {
        let sizes = "MemTotal:       24684092 kB\nMemFree:          602104 kB\nMemAvailable:   24077836 kB\n";
        assert_eq!(available(sizes), Some(24_077_836));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
        assert_eq!(free("   Avail\n24684088\n"), Some(24_684_088));
        assert_eq!(free(""), None);
    }

    #[test]
    fn folders_of_the_dead_are_removed_and_no_others() {
        let root = std::env::temp_dir().join(format!("xtask-scratch-{}", std::process::id()));
        let ours = format!("{NAME}{}", std::process::id());
        // No process has a number so high.
        let dead = format!("{NAME}4194305");
        for name in [ours.as_str(), &dead, "chancery-else", "else"] {
            fs::create_dir_all(root.join(name)).expect("a folder can be made");
        }
        tidy_up(&root);
        for (name, left) in [
            (ours.as_str(), true),
            (&dead, false),
            ("chancery-else", true),
            ("else", true),
        ] {
            assert_eq!(root.join(name).exists(), left, "{name}");
        }
        fs::remove_dir_all(root).expect("it was made");
    }
}
