use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::record::RunKind;
use crate::testing::*;

/// A file whose writes and flushes can be made to fail, and are counted.
struct Faulty {
    file: File,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    writes: AtomicU64,
    flushes: AtomicU64,
    /// The error number that the next write gives after writing half; 0: none.
    write: AtomicU64,
    flush: AtomicU64,
    truncate: AtomicU64,
}

impl Faults {
    fn take(fault: &AtomicU64) -> io::Result<()> {
        match i32::try_from(fault.swap(0, Ordering::SeqCst)) {
            Ok(0) | Err(_) => Ok(()),
            Ok(number) => Err(io::Error::from_raw_os_error(number)),
        }
    }
}

const ENOSPC: u64 = 28;
const EIO: u64 = 5;

impl JournalFile for Faulty {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.faults.writes.fetch_add(1, Ordering::SeqCst);
        Faults::take(&self.faults.write).or_else(|error| {
            FileExt::write_all_at(&self.file, &bytes[..bytes.len() / 2], offset)?;
            Err(error)
        })?;
        FileExt::write_all_at(&self.file, bytes, offset)
    }

    fn flush(&self) -> io::Result<()> {
        self.faults.flushes.fetch_add(1, Ordering::SeqCst);
        Faults::take(&self.faults.flush)?;
        self.file.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        Faults::take(&self.faults.truncate)?;
        self.file.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn identity(&self) -> io::Result<(u64, u64)> {
        self.file.identity()
    }
}

struct Room {
    directory: tempfile::TempDir,
    faults: Arc<Faults>,
}

impl Room {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a temporary directory"),
            faults: Arc::default(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(JOURNAL)
    }

    fn store(&self) -> LocalStore {
        let file = open_for_writing(&self.path()).expect("it opens");
        let faulty = Faulty {
            file,
            faults: self.faults.clone(),
        };
        let mut store = LocalStore::over(self.directory.path(), Some(Box::new(faulty)));
        store.load_now().expect("it loads");
        store
    }

    fn loaded(&self) -> Loaded {
        LocalStore::read_only(self.directory.path())
            .load_now()
            .expect("it loads")
    }

    fn bytes(&self) -> Vec<u8> {
        std::fs::read(self.path()).expect("it can be read")
    }
}

fn batch(first: u64, count: u64) -> Vec<Record> {
    numbered(first, 1, (0..count).map(|_| started(RunKind::Up)))
}

#[tokio::test]
async fn a_batch_is_one_write_and_one_flush() {
    let room = Room::new();
    let mut store = room.store();
    store.append(&batch(1, 100)).await.expect("written");
    assert_eq!(room.faults.writes.load(Ordering::SeqCst), 1);
    assert_eq!(room.faults.flushes.load(Ordering::SeqCst), 1);
    assert_eq!(room.loaded().records, batch(1, 100));
    assert_eq!(store.size(), room.bytes().len() as u64);
}

#[tokio::test]
async fn files_are_private() {
    let room = tempfile::tempdir().expect("a temporary directory");
    let directory = room.path().join("a/b");
    LocalStore::writable(&directory).expect("made");
    let mode = |path: &Path| {
        std::fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&directory), 0o700);
    assert_eq!(mode(&room.path().join("a")), 0o700);
    assert_eq!(mode(&directory.join(JOURNAL)), 0o600);
}

#[tokio::test]
async fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let room = Room::new();
    let mut store = room.store();
    store.append(&batch(1, 2)).await.expect("written");
    let before = room.bytes();
    room.faults.write.store(ENOSPC, Ordering::SeqCst);
    let error = store.append(&batch(3, 2)).await.expect_err("no space");
    assert_eq!(error.code(), "STA006", "{error:?}");
    assert_eq!(room.bytes(), before);
    assert_eq!(store.settle().await.expect("known"), 2);
    // Once there is room again the same append goes through.
    store.append(&batch(3, 2)).await.expect("written");
    assert_eq!(room.loaded().records, batch(1, 4));
}

#[tokio::test]
async fn a_write_that_cannot_be_taken_back_ends_the_writing_and_the_next_process_goes_on() {
    let room = Room::new();
    let mut store = room.store();
    store.append(&batch(1, 2)).await.expect("written");
    room.faults.write.store(ENOSPC, Ordering::SeqCst);
    room.faults.truncate.store(EIO, Ordering::SeqCst);
    assert_eq!(
        store
            .append(&batch(3, 1))
            .await
            .expect_err("no space")
            .code(),
        "STA006"
    );
    assert_eq!(
        store
            .append(&batch(3, 1))
            .await
            .expect_err("unsettled")
            .code(),
        "STA011"
    );
    assert_eq!(
        store.settle().await.expect_err("unsettled").code(),
        "STA011"
    );
    let loaded = room.loaded();
    assert_eq!(loaded.records, batch(1, 2));
    assert!(loaded.torn.is_some());
    let mut next = room.store();
    next.append(&batch(3, 1))
        .await
        .expect("the torn end is cut off");
    assert_eq!(
        room.loaded(),
        Loaded {
            records: batch(1, 3),
            torn: None
        }
    );
}

