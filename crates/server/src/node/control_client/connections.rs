//! Connections to one node, kept for the next request: a report every second or two is not worth a handshake each time.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Request, Response,
    body::Bytes,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

use crate::{config::TlsFiles, node::tls, tasks::Tasks};

/// Connections that are kept; of more at once, the others end with their request.
const KEPT_MAX: usize = 8;

/// A connection must be there after so long.
const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

/// Connections to one node, clear or encrypted.
#[derive(Clone)]
pub(super) struct Connections {
    to: Arc<To>,
    kept: Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>,
    tasks: Tasks,
}

struct To {
    /// `host:port`.
    authority: String,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Connections {
    /// To a node at `http://host:port` or `https://host:port`.
    pub(super) fn new(url: &str, files: Option<TlsFiles<'_>>, tasks: &Tasks) -> anyhow::Result<Self> {
        let (is_encrypted, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => bail!("control.url: expected http://host:port or https://host:port"),
        };
        let authority = rest.trim_end_matches('/');
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.parse::<u16>().is_ok() => (host, port),
            _ => (authority, if is_encrypted { "443" } else { "80" }),
        };
        let tls = if is_encrypted {
            let files = files.context("control.url: expected certificates (internal.tls_…) for https://")?;
            let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let name = ServerName::try_from(name).context("control.url: expected the name of a host")?;
            Some((tls::connector(files)?, name))
        } else {
            None
        };
        let to = Arc::new(To { authority: format!("{host}:{port}"), tls });
        Ok(Self { to, kept: Arc::default(), tasks: tasks.clone() })
    }

    /// `host:port`.
    pub(super) fn authority(&self) -> &str {
        &self.to.authority
    }

    /// Sends a request and reads the whole answer, which must be there in time and be no longer than this.
    pub(super) async fn exchange(
        &self,
        request: Request<Full<Bytes>>,
        patience: Duration,
        bytes_max: usize,
    ) -> anyhow::Result<Response<Bytes>> {
        match tokio::time::timeout(patience, self.send(request, bytes_max)).await {
            Ok(answered) => answered,
            Err(_) => bail!("no answer in {patience:?}"),
        }
    }

    async fn send(
        &self,
        mut request: Request<Full<Bytes>>,
        bytes_max: usize,
    ) -> anyhow::Result<Response<Bytes>> {
        loop {
            let kept = self.take();
            let is_new = kept.is_none();
            let mut sender = match kept {
                Some(sender) => sender,
                None => self.connect().await?,
            };
            match sender.try_send_request(request).await {
                Ok(answer) => {
                    let (parts, body) = answer.into_parts();
                    let body = Limited::new(body, bytes_max).collect().await;
                    let body = body.map_err(|error| anyhow::anyhow!("{error}"))?.to_bytes();
                    self.keep(sender);
                    return Ok(Response::from_parts(parts, body));
                }
                // The other side had ended a kept connection before this request was on its way.
                Err(mut failed) => match failed.take_message() {
                    Some(unsent) if !is_new => request = unsent,
                    _ => return Err(failed.into_error().into()),
                },
            }
        }
    }

    fn take(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut kept = self.kept.lock().unwrap_or_else(|e| e.into_inner());
        kept.retain(|sender| !sender.is_closed());
        kept.pop()
    }

    fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let mut kept = self.kept.lock().unwrap_or_else(|e| e.into_inner());
        if kept.len() < KEPT_MAX && !sender.is_closed() {
            kept.push(sender);
        }
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let connecting = async {
            let stream = TcpStream::connect(&self.to.authority).await.context("connect")?;
            stream.set_nodelay(true)?;
            match &self.to.tls {
                None => self.shake_hands(stream).await,
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), stream).await.context("agree on TLS")?;
                    self.shake_hands(stream).await
                }
            }
        };
        match tokio::time::timeout(CONNECT_PATIENCE, connecting).await {
            Ok(connected) => connected,
            Err(_) => bail!("no connection in {CONNECT_PATIENCE:?}"),
        }
    }

    async fn shake_hands(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> anyhow::Result<SendRequest<Full<Bytes>>> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let stop = self.tasks.stop.clone();
        self.tasks.spawn(async move {
            // An error is told to whoever waits for an answer.
            drop(stop.run_until_cancelled(connection).await);
        });
        sender.ready().await?;
        Ok(sender)
    }
}
