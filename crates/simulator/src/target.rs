//! The server that is addressed: its URL taken apart, and connections to it.

use std::{io, time::Duration};

use anyhow::{Context as _, Result, bail};
use emostream_protocol::ChannelName;
use hyper::Uri;
use tokio::{net::TcpStream, time::timeout};

/// A server and one of its channels.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// Host and port, as in the `Host` header.
    authority: String,
    /// What to connect to.
    address: String,
    /// Path before `/v1`, empty or beginning with a slash.
    prefix: String,
    channel: ChannelName,
}

/// A connection that takes longer is refused by a firewall, not by load.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

impl Target {
    /// Reads an `http://host[:port][/prefix]` URL.
    pub(crate) fn parse(url: &str, channel: &str) -> Result<Self> {
        let about = || format!("--url {url}: expected http://HOST[:PORT]");
        let uri: Uri = url.parse().with_context(about)?;
        let Some(authority) = uri.authority().filter(|_| uri.scheme_str() == Some("http")) else {
            bail!("{}; this program speaks no TLS: address the server behind the proxy that does", about());
        };
        let channel = ChannelName::new(channel).with_context(|| format!("--channel {channel}"))?;
        let host = authority.host();
        Ok(Self {
            authority: authority.as_str().rsplit('@').next().unwrap_or_default().to_owned(),
            address: format!("{host}:{}", authority.port_u16().unwrap_or(80)),
            prefix: uri.path().trim_end_matches('/').to_owned(),
            channel,
        })
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.authority, self.prefix)
    }

    pub(crate) fn channel(&self) -> &str {
        self.channel.as_str()
    }

    pub(crate) fn reactions_path(&self) -> String {
        self.channel_path("reactions")
    }

    pub(crate) fn stream_url(&self) -> String {
        format!("ws://{}{}/v1/channels/{}/stream", self.authority, self.prefix, self.channel)
    }

    /// A path of the server behind its prefix.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    pub(crate) fn ready_path(&self) -> String {
        self.path("/readyz")
    }

    /// A path below the channel's, such as `windows`.
    pub(crate) fn channel_path(&self, rest: &str) -> String {
        format!("{}/v1/channels/{}/{rest}", self.prefix, self.channel)
    }

    /// Opens a connection without Nagle's delay.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(&self.address))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn urls_are_taken_apart() {
        let target = Target::parse("http://localhost:8080/", "main").unwrap();
        assert_eq!(target.reactions_path(), "/v1/channels/main/reactions");
        assert_eq!(target.stream_url(), "ws://localhost:8080/v1/channels/main/stream");
        assert_eq!(target.address, "localhost:8080");
        let target = Target::parse("http://[::1]/live", "a.b").unwrap();
        assert_eq!((target.address.as_str(), target.ready_path().as_str()), ("[::1]:80", "/live/readyz"));
        for bad in ["https://a", "a b", "", "/path", "ws://a"] {
            assert!(Target::parse(bad, "main").is_err(), "{bad}");
        }
        assert!(Target::parse("http://a", "no channel").is_err());
    }
}
