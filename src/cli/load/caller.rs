//! One connection of a load: sends requests that are encoded already, each once, under a deadline. What a call costs here the
//! server on the same machine does not have: so a call goes into its frames of HTTP/2 where it is made, and no task, queue or
//! second clock stands between it and the connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::header::{AUTHORIZATION, CONTENT_TYPE, TE, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use prost::Message;
use prost::bytes::{BufMut, Bytes};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::RwLock;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::{Code, Status};

use crate::cli::client::{ANSWER_BYTES_MAX, reason};
use crate::stream::Gathered;

/// What the server may send before it hears that it was read: whole answers of very many calls.
const STREAM_WINDOW_BYTES: u32 = 2 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
/// Whoever finds that nobody listens waits for so long, or calls would be made and refused without end.
const PAUSE: Duration = Duration::from_millis(50);
/// Before each message: whether it is compressed, and its length.
const PREFIX_LEN: usize = 5;

/// A connection. Cheap to clone; all clones share it.
#[derive(Clone)]
pub struct Caller(Arc<Line>);

struct Line {
    target: Target,
    deadline: Duration,
    headers: HeaderMap,
    /// `None`: to be made by the next call.
    current: RwLock<Option<SendRequest<Bytes>>>,
}

/// Where a server is, and how it is spoken to.
pub(in crate::cli) struct Target {
    pub(in crate::cli) authority: Authority,
    /// `None`: in the clear.
    pub(in crate::cli) tls: Option<Arc<rustls::ClientConfig>>,
    /// What every call shows.
    pub(in crate::cli) shows: Option<HeaderValue>,
}

/// Why a call came to nothing: the reason of the service, or the status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed(pub String);

impl Failed {
    fn of(code: Code) -> Failed {
        Failed(format!("{code:?}"))
    }
}

impl Caller {
    /// Connects with the first call, and with the first after the connection was lost.
    pub(in crate::cli) fn new(target: Target, deadline: Duration) -> Caller {
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("guerdon-load/", env!("CARGO_PKG_VERSION"))));
        // At most eight digits, as gRPC has it; ASCII always.
        let deadline_ms = deadline.as_millis().clamp(1, 99_999_999);
        if let Ok(within) = HeaderValue::try_from(format!("{deadline_ms}m")) {
            headers.insert("grpc-timeout", within);
        }
        if let Some(key) = &target.shows {
            headers.insert(AUTHORIZATION, key.clone());
        }
        Caller(Arc::new(Line { target, deadline, headers, current: RwLock::default() }))
    }

    /// Sends a request to a method (`/package.Service/Method`) and reads the answer.
    ///
    /// # Errors
    /// When there is none in time, or it is an error.
    pub async fn call<R: Message + Default>(&self, method: &'static str, body: Bytes) -> Result<R, Failed> {
        let began = Instant::now();
        match timeout(self.0.deadline, self.0.call(method, body)).await {
            Ok(Ok(answer)) => Ok(answer),
            // The server counts the same time, and may call its end a cancellation.
            Ok(Err(status)) if status.code() == Code::Cancelled && self.0.deadline <= began.elapsed() => {
                Err(Failed::of(Code::DeadlineExceeded))
            }
            Ok(Err(status)) => Err(reason(&status).map_or_else(|| Failed::of(status.code()), Failed)),
            Err(_elapsed) => Err(Failed::of(Code::DeadlineExceeded)),
        }
    }
}

