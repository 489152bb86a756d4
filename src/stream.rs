//! A TCP connection whose writes are gathered: what tasks write one after another goes out at once.
//!
//! Who multiplexes many calls on one connection is woken for each of them, and writes for each of them: a system call that
//! costs as much as a tenth of a decision, and another one for the peer who reads. Here what is written is put into a pipe in
//! memory, and a task of its own writes it to the socket after it has gone to the end of the runtime's queue: by then the other
//! tasks that were ready have added theirs. Where nothing else is ready that is at once.

use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;
use tokio::time::{Sleep, sleep, timeout};

/// So much goes out at a time, and without waiting for more.
const HEAP_BYTES: usize = 16 * 1024;
/// While so much waits for the socket, whoever writes waits too.
const OUTBOX_BYTES_MAX: usize = 256 * 1024;
/// A socket that takes nothing for so long is given up: whoever waits for its peer has left long before.
const STALLED: Duration = Duration::from_secs(60);

/// A connection whose writes are gathered, and what its owner knows about it. Flushing it does not wait for the socket; shutting it
/// down does.
pub struct Gathered<T = ()> {
    reading: OwnedReadHalf,
    /// How long the peer has for so many bytes more; `None`: it has sent enough.
    owes: Option<(usize, Pin<Box<Sleep>>)>,
    outbox: DuplexStream,
    /// `None`: it has ended.
    writer: Option<JoinHandle<io::Result<()>>>,
    pub about: T,
}

impl<T> Gathered<T> {
    /// Takes a connection over. Must be called within a runtime, in which its writes are done.
    pub fn new(stream: TcpStream, about: T) -> Gathered<T> {
        Gathered::giving_up_after(STALLED, stream, about)
    }

    fn giving_up_after(stalled: Duration, stream: TcpStream, about: T) -> Gathered<T> {
        let (reading, socket) = stream.into_split();
        let (outbox, written) = duplex(OUTBOX_BYTES_MAX);
        #[expect(clippy::disallowed_methods, reason = "it ends with its connection, for which a drain waits")]
        let writer = tokio::spawn(write_out(written, socket, stalled));
        Gathered { reading, owes: None, outbox, writer: Some(writer), about }
    }

    /// Gives it up unless so many bytes come in time: who says nothing at all holds a place for nothing.
    pub fn expecting(self, bytes: usize, within: Duration) -> Gathered<T> {
        Gathered { owes: Some((bytes, Box::pin(sleep(within)))), ..self }
    }
}

/// Writes to the socket what is written, until there will be nothing more.
async fn write_out(mut written: DuplexStream, mut socket: OwnedWriteHalf, stalled: Duration) -> io::Result<()> {
    let mut heap = Vec::with_capacity(HEAP_BYTES);
    while 0 < written.read_buf(&mut heap).await? {
        if heap.len() < HEAP_BYTES {
            to_the_end_of_the_queue().await;
        }
        // What others have added meanwhile.
        while heap.len() < HEAP_BYTES {
            match written.read_buf(&mut heap).now_or_never() {
                Some(Ok(some)) if 0 < some => {}
                // The next look tells whether that is the end.
                _ => break,
            }
        }
        timeout(stalled, socket.write_all(&heap)).await??;
        heap.clear();
    }
    socket.shutdown().await
}

/// Comes back when the worker has done everything that was in its queue. What wakes itself while it is worked on goes to the end;
/// `yield_now` would wait for the next look at the network besides.
pub async fn to_the_end_of_the_queue() {
    let mut was_there = false;
    std::future::poll_fn(|context| {
        if was_there {
            return Poll::Ready(());
        }
        was_there = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl<T: Unpin> AsyncRead for Gathered<T> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.reading).poll_read(context, into);
        let Some((bytes, time)) = &mut self.owes else { return read };
        *bytes = bytes.saturating_sub(into.filled().len().saturating_sub(before));
        if *bytes == 0 {
            self.owes = None;
        } else if read.is_pending() && time.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<T: Unpin> AsyncWrite for Gathered<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.outbox).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.outbox).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.outbox.is_write_vectored()
    }

    /// What was written is on its way: whether it arrives nobody knows sooner from a socket either.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.outbox).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.outbox).poll_shutdown(context))?;
        let Some(writer) = &mut self.writer else { return Poll::Ready(Ok(())) };
        let ended = ready!(Pin::new(writer).poll(context));
        self.writer = None;
        Poll::Ready(ended.unwrap_or_else(|panic| Err(io::Error::other(panic))))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn pair(stalled: Duration) -> (Gathered, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let (here, there) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Gathered::giving_up_after(stalled, here.expect("connected"), ()), there.expect("accepted").0)
    }

    #[tokio::test]
    async fn what_is_written_arrives_whole_and_in_order() {
        let (mut here, mut there) = pair(STALLED).await;
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
        here.shutdown().await.expect("it has ended before");
    }

    #[tokio::test]
    async fn writes_of_tasks_that_are_ready_go_out_together() {
        let (mut here, mut there) = pair(STALLED).await;
        for n in 0..10u8 {
            here.write_all(&[n; 100]).await.expect("there is room");
            here.flush().await.expect("nothing is waited for");
        }
        let mut found = [0; 2_000];
        assert_eq!(there.read(&mut found).await.expect("what was written"), 1_000);
    }

    #[tokio::test]
    async fn who_says_nothing_in_time_is_given_up() {
        const SHORT: Duration = Duration::from_millis(50);
        let (here, mut there) = pair(STALLED).await;
        let mut here = here.expecting(3, SHORT);
        there.write_all(b"ab").await.expect("there is room");
        let mut found = Vec::new();
        let error = here.read_to_end(&mut found).await.expect_err("a byte is missing");
        assert_eq!((error.kind(), &*found), (io::ErrorKind::TimedOut, &b"ab"[..]));

        // Who has said enough may be silent.
        let (here, mut there) = pair(STALLED).await;
        let mut here = here.expecting(3, SHORT);
        there.write_all(b"abc").await.expect("there is room");
        here.read_exact(&mut [0; 3]).await.expect("it is there");
        timeout(2 * SHORT, here.read_u8()).await.expect_err("nothing comes, and nothing ends");
    }

    #[tokio::test]
    async fn what_was_written_before_its_owner_left_arrives() {
        let (mut here, mut there) = pair(STALLED).await;
        here.write_all(b"farewell").await.expect("there is room");
        drop(here);
        let mut found = Vec::new();
        there.read_to_end(&mut found).await.expect("it ends");
        assert_eq!(found, b"farewell");
    }

    #[tokio::test]
    async fn who_does_not_read_is_not_written_to_without_end() {
        let (mut here, there) = pair(Duration::from_millis(50)).await;
        let mut taken = 0usize;
        // The socket takes some, then the outbox is full; then the socket is given up.
        let error = loop {
            match here.write(&[0; 64 * 1024]).await {
                Ok(more) => taken += more,
                Err(error) => break error,
            }
            assert!(taken < 1 << 30, "no socket holds as much");
        };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let error = here.shutdown().await.expect_err("not all was written");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(there);
    }

    #[tokio::test]
    async fn a_peer_that_is_gone_is_told() {
        let (mut here, there) = pair(STALLED).await;
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
