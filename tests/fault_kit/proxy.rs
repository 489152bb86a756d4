//! Stands between servers and their Redis, and breaks what it is told to break.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to what passes through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Mode {
    Pass,
    /// Connections end, and new ones are refused.
    Refuse,
    /// Nothing passes, and nothing ends.
    Stall,
    /// Everything passes, late.
    Slow,
    /// What comes from the client next is not passed on, and the connection ends.
    CutBefore,
    /// What comes from the client next is passed on, and the connection ends before the answer.
    CutAfter,
    /// The commit that takes a delivered effect off the feed does not get through: its connection stands still until
    /// the mode changes, and ends then.
    HoldDone,
}

/// How a commit begins that does nothing but take effects off the feed: of its eight counts the first six are zero.
const DONE: &[u8] = b"$32\r\n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

const SLOW: Duration = Duration::from_millis(30);
const CHUNK_LEN: usize = 64 * 1024;

pub(crate) struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    mode: watch::Sender<Mode>,
}

struct Shared {
    /// As the mode says, except that a cut is made once for each connection that is open.
    cut: AtomicU8,
    /// Connections that were cut so far.
    cuts: AtomicU64,
}

impl Proxy {
    pub(crate) async fn start(server_port: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared { cut: AtomicU8::new(Mode::Pass as u8), cuts: AtomicU64::new(0) });
        let (mode, modes) = watch::channel(Mode::Pass);
        tokio::spawn(accept(listener, port, server_port, modes, Arc::clone(&shared)));
        Proxy { port, shared, mode }
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.shared.cut.store(mode as u8, Ordering::SeqCst);
        self.mode.send_replace(mode);
    }

    /// Connections that were cut so far.
    pub(crate) fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    port: u16,
    server_port: u16,
    mut modes: watch::Receiver<Mode>,
    shared: Arc<Shared>,
) {
    let mut listener = Some(listener);
    loop {
        if *modes.borrow_and_update() == Mode::Refuse {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(("127.0.0.1", port)).await.ok();
        }
        let accepted = async {
            match &listener {
                Some(listener) => listener.accept().await.ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = modes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            Some((client, _)) = accepted => {
                tokio::spawn(pass(client, server_port, modes.clone(), Arc::clone(&shared)));
            }
        }
    }
}

/// Carries bytes both ways until one side ends or the connection is cut.
async fn pass(mut client: TcpStream, server_port: u16, mut modes: watch::Receiver<Mode>, shared: Arc<Shared>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", server_port)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (mut up, mut down) = (vec![0; CHUNK_LEN], vec![0; CHUNK_LEN]);
    loop {
        let mode = *modes.borrow_and_update();
        if mode == Mode::Refuse {
            return;
        }
        tokio::select! {
            changed = modes.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            read = client.read(&mut up), if mode != Mode::Stall => {
                let Ok(len @ 1..) = read else { return };
                match shared.cut.load(Ordering::SeqCst) {
                    cut if cut == Mode::CutBefore as u8 => {
                        shared.cuts.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    cut if cut == Mode::CutAfter as u8 => {
                        let _ = server.write_all(&up[..len]).await;
                        // Until the server has worked on it: its answer is what gets lost.
                        let _ = server.read(&mut down).await;
                        shared.cuts.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    _ => {}
                }
                if mode == Mode::HoldDone && up[..len].windows(DONE.len()).any(|part| part == DONE) {
                    shared.cuts.fetch_add(1, Ordering::SeqCst);
                    let _ = modes.changed().await;
                    return;
                }
                if mode == Mode::Slow {
                    tokio::time::sleep(SLOW).await;
                }
                if server.write_all(&up[..len]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down), if mode != Mode::Stall => {
                let Ok(len @ 1..) = read else { return };
                if mode == Mode::Slow {
                    tokio::time::sleep(SLOW).await;
                }
                if client.write_all(&down[..len]).await.is_err() {
                    return;
                }
            }
        }
    }
}
