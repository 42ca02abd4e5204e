//! A client that is logged in.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use serde_json::{Value, json};

use super::client::{Answer, Client};

/// Password of the admin of [`WITH_ADMIN`].
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Arguments of a server whose account `admin` has [`PASSWORD`].
pub(crate) const WITH_ADMIN: [&str; 2] = ["--set", "control.admin_password=correct horse battery"];

/// One connection with a token.
pub(crate) struct Signed {
    client: Client,
    pub(crate) token: String,
}

impl Signed {
    /// Logs in as `admin`.
    pub(crate) async fn admin(address: SocketAddr) -> Self {
        Self::login(address, "admin", PASSWORD).await
    }

    /// Logs in.
    pub(crate) async fn login(address: SocketAddr, username: &str, password: &str) -> Self {
        let mut client = Client::connect(address).await.unwrap();
        let body = json!({"username": username, "password": password}).to_string();
        let answer = client.post("/v1/login", "application/json", body).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        Self { client, token }
    }

    /// Another connection with the same token.
    pub(crate) async fn again(address: SocketAddr, token: String) -> Self {
        Self { client: Client::connect(address).await.unwrap(), token }
    }

    /// Sends a body with further headers.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request =
            self.client.request(method, path).header("authorization", format!("Bearer {}", self.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.send(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    /// Sends JSON.
    pub(crate) async fn json(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// GET.
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }
}
