use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;

use super::*;

/// A clock that jumps ahead whenever somebody sleeps, and lets the test act in that time.
struct JumpingClock {
    now: Mutex<Duration>,
    on_sleep: Mutex<Box<dyn FnMut() + Send>>,
}

impl JumpingClock {
    fn new(on_sleep: impl FnMut() + Send + 'static) -> Arc<Self> {
        // Some hours after the boot.
        Arc::new(Self {
            now: Mutex::new(Duration::from_secs(10_000)),
            on_sleep: Mutex::new(Box::new(on_sleep)),
        })
    }

    fn jump(&self, by: Duration) {
        *self.now.lock().expect("no panic in here") += by;
    }
}

#[async_trait]
impl LeaseClock for JumpingClock {
    fn now(&self) -> BootInstant {
        BootInstant::from_boot(*self.now.lock().expect("no panic in here"))
    }

    async fn sleep(&self, duration: Duration) {
        self.jump(duration);
        (self.on_sleep.lock().expect("no panic in here"))();
    }
}

const TERM: Duration = Duration::from_secs(30);
const MARGIN: Duration = Duration::from_secs(15);

fn options(clock: &Arc<JumpingClock>) -> LeaseOptions {
    LeaseOptions {
        term: TERM,
        margin: MARGIN,
        clock: clock.clone(),
        ..LeaseOptions::default()
    }
}

fn room() -> (tempfile::TempDir, PathBuf, Arc<JumpingClock>) {
    let room = tempfile::tempdir().expect("a temporary directory");
    let path = room.path().to_owned();
    (room, path, JumpingClock::new(|| {}))
}

fn elsewhere() -> Holder {
    Holder {
        host: "elsewhere".into(),
        boot: Some("another".into()),
        job_url: Some("https://ci/7".into()),
        ..Holder::current()
    }
}

/// What a holder of another machine left in the directory.
fn left_by(holder: Holder, standing: Standing, clock: &JumpingClock) -> LeaseRecord {
    LeaseRecord {
        fence: 7,
        holder,
        standing,
        heartbeat: 3,
        since: Timestamp::UNIX_EPOCH,
        beat_at: Timestamp::UNIX_EPOCH,
        term_millis: millis(TERM),
        margin_millis: millis(MARGIN),
        deadline_boot_millis: millis((clock.now() + TERM).since_boot()),
        nonce: Uuid::from_u128(1),
    }
}

#[tokio::test]
async fn the_number_rises_with_every_holder_and_release_frees_at_once() {
    let (_room, path, clock) = room();
    let begun = clock.now();
    for number in 1..=3 {
        let lease = Lease::acquire(&path, options(&clock)).await.expect("free");
        assert_eq!(lease.number(), number);
        assert_eq!(lease.deadline(), begun + TERM);
        lease.release().expect("released");
    }
    assert_eq!(clock.now(), begun, "nobody waited");
    let above = LeaseOptions {
        fence_above: 40,
        ..options(&clock)
    };
    assert_eq!(
        Lease::acquire(&path, above).await.expect("free").number(),
        41
    );
}

#[tokio::test]
async fn a_holder_on_this_machine_is_named() {
    let (_room, path, clock) = room();
    let holder = Holder {
        user: "ada".into(),
        job_url: Some("https://ci/7".into()),
        ..Holder::current()
    };
    let held = Lease::acquire(
        &path,
        LeaseOptions {
            holder,
            ..options(&clock)
        },
    )
    .await
    .expect("free");
    let error = Lease::acquire(&path, options(&clock))
        .await
        .expect_err("held");
    assert_eq!((error.code(), error.retryable()), ("STA020", true));
    let text = error.to_string();
    assert!(
        text.contains("ada@") && text.contains("https://ci/7"),
        "{text}"
    );
    let LeaseError::Held { since, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        since,
        LeaseRecord::read(&path)
            .expect("readable")
            .expect("there")
            .since
    );
    assert_eq!(
        LeaseRecord::read(&path)
            .expect("readable")
            .expect("there")
            .at_work(),
        Some(Liveness::Alive)
    );
    drop(held);
}