impl Line {
    async fn call<R: Message + Default>(&self, method: &'static str, body: Bytes) -> Result<R, Status> {
        let mut sender = self.ready().await?;
        let (response, mut stream) = sender.send_request(self.request(method)?, false).map_err(broken)?;
        let mut framed = Vec::with_capacity(PREFIX_LEN + body.len());
        framed.put_u8(0);
        framed.put_u32(u32::try_from(body.len()).map_err(|_| Status::internal("the request is too long"))?);
        framed.put(body);
        stream.send_data(framed.into(), true).map_err(broken)?;

        let (head, mut body) = response.await.map_err(broken)?.into_parts();
        if head.status != StatusCode::OK {
            return Err(Status::unknown(format!("HTTP status {}", head.status)));
        }
        // An answer without a message ends with its beginning.
        if let Some(status) = Status::from_header_map(&head.headers) {
            return Err(status);
        }
        let message = message(&mut body).await?;
        let trailers = body.trailers().await.map_err(broken)?.unwrap_or_default();
        match Status::from_header_map(&trailers) {
            Some(status) if status.code() == Code::Ok => {}
            Some(status) => return Err(status),
            None => return Err(Status::internal("the answer says nothing of its status")),
        }
        let message = message.get(PREFIX_LEN..).unwrap_or_default();
        R::decode(message).map_err(|error| Status::internal(error.to_string()))
    }

    fn request(&self, method: &'static str) -> Result<Request<()>, Status> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        let mut to = http::uri::Parts::default();
        to.scheme = Some(if self.target.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP });
        to.authority = Some(self.target.authority.clone());
        to.path_and_query = Some(PathAndQuery::from_static(method));
        *request.uri_mut() = Uri::from_parts(to).map_err(|error| Status::internal(error.to_string()))?;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }

    /// The connection, once it takes another call.
    async fn ready(&self) -> Result<SendRequest<Bytes>, Status> {
        let current = self.current.read().await.clone();
        if let Some(current) = current
            && let Ok(ready) = current.ready().await
        {
            return Ok(ready);
        }
        // One caller connects; those who come meanwhile wait for it.
        let mut current = self.current.write().await;
        if let Some(made) = current.clone()
            && let Ok(ready) = made.ready().await
        {
            return Ok(ready);
        }
        *current = None;
        let dialled = self.target.dial().await;
        *current = dialled.as_ref().ok().cloned();
        drop(current);
        let made = match dialled {
            Ok(made) => made,
            Err(error) => {
                tokio::time::sleep(PAUSE.min(self.deadline / 4)).await;
                return Err(Status::unavailable(error.to_string()));
            }
        };
        made.ready().await.map_err(broken)
    }
}

impl Target {
    async fn dial(&self) -> std::io::Result<SendRequest<Bytes>> {
        let host = self.authority.host().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, self.authority.port_u16().unwrap_or_default())).await?;
        stream.set_nodelay(true)?;
        let stream = Gathered::new(stream, ());
        match &self.tls {
            None => shake_hands(stream).await,
            Some(config) => {
                let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
                shake_hands(TlsConnector::from(Arc::clone(config)).connect(name, stream).await?).await
            }
        }
    }
}

async fn shake_hands(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> std::io::Result<SendRequest<Bytes>> {
    let mut terms = h2::client::Builder::new();
    terms
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .enable_push(false);
    let (sender, connection) = terms.handshake(stream).await.map_err(std::io::Error::other)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with its connection, and the command waits for its answers"
    )]
    tokio::spawn(async move {
        // Whoever waits for an answer hears of it.
        let _ended = connection.await;
    });
    Ok(sender)
}

/// The one message of an answer with what stands before it, or nothing.
async fn message(body: &mut RecvStream) -> Result<Vec<u8>, Status> {
    let mut whole = Vec::new();
    while let Some(part) = body.data().await {
        let part = part.map_err(broken)?;
        let _ = body.flow_control().release_capacity(part.len());
        whole.extend_from_slice(&part);
        if ANSWER_BYTES_MAX < whole.len() {
            return Err(Status::resource_exhausted("the answer is too long"));
        }
    }
    let says = whole.get(1..PREFIX_LEN).and_then(|len| len.try_into().ok()).map(u32::from_be_bytes);
    let is_whole = whole.first() == Some(&0)
        && says.and_then(|len| usize::try_from(len).ok()) == whole.len().checked_sub(PREFIX_LEN);
    if whole.is_empty() || is_whole { Ok(whole) } else { Err(Status::internal("the answer cannot be read")) }
}

