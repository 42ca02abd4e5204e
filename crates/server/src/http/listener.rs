//! The accept loop: every connection has a limit, a header time-out and a way to end; the hot route is answered here,
//! in front of the router.

use std::{
    convert::Infallible,
    future::poll_fn,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Either, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::counter::Counter;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_rustls::{TlsAcceptor, rustls::pki_types::CertificateDer};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{
    access::{self, HasCertificate, cors},
    app::App,
    stream::AtGate,
};
use crate::{
    config::HttpConfig,
    ingest::endpoint::Endpoint,
    telemetry::{Labelled, Metrics},
};

mod proxies;
mod socket;

pub(in crate::http) use proxies::OverTls;
use proxies::Proxies;
use socket::{Place, Socket};

/// Bytes of a request's head, and of what is read ahead of a body.
const READ_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// After a failed accept (no more file descriptors, say) the loop rests so long rather than spin.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// A peer that takes no byte is closed this much later than `edge.send_timeout_ms`.
const STALL_MARGIN: Duration = Duration::from_secs(1);

/// Serves connections until stopped.
pub struct Server {
    app: Arc<App>,
    endpoint: Option<Arc<Endpoint>>,
    responses: Arc<Responses>,
    router: Router,
    tls: Option<TlsAcceptor>,
    connections: Arc<Semaphore>,
    proxies: Proxies,
    config: HttpConfig,
    stall_patience: Duration,
    vanished_after: Duration,
    tracker: TaskTracker,
    stop_accepting: CancellationToken,
    finish: CancellationToken,
    /// Set before `finish` is cancelled, and cheaper to ask.
    finishing: AtomicBool,
}

/// Bytes that the kernel takes for a peer before it has sent them. What a slow viewer has not been sent yet is better
/// replaced by something newer than kept, megabytes of it for each.
#[cfg(target_os = "linux")]
const UNSENT_BYTES_MAX: u32 = 32 * 1024;

/// Where a connection comes from.
#[derive(Clone)]
struct From {
    peer: SocketAddr,
    gate: AtGate,
    /// The certificate of the fleet that it has shown.
    certificate: Option<Arc<CertificateDer<'static>>>,
    /// It is a proxy's, which says of each request whose it is.
    is_proxy: bool,
    /// What the request at hand came by.
    is_over_tls: bool,
}

type Answer = Response<Either<Full<Bytes>, Body>>;

impl Server {
    /// A server for these handlers. With `tls`, which asks for a certificate, every connection is one of a node.
    pub fn new(
        app: Arc<App>,
        endpoint: Option<Arc<Endpoint>>,
        router: Router,
        tls: Option<TlsAcceptor>,
    ) -> Arc<Self> {
        let config = app.config.http.clone();
        // A viewer's own limit comes first and says why.
        let stall_patience = Duration::from_millis(app.config.edge.send_timeout_ms) + STALL_MARGIN;
        Arc::new(Self {
            stall_patience,
            // One that takes nothing, and says so, is told before.
            vanished_after: stall_patience.max(2 * Duration::from_millis(app.config.placement.ttl_ms.into())),
            responses: Responses::new(&app.metrics),
            connections: Arc::new(Semaphore::new(config.connections_max)),
            proxies: Proxies::new(&config),
            tracker: TaskTracker::new(),
            stop_accepting: CancellationToken::new(),
            finish: CancellationToken::new(),
            finishing: AtomicBool::new(false),
            app,
            endpoint,
            router,
            tls,
            config,
        })
    }

    /// Accepts connections of a listener in the background; viewers come in through its gate.
    pub fn serve(self: &Arc<Self>, listener: TcpListener, gate: AtGate) {
        let server = self.clone();
        self.tracker.spawn(async move {
            while let Some(permit) =
                server.stop_accepting.run_until_cancelled(server.connections.clone().acquire_owned()).await
            {
                let Some(accepted) = server.stop_accepting.run_until_cancelled(listener.accept()).await
                else {
                    return;
                };
                match (accepted, permit) {
                    (Ok((stream, peer)), Ok(permit)) => {
                        if let Err(error) = prepare(&stream, server.vanished_after) {
                            tracing::debug!(%error, "socket options not set");
                        }
                        let place = Place::new(server.app.clone(), server.tracker.clone(), permit);
                        let socket = Socket::new(stream, server.stall_patience, place);
                        // Between nodes there is no proxy: they have headers of their own.
                        let is_proxy = server.tls.is_none() && server.proxies.trust(peer.ip());
                        let gate = gate.clone();
                        let from = From { peer, gate, certificate: None, is_proxy, is_over_tls: false };
                        server.tracker.spawn(server.clone().welcome(socket, from));
                    }
                    (Err(error), _) => {
                        tracing::warn!(%error, "accept failed");
                        tokio::time::sleep(ACCEPT_REST).await;
                    }
                    (_, Err(_)) => return,
                }
            }
        });
    }

    /// Agrees on TLS first, where that is spoken.
    async fn welcome(self: Arc<Self>, socket: Socket, mut from: From) {
        let Some(tls) = self.tls.clone() else { return self.connection(socket, from).await };
        let patience = Duration::from_millis(self.config.header_timeout_ms);
        let why = match tokio::time::timeout(patience, tls.accept(socket)).await {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
                from.certificate = shown.map(|certificate| Arc::new(certificate.clone().into_owned()));
                return Box::pin(self.connection(stream, from)).await;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it did not finish the handshake in time".to_owned(),
        };
        access::note_refused_node(&self.app, from.peer, &why);
    }

    async fn connection(
        self: Arc<Self>,
        socket: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        from: From,
    ) {
        let (server, peer) = (self.clone(), from.peer);
        let service = service_fn(move |request| server.answer(request, &from).map(Ok::<_, Infallible>));
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(self.config.header_timeout_ms))
            .max_buf_size(READ_BUFFER_BYTES_MAX);
        let connection = builder.serve_connection(TokioIo::new(socket), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let mut finish = std::pin::pin!(self.finish.cancelled());
        let mut waits = false;
        let ended = poll_fn(|context| {
            if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                return Poll::Ready(Some(ended));
            }
            // A task's waker stays the same, so that waiting for the stop once is enough; at every turn it costs.
            if std::mem::replace(&mut waits, true) && !self.finishing.load(Ordering::Acquire) {
                return Poll::Pending;
            }
            finish.as_mut().poll(context).map(|()| None)
        });
        let ended = match ended.await {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::trace!(%error, %peer, "connection ended");
        }
    }

    /// The hot route's future stays small, because each request moves it; those of all other routes are boxed.
    fn answer(&self, request: Request<Incoming>, from: &From) -> impl Future<Output = Answer> + use<> {
        // The router opens its answers itself.
        let mut open_to = None;
        let told = from.is_proxy.then(|| self.proxies.told(from.peer.ip(), request.headers()));
        let caller = told.map_or(from.peer.ip(), |told| told.caller);
        let answering = match &self.endpoint {
            Some(endpoint) if Endpoint::takes(&request) => {
                open_to = cors::allowed_for_reactions(request.headers(), &self.config.cors_origins);
                endpoint.post(request, caller).map(|answer| answer.map(Either::Left)).left_future()
            }
            _ => {
                let mut from = from.clone();
                if let Some(told) = told {
                    from.peer = SocketAddr::new(told.caller, 0);
                    from.is_over_tls = told.is_over_tls;
                }
                let routing = Box::pin(route(self.router.clone(), request, from));
                routing.map(|answer| answer.map(Either::Right)).right_future()
            }
        };
        let responses = self.responses.clone();
        answering.map(move |mut answer: Answer| {
            responses.count(answer.status());
            if let Some(origin) = open_to {
                cors::open(answer.headers_mut(), *origin);
            }
            answer
        })
    }

    /// Accepts no more connections.
    pub fn stop_accepting(&self) {
        self.stop_accepting.cancel();
    }

    /// Lets each connection answer what it has begun, and waits for them, at most as long as configured.
    pub async fn finish(&self) {
        self.stop_accepting.cancel();
        self.finishing.store(true, Ordering::Release);
        self.finish.cancel();
        self.tracker.close();
        let patience = Duration::from_millis(self.config.stop_timeout_ms);
        if tokio::time::timeout(patience, self.tracker.wait()).await.is_err() {
            tracing::warn!(left = self.tracker.len(), "connections did not end in time");
        }
    }
}

