//! Works through a list with a bounded number of tasks.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

/// Runs `work` on every item, at most `at_once` at a time, each item once and in one task. The first failure ends all
/// of it, and so does dropping the future: what is under way is left where it stands.
pub async fn each<T, E, F, Fut>(items: Arc<Vec<T>>, at_once: usize, work: F) -> Result<(), E>
where
    T: Send + Sync + 'static,
    E: Send + 'static,
    F: Fn(Arc<Vec<T>>, usize) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<(), E>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..at_once.min(items.len()) {
        let (items, next, work) = (Arc::clone(&items), Arc::clone(&next), work.clone());
        workers.spawn(async move {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if items.len() <= at {
                    return Ok(());
                }
                work(Arc::clone(&items), at).await?;
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        match ended {
            Ok(result) => result?,
            // Nothing cancels the tasks while they are waited for: a task panicked, and so does its owner.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test]
    async fn every_item_is_worked_on_once_and_few_at_a_time() {
        let items = Arc::new((0..100).collect::<Vec<usize>>());
        let (seen, running, most) = <(Arc<Mutex<Vec<usize>>>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let (s, m) = (Arc::clone(&seen), Arc::clone(&most));
        let work = move |items: Arc<Vec<usize>>, at: usize| {
            let (seen, running, most) = (Arc::clone(&s), Arc::clone(&running), Arc::clone(&m));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                seen.lock().unwrap().push(items[at]);
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<(), ()>(())
            }
        };
        assert_eq!(each(items, 7, work).await, Ok(()));
        let mut seen = seen.lock().unwrap().clone();
        seen.sort_unstable();
        assert_eq!(seen, (0..100).collect::<Vec<usize>>());
        assert_eq!(most.load(Ordering::SeqCst), 7);
    }

    #[tokio::test]
    async fn the_first_failure_ends_it() {
        let items = Arc::new((0..100).collect::<Vec<usize>>());
        let reached = Arc::new(AtomicUsize::new(0));
        let r = Arc::clone(&reached);
        let work = move |_: Arc<Vec<usize>>, at: usize| {
            r.fetch_max(at, Ordering::SeqCst);
            async move { if at == 3 { Err(at) } else { Ok(()) } }
        };
        assert_eq!(each(items, 1, work).await, Err(3));
        assert_eq!(reached.load(Ordering::SeqCst), 3);
    }
}
