//! Routes of the source systems, which their clients know; see [`crate::compat`].

use axum::routing::{get, post, put};
use utoipa::PartialSchema;

use super::{Access, Document, Method, Route, SchemaOf, query};
use crate::{
    compat::{
        bridge,
        documents::{
            AllowedChanges, AllowedList, Deregistered, Interval, Leave, Login, LoginAnswer, Notification,
            QueuedTap, RegisterAnswer, RegisterRequest, TapAnswer, Threshold, TimedTap,
        },
        login, register, settings, subscribers, taps,
    },
    http::{access::Role, problem::ErrorType},
};

const TAP_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::UnsupportedMedia,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::EmoteUnknown,
    ErrorType::EmoteNotAllowed,
    ErrorType::ChannelNotFound,
    ErrorType::ChannelClosed,
    ErrorType::GuestsRefused,
    ErrorType::RateLimited,
    ErrorType::Overloaded,
    ErrorType::LogFull,
    ErrorType::SpoolBehind,
    ErrorType::LogUnavailable,
    ErrorType::Stopping,
    ErrorType::RoleNotHere,
];

const TAKES_TIMED: Document = Document {
    summary: "Send an emoji, as systems D and E do",
    description: "All fields are required. The answer comes when the log has the reaction durably; message_id is its id. \
        It goes to the channel compat.channel.",
    parameters: &[],
    request: Some(("application/json", TimedTap::schema)),
    status: 200,
    answer: ("application/json", Some(TapAnswer::schema)),
};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/ws",
        access: Access::Anyone,
        errors: &[
            ErrorType::ParameterInvalid,
            ErrorType::NodeFull,
            ErrorType::EdgeDraining,
            ErrorType::Stopping,
            ErrorType::RoleNotHere,
        ],
        document: Document {
            summary: "Watch moments over a WebSocket, as system A's front end does",
            description: "Each message is one moment, {\"emote\", \"count\", \"timestamp\"}, or one reaction, {\"emote\", \
                \"timestamp\"}, where websocket_bridge.source is raw. Live only, of the channel compat.channel; what a slow \
                client misses is skipped.",
            parameters: &[],
            request: None,
            status: 101,
            answer: ("application/json", None),
        },
        handler: || get(bridge::join),
    },
    Route {
        method: Method::Post,
        path: "/emoji",
        access: Access::Anyone,
        errors: TAP_ERRORS,
        document: TAKES_TIMED,
        handler: || post(taps::timed),
    },
    Route {
        method: Method::Post,
        path: "/send-emoji",
        access: Access::Anyone,
        errors: TAP_ERRORS,
        document: TAKES_TIMED,
        handler: || post(taps::timed),
    },
    Route {
        method: Method::Post,
        path: "/emojis",
        access: Access::Anyone,
        errors: TAP_ERRORS,
        document: Document {
            summary: "Send an emoji, as system B's users do",
            description: "The answer comes when the log has the reaction durably.",
            parameters: &[],
            request: Some(("application/json", QueuedTap::schema)),
            status: 200,
            answer: ("application/json", Some(TapAnswer::schema)),
        },
        handler: || post(taps::queued),
    },
    Route {
        method: Method::Post,
        path: "/login",
        access: Access::Anyone,
        errors: LOGIN_ERRORS,
        document: Document {
            summary: "Log in, as system A's front end and system B's page do",
            description: "The token is that of /v1/login, good for an hour. With `name` instead of `username` it is system B's: \
                the answer has tier, cluster and a ticket for it as well; 409 with `devices` where the tier's devices are all \
                connected, and `end_device_id` ends one of them; 503 with Retry-After where no cluster has room, and `line` \
                of it keeps the place in line. Both have `token` and `device_id`: sent instead of the password, and as the \
                device, they go on where that answer left off.",
            parameters: &[],
            request: Some(("application/json", Login::schema)),
            status: 200,
            answer: ("application/json", Some(LoginAnswer::schema)),
        },
        handler: || post(login::login),
    },
    Route {
        method: Method::Post,
        path: "/register",
        access: Access::Anyone,
        errors: REGISTER_ERRORS,
        document: Document {
            summary: "Make an account, as system B's users do, or ask for a place, as system D's clients do",
            description: "The body's fields decide. System B: 201 with name and tier; 409 where the name is taken. System D: \
                where every place is taken the answer is 503 with Retry-After and the capacity: the client asks \
                again. A client with a client_url is called there; only addresses in compat.notify_networks are.",
            parameters: &[],
            request: Some(("application/json", RegisterRequest::schema)),
            status: 200,
            answer: ("application/json", Some(RegisterAnswer::schema)),
        },
        handler: || post(register::register),
    },
    Route {
        method: Method::Post,
        path: "/deregister",
        access: Access::Anyone,
        errors: DEREGISTER_ERRORS,
        document: Document {
            summary: "Give up a place, as system D's clients do",
            description: "",
            parameters: &[],
            request: Some(("application/json", Leave::schema)),
            status: 200,
            answer: ("application/json", Some(Deregistered::schema)),
        },
        handler: || post(subscribers::endpoints::deregister),
    },
    Route {
        method: Method::Get,
        path: "/notify-client",
        access: Access::Anyone,
        errors: &[ErrorType::ParameterInvalid, ErrorType::ClientNotFound, ErrorType::RoleNotHere],
        document: Document {
            summary: "Read what is broadcast, as system D's clients do",
            description: "Server-sent events: a line an emote of each window that becomes final after the registration. \
                Newest wins: a client that is slow misses the oldest.",
            parameters: &[query("client_id", "id of a client that has registered")],
            request: None,
            status: 200,
            answer: ("text/event-stream", Some(Notification::schema)),
        },
        handler: || get(subscribers::endpoints::read),
    },
    Route {
        method: Method::Get,
        path: "/settings/threshold",
        access: READS,
        errors: SETTINGS_ERRORS,
        document: settings_document("The plain rule's threshold", THRESHOLD),
        handler: || get(settings::threshold),
    },
    Route {
        method: Method::Put,
        path: "/settings/threshold",
        access: CHANGES,
        errors: CHANGE_ERRORS,
        document: Document {
            request: Some(("application/json", Threshold::schema)),
            ..settings_document("Change the threshold; selects the plain rule", THRESHOLD)
        },
        handler: || put(settings::put_threshold),
    },
    Route {
        method: Method::Get,
        path: "/settings/interval",
        access: READS,
        errors: SETTINGS_ERRORS,
        document: settings_document("The plain rule's interval", INTERVAL),
        handler: || get(settings::interval),
    },
    Route {
        method: Method::Put,
        path: "/settings/interval",
        access: CHANGES,
        errors: CHANGE_ERRORS,
        document: Document {
            request: Some(("application/json", Interval::schema)),
            ..settings_document("Change the interval; selects the plain rule", INTERVAL)
        },
        handler: || put(settings::put_interval),
    },
    Route {
        method: Method::Get,
        path: "/settings/allowed-emotes",
        access: READS,
        errors: SETTINGS_ERRORS,
        document: settings_document(
            "Emotes that can make a moment; where every emote can, the channel's buttons",
            ALLOWED,
        ),
        handler: || get(settings::allowed),
    },
    Route {
        method: Method::Put,
        path: "/settings/allowed-emotes",
        access: CHANGES,
        errors: CHANGE_ERRORS,
        document: Document {
            request: Some(("application/json", ALL)),
            ..settings_document("Allow and forbid the emotes named; answers all", ALL)
        },
        handler: || put(settings::put_allowed),
    },
];

