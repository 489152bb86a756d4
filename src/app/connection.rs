//! Connections as they come in: their answers go out gathered.

use std::io;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

use crate::stream::Gathered;

/// What every connection begins with is at least as long: the preface of HTTP/2.
const PREFACE_BYTES: usize = 24;
/// How long a client may take for that.
const PREFACE_WAIT_MAX: Duration = Duration::from_secs(20);

/// Those that come in.
pub(super) fn gathered(incoming: TcpIncoming) -> impl Stream<Item = io::Result<Gathered<TcpConnectInfo>>> {
    incoming.map(|accepted| {
        accepted.map(|stream| {
            let about = stream.connect_info();
            Gathered::new(stream, about).expecting(PREFACE_BYTES, PREFACE_WAIT_MAX)
        })
    })
}

impl Connected for Gathered<TcpConnectInfo> {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.about.clone()
    }
}
