//! Calls to addresses that clients give. A client must not be able to make this server call anything: only addresses of
//! `compat.notify_networks` are called and never this server itself, the name is resolved once and that address is connected
//! to, there is one kind of request, with a time-out, no redirect is followed, and nothing of an answer is shown to anybody.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use axum::http::{Request, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, lookup_host},
    sync::Semaphore,
    time::{error::Elapsed, timeout},
};

use crate::config::{CompatConfig, Network};

/// Calls that are under way at once.
const CALLS_MAX: usize = 64;

/// Those among them to one address: clients there that answer slowly wait for each other, and others hardly for them.
const CALLS_PER_ADDRESS_MAX: usize = 8;

/// Names that are resolved at once.
const LOOKUPS_MAX: usize = 4;

/// Resolving takes this long at most.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(2);

/// Resolving takes this long at most with the time for which it waits for others.
const RESOLVE_PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of an answer that are read, so that the connection can be used again.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Bytes of a `client_url`.
const URL_BYTES_MAX: usize = 2_048;

/// Who may be called, and how.
pub(super) struct Calls {
    networks: Vec<Network>,
    /// Ports that this process listens on: it does not call itself.
    own_ports: Vec<u16>,
    patience: Duration,
    at_once: Semaphore,
    /// Of addresses that are being called, or waited for.
    shares: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
    lookups: Semaphore,
}

/// What one address may have of all calls, for as long as somebody calls it.
struct Share<'a> {
    calls: &'a Calls,
    address: IpAddr,
    semaphore: Arc<Semaphore>,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut shares = self.calls.shares();
        // This one, and that of the map.
        if Arc::strong_count(&self.semaphore) <= 2 {
            shares.remove(&self.address);
        }
    }
}

/// Where a client is called: never anywhere else, whatever its name stands for later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    socket: SocketAddr,
    /// `Host` of the requests.
    authority: String,
    /// Path and query of the requests.
    path: String,
}

/// A `client_url` that can be called, as far as its form tells.
pub(super) fn parse(url: &str) -> Option<Uri> {
    let uri: Uri = url.parse().ok().filter(|_| url.len() <= URL_BYTES_MAX)?;
    let authority = uri.authority()?;
    let plain = !authority.as_str().contains('@') && !authority.host().is_empty();
    // A port that is none, such as 99999, must not be taken for the usual one.
    let port = authority.port_u16().map_or(authority.as_str() == authority.host(), |port| port > 0);
    (uri.scheme_str() == Some("http") && plain && port).then_some(uri)
}

impl Calls {
    pub(super) fn new(config: &CompatConfig, own_ports: Vec<u16>) -> Self {
        Self {
            networks: config.notify_networks.clone(),
            own_ports,
            patience: Duration::from_millis(config.notify_timeout_ms),
            at_once: Semaphore::new(CALLS_MAX),
            shares: Mutex::default(),
            lookups: Semaphore::new(LOOKUPS_MAX),
        }
    }

    /// The same as [`Self::resolve`], in bounded time: an error where too many names are being looked up.
    pub(super) async fn resolve_soon(&self, url: &Uri) -> Result<Option<Address>, Elapsed> {
        timeout(RESOLVE_PATIENCE, self.resolve(url)).await
    }

    /// The address behind a URL, if it may be called. Why not is not told: it would tell what names stand for here.
    pub(super) async fn resolve(&self, url: &Uri) -> Option<Address> {
        // Without a list nothing is called, and no name is asked for.
        if self.networks.is_empty() {
            return None;
        }
        let authority = url.authority()?;
        let port = authority.port_u16().unwrap_or(80);
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let addresses: Vec<SocketAddr> = match host.parse() {
            Ok(address) => vec![SocketAddr::new(address, port)],
            Err(_) => {
                let _lookup = self.lookups.acquire().await.ok()?;
                timeout(LOOKUP_PATIENCE, lookup_host((host, port))).await.ok()?.ok()?.collect()
            }
        };
        let canonical = addresses.iter().map(|found| found.ip().to_canonical());
        let address = canonical.into_iter().find(|address| {
            !address.is_unspecified() && self.networks.iter().any(|network| network.contains(*address))
        })?;
        if self.own_ports.contains(&port) && is_of_this_machine(address) {
            return None;
        }
        Some(Address {
            socket: SocketAddr::new(address, port),
            authority: authority.as_str().to_owned(),
            path: url.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        })
    }

    /// Posts messages one after the other; an error says that the next one, of the number left in `sent`, was not taken.
    /// Connections that a client closes between two calls are opened anew.
    pub(super) async fn post(
        &self,
        to: &Address,
        messages: &[Bytes],
        sent: &mut usize,
    ) -> anyhow::Result<()> {
        let share = self.share(to);
        while *sent < messages.len() {
            let _own = share.semaphore.acquire().await.context("the node stops")?;
            let _call = self.at_once.acquire().await.context("the node stops")?;
            let before = *sent;
            let round = timeout(self.patience, self.over_one_connection(to, messages, sent)).await;
            let round = round.unwrap_or_else(|_| bail!("no answer in {:?}", self.patience));
            if *sent == before {
                round?;
            }
        }
        Ok(())
    }

