//! A TCP connection whose writes are gathered: what tasks write one after another goes out at once.
//!
//! Who multiplexes many calls on one connection is woken for each of them, and writes for each of them: a system call that
//! costs as much as a tenth of a decision, and another one for the peer who reads. Here what is written is put into an outbox at
//! once, and a task of its own writes it to the socket after it has gone to the end of the runtime's queue: by then the other
//! tasks that were ready have added theirs. Where nothing else is ready that is at once.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// So much goes out without waiting for more.
const HEAP_BYTES: usize = 16 * 1024;
/// Room for so much is kept by a connection that has nothing to write.
const ROOM_BYTES_KEPT: usize = 2 * HEAP_BYTES;
/// While so much waits for the socket, whoever writes waits too.
const OUTBOX_BYTES_MAX: usize = 256 * 1024;

/// A connection whose writes are gathered. Flushing it does not wait for the socket; shutting it down does.
pub struct Gathered {
    reading: OwnedReadHalf,
    outbox: Arc<Mutex<Outbox>>,
}

/// What waits to be written to the socket.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
    state: State,
    /// Of the task that writes, while it has nothing to do.
    writer: Option<Waker>,
    /// Of whoever waits for room, or for the end.
    owner: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    #[default]
    Open,
    /// Nothing more will come; what is there is to be written.
    Ending,
    /// Nobody waits for it any more: what the socket does not take at once is lost.
    Left,
    /// All is written, and the socket knows that nothing more will come.
    Ended,
    Failed(io::ErrorKind),
}

impl Gathered {
    /// Takes a connection over. Must be called within a runtime, in which its writes are done.
    pub fn new(stream: TcpStream) -> Gathered {
        let (reading, writing) = stream.into_split();
        let outbox = Arc::default();
        let mut writer = Writer { writing, outbox: Arc::clone(&outbox), out: Vec::new(), written: 0, went_back: false };
        let work = std::future::poll_fn(move |context| writer.poll(context));
        #[expect(clippy::disallowed_methods, reason = "it ends with its connection, for which a drain waits")]
        tokio::spawn(work);
        Gathered { reading, outbox }
    }

    fn put(&self, context: &Context<'_>, parts: &mut dyn Iterator<Item = &[u8]>) -> Poll<io::Result<usize>> {
        let mut outbox = lock(&self.outbox);
        match outbox.state {
            State::Open => {}
            State::Failed(kind) => return Poll::Ready(Err(kind.into())),
            State::Ending | State::Left | State::Ended => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
        let mut room = OUTBOX_BYTES_MAX.saturating_sub(outbox.bytes.len());
        if room == 0 {
            wait(&mut outbox.owner, context);
            return Poll::Pending;
        }
        let before = room;
        for part in parts {
            let taken = part.split_at_checked(room).map_or(part, |(taken, _)| taken);
            outbox.bytes.extend_from_slice(taken);
            room -= taken.len();
        }
        outbox.wake_writer();
        Poll::Ready(Ok(before - room))
    }
}

impl Outbox {
    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    fn wake_owner(&mut self) {
        if let Some(owner) = self.owner.take() {
            owner.wake();
        }
    }

    fn end_with(&mut self, state: State) {
        self.state = state;
        self.wake_owner();
    }
}

fn lock(outbox: &Mutex<Outbox>) -> MutexGuard<'_, Outbox> {
    outbox.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(place: &mut Option<Waker>, context: &Context<'_>) {
    match place {
        Some(known) => known.clone_from(context.waker()),
        None => *place = Some(context.waker().clone()),
    }
}

impl AsyncRead for Gathered {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.reading).poll_read(context, into)
    }
}

