//! Routes of logging in and of accounts.

use axum::routing::{delete, get, patch, post};
use utoipa::PartialSchema;

use super::{Access, Document, Method, Parameter, Route, query};
use crate::http::{
    access::Role,
    control::accounts::{
        self, Credentials, Identity, LoginAnswer, Me, NewUserDocument, OwnPassword, PasswordChange,
        Registration, UserChangeDocument, UserDocument, UserPage,
    },
    problem::ErrorType,
};

const JSON: &str = "application/json";

const LIST_PARAMETERS: &[Parameter] = &[
    query("limit", "items of a page, 1 to 100, default 100"),
    query("cursor", "next_cursor of the page before"),
];

const LOGIN_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::CredentialsWrong,
    ErrorType::RateLimited,
    ErrorType::Overloaded,
    ErrorType::StoreUnavailable,
    ErrorType::RoleNotHere,
    ErrorType::Internal,
];

const REGISTER_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::Forbidden,
    ErrorType::NameTaken,
    ErrorType::RateLimited,
    ErrorType::Overloaded,
    ErrorType::StoreUnavailable,
    ErrorType::RoleNotHere,
    ErrorType::Internal,
];

const REMOVE_OWN_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::CredentialsWrong,
    ErrorType::Conflict,
    ErrorType::RateLimited,
    ErrorType::Overloaded,
    ErrorType::Internal,
];

const USER_ERRORS: &[ErrorType] = &[
    ErrorType::BodyInvalid,
    ErrorType::BodyTooLarge,
    ErrorType::BodyTimeout,
    ErrorType::FieldMissing,
    ErrorType::FieldInvalid,
    ErrorType::UserNotFound,
    ErrorType::NameTaken,
    ErrorType::Conflict,
    ErrorType::Overloaded,
    ErrorType::Internal,
];

pub(super) const ROUTES: &[Route] = &[
    Route {
        method: Method::Post,
        path: "/v1/login",
        access: Access::Anyone,
        errors: LOGIN_ERRORS,
        document: Document {
            summary: "Log in",
            description: "The token is good for an hour, and ends earlier when the account is removed or has another \
                password or role. Whether the name or the password was wrong is not told. Attempts are limited by \
                address and by name.",
            parameters: &[],
            request: Some((JSON, Credentials::schema)),
            status: 200,
            answer: (JSON, Some(LoginAnswer::schema)),
        },
        handler: || post(accounts::login),
    },
    Route {
        method: Method::Post,
        path: "/v1/register",
        access: Access::Anyone,
        errors: REGISTER_ERRORS,
        document: Document {
            summary: "Make one's own account",
            description: "A viewer, of the default tier unless `accounts.choose_tier` lets people choose. Accounts are \
                limited by address. `forbidden` where only admins make accounts.",
            parameters: &[],
            request: Some((JSON, Registration::schema)),
            status: 201,
            answer: (JSON, Some(Identity::schema)),
        },
        handler: || post(accounts::register),
    },
    Route {
        method: Method::Delete,
        path: "/v1/me",
        access: Access::Role(Role::Viewer),
        errors: REMOVE_OWN_ERRORS,
        document: Document {
            summary: "Remove one's own account",
            description: "Its tokens end, and its devices are disconnected. The last admin stays.",
            parameters: &[],
            request: Some((JSON, OwnPassword::schema)),
            status: 204,
            answer: (JSON, None),
        },
        handler: || delete(accounts::remove_own),
    },
    Route {
        method: Method::Get,
        path: "/v1/me",
        access: Access::Role(Role::Viewer),
        errors: &[],
        document: Document {
            summary: "Whose token it is",
            description: "",
            parameters: &[],
            request: None,
            status: 200,
            answer: (JSON, Some(Me::schema)),
        },
        handler: || get(accounts::me),
    },
    Route {
        method: Method::Post,
        path: "/v1/me/password",
        access: Access::Role(Role::Viewer),
        errors: LOGIN_ERRORS,
        document: Document {
            summary: "Change one's own password",
            description: "All tokens of the account end with it, this one too.",
            parameters: &[],
            request: Some((JSON, PasswordChange::schema)),
            status: 204,
            answer: (JSON, None),
        },
        handler: || post(accounts::change_own_password),
    },
    Route {
        method: Method::Get,
        path: "/v1/users",
        access: Access::Role(Role::Admin),
        errors: &[ErrorType::ParameterInvalid, ErrorType::Internal],
        document: Document {
            summary: "Accounts",
            description: "In the order in which they were made.",
            parameters: LIST_PARAMETERS,
            request: None,
            status: 200,
            answer: (JSON, Some(UserPage::schema)),
        },
        handler: || get(accounts::list),
    },
    Route {
        method: Method::Post,
        path: "/v1/users",
        access: Access::Role(Role::Admin),
        errors: USER_ERRORS,
        document: Document {
            summary: "Make an account",
            description: "",
            parameters: &[],
            request: Some((JSON, NewUserDocument::schema)),
            status: 201,
            answer: (JSON, Some(UserDocument::schema)),
        },
        handler: || post(accounts::create),
    },
    Route {
        method: Method::Patch,
        path: "/v1/users/{username}",
        access: Access::Role(Role::Admin),
        errors: USER_ERRORS,
        document: Document {
            summary: "Change role, password or tier of an account",
            description: "Its tokens end, save where only the tier is new. The last admin stays one.",
            parameters: &[],
            request: Some((JSON, UserChangeDocument::schema)),
            status: 200,
            answer: (JSON, Some(UserDocument::schema)),
        },
        handler: || patch(accounts::change),
    },
    Route {
        method: Method::Delete,
        path: "/v1/users/{username}",
        access: Access::Role(Role::Admin),
        errors: &[ErrorType::UserNotFound, ErrorType::Conflict, ErrorType::Internal],
        document: Document {
            summary: "Remove an account",
            description: "Its tokens end. The last admin stays.",
            parameters: &[],
            request: None,
            status: 204,
            answer: (JSON, None),
        },
        handler: || delete(accounts::remove),
    },
];
