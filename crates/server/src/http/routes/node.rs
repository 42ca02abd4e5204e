//! Routes that tell about the node: what it is, how it is, what it offers.

use axum::routing::get;
use utoipa::PartialSchema;

use super::{Access, Document, Method, Route, plain_document};
use crate::http::{health, openapi, page, problem::ErrorType};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/",
        access: Access::Anyone,
        errors: &[],
        document: Document {
            summary: "The app, or service information",
            description: "HTML for browsers (Accept: text/html), JSON for programs.",
            parameters: &[],
            request: None,
            status: 200,
            answer: ("application/json", Some(page::ServiceInformation::schema)),
        },
        handler: || get(page::root),
    },
    Route {
        method: Method::Get,
        path: "/livez",
        access: Access::Anyone,
        errors: &[],
        document: plain_document("The process answers", "text/plain", None),
        handler: || get(health::livez),
    },
    Route {
        method: Method::Get,
        path: "/readyz",
        access: Access::Anyone,
        errors: &[],
        document: plain_document(
            "Whether traffic may be sent here; 503 while not",
            "application/json",
            Some(health::Readiness::schema),
        ),
        handler: || get(health::readyz),
    },
    Route {
        method: Method::Get,
        path: "/health",
        access: Access::Anyone,
        errors: &[],
        document: plain_document(
            "Health, in a form kept for existing clients",
            "application/json",
            Some(health::Health::schema),
        ),
        handler: || get(health::health),
    },
    Route {
        method: Method::Get,
        path: "/metrics",
        access: Access::Anyone,
        errors: &[],
        document: plain_document(
            "Metrics in the OpenMetrics text format",
            "application/openmetrics-text",
            None,
        ),
        handler: || get(health::metrics),
    },
    Route {
        method: Method::Get,
        path: "/openapi.json",
        access: Access::Anyone,
        errors: &[],
        document: plain_document("This document", "application/json", None),
        handler: || get(openapi::document),
    },
    Route {
        method: Method::Get,
        path: "/errors/{name}",
        access: Access::Anyone,
        errors: &[ErrorType::NotFound],
        document: plain_document("What an error type means", "text/plain", None),
        handler: || get(page::error_type),
    },
];