const READS: Access = Access::Role(Role::Moderator);
const CHANGES: Access = Access::Role(Role::Broadcaster);

const LOGIN_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::UnsupportedMedia,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::CredentialsWrong,
    ErrorType::TokenInvalid,
    ErrorType::DeviceLimit,
    ErrorType::NoRoom,
    ErrorType::RateLimited,
    ErrorType::Overloaded,
    ErrorType::Stopping,
    ErrorType::StoreUnavailable,
    ErrorType::RoleNotHere,
    ErrorType::Internal,
];

const REGISTER_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::UnsupportedMedia,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::Forbidden,
    ErrorType::GuestsRefused,
    ErrorType::TicketMissing,
    ErrorType::NameTaken,
    ErrorType::RateLimited,
    ErrorType::Overloaded,
    ErrorType::NodeFull,
    ErrorType::StoreUnavailable,
    ErrorType::RoleNotHere,
    ErrorType::Internal,
];

const DEREGISTER_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::UnsupportedMedia,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::ClientNotFound,
    ErrorType::RoleNotHere,
];

const SETTINGS_ERRORS: &[ErrorType] =
    &[ErrorType::ChannelNotFound, ErrorType::StoreUnavailable, ErrorType::RoleNotHere];

const CHANGE_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::StoreUnavailable,
    ErrorType::RoleNotHere,
];

const THRESHOLD: SchemaOf = Threshold::schema;
const INTERVAL: SchemaOf = Interval::schema;
const ALLOWED: SchemaOf = AllowedList::schema;
const ALL: SchemaOf = AllowedChanges::schema;

const fn settings_document(summary: &'static str, answer: SchemaOf) -> Document {
    Document {
        summary,
        description: "Of the channel compat.channel, as system A's settings page knows it.",
        parameters: &[],
        request: None,
        status: 200,
        answer: ("application/json", Some(answer)),
    }
}
