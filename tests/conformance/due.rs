use guerdon::store::{Commit, PER_PARTITION_MAX, Partition, Store};

use super::kit::*;

/// Subjects due through an instant, over all partitions.
async fn subjects(store: &dyn Store, through_ms: i64) -> Vec<(String, i64)> {
    let items = due_walk(store, through_ms).await.into_iter().flat_map(|page| page.items);
    items.map(|item| (item.subject.to_string(), item.at_ms)).collect()
}

fn rows(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(subject, at_ms)| (subject.to_string(), *at_ms)).collect()
}

pub(crate) async fn a_due_time_is_set_replaced_and_removed<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    for (change, expected) in [
        (due("mia", None), &[][..]), // taking off what is not on is no fault
        (due("mia", 100), &[("mia", 100)]),
        (due("leo", 50), &[("leo", 50), ("mia", 100)]),
        (due("mia", 20), &[("mia", 20), ("leo", 50)]),
        (due("mia", 20), &[("mia", 20), ("leo", 50)]),
        (due("mia", 70), &[("leo", 50), ("mia", 70)]),
        (due("leo", None), &[("mia", 70)]),
        (due("mia", None), &[]),
    ] {
        apply(&*store, &Commit { due: vec![change.clone()], ..nothing() }).await;
        assert_eq!(subjects(&*store, i64::MAX).await, rows(expected), "{change:?}");
    }
}

pub(crate) async fn what_is_due_at_exactly_the_asked_instant_is_included<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    // A present-day instant, one millisecond apart: a clock kept in seconds or rounded would blur them.
    let at_ms = 1_795_305_600_123;
    let items = vec![due("before", at_ms - 1), due("exactly", at_ms), due("after", at_ms + 1)];
    apply(&*store, &Commit { due: items, ..nothing() }).await;
    let all = rows(&[("before", at_ms - 1), ("exactly", at_ms), ("after", at_ms + 1)]);
    assert_eq!(subjects(&*store, at_ms - 2).await, []);
    assert_eq!(subjects(&*store, at_ms - 1).await, all[..1]);
    assert_eq!(subjects(&*store, at_ms).await, all[..2]);
    assert_eq!(subjects(&*store, at_ms + 1).await, all);
}

pub(crate) async fn a_walk_shows_the_earliest_of_every_partition_and_ends<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    assert_eq!(subjects(&*store, i64::MAX).await, []);

    // 100 in one partition, named against the order of time; a few elsewhere; some not due yet.
    let crowd = (0..100).map(|n| due(&format!("s{:03}", 999 - n), 1_000 + n)).collect();
    apply(&*store, &Commit { due: crowd, ..nothing() }).await;
    for (partition, at_ms) in [(0, 5), (2, 9_999), (12, 6), (15, 7)] {
        let commit = Commit { partition: Partition(partition), due: vec![due("one", at_ms)], ..Commit::default() };
        apply(&*store, &commit).await;
    }
    for limit in [1, 3, 64, 65, 1_000] {
        let pages = due_walk_by(&*store, 5_000, limit).await;
        assert!(pages.iter().all(|page| page.items.len() < 2 * limit), "by {limit}");
        let items: Vec<_> = pages.into_iter().flat_map(|page| page.items).collect();
        assert!(items.is_sorted_by_key(|item| (item.partition, item.at_ms)), "by {limit}");
        let (home, others): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.partition == HOME);
        assert_eq!(home.len(), limit.min(PER_PARTITION_MAX), "by {limit}");
        let earliest = (1_000..).take(home.len());
        assert!(home.iter().map(|item| item.at_ms).eq(earliest), "by {limit}: {home:?}");
        assert_eq!(&*home[0].subject, "s999");
        let others: Vec<(u16, i64)> = others.iter().map(|item| (item.partition.0, item.at_ms)).collect();
        assert_eq!(others, [(0, 5), (12, 6), (15, 7)], "by {limit}");
    }
}
