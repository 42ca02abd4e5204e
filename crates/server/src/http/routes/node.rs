//! Routes that tell about the node: what it is, how it is, what it offers.

use axum::routing::get;
use utoipa::PartialSchema;

use super::{Access, Document, Method, Route, plain_document};
use crate::{
    compat::bridge,
    http::{
        health,
        openapi::{self, explorer},
        page,
        problem::ErrorType,
        site,
    },
};

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Get,
        path: "/",
        access: Access::Anyone,
        errors: &[
            ErrorType::ParameterInvalid,
            ErrorType::NodeFull,
            ErrorType::EdgeDraining,
            ErrorType::Stopping,
            ErrorType::RoleNotHere,
        ],
        document: Document {
            summary: "The app, or service information",
            description: "HTML for browsers (Accept: text/html), JSON for programs; system A's WebSocket bridge for upgrades, \
                as on /ws.",
            parameters: &[],
            request: None,
            status: 200,
            answer: ("application/json", Some(page::ServiceInformation::schema)),
        },
        handler: || get(bridge::root),
    },
    Route {
        method: Method::Get,
        path: "/v1/site",
        access: Access::Anyone,
        errors: &[],
        document: plain_document(
            "What the pages about and contact say",
            "application/json",
            Some(site::Site::schema),
        ),
        handler: || get(site::site),
    },
    app_page("/login"),
    app_page("/register"),
    app_page("/account"),
    app_page("/settings"),
    app_page("/moments"),
    app_page("/about"),
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
        path: "/docs",
        access: Access::Anyone,
        errors: &[],
        document: Document {
            status: 308,
            ..plain_document("To the interactive documentation of these routes", "text/html", None)
        },
        handler: || get(explorer::start),
    },
    Route {
        method: Method::Get,
        path: "/docs/{file}",
        access: Access::Anyone,
        errors: &[ErrorType::NotFound, ErrorType::Internal],
        document: plain_document(
            "Interactive documentation of these routes, and its files",
            "text/html",
            None,
        ),
        handler: || get(explorer::file),
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

/// A page of the app: HTML for browsers, 404 for programs, whose data is under `/v1`.
const fn app_page(path: &'static str) -> Route {
    Route {
        method: Method::Get,
        path,
        access: Access::Anyone,
        errors: &[ErrorType::NotFound],
        document: plain_document("A page of the app, for browsers (Accept: text/html)", "text/html", None),
        handler: || get(page::app_page),
    }
}
