//! The lease in the account against records in memory: what one write more or less, a late look or a lost answer make of it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use pipectl_stages::{
    Environment, PortError, PortErrorKind,
    ports::{
        anchors::{Anchor, AnchorApi, Sighting},
        cloud::{Deletion, Tags},
    },
};
use pipectl_state::{BootInstant, Holder, LeaseClock};
use tokio::time::Instant;

use super::{AccountLease, AtWork, Claimant, MARGIN, TERM, Verdict, judge};
use crate::engine::Hold;

/// What happens to a write.
enum Fate {
    /// Its answer is lost.
    NoAnswer,
    /// It does not come there.
    Unreachable,
}

/// A parameter store with one parameter, which numbers its versions.
#[derive(Default)]
struct Records {
    kept: Mutex<Vec<(Anchor, Instant)>>,
    writes: Mutex<usize>,
    fates: Mutex<VecDeque<Fate>>,
    /// So many looks show what was there this many versions ago.
    lag: Mutex<(usize, usize)>,
}

fn lock<T>(of: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

fn broken() -> PortError {
    PortError::new(PortErrorKind::Unreachable, "AWS001", "the connection broke")
}

impl Records {
    fn with(anchor: Anchor) -> Arc<Self> {
        let records = Self::default();
        lock(&records.kept).push((anchor, Instant::now()));
        Arc::new(records)
    }

    fn version(&self) -> u64 {
        lock(&self.kept).len() as u64
    }

    fn last(&self) -> Anchor {
        lock(&self.kept).last().unwrap().0.clone()
    }

    /// Writes that came from a run.
    fn writes(&self) -> usize {
        *lock(&self.writes)
    }

    fn put(&self, anchor: &Anchor) -> Result<u64, PortError> {
        *lock(&self.writes) += 1;
        let fate = lock(&self.fates).pop_front();
        if matches!(fate, Some(Fate::Unreachable)) {
            return Err(broken());
        }
        lock(&self.kept).push((anchor.clone(), Instant::now()));
        match fate {
            None => Ok(self.version()),
            Some(_) => Err(broken()),
        }
    }

    async fn seen(&self) -> Sighting {
        AnchorApi::sight(self, "one").await.unwrap().unwrap()
    }
}

#[async_trait]
impl AnchorApi for Records {
    async fn create(&self, anchor: &Anchor, _: &Tags) -> Result<u64, PortError> {
        assert_eq!(self.version(), 0);
        self.put(anchor)
    }

    async fn sight(&self, _: &str) -> Result<Option<Sighting>, PortError> {
        let behind = {
            let mut lag = lock(&self.lag);
            let (looks, behind) = *lag;
            lag.0 = looks.saturating_sub(1);
            if looks > 0 { behind } else { 0 }
        };
        let seen = {
            let kept = lock(&self.kept);
            let shown = kept.len().saturating_sub(behind).max(1);
            kept.get(shown - 1).map(|(anchor, written)| Sighting {
                anchor: anchor.clone(),
                version: shown as u64,
                silent: written.elapsed(),
            })
        };
        // Everybody who asks now has looked before anybody goes on.
        tokio::task::yield_now().await;
        Ok(seen)
    }

    async fn all(&self) -> Result<Vec<Sighting>, PortError> {
        Ok(self.sight("one").await?.into_iter().collect())
    }

    async fn update(&self, anchor: &Anchor) -> Result<u64, PortError> {
        if self.version() == 0 {
            return Err(PortError::new(PortErrorKind::NotFound, "AWS010", "gone"));
        }
        self.put(anchor)
    }

    async fn delete(&self, _: &str) -> Result<Deletion, PortError> {
        lock(&self.kept).clear();
        Ok(Deletion::Accepted)
    }
}

/// Time as tokio's tests have it: it passes when nobody has anything to do.
struct Virtual(Instant);

#[async_trait]
impl LeaseClock for Virtual {
    fn now(&self) -> BootInstant {
        BootInstant::from_boot(Duration::from_secs(1_000) + self.0.elapsed())
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn anchor() -> Anchor {
    Anchor {
        name: "one".to_owned(),
        uid: "u".to_owned(),
        created: Timestamp::UNIX_EPOCH,
        cluster: "c".to_owned(),
        brought_vpc: None,
        state_url: None,
        lease: None,
        follows: 0,
        expires: None,
    }
}

fn claimant(run: &str) -> Claimant {
    Claimant {
        holder: Holder {
            host: format!("machine-of-{run}"),
            boot: None,
            ..Holder::current()
        },
        run: run.to_owned(),
        earlier: BTreeSet::new(),
    }
}

fn lease(records: &Arc<Records>, run: &str) -> Arc<AccountLease> {
    let environment = Environment {
        name: "one".to_owned(),
        uid: "u".to_owned(),
    };
    let clock = Arc::new(Virtual(Instant::now()));
    AccountLease::within(
        records.clone(),
        environment,
        claimant(run),
        (TERM, MARGIN),
        clock,
    )
}

async fn code(of: &AccountLease) -> String {
    of.before_effect().await.unwrap_err().code
}

#[tokio::test(start_paused = true)]
async fn it_is_taken_with_the_first_effect_kept_and_given_back() {
    let records = Records::with(anchor());
    let one = lease(&records, "one");
    tokio::time::sleep(10 * TERM).await;
    assert_eq!((records.writes(), one.deadline()), (0, None));
    for _ in 0..3 {
        one.before_effect().await.unwrap();
    }
    assert_eq!(records.writes(), 1);
    let seen = records.seen().await;
    let at_work = AtWork::of(&seen).unwrap();
    assert!(at_work.holder.contains("machine-of-one"), "{at_work:?}");

    // An hour later it counts still, and the other machine is told who has it.
    tokio::time::sleep(30 * TERM).await;
    one.before_effect().await.unwrap();
    let writes = records.writes();
    assert!((90..=92).contains(&writes), "{writes}");
    let two = lease(&records, "two");
    assert_eq!(code(&two).await, "STA020");
    let told = two.lost().await;
    assert!(told.cause.contains("machine-of-one"), "{}", told.cause);
    assert_eq!(records.writes(), writes);

    one.give_back().await;
    let given_back = records.last();
    assert_eq!((given_back.lease, given_back.uid.as_str()), (None, "u"));
    tokio::time::sleep(3 * TERM).await;
    assert_eq!(records.writes(), writes + 1);
    lease(&records, "three").before_effect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_first_run_takes_it_in_the_call_that_makes_the_record() {
    let records = Arc::new(Records::default());
    let one = lease(&records, "one");
    assert_eq!(one.create(&anchor(), &Tags::new()).await.unwrap(), 1);
    one.before_effect().await.unwrap();
    assert_eq!(records.writes(), 1);
    assert!(one.deadline().is_some());
    assert_eq!(code(&lease(&records, "two")).await, "STA020");
    // And it goes with the record.
    assert_eq!(one.delete("one").await.unwrap(), Deletion::Accepted);
    one.give_back().await;
    assert_eq!((records.writes(), records.version()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn of_many_that_saw_the_same_record_one_goes_on_and_the_record_names_it_soon() {
    let records = Records::with(anchor());
    let all: Vec<_> = (0..20)
        .map(|number| lease(&records, &format!("run-{number}")))
        .collect();
    let taken = futures::future::join_all(all.iter().map(|one| one.before_effect())).await;
    let winners: Vec<usize> = (0..20).filter(|&number| taken[number].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{taken:?}");
    assert!(records.version() > 2, "nobody wrote over it");
    let mut told = BTreeMap::new();
    for refused in taken.iter().filter_map(|one| one.as_ref().err()) {
        assert_eq!(refused.code, "STA020");
        *told.entry(refused.cause.clone()).or_insert(0) += 1;
    }
    let name = format!("machine-of-run-{}", winners[0]);
    assert!(told.keys().all(|cause| cause.contains(&name)), "{told:#?}");
    let seen = records.seen().await;
    assert!(seen.counts());
    assert_eq!(
        seen.anchor.lease.unwrap().run,
        format!("run-{}", winners[0])
    );
    tokio::time::sleep(5 * TERM).await;
    all[winners[0]].before_effect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_look_that_lags_behind_takes_nothing_from_the_holder() {
    let records = Records::with(anchor());
    let one = lease(&records, "one");
    one.before_effect().await.unwrap();
    tokio::time::sleep(TERM).await;
    // It sees the record as it was before anybody held it.
    let all = usize::try_from(records.version()).unwrap() - 1;
    *lock(&records.lag) = (1, all);
    assert_eq!(code(&lease(&records, "two")).await, "STA020");
    one.before_effect().await.unwrap();
    tokio::time::sleep(2 * TERM).await;
    one.before_effect().await.unwrap();
    assert_eq!(records.last().lease.unwrap().run, "one");
}

#[tokio::test(start_paused = true)]
async fn whoever_finds_another_in_the_record_stops() {
    let records = Records::with(anchor());
    let one = lease(&records, "one");
    one.before_effect().await.unwrap();
    // A run of the same directory that does not wait for this one, which it takes for ended.
    let environment = Environment {
        name: "one".to_owned(),
        uid: "u".to_owned(),
    };
    let follower = Claimant {
        earlier: BTreeSet::from(["one".to_owned()]),
        ..claimant("two")
    };
    let clock = Arc::new(Virtual(Instant::now()));
    let bounds = (TERM, MARGIN);
    let two = AccountLease::within(records.clone(), environment, follower, bounds, clock);
    two.before_effect().await.unwrap();
    let lost = one.lost().await;
    assert_eq!(lost.code, "STA021");
    assert!(lost.cause.contains("machine-of-two"), "{}", lost.cause);
    assert_eq!(code(&one).await, "STA021");
    assert_eq!(one.deadline(), Some(Duration::ZERO));
    // What it still says at its end does not take it from the other.
    one.give_back().await;
    assert_eq!(records.last().lease.unwrap().run, "two");
    two.before_effect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_for_a_term_it_runs_out_before_anybody_else_may_follow() {
    let records = Records::with(anchor());
    let one = lease(&records, "one");
    one.before_effect().await.unwrap();
    lock(&records.fates).extend((0..100).map(|_| Fate::Unreachable));
    tokio::time::sleep(TERM - Duration::from_secs(1)).await;
    one.before_effect().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(code(&one).await, "STA022");
    assert_eq!(one.lost().await.code, "STA022");
    let theirs = claimant("two");
    let held = judge(&records.seen().await, &theirs);
    assert!(matches!(held, Verdict::Held { .. }), "{held:?}");
    tokio::time::sleep(MARGIN).await;
    lock(&records.fates).clear();
    assert_eq!(judge(&records.seen().await, &theirs), Verdict::Free);
    lease(&records, "two").before_effect().await.unwrap();
    assert_eq!(code(&one).await, "STA022");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_out() {
    let records = Records::with(anchor());
    let one = lease(&records, "one");
    lock(&records.fates).push_back(Fate::NoAnswer);
    one.before_effect().await.unwrap();
    assert_eq!(records.last().lease.unwrap().run, "one");
    // The same at a heartbeat.
    lock(&records.fates).push_back(Fate::NoAnswer);
    tokio::time::sleep(5 * TERM).await;
    one.before_effect().await.unwrap();
    assert!(records.seen().await.counts());
}

#[tokio::test(start_paused = true)]
async fn with_calls_under_way_it_is_left_to_run_out() {
    let records = Records::with(anchor());
    let one = lease(&records, "one");
    one.before_effect().await.unwrap();
    one.abandon().await;
    assert!(records.last().lease.unwrap().abandoned);
    assert_eq!(code(&lease(&records, "two")).await, "STA020");
    tokio::time::sleep(TERM + MARGIN).await;
    assert_eq!(AtWork::of(&records.seen().await), None);
    lease(&records, "three").before_effect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_record_says_besides_is_changed_under_the_lease() {
    let records = Records::with(anchor());
    let one = lease(&records, "one");
    let wanted = Anchor {
        cluster: "another".to_owned(),
        ..anchor()
    };
    one.update(&wanted).await.unwrap();
    tokio::time::sleep(2 * TERM).await;
    let kept = records.last();
    assert_eq!(kept.cluster, "another");
    assert_eq!(kept.lease.unwrap().run, "one");
    one.give_back().await;
    assert_eq!(records.last().cluster, "another");
}

#[tokio::test(start_paused = true)]
async fn a_record_that_goes_under_the_hand_ends_the_run_and_one_that_never_was_holds_nobody() {
    let records = Records::with(anchor());
    let one = lease(&records, "one");
    one.before_effect().await.unwrap();
    AnchorApi::delete(records.as_ref(), "one").await.unwrap();
    tokio::time::sleep(TERM).await;
    assert_eq!(one.lost().await.code, "STA021");

    // What is left without a record is removed without one; when somebody makes it anew, it counts.
    let two = lease(&records, "two");
    two.before_effect().await.unwrap();
    assert_eq!((two.deadline(), records.version()), (None, 0));
    let three = lease(&records, "three");
    three.create(&anchor(), &Tags::new()).await.unwrap();
    tokio::time::sleep(TERM).await;
    assert_eq!(two.lost().await.code, "STA020");
    three.before_effect().await.unwrap();
}