/// What the end of a call means that the service did not answer.
fn broken(error: h2::Error) -> Status {
    match error.reason() {
        Some(Reason::CANCEL) => Status::cancelled(error.to_string()),
        Some(Reason::REFUSED_STREAM | Reason::NO_ERROR) => Status::unavailable(error.to_string()),
        Some(Reason::ENHANCE_YOUR_CALM) => Status::resource_exhausted(error.to_string()),
        Some(_) => Status::internal(error.to_string()),
        None => Status::unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::net::TcpListener;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;
    use tonic::transport::server::TcpIncoming;
    use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

    use super::*;

    const CHECK: &str = "/grpc.health.v1.Health/Check";

    fn caller(addr: SocketAddr, deadline: Duration) -> Caller {
        let target = Target { authority: addr.to_string().parse().expect("an authority"), tls: None, shows: None };
        Caller::new(target, deadline)
    }

    /// A server of health at an address, until it is told to end.
    fn serve(at: SocketAddr) -> (SocketAddr, oneshot::Sender<()>, JoinHandle<()>) {
        let incoming = TcpIncoming::bind(at).expect("the port is free");
        let addr = incoming.local_addr().expect("its address");
        let (end, ended) = oneshot::channel::<()>();
        let (_reporter, health) = tonic_health::server::health_reporter();
        let served = tonic::transport::Server::builder().add_service(health);
        let served = served.serve_with_incoming_shutdown(incoming, async {
            let _ = ended.await;
        });
        #[expect(clippy::disallowed_methods, reason = "the test waits for it")]
        let served = tokio::spawn(async { served.await.expect("it serves") });
        (addr, end, served)
    }

    async fn ask(caller: &Caller, service: &str) -> Result<HealthCheckResponse, Failed> {
        caller.call(CHECK, HealthCheckRequest { service: service.to_owned() }.encode_to_vec().into()).await
    }

    #[tokio::test]
    async fn answers_and_refusals_are_told_and_a_server_that_comes_back_is_called_again() {
        let (addr, end, served) = serve(SocketAddr::from(([127, 0, 0, 1], 0)));
        let caller = caller(addr, Duration::from_secs(20));
        assert_eq!(ask(&caller, "").await.map(|answer| answer.status), Ok(1));
        assert_eq!(ask(&caller, "nobody").await.map(|answer| answer.status), Err(Failed("NotFound".to_owned())));
        let nothing = caller.call::<HealthCheckResponse>("/grpc.health.v1.Health/Nothing", Bytes::new()).await;
        assert_eq!(nothing, Err(Failed("Unimplemented".to_owned())));
        let odd = caller.call::<HealthCheckResponse>(CHECK, Bytes::from_static(&[0xff; 9])).await;
        assert_eq!(odd, Err(Failed("Internal".to_owned())));

        end.send(()).expect("it serves");
        served.await.expect("it ended");
        assert_eq!(ask(&caller, "").await, Err(Failed("Unavailable".to_owned())));
        let (_, end, served) = serve(addr);
        let both = futures_util::future::join(ask(&caller, ""), ask(&caller, "")).await;
        assert_eq!((both.0.map(|answer| answer.status), both.1.map(|answer| answer.status)), (Ok(1), Ok(1)));
        end.send(()).expect("it serves");
        served.await.expect("it ended");
    }

    #[tokio::test]
    async fn who_does_not_answer_is_given_up_in_time_and_who_speaks_otherwise_is_told() {
        let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let hasty = caller(silent.local_addr().expect("its address"), Duration::from_millis(50));
        assert_eq!(ask(&hasty, "").await, Err(Failed("DeadlineExceeded".to_owned())));

        let other = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let caller = caller(other.local_addr().expect("its address"), Duration::from_secs(20));
        let speaks = async {
            use tokio::io::AsyncWriteExt;
            let (mut stream, _) = other.accept().await.expect("it calls");
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("it listens");
            stream
        };
        let (answer, _stream) = futures_util::future::join(ask(&caller, ""), speaks).await;
        let Failed(why) = answer.expect_err("that is no HTTP/2");
        assert!(["Internal", "Unavailable"].contains(&&*why), "{why}");
    }
}
