//! Routes between nodes of a fleet. Deny by default: only who shows `internal.key`, or a certificate, is answered.

use axum::routing::{get, post};
use utoipa::{
    PartialSchema,
    openapi::{ObjectBuilder, RefOr, Schema},
};

use super::{Access, Document, Method, Route, plain_document};
use crate::http::{
    control::{forward, internal},
    problem::ErrorType,
};

/// Documents between nodes of one release are described where they are defined, in the protocol.
fn any_object() -> RefOr<Schema> {
    ObjectBuilder::new().into()
}

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/internal/v1/keys",
        access: Access::Node,
        errors: &[ErrorType::ControlUnavailable, ErrorType::RoleNotHere],
        document: plain_document(
            "The keys that all nodes share; for nodes of the fleet only",
            "application/json",
            Some(internal::SharedKeys::schema),
        ),
        handler: || get(internal::keys),
    },
    Route {
        method: Method::Get,
        path: "/internal/v1/channels",
        access: Access::Node,
        errors: &[ErrorType::RoleNotHere],
        document: plain_document(
            "All channels with their settings, as the topic `settings` has them; for nodes of the fleet only",
            "application/json",
            None,
        ),
        handler: || get(internal::channels),
    },
    Route {
        method: Method::Post,
        path: "/internal/v1/members",
        access: Access::Node,
        errors: &[
            ErrorType::BodyInvalid,
            ErrorType::BodyTooLarge,
            ErrorType::BodyTimeout,
            ErrorType::FieldMissing,
            ErrorType::FieldInvalid,
            ErrorType::TokenInvalid,
            ErrorType::TokenExpired,
            ErrorType::StoreUnavailable,
            ErrorType::RoleNotHere,
        ],
        document: Document {
            request: Some(("application/json", internal::ShownToken::schema)),
            ..plain_document(
                "Whose login token it is; for nodes of the fleet only",
                "application/json",
                Some(internal::Member::schema),
            )
        },
        handler: || post(internal::member),
    },
    Route {
        method: Method::Post,
        path: "/internal/v1/forward/{*path}",
        access: Access::Node,
        errors: &[ErrorType::ParameterInvalid, ErrorType::NotFound, ErrorType::RoleNotHere],
        document: Document {
            summary: "Answers a call that a node without control passes on; for nodes of the fleet only",
            description: "The answer is that of the path behind it. `x-emostream-caller` is the address of whoever calls \
                there, `x-emostream-authorization` and `x-emostream-host` are that call's headers.",
            ..plain_document("", "application/json", None)
        },
        handler: || post(forward::answer),
    },
    Route {
        method: Method::Post,
        path: "/internal/v1/edges/report",
        access: Access::Node,
        errors: &[
            ErrorType::BodyInvalid,
            ErrorType::BodyTooLarge,
            ErrorType::BodyTimeout,
            ErrorType::FieldMissing,
            ErrorType::FieldInvalid,
            ErrorType::Conflict,
            ErrorType::StoreUnavailable,
            ErrorType::RoleNotHere,
        ],
        document: Document {
            request: Some(("application/json", any_object)),
            ..plain_document(
                "How an edge is and who has come and gone; what it is to do; for nodes of the fleet only",
                "application/json",
                None,
            )
        },
        handler: || post(internal::report),
    },
];