#[tokio::test]
async fn with_patience_a_lease_that_is_given_back_is_taken() {
    let (_room, path, _) = room();
    let held = Arc::new(Mutex::new(None::<Lease>));
    let to_release = held.clone();
    let mut sleeps = 0;
    let clock = JumpingClock::new(move || {
        sleeps += 1;
        if sleeps == 3 {
            to_release
                .lock()
                .expect("no panic")
                .take()
                .expect("held")
                .release()
                .expect("released");
        }
    });
    *held.lock().expect("no panic") =
        Some(Lease::acquire(&path, options(&clock)).await.expect("free"));
    let waits = Arc::new(Mutex::new(Vec::new()));
    let told = waits.clone();
    let patient = LeaseOptions {
        patience: Duration::from_secs(60),
        on_wait: Some(Arc::new(move |wait: &LeaseWait| {
            told.lock().expect("no panic").push(wait.clone())
        })),
        ..options(&clock)
    };
    let lease = Lease::acquire(&path, patient).await.expect("given back");
    assert_eq!(lease.number(), 2);
    let waits = waits.lock().expect("no panic");
    assert_eq!(waits.len(), 3);
    assert!(
        waits
            .iter()
            .all(|wait| wait.at_work && wait.at_most == Duration::from_secs(60))
    );
}

#[tokio::test]
async fn heartbeats_prolong_and_a_late_one_is_too_late() {
    let (_room, path, clock) = room();
    let mut lease = Lease::acquire(&path, options(&clock)).await.expect("free");
    let fence = lease.fence();
    clock.jump(TERM - Duration::from_secs(1));
    fence.check().expect("it still counts");
    assert_eq!(fence.remaining(), Duration::from_secs(1));
    assert_eq!(lease.heartbeat().expect("in time"), clock.now() + TERM);
    assert_eq!(fence.remaining(), TERM);
    assert_eq!(
        LeaseRecord::read(&path)
            .expect("readable")
            .expect("there")
            .heartbeat,
        2
    );
    clock.jump(TERM + Duration::from_millis(250));
    let error = fence.check().expect_err("it ran out");
    assert!(
        matches!(
            error,
            LeaseError::Expired {
                overdue_millis: 250
            }
        ),
        "{error:?}"
    );
    assert_eq!(lease.heartbeat().expect_err("too late").code(), "STA022");
    assert_eq!(
        LeaseRecord::read(&path)
            .expect("readable")
            .expect("there")
            .heartbeat,
        2
    );
}

#[tokio::test]
async fn a_dead_holder_on_this_machine_is_followed_at_once() {
    let (_room, path, clock) = room();
    let dead = Holder {
        started: Some("before".into()),
        ..Holder::current()
    };
    left_by(dead, Standing::Held, &clock)
        .write(&path, true)
        .expect("written");
    let begun = clock.now();
    let lease = Lease::acquire(&path, options(&clock)).await.expect("dead");
    assert_eq!(lease.number(), 8);
    assert_eq!(clock.now(), begun);
}

#[tokio::test]
async fn a_silent_holder_elsewhere_is_waited_out_for_a_term_and_a_call() {
    let (_room, path, clock) = room();
    left_by(elsewhere(), Standing::Held, &clock)
        .write(&path, true)
        .expect("written");
    let begun = clock.now();
    let lease = Lease::acquire(&path, options(&clock))
        .await
        .expect("silent");
    assert_eq!(lease.number(), 8);
    assert!(clock.now().since(begun) >= TERM + MARGIN);
    assert!(clock.now().since(begun) < TERM + MARGIN + TERM);
}

#[tokio::test]
async fn a_holder_elsewhere_whose_heart_beats_is_named() {
    let (_room, path, quiet) = room();
    let mut record = left_by(elsewhere(), Standing::Held, &quiet);
    record.write(&path, true).expect("written");
    let directory = path.clone();
    let mut sleeps = 0;
    let clock = JumpingClock::new(move || {
        sleeps += 1;
        if sleeps == 20 {
            record.heartbeat += 1;
            record.write(&directory, true).expect("written");
        }
    });
    let error = Lease::acquire(&path, options(&clock))
        .await
        .expect_err("at work");
    let LeaseError::Held { holder, since } = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (holder.host.as_str(), since),
        ("elsewhere", Timestamp::UNIX_EPOCH)
    );
    assert_eq!(
        LeaseRecord::read(&path)
            .expect("readable")
            .expect("there")
            .fence,
        7,
        "it is untouched"
    );
}

