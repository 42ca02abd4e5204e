//! Whether somebody who came in may stay: the channel may be closed to guests while they watch.

use emostream_protocol::close::CloseCode;
use tokio::sync::watch;

use crate::{
    edge::gate::Entry,
    http::{app::App, stream::wire::End},
};

/// The stay of one connection in the channel of `compat.channel`.
pub(super) struct Stay<'a> {
    app: &'a App,
    entry: &'a Entry,
    settings: watch::Receiver<u64>,
}

impl<'a> Stay<'a> {
    /// Settings may have changed since the ticket was looked at: the first [`Self::changed`] comes at once.
    pub(super) fn new(app: &'a App, entry: &'a Entry) -> Self {
        let mut settings = app.channels.follow();
        settings.mark_changed();
        Self { app, entry, settings }
    }

    /// How the connection ends, if it may not go on. To be asked before anything is sent: news and a change may come together.
    pub(super) fn check(&self) -> Result<(), End> {
        let channel = self.app.channels.get(&self.app.config.compat.channel);
        if channel.is_none_or(|channel| self.entry.may_stay_in(&channel)) {
            Ok(())
        } else {
            Err(End::Close(CloseCode::GuestsRefused, None))
        }
    }

    /// Waits until settings change, and checks. May be dropped at any time.
    pub(super) async fn changed(&mut self) -> Result<(), End> {
        match self.settings.changed().await {
            Ok(()) => self.check(),
            Err(_) => Err(End::Close(CloseCode::ShuttingDown, None)),
        }
    }
}
