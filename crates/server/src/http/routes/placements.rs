//! Routes of placement: a place for a viewer, one's own devices, and clusters and edges for admins.

use axum::routing::{delete, get, post, put};
use utoipa::PartialSchema;

use super::{Access, Document, Method, Route};
use crate::http::{
    access::Role,
    control::{
        clusters::{self, ClusterDocument, ClusterInput, ClusterList, EdgeDocument, EdgeInput},
        placements::{self, DeviceList, PlacementAnswer, PlacementRequest},
    },
    problem::ErrorType,
};

const JSON: &str = "application/json";

const PLACE_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::GuestsRefused,
    ErrorType::ChannelNotFound,
    ErrorType::DeviceLimit,
    ErrorType::RateLimited,
    ErrorType::NoRoom,
    ErrorType::Overloaded,
    ErrorType::Stopping,
    ErrorType::Internal,
];

const PUT_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::Conflict,
    ErrorType::Internal,
];

const PUT_EDGE_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::EdgeNotFound,
    ErrorType::Internal,
];

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/placements",
        access: Access::Waiting,
        errors: PLACE_ERRORS,
        document: Document {
            summary: "A place for a viewer",
            description: "Says which edge has room, with a ticket that opens one connection there within seconds. With a \
                token, the device counts among those that the account's tier allows: `device-limit` names those that are \
                connected (`devices`), of which `end_device_id` ends one once there is room. Without a token, the viewer is a \
                guest, where the channel takes guests. `no-room` gives a place in the line: `line.token` is to be sent after \
                `Retry-After`, and who does not ask again within 15 seconds, or 10 more than `Retry-After` where that is \
                longer, has left the line. Who did not get an answer asks again with the same token.",
            parameters: &[],
            request: Some((JSON, PlacementRequest::schema)),
            status: 200,
            answer: (JSON, Some(PlacementAnswer::schema)),
        },
        handler: || post(placements::place),
    },
    Route {
        method: Method::Get,
        path: "/v1/me/devices",
        access: Access::Role(Role::Viewer),
        errors: &[ErrorType::Internal],
        document: Document {
            summary: "One's own devices",
            description: "Those that are connected, and those that have a ticket. Oldest first.",
            parameters: &[],
            request: None,
            status: 200,
            answer: (JSON, Some(DeviceList::schema)),
        },
        handler: || get(placements::devices),
    },
    Route {
        method: Method::Delete,
        path: "/v1/me/devices/{device_id}",
        access: Access::Role(Role::Viewer),
        errors: &[ErrorType::DeviceNotFound, ErrorType::Internal],
        document: Document {
            summary: "End one of one's own devices",
            description: "Its place is free at once; its connection is closed with the edge's next report.",
            parameters: &[],
            request: None,
            status: 204,
            answer: (JSON, None),
        },
        handler: || delete(placements::end_device),
    },
    Route {
        method: Method::Get,
        path: "/v1/clusters",
        access: Access::Role(Role::Admin),
        errors: &[ErrorType::Internal],
        document: Document {
            summary: "Clusters and their edges",
            description: "By name; clusters that only edges name are among them.",
            parameters: &[],
            request: None,
            status: 200,
            answer: (JSON, Some(ClusterList::schema)),
        },
        handler: || get(clusters::list),
    },
    Route {
        method: Method::Put,
        path: "/v1/clusters/{name}",
        access: Access::Role(Role::Admin),
        errors: PUT_ERRORS,
        document: Document {
            summary: "Make a cluster, or change its capacity",
            description: "Those of the configuration are set anew at every start.",
            parameters: &[],
            request: Some((JSON, ClusterInput::schema)),
            status: 200,
            answer: (JSON, Some(ClusterDocument::schema)),
        },
        handler: || put(clusters::put),
    },
    Route {
        method: Method::Delete,
        path: "/v1/clusters/{name}",
        access: Access::Role(Role::Admin),
        errors: &[ErrorType::ClusterNotFound, ErrorType::Conflict, ErrorType::Internal],
        document: Document {
            summary: "Remove a cluster",
            description: "Not while an edge of it is connected.",
            parameters: &[],
            request: None,
            status: 204,
            answer: (JSON, None),
        },
        handler: || delete(clusters::remove),
    },
    Route {
        method: Method::Put,
        path: "/v1/edges/{name}",
        access: Access::Role(Role::Admin),
        errors: PUT_EDGE_ERRORS,
        document: Document {
            summary: "Empty an edge, or let viewers in again",
            description: "Nobody is sent to an edge that is being emptied, and its viewers are told to go elsewhere.",
            parameters: &[],
            request: Some((JSON, EdgeInput::schema)),
            status: 200,
            answer: (JSON, Some(EdgeDocument::schema)),
        },
        handler: || put(clusters::put_edge),
    },
    Route {
        method: Method::Delete,
        path: "/v1/edges/{name}",
        access: Access::Role(Role::Admin),
        errors: &[ErrorType::EdgeNotFound, ErrorType::Internal],
        document: Document {
            summary: "Forget an edge",
            description: "For one that is gone for good: the devices on it count no more. One that is alive comes back with \
                its next report.",
            parameters: &[],
            request: None,
            status: 204,
            answer: (JSON, None),
        },
        handler: || delete(clusters::forget_edge),
    },
];
