//! The table of errors: what it is, status, last part of its `type`, title.

use hyper::StatusCode;

/// One row an error. Its order is that of the reference.
macro_rules! error_types {
    ($($(#[$doc:meta])* $kind:ident = $status:ident, $name:literal, $title:literal;)*) => {
        /// The classes of errors. Few on purpose: a client acts on these, people read the detail.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorType {
            $($(#[$doc])* $kind,)*
        }

        impl ErrorType {
            /// All of them, in the order of the reference.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Status, last part of the type, title.
            pub fn facts(self) -> (StatusCode, &'static str, &'static str) {
                match self {
                    $(Self::$kind => (StatusCode::$status, $name, $title),)*
                }
            }
        }
    };
}

error_types! {
    /// Body is not what its content type says.
    BodyInvalid = BAD_REQUEST, "body-invalid", "The body cannot be read";
    /// The content type is not one that is taken here.
    UnsupportedMedia = UNSUPPORTED_MEDIA_TYPE, "unsupported-media", "The content type is not taken here";
    /// Body is too large.
    BodyTooLarge = PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large";
    /// Body did not arrive in time.
    BodyTimeout = REQUEST_TIMEOUT, "body-timeout", "The body came too slowly";
    /// Too many reactions in one request.
    TooManyReactions = BAD_REQUEST, "too-many-reactions", "Too many reactions at once";
    /// A required field is absent.
    FieldMissing = BAD_REQUEST, "field-missing", "A required field is missing";
    /// A field is wrong.
    FieldInvalid = BAD_REQUEST, "field-invalid", "A field has a wrong value";
    /// No emote that this server knows.
    EmoteUnknown = BAD_REQUEST, "emote-unknown", "The emote is unknown";
    /// Not in the channel's palette.
    EmoteNotAllowed = BAD_REQUEST, "emote-not-allowed", "The channel does not take this emote";
    /// The id's time is too far off.
    IdOutOfRange = BAD_REQUEST, "id-out-of-range", "The id's time is too far from the server's";
    /// A query parameter or header is wrong.
    ParameterInvalid = BAD_REQUEST, "parameter-invalid", "A parameter has a wrong value";
    /// The route needs a token, none came.
    TokenMissing = UNAUTHORIZED, "token-missing", "A token is needed";
    /// The token is not one of ours, or its account is gone.
    TokenInvalid = UNAUTHORIZED, "token-invalid", "The token is not valid";
    /// The token was good until a while ago.
    TokenExpired = UNAUTHORIZED, "token-expired", "The token has expired";
    /// Name or password is wrong; nobody is told which.
    CredentialsWrong = UNAUTHORIZED, "credentials-wrong", "Name or password is wrong";
    /// The caller's role is too low.
    Forbidden = FORBIDDEN, "forbidden", "The role does not allow this";
    /// The ticket is not good here and now. Nobody is told why.
    TicketRefused = FORBIDDEN, "ticket-refused", "The ticket is not good here";
    /// Viewers come with tickets.
    TicketMissing = FORBIDDEN, "ticket-missing", "A ticket is needed";
    /// The channel is for members.
    GuestsRefused = FORBIDDEN, "guests-refused", "The channel is for members";
    /// No such channel.
    ChannelNotFound = NOT_FOUND, "channel-not-found", "There is no such channel";
    /// The channel's event is over.
    ChannelClosed = CONFLICT, "channel-closed", "The channel's event is over";
    /// No such account.
    UserNotFound = NOT_FOUND, "user-not-found", "There is no such user";
    /// No such moment.
    MomentNotFound = NOT_FOUND, "moment-not-found", "There is no such moment";
    /// No such custom emote.
    EmoteNotFound = NOT_FOUND, "emote-not-found", "The channel has no such emote";
    /// No client of system D with this id.
    ClientNotFound = NOT_FOUND, "client-not-found", "There is no such client";
    /// No such cluster.
    ClusterNotFound = NOT_FOUND, "cluster-not-found", "There is no such cluster";
    /// No such edge.
    EdgeNotFound = NOT_FOUND, "edge-not-found", "There is no such edge";
    /// The account has no such device connected.
    DeviceNotFound = NOT_FOUND, "device-not-found", "There is no such device";
    /// No such page.
    NotFound = NOT_FOUND, "not-found", "There is nothing here";
    /// The path exists, the method does not.
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "The method does not fit here";
    /// Something else has this name already.
    NameTaken = CONFLICT, "name-taken", "The name is taken";
    /// As many devices of the account are connected as its tier allows.
    DeviceLimit = CONFLICT, "device-limit", "The tier allows no more devices";
    /// What is asked for does not fit the present state.
    Conflict = CONFLICT, "conflict", "The present state does not allow this";
    /// Somebody else changed it since it was read.
    VersionConflict = PRECONDITION_FAILED, "version-conflict", "It has been changed meanwhile";
    /// The version that was read must be named.
    PreconditionRequired = PRECONDITION_REQUIRED, "precondition-required", "If-Match is needed";
    /// Too many requests from here.
    RateLimited = TOO_MANY_REQUESTS, "rate-limited", "Too many requests from here";
    /// Too many reactions wait.
    Overloaded = SERVICE_UNAVAILABLE, "overloaded", "The node is overloaded";
    /// The log has no room.
    LogFull = SERVICE_UNAVAILABLE, "log-full", "The log has no room";
    /// Reactions wait for Kafka too long.
    SpoolBehind = SERVICE_UNAVAILABLE, "spool-behind", "Reactions wait for Kafka too long already";
    /// The log does not work.
    LogUnavailable = SERVICE_UNAVAILABLE, "log-unavailable", "The log takes no reactions";
    /// Too many ids are remembered.
    TooManyIds = SERVICE_UNAVAILABLE, "too-many-ids", "Too many ids are remembered";
    /// The store of accounts, settings and the archive does not work.
    StoreUnavailable = SERVICE_UNAVAILABLE, "store-unavailable", "The store does not answer";
    /// Control, on another node, does not answer.
    ControlUnavailable = SERVICE_UNAVAILABLE, "control-unavailable", "Control does not answer";
    /// The node is stopping.
    Stopping = SERVICE_UNAVAILABLE, "stopping", "The node is stopping";
    /// The node holds as many viewers as it may.
    NodeFull = SERVICE_UNAVAILABLE, "node-full", "The node holds no more viewers";
    /// The edge is being emptied.
    EdgeDraining = SERVICE_UNAVAILABLE, "edge-draining", "The edge is being emptied";
    /// No edge has room; whoever asks waits in line.
    NoRoom = SERVICE_UNAVAILABLE, "no-room", "There is no room at this moment";
    /// The role that would answer does not run here.
    RoleNotHere = SERVICE_UNAVAILABLE, "role-not-here", "This node does not run that role";
    /// A bug.
    Internal = INTERNAL_SERVER_ERROR, "internal", "Something went wrong here";
}

impl ErrorType {
    /// The status.
    pub fn status(self) -> StatusCode {
        self.facts().0
    }

    /// The last part of the type.
    pub fn name(self) -> &'static str {
        self.facts().1
    }
}