    async fn over_one_connection(
        &self,
        to: &Address,
        messages: &[Bytes],
        sent: &mut usize,
    ) -> anyhow::Result<()> {
        let stream = TcpStream::connect(to.socket).await.context("connect")?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let calling = async {
            for message in &messages[*sent..] {
                sender.ready().await?;
                call(&mut sender, to, message).await?;
                *sent += 1;
            }
            Ok(())
        };
        // The connection moves while the calls wait, and ends with them.
        let driving = async {
            match connection.await {
                Ok(()) => std::future::pending().await,
                Err(error) => error,
            }
        };
        tokio::select! {
            called = calling => called,
            error = driving => Err(error.into()),
        }
    }

    fn share(&self, to: &Address) -> Share<'_> {
        let address = to.socket.ip();
        let new = || Arc::new(Semaphore::new(CALLS_PER_ADDRESS_MAX));
        let semaphore = self.shares().entry(address).or_insert_with(new).clone();
        Share { calls: self, address, semaphore }
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<IpAddr, Arc<Semaphore>>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody still listens there.
    pub(super) async fn reach(&self, to: &Address) -> anyhow::Result<()> {
        let share = self.share(to);
        let _own = share.semaphore.acquire().await.context("the node stops")?;
        let _call = self.at_once.acquire().await.context("the node stops")?;
        timeout(self.patience, TcpStream::connect(to.socket))
            .await
            .context("no answer")?
            .context("connect")?;
        Ok(())
    }
}

/// Whether an address is one of this machine's: only those can be bound to.
fn is_of_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

async fn call(sender: &mut SendRequest<Full<Bytes>>, to: &Address, message: &Bytes) -> anyhow::Result<()> {
    let request = Request::post(&to.path)
        .header(header::HOST, &to.authority)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::USER_AGENT, concat!("emostream/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(message.clone()))?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    // A redirect is an answer like any other that is not 2xx.
    ensure!(head.status.is_success(), "it answers {}", head.status);
    let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    read.map(drop).map_err(|error| anyhow::anyhow!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::{Calls, parse};
    use crate::config::CompatConfig;

    fn calls(networks: &[&str]) -> Calls {
        let notify_networks = networks.iter().map(|text| text.parse().unwrap()).collect();
        Calls::new(&CompatConfig { notify_networks, ..CompatConfig::default() }, vec![8080])
    }

    #[tokio::test]
    async fn a_share_lasts_while_somebody_calls_and_nobody_waits_for_names_without_end() {
        let calls = calls(&["127.0.0.0/8"]);
        let to = calls.resolve_soon(&parse("http://127.0.0.1:81/").unwrap()).await.unwrap().unwrap();
        let (one, other) = (calls.share(&to), calls.share(&to));
        assert!(std::sync::Arc::ptr_eq(&one.semaphore, &other.semaphore));
        drop(one);
        assert_eq!(calls.shares().len(), 1);
        drop(other);
        assert_eq!(calls.shares().len(), 0);
        let _others = calls.lookups.acquire_many(4).await.unwrap();
        assert!(calls.resolve_soon(&parse("http://localhost/").unwrap()).await.is_err());
        assert!(calls.resolve_soon(&parse("http://127.0.0.1/").unwrap()).await.is_ok());
    }

    #[test]
    fn only_plain_http_has_a_form_that_is_called() {
        for url in ["http://127.0.0.1:6000/notify?x=1", "http://[::1]:80", "http://client"] {
            assert!(parse(url).is_some(), "{url}");
        }
        let long = format!("http://a/{}", "x".repeat(2_048));
        for url in [
            "https://127.0.0.1/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "/notify",
            "127.0.0.1:80",
            "http://user@127.0.0.1/",
            "http://10.0.0.1@127.0.0.1/",
            "http://127.0.0.1:0/",
            "http://127.0.0.1:99999/",
            "http://a b/",
            "http://a/\r\nX: y",
            "",
            &long,
        ] {
            assert!(parse(url).is_none(), "{url}");
        }
    }

    #[tokio::test]
    async fn an_address_is_called_only_where_its_network_is_listed() {
        let loopback = calls(&["127.0.0.0/8"]);
        // What is connected to is the address that was looked at, in one form.
        for url in ["http://127.0.0.1:81/a", "http://[::ffff:127.0.0.1]:81/a", "http://[::ffff:7f00:1]:81/a"]
        {
            let address = loopback.resolve(&parse(url).unwrap()).await.unwrap();
            assert_eq!((address.socket.to_string().as_str(), address.path.as_str()), ("127.0.0.1:81", "/a"));
        }
        let elsewhere = calls(&["10.0.0.0/8"]);
        let tricks = [
            "http://127.0.0.1/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[::1]/",
            "http://0.0.0.0/",
            "http://[::]/",
            "http://169.254.169.254/latest/meta-data",
            "http://10.0.0.1.nowhere.invalid/",
        ];
        for url in tricks {
            assert_eq!(elsewhere.resolve(&parse(url).unwrap()).await, None, "{url}");
        }
        for url in tricks {
            assert_eq!(calls(&[]).resolve(&parse(url).unwrap()).await, None, "{url}");
        }
        // Nor does this server call itself, by whatever name; others on that port it does.
        for url in ["http://127.0.0.1:8080/", "http://127.9.9.9:8080/", "http://localhost:8080/v1/login"] {
            assert_eq!(loopback.resolve(&parse(url).unwrap()).await, None, "{url}");
        }
        assert!(elsewhere.resolve(&parse("http://10.99.99.99:8080/").unwrap()).await.is_some());
        // "This host" is not what a list of everything means.
        assert_eq!(calls(&["0.0.0.0/0"]).resolve(&parse("http://0.0.0.0/").unwrap()).await, None);
    }
}
