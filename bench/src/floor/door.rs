//! A bare door: a hyper server that does nothing for a viewer but what placement cannot do without. It signs a ticket, verifies
//! it when the viewer comes with it, and greets with one frame. Nothing is counted, stored, limited or looked up.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use bytes::Bytes;
use emostream_log::{Clock, SystemClock};
use emostream_protocol::placement::TicketClaims;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode,
    jwk::{AlgorithmParameters, Jwk},
};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

const BACKLOG: u32 = 4_096;
/// An Ed25519 private key in its DER form (RFC 8410): what stands before its 32 bytes, then those.
const KEY_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
const KEY: [u8; 32] = *b"signs what opens a bare door ...";
/// A ticket's life, s.
const TICKET_S: i64 = 30;
const GREETING: &str =
    r#"{"type":"hello","channel":"main","epoch":"00000000000000000000000000000000","seq":0}"#;

struct Door {
    address: SocketAddr,
    signs: EncodingKey,
    verifies: DecodingKey,
    /// Tickets that were signed.
    tickets: AtomicU64,
}

/// The part of a request for a place that is read.
#[derive(Deserialize)]
struct Wanted {
    channel: String,
}

/// Serves until killed, on a runtime like Emostream's.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(BACKLOG)?;
        let door = Arc::new(Door::at(listener.local_addr()?)?);
        super::say_ready(door.address);
        let connections = TaskTracker::new();
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            connections.spawn(connection(stream, door.clone(), connections.clone()));
        }
    })
}

async fn connection(stream: TcpStream, door: Arc<Door>, viewers: TaskTracker) {
    let answer = service_fn(|request| answer(request, door.clone(), viewers.clone()));
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).with_upgrades();
    // The load ends connections as it likes.
    drop(connection.await);
}

async fn answer(
    request: Request<Incoming>,
    door: Arc<Door>,
    viewers: TaskTracker,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let answered = match request.method().as_str() {
        "POST" => door.place(request).await,
        _ => door.let_in(request, &viewers),
    };
    Ok(answered.unwrap_or_else(|error| {
        let mut response = Response::new(Full::from(format!("{error:#}")));
        *response.status_mut() = StatusCode::BAD_REQUEST;
        response
    }))
}

impl Door {
    fn at(address: SocketAddr) -> Result<Self> {
        let signs = EncodingKey::from_ed_der(&[&KEY_PREFIX[..], &KEY].concat());
        let AlgorithmParameters::OctetKeyPair(public) =
            Jwk::from_encoding_key(&signs, Algorithm::EdDSA)?.algorithm
        else {
            anyhow::bail!("expected an Ed25519 key");
        };
        Ok(Self { address, signs, verifies: DecodingKey::from_ed_components(&public.x)?, tickets: 0.into() })
    }

    async fn place(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
        let wanted: Wanted = serde_json::from_slice(&request.into_body().collect().await?.to_bytes())?;
        let iat = SystemClock.now_ms() / 1_000;
        let claims = TicketClaims {
            jti: Uuid::from_u64_pair(7, self.tickets.fetch_add(1, Ordering::Relaxed)),
            edge: "edge-a".into(),
            generation: Uuid::from_u128(7),
            user: format!("guest:{}", wanted.channel),
            device: None,
            iat,
            exp: iat + TICKET_S,
        };
        let ticket = encode(&Header::new(Algorithm::EdDSA), &claims, &self.signs)?;
        let place = json!({
            "cluster": "edges", "edge": claims.edge, "url": format!("http://{}", self.address), "ticket": ticket,
        });
        let mut response = Response::new(Full::from(place.to_string()));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }

    fn let_in(&self, mut request: Request<Incoming>, viewers: &TaskTracker) -> Result<Response<Full<Bytes>>> {
        let query = request.uri().query().unwrap_or_default();
        let ticket = query.split('&').find_map(|pair| pair.strip_prefix("ticket="));
        let ticket = ticket.context("expected a ticket")?;
        decode::<TicketClaims>(ticket, &self.verifies, &Validation::new(Algorithm::EdDSA))?;
        let upgraded = hyper::upgrade::on(&mut request);
        viewers.spawn(async move {
            let Ok(upgraded) = upgraded.await else { return };
            let mut stream = TokioIo::new(upgraded);
            let text = GREETING.as_bytes();
            // A text of less than 126 bytes.
            let head = [0x81, u8::try_from(text.len()).unwrap_or(0)];
            if stream.write_all(&[&head[..], text].concat()).await.is_ok() {
                // Until the viewer leaves.
                while stream.read(&mut [0; 64]).await.is_ok_and(|read| read > 0) {}
            }
        });
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        Ok(response)
    }
}
