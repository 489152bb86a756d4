//! Work that is done within the call that asks for it, and goes on by itself when whoever called leaves.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument;

/// Work that is never cut in half. A task of its own would see to that, too, and cost every call another place in the queue and
/// often another core; here only what is left alone becomes one. The tracker counts it from the beginning.
pub(super) struct Unbroken<F: Future<Output: Send> + Send + Unpin + 'static> {
    /// `None`: it is done.
    work: Option<F>,
    tracker: TaskTracker,
    _counted: TaskTrackerToken,
}

impl<F: Future<Output: Send> + Send + Unpin + 'static> Unbroken<F> {
    pub(super) fn new(tracker: &TaskTracker, work: F) -> Unbroken<F> {
        Unbroken { work: Some(work), tracker: tracker.clone(), _counted: tracker.token() }
    }
}

impl<F: Future<Output: Send> + Send + Unpin + 'static> Future for Unbroken<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let Some(work) = &mut self.work else { return Poll::Pending };
        let done = Pin::new(work).poll(context);
        if done.is_ready() {
            self.work = None;
        }
        done
    }
}

impl<F: Future<Output: Send> + Send + Unpin + 'static> Drop for Unbroken<F> {
    fn drop(&mut self) {
        // Without a runtime the process ends, and this as with a crash: whoever asked asks again.
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            self.tracker.spawn_on(work.in_current_span(), &runtime);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_its_caller_leaves_alone_is_finished_and_waited_for() {
        let (tracker, (go, gone), (done, mut found)) = (TaskTracker::new(), oneshot::channel(), oneshot::channel());
        tracker.close();
        let mut work = Unbroken::new(
            &tracker,
            Box::pin(async {
                let answer: u32 = gone.await.expect("it is told");
                done.send(answer).expect("somebody listens");
            }),
        );
        assert!((&mut work).now_or_never().is_none());
        drop(work);
        assert!(tracker.wait().now_or_never().is_none(), "it is still under way");
        go.send(7).expect("it goes on");
        tracker.wait().await;
        assert_eq!(found.try_recv(), Ok(7));
    }

    #[tokio::test]
    async fn what_is_waited_for_is_done_where_it_is_and_leaves_nothing_behind() {
        let tracker = TaskTracker::new();
        tracker.close();
        let task = Box::pin(async { tokio::task::try_id() });
        assert_eq!(Unbroken::new(&tracker, task).await, tokio::task::try_id());
        assert_eq!(tracker.len(), 0);
    }
}