impl AsyncWrite for Gathered {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.put(context, &mut std::iter::once(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.put(context, &mut parts.iter().map(|part| &**part))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// What was written is on its way: whether it arrives nobody knows sooner from a socket either.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match lock(&self.outbox).state {
            State::Failed(kind) => Poll::Ready(Err(kind.into())),
            State::Open | State::Ending | State::Left | State::Ended => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outbox = lock(&self.outbox);
        match outbox.state {
            State::Ended => return Poll::Ready(Ok(())),
            State::Failed(kind) => return Poll::Ready(Err(kind.into())),
            State::Open => {
                outbox.state = State::Ending;
                outbox.wake_writer();
            }
            State::Ending | State::Left => {}
        }
        wait(&mut outbox.owner, context);
        Poll::Pending
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        let mut outbox = lock(&self.outbox);
        if matches!(outbox.state, State::Open | State::Ending) {
            outbox.state = State::Left;
            outbox.wake_writer();
        }
    }
}

/// Writes what is in the outbox to the socket, until there will be nothing more.
struct Writer {
    writing: OwnedWriteHalf,
    outbox: Arc<Mutex<Outbox>>,
    /// Taken out of the outbox, and how much of it the socket has taken.
    out: Vec<u8>,
    written: usize,
    /// Whether it has been at the end of the runtime's queue since it was woken.
    went_back: bool,
}

impl Writer {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.out.len() <= self.written && ready!(self.take(context)) {
                return self.end(context);
            }
            let left = self.out.get(self.written..).unwrap_or_default();
            match Pin::new(&mut self.writing).poll_write(context, left) {
                Poll::Ready(Ok(0)) => return self.fail(io::ErrorKind::WriteZero),
                Poll::Ready(Ok(taken)) => self.written += taken,
                Poll::Ready(Err(error)) => return self.fail(error.kind()),
                Poll::Pending => {
                    let mut outbox = lock(&self.outbox);
                    if outbox.state == State::Left {
                        return Poll::Ready(());
                    }
                    // Whoever leaves now tells it.
                    wait(&mut outbox.writer, context);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Takes what there is, once others had time to add to it. Ready with whether nothing more will come.
    fn take(&mut self, context: &Context<'_>) -> Poll<bool> {
        let mut outbox = lock(&self.outbox);
        if outbox.bytes.is_empty() {
            if outbox.state != State::Open {
                return Poll::Ready(true);
            }
            wait(&mut outbox.writer, context);
            self.went_back = false;
            self.written = 0;
            self.out.clear();
            for room in [&mut self.out, &mut outbox.bytes] {
                if ROOM_BYTES_KEPT < room.capacity() {
                    *room = Vec::new();
                }
            }
            return Poll::Pending;
        }
        if !self.went_back && outbox.bytes.len() < HEAP_BYTES && outbox.state == State::Open {
            self.went_back = true;
            // What wakes itself while it is worked on goes to the end of the queue.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.went_back = false;
        self.written = 0;
        self.out.clear();
        std::mem::swap(&mut self.out, &mut outbox.bytes);
        outbox.wake_owner();
        Poll::Ready(false)
    }

    fn end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let ended = ready!(Pin::new(&mut self.writing).poll_shutdown(context));
        let state = ended.map_or_else(|error| State::Failed(error.kind()), |()| State::Ended);
        lock(&self.outbox).end_with(state);
        Poll::Ready(())
    }

    fn fail(&mut self, kind: io::ErrorKind) -> Poll<()> {
        lock(&self.outbox).end_with(State::Failed(kind));
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Gathered, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (here, there) =
            tokio::join!(TcpStream::connect(listener.local_addr().expect("its address")), listener.accept());
        (Gathered::new(here.expect("connected")), there.expect("accepted").0)
    }

    #[tokio::test]
    async fn what_is_written_arrives_whole_and_in_order() {
        let (mut here, mut there) = pair().await;
        let sent: Vec<u8> = (0..3 * OUTBOX_BYTES_MAX).map(|n| (n % 251) as u8).collect();
        let expected = sent.clone();
        let (written, found) = tokio::join!(
            async {
                for (n, part) in sent.chunks(7_001).enumerate() {
                    if n % 2 == 0 {
                        here.write_all(part).await?;
                    } else {
                        // The first is taken in whole, and the second as far as there is room.
                        let (first, second) = part.split_at(part.len() / 2);
                        let taken = here.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]).await?;
                        here.write_all(part.get(taken..).unwrap_or_default()).await?;
                    }
                }
                here.shutdown().await
            },
            async {
                let mut found = Vec::new();
                there.read_to_end(&mut found).await.map(|_| found)
            }
        );
        written.expect("all is written");
        assert!(found.expect("all is read") == expected);
    }

    #[tokio::test]
    async fn a_connection_that_is_idle_between_writes_sends_each_once_and_keeps_little_room() {
        let (mut here, mut there) = pair().await;
        for len in [10, ROOM_BYTES_KEPT + 1, 100, 2 * ROOM_BYTES_KEPT, 1] {
            here.write_all(&vec![7; len]).await.expect("there is room");
            let mut found = vec![0; len];
            there.read_exact(&mut found).await.expect("what was written");
            assert!(found.iter().all(|byte| *byte == 7));
            while !is_waiting(&here) {
                tokio::task::yield_now().await;
            }
            assert!(lock(&here.outbox).bytes.capacity() <= ROOM_BYTES_KEPT);
        }
        here.shutdown().await.expect("it ends");
        assert_eq!(there.read(&mut [0; 10]).await.expect("the end"), 0, "nothing came twice");
    }

    #[tokio::test]
    async fn writes_of_tasks_that_are_ready_go_out_together() {
        let (mut here, mut there) = pair().await;
        for n in 0..10u8 {
            here.write_all(&[n; 100]).await.expect("there is room");
            here.flush().await.expect("nothing is waited for");
        }
        let mut found = [0; 2_000];
        assert_eq!(there.read(&mut found).await.expect("what was written"), 1_000);
    }

    #[tokio::test]
    async fn who_does_not_read_is_not_written_to_without_end() {
        let (mut here, there) = pair().await;
        let mut taken = 0usize;
        // The socket takes some; then the outbox is full, and the writer waits.
        loop {
            let write =
                std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut here).poll_write(context, &[0; 64 * 1024])));
            match write.await {
                Poll::Ready(written) => taken += written.expect("it is open"),
                Poll::Pending if OUTBOX_BYTES_MAX <= lock(&here.outbox).bytes.len() && is_waiting(&here) => break,
                Poll::Pending => tokio::task::yield_now().await,
            }
            assert!(taken < 1 << 30, "no socket holds as much");
        }
        let outbox = Arc::clone(&here.outbox);
        drop(here);
        // The writer leaves too, although the peer never reads.
        while 1 < Arc::strong_count(&outbox) {
            tokio::task::yield_now().await;
        }
        drop(there);
    }

    fn is_waiting(here: &Gathered) -> bool {
        lock(&here.outbox).writer.is_some()
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_told() {
        let (mut here, there) = pair().await;
        drop(there);
        let error = loop {
            if let Err(error) = here.write_all(&[0; 1_000]).await {
                break error;
            }
            tokio::task::yield_now().await;
        };
        assert!(matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset), "{error}");
        assert!(here.shutdown().await.is_err());
    }
}
