//! The HTTP surface: one table of routes, one table of errors, an accept loop with limits.
//!
//! [`routes`] lists every route with its access rule, its errors and its documentation. [`listener`] accepts; the hot
//! route (posting reactions) is answered in front of the router.

pub mod access;
pub mod app;
pub mod body;
pub mod control;
pub mod documents;
pub mod health;
pub mod listener;
pub mod openapi;
pub mod page;
pub mod problem;
pub mod query;
pub mod routes;
pub mod site;
pub mod stream;