#[tokio::test]
async fn an_abandoned_lease_runs_out_before_it_is_followed() {
    let (_room, path, clock) = room();
    let lease = Lease::acquire(&path, options(&clock)).await.expect("free");
    let deadline = lease.deadline();
    let fence = lease.fence();
    lease.abandon().expect("abandoned");
    assert_eq!(
        fence.check().expect_err("nothing more is sent").code(),
        "STA021"
    );
    let next = Lease::acquire(&path, options(&clock))
        .await
        .expect("run out");
    assert_eq!(next.number(), 2);
    assert!(clock.now() >= deadline + MARGIN);

    // Dropping is abandoning.
    let deadline = next.deadline();
    drop(next);
    assert_eq!(
        LeaseRecord::read(&path)
            .expect("readable")
            .expect("there")
            .standing,
        Standing::Abandoned
    );
    let last = Lease::acquire(&path, options(&clock))
        .await
        .expect("run out");
    assert!(clock.now() >= deadline + MARGIN);
    last.release().expect("released");
}

#[tokio::test]
async fn a_lease_that_another_machine_took_is_lost() {
    let (_room, path, clock) = room();
    let mut lease = Lease::acquire(&path, options(&clock)).await.expect("free");
    let fence = lease.fence();
    left_by(elsewhere(), Standing::Held, &clock)
        .write(&path, true)
        .expect("written");
    let error = lease.heartbeat().expect_err("lost");
    assert_eq!(error.code(), "STA021");
    assert!(error.to_string().contains("elsewhere"), "{error}");
    assert_eq!(fence.check().expect_err("lost").code(), "STA021");
    assert_eq!(fence.remaining(), Duration::ZERO);
    assert_eq!(lease.release().expect_err("not ours").code(), "STA021");
    assert_eq!(
        LeaseRecord::read(&path)
            .expect("readable")
            .expect("there")
            .standing,
        Standing::Held
    );
}

#[tokio::test]
async fn of_two_that_waited_out_the_same_silence_the_later_write_has_it() {
    let (_room, path, quiet) = room();
    left_by(elsewhere(), Standing::Held, &quiet)
        .write(&path, true)
        .expect("written");
    let directory = path.clone();
    let winner = LeaseRecord {
        fence: 8,
        nonce: Uuid::from_u128(2),
        ..left_by(elsewhere(), Standing::Held, &quiet)
    };
    let mut beats = winner.clone();
    let clock = JumpingClock::new(move || {
        let now = LeaseRecord::read(&directory)
            .expect("readable")
            .expect("there");
        // As soon as we have written, the other machine's write lands on ours; then its heart beats.
        if now.fence == 8 && now.nonce != winner.nonce {
            winner.write(&directory, true).expect("written");
        } else if now.nonce == winner.nonce {
            beats.heartbeat += 1;
            beats.write(&directory, true).expect("written");
        }
    });
    let error = Lease::acquire(&path, options(&clock))
        .await
        .expect_err("the other has it");
    assert_eq!(error.code(), "STA020", "{error:?}");
    assert_eq!(
        LeaseRecord::read(&path)
            .expect("readable")
            .expect("there")
            .nonce,
        Uuid::from_u128(2)
    );
}

#[tokio::test]
async fn a_lease_file_that_cannot_be_understood_is_told() {
    let (_room, path, clock) = room();
    std::fs::write(path.join("lease.json"), b"{").expect("written");
    assert_eq!(
        Lease::acquire(&path, options(&clock))
            .await
            .expect_err("not JSON")
            .code(),
        "STA023"
    );
    let missing = path.join("missing");
    assert_eq!(
        Lease::acquire(&missing, options(&clock))
            .await
            .expect_err("no directory")
            .code(),
        "STA023"
    );
    assert_eq!(
        LeaseRecord::read(&missing).expect("nothing there is no error"),
        None
    );
}
