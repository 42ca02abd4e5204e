//! Tells ingest whose login token it is.

use futures_util::future::BoxFuture;

use super::Control;
use crate::{
    http::problem::ErrorType,
    members::{Members, NotMember},
};

impl Members for Control {
    fn member(&self, token: String) -> BoxFuture<'_, Result<String, NotMember>> {
        Box::pin(async move {
            match self.accounts.caller(&token).await {
                Ok(caller) => Ok(caller.username),
                Err(problem) => Err(match problem.kind {
                    ErrorType::TokenInvalid | ErrorType::TokenExpired => NotMember::Invalid,
                    _ => NotMember::Unavailable(problem.detail),
                }),
            }
        })
    }
}