#[tokio::test]
async fn after_a_failed_flush_the_file_is_not_trusted_any_more() {
    let room = Room::new();
    let mut store = room.store();
    store.append(&batch(1, 1)).await.expect("written");
    room.faults.flush.store(EIO, Ordering::SeqCst);
    assert_eq!(
        store
            .append(&batch(2, 1))
            .await
            .expect_err("not confirmed")
            .code(),
        "STA008"
    );
    assert_eq!(
        store
            .append(&batch(2, 1))
            .await
            .expect_err("unsettled")
            .code(),
        "STA011"
    );
    room.store()
        .append(&batch(2, 1))
        .await
        .expect("the next process goes on");
}

#[tokio::test]
async fn a_second_writer_is_noticed_before_anything_is_written() {
    let room = Room::new();
    let mut first = room.store();
    first.append(&batch(1, 1)).await.expect("written");
    let mut second = room.store();
    second.append(&batch(2, 1)).await.expect("written");
    let before = room.bytes();
    let error = first
        .append(&batch(2, 1))
        .await
        .expect_err("it lost its lease");
    assert_eq!(error.code(), "STA009");
    assert_eq!(room.bytes(), before);
}

#[tokio::test]
async fn a_journal_that_was_moved_away_or_replaced_is_not_written() {
    let room = Room::new();
    let mut store = room.store();
    store.append(&batch(1, 1)).await.expect("written");
    let aside = room.directory.path().join("aside");
    std::fs::rename(room.path(), &aside).expect("moved");
    assert_eq!(
        store.append(&batch(2, 1)).await.expect_err("moved").code(),
        "STA009"
    );
    std::fs::copy(&aside, room.path()).expect("copied");
    assert_eq!(
        store
            .append(&batch(2, 1))
            .await
            .expect_err("replaced")
            .code(),
        "STA009"
    );
}

#[tokio::test]
async fn a_torn_end_is_cut_off_by_the_next_append_and_by_no_reader() {
    let room = Room::new();
    room.store().append(&batch(1, 3)).await.expect("written");
    let whole = room.bytes();
    std::fs::write(room.path(), &whole[..whole.len() - 7]).expect("torn");
    let torn = room.bytes();
    assert_eq!(room.loaded().records, batch(1, 2));
    assert_eq!(room.bytes(), torn, "reading changes nothing");
    let mut store = room.store();
    store.append(&batch(3, 1)).await.expect("written");
    assert_eq!(
        room.loaded(),
        Loaded {
            records: batch(1, 3),
            torn: None
        }
    );
}

#[tokio::test]
async fn a_torn_end_longer_than_what_follows_leaves_nothing_behind() {
    let room = Room::new();
    room.store().append(&batch(1, 1)).await.expect("written");
    let torn = [room.bytes(), vec![b'x'; 100_000]].concat();
    std::fs::write(room.path(), torn).expect("torn");
    room.store().append(&batch(2, 1)).await.expect("written");
    let loaded = room.loaded();
    assert_eq!(
        loaded,
        Loaded {
            records: batch(1, 2),
            torn: None
        }
    );
}

#[tokio::test]
async fn rotation_keeps_the_old_journal_and_leaves_a_whole_one_at_every_moment() {
    let room = Room::new();
    let mut store = room.store();
    store.append(&batch(1, 3)).await.expect("written");
    let old = room.bytes();
    // A rotation that a crash ended before its last step left this behind.
    std::fs::write(room.directory.path().join(FRESH), b"half").expect("written");
    let state = crate::EnvironmentState::new(NAME);
    let snapshot = record(
        4,
        run_id(1),
        1,
        crate::Body::Snapshot {
            state: Box::new(state),
        },
    );
    assert!(store.rotate(&snapshot).await.expect("rotated"));
    assert_eq!(room.loaded().records, [snapshot]);
    let kept = room
        .directory
        .path()
        .join(OLD)
        .join("journal-000000000003.ndjson");
    assert_eq!(std::fs::read(kept).expect("it is kept"), old);
    store
        .append(&batch(5, 1))
        .await
        .expect("it goes on in the new file");
    assert_eq!(room.loaded().records.len(), 2);
    assert!(!room.directory.path().join(FRESH).exists());
}

#[test]
fn a_directory_that_cannot_be_is_told_with_its_path() {
    let room = Room::new();
    let file = room.directory.path().join("file");
    std::fs::write(&file, b"").expect("written");
    let error = LocalStore::writable(&file.join("below"))
        .err()
        .expect("a file has nothing below it");
    assert_eq!(error.code(), "STA008", "{error:?}");
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn errors_of_the_file_system_are_sorted_by_what_helps() {
    let code = |number: i32| {
        StateError::from_io(
            "write",
            Path::new("x"),
            io::Error::from_raw_os_error(number),
        )
        .code()
    };
    let (enospc, edquot, eacces, eperm, erofs, eio) = (28, 122, 13, 1, 30, 5);
    assert_eq!(
        [
            code(enospc),
            code(eacces),
            code(eperm),
            code(erofs),
            code(eio)
        ],
        ["STA006", "STA007", "STA007", "STA007", "STA008"]
    );
    #[cfg(target_os = "linux")]
    assert_eq!(code(edquot), "STA006");
    #[cfg(not(target_os = "linux"))]
    let _ = edquot;
}

#[test]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn a_directory_without_permission_is_told() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: the superuser is not refused by permissions");
        return;
    }
    let room = tempfile::tempdir().expect("a temporary directory");
    let directory = room.path().join("closed");
    std::fs::create_dir(&directory).expect("made");
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o500)).expect("closed");
    let error = LocalStore::writable(&directory).err().expect("refused");
    assert_eq!(error.code(), "STA007", "{error:?}");
}
