//! Routes between nodes of a fleet. Deny by default: only who shows `internal.key` is answered.

use axum::routing::get;
use utoipa::PartialSchema;

use super::{Access, Method, Route, plain_document};
use crate::http::{control::internal, problem::ErrorType};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/internal/v1/keys",
        access: Access::Node,
        errors: &[ErrorType::RoleNotHere],
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
];