/// `vanished_after`: a peer that acknowledges nothing for so long is gone. Else the kernel tries for a quarter of an hour.
fn prepare(stream: &TcpStream, vanished_after: Duration) -> std::io::Result<()> {
    // Small frames must not wait for the acknowledgement of earlier ones.
    stream.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    {
        let socket = socket2::SockRef::from(stream);
        socket.set_tcp_notsent_lowat(UNSENT_BYTES_MAX)?;
        socket.set_tcp_user_timeout(Some(vanished_after))?;
    }
    #[cfg(not(target_os = "linux"))]
    let _ = vanished_after;
    Ok(())
}

async fn route(router: Router, request: Request<Incoming>, from: From) -> Response<Body> {
    let mut request = request.map(|body| Body::new(body.map_err(axum::Error::new)));
    request.extensions_mut().insert(ConnectInfo(from.peer));
    request.extensions_mut().insert(from.gate);
    if let Some(certificate) = from.certificate {
        request.extensions_mut().insert(HasCertificate(certificate));
    }
    if from.is_over_tls {
        request.extensions_mut().insert(OverTls);
    }
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Counts answers by the class of their status.
struct Responses([Counter; 5]);

impl Responses {
    fn new(metrics: &Metrics) -> Arc<Self> {
        let kinds = ["1xx", "2xx", "3xx", "4xx", "5xx"];
        Arc::new(Self(kinds.map(|kind| metrics.responses.get_or_create_owned(&Labelled { kind }))))
    }

    fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).clamp(1, self.0.len());
        self.0[class - 1].inc();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use tokio::net::{TcpListener, TcpStream};

    use super::prepare;

    #[tokio::test]
    async fn a_peer_that_acknowledges_nothing_is_given_up_by_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (_client, accepted) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        let stream = accepted.unwrap().0;
        prepare(&stream, Duration::from_secs(21)).unwrap();
        let socket = socket2::SockRef::from(&stream);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(21)));
        assert!(stream.nodelay().unwrap());
    }
}
