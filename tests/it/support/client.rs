//! Whoever talks to the server.

use std::fmt::Display;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Builder;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Answer, Events, TestApp};
use crate::doubles::watch;

/// A user name and a password.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Credentials {
    pub(crate) fn new(user: &impl Display, password: &str) -> Self {
        let credentials = Self {
            user: user.to_string(),
            password: password.to_owned(),
        };
        watch::secret(password);
        watch::secret(&STANDARD.encode(format!("{}:{password}", credentials.user)));
        credentials
    }

    pub(crate) fn nobody() -> Self {
        Self::new(&"", "")
    }

    /// What a device shows: an access token or a JWT of its own.
    pub(crate) fn token(token: &str) -> Self {
        Self::new(&"token", token)
    }

    /// As it stands in the `Authorization` header.
    pub(crate) fn header(&self) -> String {
        format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", self.user, self.password))
        )
    }
}

/// Somebody who sends requests, with or without credentials.
#[derive(Clone, Debug)]
pub(crate) struct Client<'a> {
    server: &'a TestApp,
    credentials: Option<Credentials>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(server: &'a TestApp, credentials: Option<Credentials>) -> Self {
        Self { server, credentials }
    }

    pub(crate) async fn get(&self, path: impl AsRef<str>) -> Answer {
        self.request("GET", path.as_ref(), &[]).await
    }

    pub(crate) async fn delete(&self, path: impl AsRef<str>) -> Answer {
        self.request("DELETE", path.as_ref(), &[]).await
    }

    pub(crate) async fn post(&self, path: impl AsRef<str>, form: &[(&str, &str)]) -> Answer {
        self.request("POST", path.as_ref(), form).await
    }

    /// Sends a request; the form goes along if there is one.
    pub(crate) async fn request(&self, method: &str, path: &str, form: &[(&str, &str)]) -> Answer {
        for (_, value) in form.iter().filter(|(name, _)| SECRET_PARAMETERS.contains(name)) {
            watch::secret(value);
        }
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = self.begin(method, path);
        let request = if method == "POST" {
            request
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(Body::from(body))
        } else {
            request.body(Body::empty())
        };
        self.server.send(request.unwrap()).await
    }

    /// The same as a task of its own.
    pub(crate) fn posting(&self, path: &str, form: &[(&str, &str)]) -> impl Future<Output = Answer> + use<> {
        let (server, credentials) = (self.server.clone(), self.credentials.clone());
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let (path, form): (_, Vec<_>) = (path.to_owned(), form.iter().map(own).collect());
        async move {
            let form: Vec<_> = form
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            Client::new(&server, credentials).post(path, &form).await
        }
    }

    /// The same for a GET.
    pub(crate) fn getting(&self, path: &str) -> impl Future<Output = Answer> + use<> {
        let (server, credentials, path) = (self.server.clone(), self.credentials.clone(), path.to_owned());
        async move { Client::new(&server, credentials).get(path).await }
    }

    /// Opens an event stream.
    pub(crate) async fn events(&self, path: impl AsRef<str>, headers: &[(&'static str, &str)]) -> Events {
        let request = headers
            .iter()
            .fold(self.begin("GET", path.as_ref()), |request, (name, value)| {
                request.header(*name, *value)
            });
        Events::of(self.server.open(request.body(Body::empty()).unwrap()).await)
    }

    /// Sends a body as it is.
    pub(crate) async fn post_raw(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.server
            .send(self.begin("POST", path).body(body.into()).unwrap())
            .await
    }

    /// A request with the credentials in it.
    pub(crate) fn begin(&self, method: &str, path: &str) -> Builder {
        let request = Request::builder().method(method).uri(path);
        match &self.credentials {
            Some(credentials) => request.header(AUTHORIZATION, credentials.header()),
            None => request,
        }
    }
}

/// The parameters that no log may repeat.
const SECRET_PARAMETERS: [&str; 11] = [
    "ApiKey",
    "AuthPayload",
    "Binding.Secret",
    "Certificate",
    "Code",
    "Config.NotificationToken",
    "CustomCode",
    "PrivateKey",
    "Secret",
    "To",
    "VerificationToken",
];
