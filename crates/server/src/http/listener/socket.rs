//! One accepted TCP connection: its place among all, a limit on a peer that takes nothing, and a close that lets the
//! last words arrive.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    runtime::Handle,
    sync::OwnedSemaphorePermit,
    time::{Sleep, sleep, timeout},
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use crate::http::app::App;

/// So long what a peer still sends is read and thrown away after the last words. A close with unread bytes is a reset,
/// and a reset overtakes the answer that says what was wrong.
const LINGER: Duration = Duration::from_secs(1);

/// A connection's place: counted, limited, and waited for at the stop, whoever holds the socket by then.
pub(super) struct Place {
    app: Arc<App>,
    tracker: TaskTracker,
    _token: TaskTrackerToken,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    pub(super) fn new(app: Arc<App>, tracker: TaskTracker, permit: OwnedSemaphorePermit) -> Self {
        app.metrics.connections.inc();
        Self { app, _token: tracker.token(), tracker, _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.app.metrics.connections.dec();
    }
}

/// The socket of one connection. It moves with an upgrade, and its place with it.
pub(super) struct Socket {
    /// `None` only while it is dropped.
    stream: Option<TcpStream>,
    /// Whether the peer has closed its side or the connection broke: nothing to linger for.
    over: bool,
    /// Runs while the peer takes no byte of what is to be written.
    stalled: Option<Pin<Box<Sleep>>>,
    patience: Duration,
    place: Option<Place>,
}

impl Socket {
    /// `patience`: how long a peer may take no byte while there is something to write.
    pub(super) fn new(stream: TcpStream, patience: Duration, place: Place) -> Self {
        Self { stream: Some(stream), over: false, stalled: None, patience, place: Some(place) }
    }

    fn open(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn note(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = written {
            self.stalled = None;
            self.over |= written.is_err();
            return Poll::Ready(written);
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        self.over = true;
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer took nothing for too long")))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (before, room) = (buffer.filled().len(), buffer.remaining());
        let read = ready!(self.open()?.poll_read(cx, buffer));
        self.over |= read.is_err() || (room > 0 && buffer.filled().len() == before);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.open()?.poll_write(cx, bytes);
        self.note(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.open()?.poll_write_vectored(cx, buffers);
        self.note(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.open()?.poll_shutdown(cx)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let (Some(stream), Some(place)) = (self.stream.take(), self.place.take()) else { return };
        // Without a runtime the process ends.
        if let (false, Ok(runtime)) = (self.over, Handle::try_current()) {
            let tracker = place.tracker.clone();
            tracker.spawn_on(linger(stream, place), &runtime);
        }
    }
}

/// Ends our side, and reads what still comes until the peer has ended its own.
async fn linger(mut stream: TcpStream, place: Place) {
    let reading = async {
        stream.shutdown().await?;
        let mut thrown_away = [0; 1024];
        while stream.read(&mut thrown_away).await? > 0 {}
        io::Result::Ok(())
    };
    if timeout(LINGER, reading).await.is_err() {
        tracing::trace!("a peer did not end its side");
    }
    drop(place);
}
