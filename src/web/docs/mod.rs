//! The manual in a browser, and what a browser is shown that comes to `/`.
//!
//! The operators' listener serves all pages. The others serve what errors mean, since answers lead there, and the rest where
//! the operator wants it. Everything here stands in the program: no page reads the store, and none names a version or what
//! is configured.

mod errors;
mod page;

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;

use super::ops::StatusOnly;
use super::routes::noted;
use crate::dialect::Http;
use crate::manual::{self, INDEX, PAGES};

/// Which pages a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManualScope {
    /// All of the manual.
    Whole,
    /// What errors mean.
    Errors,
}

/// Whether a request is for a page: all below `/docs`, and `/` for whoever wants HTML, as browsers say and programs do not.
#[must_use]
pub fn claims(uri: &Uri, headers: &HeaderMap) -> bool {
    match uri.path() {
        "/" => wants_html(headers),
        path => path == "/docs" || path.starts_with("/docs/"),
    }
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    accepted.filter_map(|value| value.to_str().ok()).any(|value| {
        let mut ranges = value.split(',').map(str::trim);
        ranges.any(|range| range.split(';').next() == Some("text/html"))
    })
}

/// The pages, for a listener that serves something else beside them.
#[must_use]
pub fn http(shelf: ManualScope) -> Http {
    Http {
        router: router(shelf),
        failures: Arc::new(StatusOnly),
    }
}

/// The pages.
pub fn router(shelf: ManualScope) -> Router {
    let router = Router::new()
        .route("/", get(front))
        .route("/docs", get(async || moved("docs/")))
        .route("/docs/", get(list))
        .route("/docs/style.css", get(style))
        .route("/docs/{page}", get(chapter))
        .route("/docs/errors/{number}", get(error));
    noted(router).with_state(shelf)
}

/// The same path is something else for programs, whoever keeps answers on the way.
async fn front(State(shelf): State<ManualScope>) -> Response {
    let mut response = html(
        StatusCode::OK,
        match shelf {
            ManualScope::Whole => FRONT_WITH_MANUAL.clone(),
            ManualScope::Errors => FRONT.clone(),
        },
    );
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn list(State(shelf): State<ManualScope>) -> Response {
    match shelf {
        ManualScope::Whole => html(StatusCode::OK, CHAPTERS[INDEX.name].clone()),
        ManualScope::Errors => moved(ERRORS),
    }
}

async fn chapter(State(shelf): State<ManualScope>, Path(name): Path<String>) -> Response {
    if shelf == ManualScope::Errors && name != ERRORS {
        return html(StatusCode::NOT_FOUND, ELSEWHERE.clone());
    }
    match CHAPTERS.get(&*name) {
        Some(page) => html(StatusCode::OK, page.clone()),
        None => html(StatusCode::NOT_FOUND, UNKNOWN.clone()),
    }
}

async fn error(Path(number): Path<String>) -> Response {
    match ERROR_PAGES.get(&*number) {
        Some(page) => html(StatusCode::OK, page.clone()),
        None => html(StatusCode::NOT_FOUND, UNKNOWN_ERROR.clone()),
    }
}

async fn style() -> impl IntoResponse {
    let headers = [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, KEPT)];
    (headers, include_str!("style.css"))
}

/// To another page, named as it is seen from this one: a proxy in front may have put something before the paths.
fn moved(to: &'static str) -> Response {
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, to)]).into_response()
}

fn html(status: StatusCode, page: Bytes) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, KEPT),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, page).into_response()
}

/// For how long browsers keep a page, in seconds: another version may serve another one.
const KEPT: &str = "max-age=300";

/// The page with the table of errors.
const ERRORS: &str = "errors";

/// Each chapter as a page, by its name.
static CHAPTERS: LazyLock<HashMap<&str, Bytes>> = LazyLock::new(|| {
    let chapters = PAGES.iter().chain([&INDEX]);
    let pages = chapters.map(|chapter| (chapter.name, page::of_chapter(*chapter)));
    pages.collect()
});

/// What is said of each error, by its number.
static ERROR_PAGES: LazyLock<HashMap<String, Bytes>> = LazyLock::new(|| {
    let table = manual::page(ERRORS).map_or("", |page| page.text);
    let pages = errors::rows(table).into_iter();
    pages.map(|row| (row.number.clone(), row.page())).collect()
});

static FRONT: LazyLock<Bytes> = LazyLock::new(|| {
    page::page(
        "Countersign",
        "docs/style.css",
        &format!("{INTRODUCTION}{WITHOUT_MANUAL}"),
    )
});

static FRONT_WITH_MANUAL: LazyLock<Bytes> = LazyLock::new(|| {
    page::page(
        "Countersign",
        "docs/style.css",
        &format!("{INTRODUCTION}{WITH_MANUAL}"),
    )
});

const INTRODUCTION: &str = "<h1>Countersign</h1>\n\
    <p>This is a server for second factors: it enrols authenticator apps and devices, asks them, and sends and checks one-time \
    codes. It runs. Programs speak to it; there is nothing to log in to here.</p>\n";

const WITH_MANUAL: &str = "<ul>\n<li><a href=\"docs/\">The manual</a></li>\n\
    <li><a href=\"docs/errors\">What an error means</a></li>\n</ul>\n";

const WITHOUT_MANUAL: &str = "<ul>\n<li><a href=\"docs/errors\">What an error means</a></li>\n\
    <li>The manual: <code>countersign manual</code> shows it, and so does <code>/docs</code> of the operators' listener \
    (setting <code>ops_listen</code>).</li>\n</ul>\n";

static UNKNOWN: LazyLock<Bytes> = LazyLock::new(|| {
    let body =
        "<h1>No such page</h1>\n<p>The manual has no page of this name. <a href=\"./\">Its pages</a></p>\n";
    page::page("No such page", "style.css", body)
});

static UNKNOWN_ERROR: LazyLock<Bytes> = LazyLock::new(|| {
    let body = "<h1>No such error</h1>\n<p>No answer of this server has this number. <a href=\"../errors\">All errors</a></p>\n";
    page::page("No such error", "../style.css", body)
});

static ELSEWHERE: LazyLock<Bytes> = LazyLock::new(|| {
    let body = "<h1>Not served here</h1>\n<p>Here is only <a href=\"errors\">what errors mean</a>. \
        <code>countersign manual</code> shows the other pages; they are at <code>/docs</code> of the operators' listener \
        (setting <code>ops_listen</code>), and here with <code>public_docs</code>.</p>\n";
    page::page("Not served here", "style.css", body)
});

#[cfg(test)]
mod tests;
