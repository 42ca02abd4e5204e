//! WebSocket close codes. The range tells a client what to do: 4000–4499 reconnect, 4500–4999 do not.

use crate::placement::CloseReason;

/// Why the server closed a viewer's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum CloseCode {
    /// The node is stopping; reconnect after the time given in `bye`.
    ShuttingDown = 4000,
    /// The viewer did not read for too long.
    TooSlow = 4001,
    /// The node has no room for another viewer now.
    Full = 4002,
    /// The client sent more than its rate limit allows for too long.
    RateLimited = 4003,
    /// The client answered no ping for too long.
    Idle = 4004,
    /// The edge is being emptied; come back through placement after the time given in `bye`.
    Draining = 4005,
    /// More devices of the account are connected than its tier allows, which shows after a while without control: ask
    /// placement again, which says what to do.
    Surplus = 4006,
    /// There is no ticket, and one is needed, or it is not good here: get one from placement. Why is not told.
    TicketRefused = 4007,
    /// A message was no valid frame of the subprotocol.
    BadFrame = 4500,
    /// A message was larger than the limit.
    FrameTooLarge = 4501,
    /// The channel does not exist.
    UnknownChannel = 4502,
    // 4503 was never sent, and stands for nothing.
    /// The same device has connected anew, here or elsewhere.
    TakenOver = 4504,
    /// The account's owner, or an admin, has ended this device's connection.
    DeviceEnded = 4505,
    /// The channel is for members: log in, and come with a ticket.
    GuestsRefused = 4506,
    /// The account is gone.
    AccountGone = 4507,
}

impl CloseCode {
    /// The number on the wire.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// The reason sent with it, stable for programs.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ShuttingDown => "shutting-down",
            Self::TooSlow => "too-slow",
            Self::Full => "full",
            Self::RateLimited => "rate-limited",
            Self::Idle => "idle",
            Self::Draining => "draining",
            Self::Surplus => "surplus",
            Self::TicketRefused => "ticket-refused",
            Self::BadFrame => "bad-frame",
            Self::FrameTooLarge => "frame-too-large",
            Self::UnknownChannel => "unknown-channel",
            Self::TakenOver => "taken-over",
            Self::DeviceEnded => "device-ended",
            Self::GuestsRefused => "guests-refused",
            Self::AccountGone => "account-gone",
        }
    }

    /// Whether a client should connect again.
    pub fn reconnect(self) -> bool {
        self.code() < 4500
    }
}

impl From<CloseReason> for CloseCode {
    fn from(reason: CloseReason) -> Self {
        match reason {
            CloseReason::TakenOver => Self::TakenOver,
            CloseReason::Ended => Self::DeviceEnded,
            CloseReason::Surplus => Self::Surplus,
            CloseReason::AccountGone => Self::AccountGone,
        }
    }
}
