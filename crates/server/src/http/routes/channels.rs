//! Routes of channels, their settings and their palettes.

use axum::routing::{delete, get, patch, post, put};
use utoipa::PartialSchema;

use super::{Access, Document, Method, Parameter, Route, query};
use crate::http::{
    access::Role,
    control::{
        channels::{self, ChannelChangeDocument, ChannelDocument, ChannelPage, NewChannelDocument},
        emotes::{self, CustomEmote, PaletteAnswer},
        settings::{self, SettingsAnswer, SettingsHistoryPage},
    },
    problem::ErrorType,
};

const JSON: &str = "application/json";

const LIST_PARAMETERS: &[Parameter] = &[
    query("limit", "items of a page, 1 to 100, default 100"),
    query("cursor", "next_cursor of the page before"),
];

const READ_ERRORS: &[ErrorType] =
    &[ErrorType::ChannelNotFound, ErrorType::StoreUnavailable, ErrorType::RoleNotHere, ErrorType::Internal];

const LIST_ERRORS: &[ErrorType] =
    &[ErrorType::ParameterInvalid, ErrorType::StoreUnavailable, ErrorType::RoleNotHere, ErrorType::Internal];

const HISTORY_ERRORS: &[ErrorType] = &[
    ErrorType::ParameterInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::StoreUnavailable,
    ErrorType::RoleNotHere,
    ErrorType::Internal,
];

const CREATE_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::NameTaken,
    ErrorType::Conflict,
    ErrorType::Internal,
];

const CHANGE_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::Internal,
];

const SETTINGS_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::ParameterInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::PreconditionRequired,
    ErrorType::VersionConflict,
    ErrorType::Internal,
];

const EMOTE_ERRORS: &[ErrorType] = &[
    ErrorType::UnsupportedMedia,
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::Conflict,
    ErrorType::Internal,
];

const fn document(summary: &'static str, description: &'static str) -> Document {
    Document { summary, description, parameters: &[], request: None, status: 200, answer: (JSON, None) }
}

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/channels",
        access: Access::Anyone,
        errors: LIST_ERRORS,
        document: Document {
            parameters: LIST_PARAMETERS,
            answer: (JSON, Some(ChannelPage::schema)),
            ..document("Channels", "In the order in which they were made.")
        },
        handler: || get(channels::list),
    },
    Route {
        method: Method::Post,
        path: "/v1/channels",
        access: Access::Role(Role::Broadcaster),
        errors: CREATE_ERRORS,
        document: Document {
            request: Some((JSON, NewChannelDocument::schema)),
            status: 201,
            answer: (JSON, Some(ChannelDocument::schema)),
            ..document("Make a channel", "It has default settings and takes reactions when the answer comes.")
        },
        handler: || post(channels::create),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}",
        access: Access::Anyone,
        errors: READ_ERRORS,
        document: Document { answer: (JSON, Some(ChannelDocument::schema)), ..document("A channel", "") },
        handler: || get(channels::show),
    },
    Route {
        method: Method::Patch,
        path: "/v1/channels/{channel}",
        access: Access::Role(Role::Broadcaster),
        errors: CHANGE_ERRORS,
        document: Document {
            request: Some((JSON, ChannelChangeDocument::schema)),
            answer: (JSON, Some(ChannelDocument::schema)),
            ..document(
                "Change a channel",
                "What is absent stays. A closed channel takes no reactions; its past can still be read.",
            )
        },
        handler: || patch(channels::change),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/settings",
        access: Access::Role(Role::Moderator),
        errors: READ_ERRORS,
        document: Document {
            answer: (JSON, Some(SettingsAnswer::schema)),
            ..document("Settings of a channel", "The ETag names the version.")
        },
        handler: || get(settings::show),
    },
    Route {
        method: Method::Put,
        path: "/v1/channels/{channel}/settings",
        access: Access::Role(Role::Broadcaster),
        errors: SETTINGS_ERRORS,
        document: Document {
            parameters: &[Parameter {
                name: "If-Match",
                header: true,
                description: "the ETag of the settings that were read; * overwrites whatever others did",
            }],
            request: Some((JSON, SettingsAnswer::schema)),
            answer: (JSON, Some(SettingsAnswer::schema)),
            ..document(
                "Change the settings of a channel",
                "What is absent stays; fields that only the server sets are ignored, so that an answer can be sent back \
                 as it came. The answer comes when the change is stored and in the log: viewers learn of it at once, \
                 moments are judged by it from the next window on. 412 carries the ETag that holds.",
            )
        },
        handler: || put(settings::change),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/settings/history",
        access: Access::Role(Role::Moderator),
        errors: HISTORY_ERRORS,
        document: Document {
            parameters: LIST_PARAMETERS,
            answer: (JSON, Some(SettingsHistoryPage::schema)),
            ..document("All versions of the settings", "Newest first, with who stored each and when.")
        },
        handler: || get(settings::history),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/palette",
        access: Access::Anyone,
        errors: READ_ERRORS,
        document: Document {
            answer: (JSON, Some(PaletteAnswer::schema)),
            ..document(
                "What viewers can send",
                "Buttons in order, and where the images of custom emotes are.",
            )
        },
        handler: || get(emotes::palette),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/emotes/{name}",
        access: Access::Anyone,
        errors: &[
            ErrorType::ChannelNotFound,
            ErrorType::EmoteNotFound,
            ErrorType::StoreUnavailable,
            ErrorType::RoleNotHere,
            ErrorType::Internal,
        ],
        document: Document { answer: ("image/*", None), ..document("Image of a custom emote", "") },
        handler: || get(emotes::image),
    },
    Route {
        method: Method::Put,
        path: "/v1/channels/{channel}/emotes/{name}",
        access: Access::Role(Role::Broadcaster),
        errors: EMOTE_ERRORS,
        document: Document {
            status: 201,
            answer: (JSON, Some(CustomEmote::schema)),
            ..document(
                "Make a custom emote, or replace its image",
                "The body is a PNG, WebP or GIF image of at most 256 KiB and 1024 pixels a side; the name is that \
                 between the colons. It joins the palette; 200 where an image was replaced.",
            )
        },
        handler: || put(emotes::put),
    },
    Route {
        method: Method::Delete,
        path: "/v1/channels/{channel}/emotes/{name}",
        access: Access::Role(Role::Broadcaster),
        errors: &[
            ErrorType::ChannelNotFound,
            ErrorType::EmoteNotFound,
            ErrorType::Conflict,
            ErrorType::Internal,
        ],
        document: Document {
            status: 204,
            ..document(
                "Remove a custom emote",
                "It leaves the palette and the allowed list; what was counted stays.",
            )
        },
        handler: || delete(emotes::delete),
    },
];
