//! Connections as they come in: their answers go out gathered.

use std::io;

use futures_util::{Stream, StreamExt};
use tonic::transport::server::{Connected, TcpConnectInfo, TcpIncoming};

use crate::stream::Gathered;

/// Those that come in.
pub(super) fn gathered(incoming: TcpIncoming) -> impl Stream<Item = io::Result<Gathered<TcpConnectInfo>>> {
    incoming.map(|accepted| {
        accepted.map(|stream| {
            let about = stream.connect_info();
            Gathered::new(stream, about)
        })
    })
}

impl Connected for Gathered<TcpConnectInfo> {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.about.clone()
    }
}
