use super::*;
use crate::record::RunKind;
use crate::testing::*;

fn batch(first: u64, count: u64) -> Vec<Record> {
    numbered(first, 1, (0..count).map(|_| started(RunKind::Up)))
}

async fn journal(objects: &MemoryObjects) -> ObjectJournal<MemoryObjects> {
    let mut journal = ObjectJournal::new(objects.clone(), "env/journal");
    journal.load().await.expect("it loads");
    journal
}

#[tokio::test]
async fn batches_are_read_in_order() {
    let objects = MemoryObjects::new();
    let mut writer = journal(&objects).await;
    writer.append(&batch(1, 9)).await.expect("created");
    writer.append(&batch(10, 1)).await.expect("created");
    let keys = objects.list("").await.expect("listed");
    assert_eq!(
        keys,
        [
            "env/journal/00000000000000000001.ndjson",
            "env/journal/00000000000000000010.ndjson"
        ]
    );
    let loaded = ObjectJournal::new(objects, "env/journal")
        .load()
        .await
        .expect("it loads");
    assert_eq!(loaded.records, batch(1, 10));
}

#[tokio::test]
async fn of_two_writers_only_one_has_the_number() {
    let objects = MemoryObjects::new();
    let mut first = journal(&objects).await;
    let mut second = journal(&objects).await;
    second.append(&batch(1, 2)).await.expect("created");
    let error = first
        .append(&batch(1, 1))
        .await
        .expect_err("the number is taken");
    assert_eq!(error.code(), "STA009", "{error:?}");
    assert_eq!(journal(&objects).await.last, 2);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_out_by_the_nonce() {
    let objects = MemoryObjects::new();
    let mut writer = journal(&objects).await;
    objects.lose_answers(1);
    writer
        .append(&batch(1, 2))
        .await
        .expect("412, and the nonce is our own");
    assert_eq!(writer.settle().await.expect("known"), 2);
    assert_eq!(journal(&objects).await.last, 2);
}

#[tokio::test(start_paused = true)]
async fn conflicts_are_tried_again_and_not_for_ever() {
    let objects = MemoryObjects::new();
    let mut writer = journal(&objects).await;
    objects.conflict_next(TRIES - 1);
    writer
        .append(&batch(1, 1))
        .await
        .expect("created in the end");
    objects.conflict_next(TRIES);
    let error = writer.append(&batch(2, 1)).await.expect_err("given up");
    assert_eq!(error.code(), "STA013");
    assert!(error.retryable());
    assert_eq!(writer.settle().await.expect("it was not created"), 1);
    writer.append(&batch(2, 1)).await.expect("created");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_future_was_dropped_is_settled() {
    let objects = MemoryObjects::new();
    let mut writer = journal(&objects).await;
    // The effect happens in the first poll; then the answer is lost and the future waits before it tries again.
    objects.lose_answers(1);
    let dropped = tokio::time::timeout(Duration::from_millis(1), writer.append(&batch(1, 3))).await;
    assert!(dropped.is_err());
    assert_eq!(writer.settle().await.expect("found out"), 3);
    objects.conflict_next(1);
    let dropped = tokio::time::timeout(Duration::from_millis(1), writer.append(&batch(4, 3))).await;
    assert!(dropped.is_err());
    assert_eq!(writer.settle().await.expect("found out"), 3);
}

#[tokio::test]
async fn a_missing_or_mangled_object_is_damage() {
    let objects = MemoryObjects::new();
    let mut writer = journal(&objects).await;
    for first in 1..=3 {
        writer.append(&batch(first, 1)).await.expect("created");
    }
    let whole = objects.lock().content.clone();
    let middle = writer.key(2);
    objects.lock().content.remove(&middle);
    assert_eq!(journal_error(&objects).await, "STA003");
    let mut torn = whole[&middle].clone();
    torn.truncate(torn.len() - 5);
    objects.lock().content.insert(middle, torn);
    assert_eq!(journal_error(&objects).await, "STA003");
}

async fn journal_error(objects: &MemoryObjects) -> &'static str {
    ObjectJournal::new(objects.clone(), "env/journal")
        .load()
        .await
        .expect_err("damaged")
        .code()
}
