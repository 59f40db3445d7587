//! The pages as a browser asks for them.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::*;

async fn ask(shelf: ManualScope, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(shelf).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        head.status,
        head.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

/// What stands between `before` and the next quotation mark, each time.
fn quoted<'a>(page: &'a str, before: &'a str) -> impl Iterator<Item = &'a str> {
    page.split(before)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
}

/// Where a link on the page `from` leads, as browsers see it.
fn target(from: &str, link: &str) -> (String, Option<String>) {
    let page = url::Url::parse("http://here").unwrap().join(from).unwrap();
    let mut target = page.join(link).unwrap();
    let place = target.fragment().map(str::to_owned);
    target.set_fragment(None);
    (target.as_str().to_owned(), place)
}

#[tokio::test]
async fn every_link_of_every_page_leads_somewhere() {
    let mut places = vec!["/".to_owned(), "/docs/".to_owned(), "/docs/nothing".to_owned()];
    places.extend(PAGES.iter().map(|page| format!("/docs/{}", page.name)));
    places.extend(ERROR_PAGES.keys().map(|number| format!("/docs/errors/{number}")));
    let mut followed = 0;
    for from in &places {
        let (_, _, page) = ask(ManualScope::Whole, from).await;
        for link in quoted(&page, "href=\"") {
            let (to, place) = target(from, link);
            let Some(path) = to.strip_prefix("http://here") else {
                assert!(to.starts_with("https://"), "{from}: {link}");
                continue;
            };
            let (status, _, text) = ask(ManualScope::Whole, path).await;
            assert_eq!(status, StatusCode::OK, "{from}: {link}");
            if let Some(place) = place {
                assert!(text.contains(&format!("id=\"{place}\"")), "{from}: {link}");
            }
            followed += 1;
        }
    }
    assert!(followed > 300, "{followed}");
}

#[tokio::test]
async fn an_error_says_what_happened_and_what_to_do() {
    for shelf in [ManualScope::Whole, ManualScope::Errors] {
        let (status, headers, page) = ask(shelf, "/docs/errors/60202").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8");
        for part in [
            "<h1>Error 60202</h1>",
            "HTTP status 429.",
            "are used up.",
            "start a new one then.",
            "https://www.twilio.com/docs/errors/60202",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        let (status, _, page) = ask(shelf, "/docs/errors/60999").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(page.contains("No such error"), "{page}");
    }
    // A row that the table's form was lost in would have no page.
    let table = manual::page(ERRORS).unwrap().text;
    assert_eq!(ERROR_PAGES.len(), table.matches("\n| [").count());
}

#[tokio::test]
async fn without_the_manual_there_is_what_errors_mean() {
    for (path, status) in [
        ("/docs", StatusCode::TEMPORARY_REDIRECT),
        ("/docs/", StatusCode::TEMPORARY_REDIRECT),
        ("/docs/errors", StatusCode::OK),
        ("/docs/style.css", StatusCode::OK),
        ("/docs/settings", StatusCode::NOT_FOUND),
        ("/docs/index", StatusCode::NOT_FOUND),
        ("/docs/%2e%2e", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(ask(ManualScope::Errors, path).await.0, status, "{path}");
    }
    let (_, headers, _) = ask(ManualScope::Errors, "/docs/").await;
    assert_eq!(headers[LOCATION], "errors");
    let (_, headers, page) = ask(ManualScope::Errors, "/").await;
    assert_eq!(
        headers[CACHE_CONTROL], "no-store",
        "programs are told something else there"
    );
    assert!(!page.contains("href=\"docs/\""), "{page}");
}

#[tokio::test]
async fn pages_run_nothing_and_repeat_nothing_that_was_asked() {
    let (status, headers, page) = ask(ManualScope::Whole, "/docs/%3Cscript%3E").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(!page.contains("script"), "{page}");
    let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'self';"),
        "{policy}"
    );
    assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
}

#[test]
fn what_browsers_ask_for_is_claimed_and_nothing_else() {
    let accept = |value: &'static str| HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]);
    let browser = accept("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
    for (path, headers, expected) in [
        ("/", &browser, true),
        ("/", &accept("application/json, text/html;q=0.5"), true),
        ("/", &accept("*/*"), false),
        ("/", &accept("application/json"), false),
        ("/", &HeaderMap::new(), false),
        ("/docs", &accept("*/*"), true),
        ("/docs/errors/60200", &HeaderMap::new(), true),
        ("/docsx", &browser, false),
        ("/v2/Services", &browser, false),
        ("/v2/docs", &browser, false),
    ] {
        assert_eq!(
            claims(&path.parse().unwrap(), headers),
            expected,
            "{path} {headers:?}"
        );
    }
}

#[test]
fn headings_are_linked_to_as_elsewhere() {
    let text = "# The `--log` setting, and more\n\n## Same\n\n## Same\n\n[x](other.md#same-1) [y](https://a.example/b.md)\n";
    let html = page::of_markdown(text);
    for part in [
        "<h1 id=\"the---log-setting-and-more\">",
        "<h2 id=\"same\">",
        "<h2 id=\"same-1\">",
        "href=\"other#same-1\"",
        "href=\"https://a.example/b.md\"",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
}
