//! Up, and up again.

use pipectl_stages::Change;

use super::{Run, late, pipeline, whole};

#[tokio::test]
async fn a_network_is_made_once_and_then_nothing_is_written() {
    let mut run = Run::prompt().await;
    let loaded = pipeline(&[]);
    let first = run.up(&loaded).await;
    for (step, change) in &first {
        let made = match step.as_str() {
            // It makes nothing.
            "network/obsolete" => Some(Change::Adopted),
            _ => Some(Change::Created),
        };
        assert_eq!(*change, made, "{step}");
    }
    assert_eq!(run.census(), whole(3, 1));
    run.changes();
    let second = run.up(&loaded).await;
    assert!(second.values().all(Option::is_none), "{second:?}");
    assert_eq!(
        run.changes(),
        [""; 0],
        "an up without differences writes nothing"
    );
    // With the record lost everything is found by its tags.
    run.forget();
    let adopted = run.up(&loaded).await;
    for (step, change) in &adopted {
        if step != "network/obsolete" {
            assert_eq!(*change, Some(Change::Adopted), "{step}");
        }
    }
    assert_eq!(run.changes(), [""; 0], "what is adopted is as it should be");
    assert_eq!(run.census(), whole(3, 1));
}

#[tokio::test]
async fn reads_that_lag_behind_make_nothing_twice() {
    let mut run = Run::new(late()).await;
    let loaded = pipeline(&[("spec.network.nat", "per-zone")]);
    run.up_side_by_side(&loaded).await;
    assert_eq!(run.census(), whole(3, 3));
    run.changes();
    run.up(&loaded).await;
    assert_eq!(run.changes(), [""; 0]);
}

#[tokio::test]
async fn a_network_without_a_way_out_for_private_subnets() {
    let mut run = Run::prompt().await;
    run.up(&pipeline(&[("spec.network.nat", "none")])).await;
    assert_eq!(run.census(), whole(3, 0));
    run.down().await.unwrap();
    assert!(run.census().is_empty(), "{:?}", run.census());
}
