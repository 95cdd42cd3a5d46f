use super::*;

const FILE: FileId = FileId(0);

fn name(name: &str) -> OsString {
    name.into()
}

fn write(offset: usize, bytes: &[u8]) -> Operation {
    Operation::Write {
        file: FILE,
        offset,
        bytes: bytes.into(),
    }
}

fn disk(operations: &[Operation]) -> Disk {
    let mut disk = Disk::default();
    operations.iter().for_each(|operation| disk.apply(operation));
    disk
}

fn found(content: &[u8]) -> Operation {
    Operation::Found {
        name: name("a"),
        content: content.into(),
    }
}

const SYNC: Operation = Operation::Sync {
    file: FILE,
    directory: false,
};

fn content(disk: &Disk, survival: Survival) -> Option<Vec<u8>> {
    disk.survivors(survival).content("a").map(<[u8]>::to_vec)
}

#[test]
fn what_was_synced_stays_and_the_rest_is_lost_or_kept() {
    let disk = disk(&[found(b"old"), write(0, b"new"), SYNC, write(2, b"xyz")]);
    assert_eq!(content(&disk, Survival::Lost).as_deref(), Some(&b"new"[..]));
    assert_eq!(content(&disk, Survival::Kept).as_deref(), Some(&b"nexyz"[..]));
}

#[test]
fn a_name_is_as_durable_as_its_directory_and_a_deleted_file_comes_back() {
    let create = Operation::Create { name: name("a") };
    let sync = |directory| Operation::Sync {
        file: FILE,
        directory,
    };
    let without = disk(&[create.clone(), write(0, b"x"), sync(false)]);
    assert_eq!(content(&without, Survival::Lost), None);
    let mut with = disk(&[create, write(0, b"x"), sync(true)]);
    assert_eq!(content(&with, Survival::Lost).as_deref(), Some(&b"x"[..]));
    let delete = |directory| Operation::Delete {
        name: name("a"),
        directory,
    };
    with.apply(&delete(false));
    assert_eq!(content(&with, Survival::Lost).as_deref(), Some(&b"x"[..]));
    assert_eq!(content(&with, Survival::Kept), None);
    let seeds: Vec<_> = (0..20)
        .map(|seed| content(&with, Survival::Mixed(seed)).is_some())
        .collect();
    assert!(seeds.contains(&true) && seeds.contains(&false));
    with.apply(&delete(true));
    assert_eq!(content(&with, Survival::Lost), None);
}

#[test]
fn what_a_failed_sync_lost_no_later_one_brings_back() {
    let failed = Operation::SyncFailed { file: FILE };
    let disk = disk(&[found(b"abc"), write(0, b"x"), failed, write(2, b"z"), SYNC]);
    assert_eq!(content(&disk, Survival::Lost).as_deref(), Some(&b"abz"[..]));
    assert_eq!(content(&disk, Survival::Kept).as_deref(), Some(&b"xbz"[..]));
}

#[test]
fn a_torn_write_leaves_sectors_that_are_old_or_new() {
    let disk = disk(&[found(&[1; 2048]), write(100, &[2; 1948])]);
    let (mut torn, mut whole, mut nothing) = (0, 0, 0);
    for seed in 0..50 {
        let content = content(&disk, Survival::Mixed(seed)).unwrap();
        assert_eq!(content[..100], [1; 100]);
        let rest = [100..512, 512..1024, 1024..1536, 1536..2048].map(|sector| {
            let sector = &content[sector];
            assert!(sector.iter().all(|byte| *byte == sector[0]));
            sector[0]
        });
        match rest {
            [1, 1, 1, 1] => nothing += 1,
            [2, 2, 2, 2] => whole += 1,
            _ => torn += 1,
        }
    }
    assert!(torn > 0 && whole > 0 && nothing > 0, "{torn} {whole} {nothing}");
}

#[test]
fn a_cut_and_a_new_length_are_lost_or_kept() {
    let cut = disk(&[
        found(b"abc"),
        Operation::Truncate {
            file: FILE,
            length: 1,
        },
    ]);
    assert_eq!(content(&cut, Survival::Lost).as_deref(), Some(&b"abc"[..]));
    assert_eq!(content(&cut, Survival::Kept).as_deref(), Some(&b"a"[..]));
    let grown = disk(&[found(b""), write(1024, &[7; 512])]);
    let lengths: Vec<_> = (0..40)
        .map(|seed| content(&grown, Survival::Mixed(seed)).unwrap())
        .collect();
    assert!(lengths.iter().any(Vec::is_empty));
    // Longer, and nothing in it: the new length survived, the bytes did not.
    assert!(lengths.contains(&vec![0; 1536]));
}
