//! Routes of the past: windows, moments and what moderators add to them, exports, previews of rules.

use axum::routing::{get, patch, post};
use utoipa::PartialSchema;

use super::{Access, Document, Method, Parameter, Role, Route, query as parameter};
use crate::http::{
    documents::{MomentFile, MomentPage, WindowPage},
    problem::ErrorType,
    query::{
        self, export,
        moments::{self, MomentChange, MomentItem},
        preview::{self, PreviewAnswer, PreviewRequest},
    },
};

const PAGE_PARAMETERS: &[Parameter] = &[FROM, TO, ORDER, LIMIT, CURSOR];
const MOMENT_PAGE_PARAMETERS: &[Parameter] = &[
    FROM,
    TO,
    ORDER,
    LIMIT,
    CURSOR,
    parameter("include_hidden", "true: hidden moments as well; for moderators"),
];

const FROM: Parameter = parameter("from", "RFC 3339: only what begins at or after it");
const TO: Parameter = parameter("to", "RFC 3339: only what begins before it");
const ORDER: Parameter =
    parameter("order", "by begin of the window: asc, oldest first (default), or desc, where control runs");
const LIMIT: Parameter = parameter("limit", "items of a page, 1 to 1000, default 100");
const CURSOR: Parameter = parameter("cursor", "next_cursor of the page before");

const EXPORT_PARAMETERS: &[Parameter] = &[
    parameter("format", "youtube, vtt, edl, csv, json or ffmetadata"),
    FROM,
    TO,
    parameter("offset_ms", "added to every position on the recording, may be negative; default 0"),
    parameter("recording_started_at", "RFC 3339: when the recording began; default: the channel's"),
    parameter("fps", "frames per second of edl: 23.976, 24, 25 (default), 29.97, 30, 50, 59.94 or 60"),
];

const QUERY_ERRORS: &[ErrorType] = &[
    ErrorType::ParameterInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::Overloaded,
    ErrorType::StoreUnavailable,
    ErrorType::Internal,
];

const HIDDEN_ERRORS: &[ErrorType] = &[
    ErrorType::ParameterInvalid,
    ErrorType::TokenMissing,
    ErrorType::Forbidden,
    ErrorType::ChannelNotFound,
    ErrorType::Overloaded,
    ErrorType::StoreUnavailable,
    ErrorType::Internal,
];

const MOMENT_ERRORS: &[ErrorType] = &[
    ErrorType::ChannelNotFound,
    ErrorType::MomentNotFound,
    ErrorType::Overloaded,
    ErrorType::StoreUnavailable,
    ErrorType::RoleNotHere,
    ErrorType::Internal,
];

const CHANGE_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::MomentNotFound,
    ErrorType::Overloaded,
    ErrorType::StoreUnavailable,
    ErrorType::RoleNotHere,
    ErrorType::Internal,
];

const EXPORT_ERRORS: &[ErrorType] = &[
    ErrorType::ParameterInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::Overloaded,
    ErrorType::StoreUnavailable,
    ErrorType::RoleNotHere,
    ErrorType::Internal,
];

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/windows",
        access: Access::Anyone,
        errors: QUERY_ERRORS,
        document: Document {
            summary: "Final windows",
            description: "In order of their begin, oldest first unless asked otherwise. Windows without reactions have no item.",
            parameters: PAGE_PARAMETERS,
            request: None,
            status: 200,
            answer: ("application/json", Some(WindowPage::schema)),
        },
        handler: || get(query::windows),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/moments",
        access: Access::Optional,
        errors: HIDDEN_ERRORS,
        document: Document {
            summary: "Moments",
            description: "In order of their begin, oldest first unless asked otherwise, without those that a moderator has hidden.",
            parameters: MOMENT_PAGE_PARAMETERS,
            request: None,
            status: 200,
            answer: ("application/json", Some(MomentPage::schema)),
        },
        handler: || get(query::moments),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/moments/export",
        access: Access::Anyone,
        errors: EXPORT_ERRORS,
        document: Document {
            summary: "Moments as a file for editors",
            description: "Chapters, subtitles, an edit list or a table, during the event and afterwards. Positions are the \
                media time of a moment's reactions where they carried one, else its begin since the recording's start; plus \
                the offset. The header Emostream-Left-Out says how many are before the recording's start or have no place \
                on it. Hidden moments are left out and not counted.",
            parameters: EXPORT_PARAMETERS,
            request: None,
            status: 200,
            answer: ("application/octet-stream", Some(MomentFile::schema)),
        },
        handler: || get(export::file),
    },
    Route {
        method: Method::Get,
        path: "/v1/channels/{channel}/moments/{id}",
        access: Access::Optional,
        errors: MOMENT_ERRORS,
        document: Document {
            summary: "A moment",
            description: "A hidden one is found by moderators only.",
            parameters: &[],
            request: None,
            status: 200,
            answer: ("application/json", Some(MomentItem::schema)),
        },
        handler: || get(moments::one),
    },
    Route {
        method: Method::Patch,
        path: "/v1/channels/{channel}/moments/{id}",
        access: Access::Role(Role::Moderator),
        errors: CHANGE_ERRORS,
        document: Document {
            summary: "Name, annotate or hide a moment",
            description: "What is absent stays; null takes a title or note away. A hidden moment is in no list or export from \
                now on; viewers who were shown it live keep what they saw.",
            parameters: &[],
            request: Some(("application/json", MomentChange::schema)),
            status: 200,
            answer: ("application/json", Some(MomentItem::schema)),
        },
        handler: || patch(moments::change),
    },
    Route {
        method: Method::Post,
        path: "/v1/channels/{channel}/settings/preview",
        access: Access::Role(Role::Moderator),
        errors: PREVIEW_ERRORS,
        document: Document {
            summary: "Try a rule on the recorded past",
            description: "Which moments the rule would have found. Nothing is changed. Most rules judge the archived windows; \
                shares of intervals are counted again from the raw log, as far back as it is kept. `from` and `to` in the \
                answer say what was covered.",
            parameters: &[],
            request: Some(("application/json", PreviewRequest::schema)),
            status: 200,
            answer: ("application/json", Some(PreviewAnswer::schema)),
        },
        handler: || post(preview::try_rule),
    },
];

const PREVIEW_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::ChannelNotFound,
    ErrorType::Overloaded,
    ErrorType::StoreUnavailable,
    ErrorType::RoleNotHere,
    ErrorType::Internal,
];
