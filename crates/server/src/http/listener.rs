//! The accept loop: every connection has a limit, a header time-out and a way to end; the hot route is answered here,
//! in front of the router.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::{Method, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::app::App;
use crate::{
    config::HttpConfig,
    ingest::endpoint::{Endpoint, channel_of_path},
    telemetry::Labelled,
};

/// Bytes of a request's head, and of what is read ahead of a body.
const READ_BUFFER_BYTES_MAX: usize = 64 * 1024;

/// After a failed accept (no more file descriptors, say) the loop rests so long rather than spin.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Serves connections until stopped.
pub struct Server {
    app: Arc<App>,
    endpoint: Option<Arc<Endpoint>>,
    router: Router,
    connections: Arc<Semaphore>,
    config: HttpConfig,
    tracker: TaskTracker,
    stop_accepting: CancellationToken,
    finish: CancellationToken,
}

type Answer = Response<Either<Full<Bytes>, Body>>;

impl Server {
    /// A server for these handlers.
    pub fn new(app: Arc<App>, endpoint: Option<Arc<Endpoint>>, router: Router) -> Arc<Self> {
        let config = app.config.http.clone();
        Arc::new(Self {
            connections: Arc::new(Semaphore::new(config.connections_max)),
            tracker: TaskTracker::new(),
            stop_accepting: CancellationToken::new(),
            finish: CancellationToken::new(),
            app,
            endpoint,
            router,
            config,
        })
    }

    /// Accepts connections of a listener in the background.
    pub fn serve(self: &Arc<Self>, listener: TcpListener) {
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
                        // Small frames must not wait for the acknowledgement of earlier ones.
                        if let Err(error) = stream.set_nodelay(true) {
                            tracing::debug!(%error, "no TCP_NODELAY");
                        }
                        let connection = server.clone().connection(stream, peer);
                        server.tracker.spawn(async move {
                            connection.await;
                            drop(permit);
                        });
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

    async fn connection(self: Arc<Self>, stream: tokio::net::TcpStream, peer: SocketAddr) {
        self.app.metrics.connections.inc();
        let server = self.clone();
        let service = service_fn(move |request| {
            let server = server.clone();
            async move { Ok::<_, Infallible>(server.answer(request, peer).await) }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(self.config.header_timeout_ms))
            .max_buf_size(READ_BUFFER_BYTES_MAX);
        let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.finish.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::trace!(%error, %peer, "connection ended");
        }
        self.app.metrics.connections.dec();
    }

    async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let response = match &self.endpoint {
            Some(endpoint) if request.method() == Method::POST => {
                match channel_of_path(request.uri().path()).map(str::to_owned) {
                    Some(channel) => endpoint.post(&channel, request, peer.ip()).await.map(Either::Left),
                    None => self.route(request).await,
                }
            }
            _ => self.route(request).await,
        };
        let kind = match response.status().as_u16() {
            ..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.app.metrics.responses.get_or_create(&Labelled { kind }).inc();
        response
    }

    async fn route(&self, request: Request<Incoming>) -> Answer {
        let request = request.map(|body| Body::new(body.map_err(axum::Error::new)));
        match self.router.clone().oneshot(request).await {
            Ok(response) => response.map(Either::Right),
            Err(never) => match never {},
        }
    }

    /// Accepts no more connections.
    pub fn stop_accepting(&self) {
        self.stop_accepting.cancel();
    }

    /// Lets each connection answer what it has begun, and waits for them, at most as long as configured.
    pub async fn finish(&self) {
        self.stop_accepting.cancel();
        self.finish.cancel();
        self.tracker.close();
        let patience = Duration::from_millis(self.config.stop_timeout_ms);
        if tokio::time::timeout(patience, self.tracker.wait()).await.is_err() {
            tracing::warn!(left = self.tracker.len(), "connections did not end in time");
        }
    }
}
