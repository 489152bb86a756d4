use guerdon::store::{Commit, PER_PARTITION_MAX, Partition};

use super::kit::*;

pub(crate) async fn positions_rise_and_are_never_given_twice<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let mut given = Vec::new();
    for round in 0..3 {
        let bodies: Vec<Vec<u8>> = (0..4).map(|n| format!("{round}.{n}").into_bytes()).collect();
        apply(&*store, &Commit { feed: bodies.clone(), ..nothing() }).await;
        assert_eq!(feed_bodies(&*store, HOME).await, bodies);

        let two = store.feed(HOME, 2).await.unwrap();
        assert_eq!(two.iter().map(|item| &item.body).collect::<Vec<_>>(), [&bodies[0], &bodies[1]]);
        let items = store.feed(HOME, 10).await.unwrap();
        assert_eq!(items[..2], two);
        assert!(items.iter().all(|item| item.partition == HOME));
        let positions: Vec<u64> = items.iter().map(|item| item.position).collect();

        // One from the middle, then the same again with an unknown one, then the rest: the feed is empty.
        apply(&*store, &Commit { feed_done: vec![positions[1]], ..nothing() }).await;
        assert_eq!(feed_bodies(&*store, HOME).await, [&bodies[0][..], &bodies[2], &bodies[3]]);
        let done = vec![positions[1], positions[3], 999_999_999, u64::MAX];
        apply(&*store, &Commit { feed_done: done, ..nothing() }).await;
        assert_eq!(feed_bodies(&*store, HOME).await, [&bodies[0][..], &bodies[2]]);
        apply(&*store, &Commit { feed_done: vec![positions[0], positions[2]], ..nothing() }).await;
        assert_eq!(store.feed(HOME, 10).await.unwrap(), []);
        given.extend(positions);
    }
    assert!(given.is_sorted_by(|a, b| a < b), "positions rise, also past an empty feed: {given:?}");
}

pub(crate) async fn a_walk_sees_every_partition_once_and_ends<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    assert!(feed_walk(&*store, 10).await.iter().all(|page| page.items.is_empty()));

    let mut expected = Vec::new();
    for (partition, count) in [(15, 3), (0, 2), (7, 5), (8, 1)] {
        let feed: Vec<Vec<u8>> = (0..count).map(|n| format!("{partition}.{n}").into_bytes()).collect();
        expected.extend(feed.iter().map(|body| (partition, body.clone())));
        apply(&*store, &Commit { partition: Partition(partition), feed, ..Commit::default() }).await;
    }
    expected.sort();
    for limit in [5, 6, 7, 100] {
        let pages = feed_walk(&*store, limit).await;
        let items = pages.iter().flat_map(|page| &page.items);
        let seen: Vec<(u16, Vec<u8>)> = items.map(|item| (item.partition.0, item.body.clone())).collect();
        assert_eq!(seen, expected, "by {limit}");
        // "About" the limit: a page goes on past it by what one partition may add.
        assert!(pages.iter().all(|page| page.items.len() < 2 * limit), "by {limit}");
    }
    let from_eight = store.feed_page(Partition(8), 100).await.unwrap().items;
    assert!(from_eight.iter().all(|item| 8 <= item.partition.0) && !from_eight.is_empty());

    // What is delivered while the walk goes on is not seen, and the walk still ends.
    for item in store.feed(Partition(7), 10).await.unwrap() {
        let done = Commit { partition: Partition(7), feed_done: vec![item.position], ..Commit::default() };
        apply(&*store, &done).await;
    }
    let left: usize = feed_walk(&*store, 5).await.iter().map(|page| page.items.len()).sum();
    assert_eq!(left, expected.len() - 5);
}

pub(crate) async fn a_crowded_partition_shows_its_oldest_and_keeps_no_other_waiting<F: Fixture>() {
    let fixture = F::start().await;
    let store = fixture.store();
    let crowd: Vec<Vec<u8>> = (0..150).map(|n| format!("{n}").into_bytes()).collect();
    apply(&*store, &Commit { feed: crowd.clone(), ..nothing() }).await;
    apply(&*store, &Commit { partition: Partition(9), feed: vec![b"other".to_vec()], ..Commit::default() }).await;

    for limit in [1, 20] {
        let first = feed_walk(&*store, limit).await.into_iter().flat_map(|page| page.items);
        let bodies: Vec<_> = first.filter(|item| item.partition == HOME).map(|item| item.body).collect();
        assert_eq!(bodies, crowd[..limit]);
    }
    let mut shown = Vec::new();
    for _ in 0..3 {
        let items: Vec<_> = feed_walk(&*store, 100).await.into_iter().flat_map(|page| page.items).collect();
        let (home, others): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.partition == HOME);
        assert_eq!(others.len(), 1);
        assert!(home.len() <= PER_PARTITION_MAX, "{} of one partition", home.len());
        let done = Commit { feed_done: home.iter().map(|item| item.position).collect(), ..nothing() };
        apply(&*store, &done).await;
        shown.extend(home.into_iter().map(|item| item.body));
    }
    assert_eq!(shown, crowd);
}
