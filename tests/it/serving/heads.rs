//! What can be read in two ways is refused, and what browsers and caches are told.

use std::sync::Arc;

use countersign::dialect::{Http, together, twilio, zitadel};
use countersign::domain::entropy::SystemEntropy;
use countersign::server::{ClientLimits, Listener, Protocol, run};
use countersign::web::boundary::Boundary;
use countersign::web::client_address::TrustedProxies;
use countersign::web::cross_origin::PageOrigins;
use url::{Origin, Url};

use super::http::{Served, serve};
use crate::support::{Service, TestApp};

/// The status and the head of what is answered to these lines.
async fn asked(served: &Served, line: &str, headers: &[&str]) -> (u16, String) {
    sent(served, line, headers, "").await
}

/// The same, with a body behind them.
async fn sent(served: &Served, line: &str, headers: &[&str], body: &str) -> (u16, String) {
    let lines = headers
        .iter()
        .fold(format!("{line}\r\n"), |lines, header| lines + header + "\r\n");
    let answer = served
        .exchange(format!("{lines}Connection: close\r\n\r\n{body}"))
        .await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let head = answer.split("\r\n\r\n").next().unwrap();
    (status, head.to_ascii_lowercase())
}

fn authorization(client: &TestApp) -> String {
    format!("Authorization: {}", client.account.header())
}

#[tokio::test]
async fn what_can_be_read_in_two_ways_is_refused() {
    let app = TestApp::new().await;
    let served = serve(app.router(), ClientLimits::default()).await;
    let own = authorization(&app);
    let own = own.as_str();
    let services = "GET /v2/Services HTTP/1.1";
    for (status, headers) in [
        (200, &["Host: x", own][..]),
        (200, &["Host: verify.example:8080", own]),
        (200, &["Host: [::1]:8080", own]),
        (400, &[own]),
        (400, &["Host:", own]),
        (400, &["Host: x", "Host: x", own]),
        (400, &["Host: x", "Host: y", own]),
        (400, &["Host: x, y", own]),
        (400, &["Host: x/v2", own]),
        (400, &["Host: somebody@x", own]),
        (400, &["Host: x:port", own]),
        (400, &["Host: x", own, own]),
        (400, &["Host: x", own, "Authorization: Basic eDp5"]),
        (400, &["Host: x", "Authorization: Basic eDp5", own]),
    ] {
        let (found, head) = asked(&served, services, headers).await;
        assert_eq!(found, status, "{headers:?} {head}");
    }
    let create = "POST /v2/Services HTTP/1.1";
    let form = "Content-Type: application/x-www-form-urlencoded";
    let mut statuses = Vec::new();
    for lengths in [
        &["Content-Length: 14"][..],
        &["Content-Length: 14", "Content-Length: 5"],
        &["Content-Length: 5", "Content-Length: 14"],
        &["Content-Length: 14, 5"],
        &["Content-Length: 14, 14"],
        &["Content-Length: +14"],
        &["Content-Length: 0x0e"],
        &["Transfer-Encoding: chunked, identity"],
    ] {
        let headers = [&["Host: x", own, form], lengths].concat();
        statuses.push((lengths, sent(&served, create, &headers, "FriendlyName=x").await.0));
    }
    assert_eq!(statuses.remove(0).1, 201);
    assert!(statuses.iter().all(|(_, status)| *status == 400), "{statuses:?}");
    // Said twice alike, it can only be read in one way: hyper makes one of it (RFC 9110, 8.6).
    let alike = ["Host: x", own, form, "Content-Length: 14", "Content-Length: 14"];
    assert_eq!(sent(&served, create, &alike, "FriendlyName=x").await.0, 201);
    // A proxy is named whole; what it is asked of has to agree.
    let (found, _) = asked(&served, "GET http://x/v2/Services HTTP/1.1", &["Host: x", own]).await;
    assert_eq!(found, 200);
    let (found, _) = asked(&served, "GET http://y/v2/Services HTTP/1.1", &["Host: x", own]).await;
    assert_eq!(found, 400);
    let (found, _) = asked(&served, "GET /v2/Services HTTP/1.0", &[own]).await;
    assert_eq!(found, 200);
}

#[tokio::test]
async fn slashes_at_the_end_of_a_path_change_nothing() {
    let app = TestApp::new().await;
    let client = app.client();
    let service = Service::create(&client).await;
    let form = [("FriendlyName", "Other name")];
    for end in ["/", "//", "/?PageSize=1"] {
        assert_eq!(
            client.get(format!("{}{end}", service.path)).await.ok()["sid"],
            service.sid.as_str()
        );
        assert_eq!(
            client.get(format!("/v2/Services{end}")).await.ok()["services"][0]["sid"],
            service.sid.as_str()
        );
    }
    let updated = client.post(format!("{}/", service.path), &form).await.ok();
    assert_eq!(updated["friendly_name"], "Other name");
    let listed = client.get("/v2/Services/?PageSize=1").await.ok();
    assert!(
        !listed["meta"]["first_page_url"]
            .as_str()
            .unwrap()
            .contains("Services/"),
        "{listed}"
    );
    client.get("/").await.refused(404, 20404);
    client.get("//").await.refused(404, 20404);
    client.get(format!("/{}", service.path)).await.refused(404, 20404);
}

#[tokio::test]
async fn no_answer_is_kept_on_the_way() {
    let app = TestApp::new().await;
    let served = serve(app.router(), ClientLimits::default()).await;
    let own = authorization(&app);
    for (path, headers) in [
        ("/v2/Services", &["Host: x", &*own][..]),
        ("/v2/Services", &["Host: x"]),
        ("/nowhere", &["Host: x"]),
        ("/v2/Services", &[]),
    ] {
        let (_, head) = asked(&served, &format!("GET {path} HTTP/1.1"), headers).await;
        assert!(head.contains("\r\ncache-control: no-store"), "{path} {head}");
    }
}

fn origins(names: &[&str]) -> Vec<Origin> {
    let urls = names.iter().map(|name| Url::parse(name).unwrap());
    urls.map(|url| url.origin()).collect()
}

/// Serves a test's app to pages of some origins.
fn serve_to_pages(app: &TestApp, names: &[&str]) -> Served {
    serve_to(app, PageOrigins::these(&origins(names)))
}

fn serve_to(app: &TestApp, pages: PageOrigins) -> Served {
    let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address();
    let usual = Http {
        router: app.router(),
        failures: Arc::new(twilio::TwilioFailures::default()),
    };
    let users = zitadel::http(Arc::clone(&app.app));
    let http = together(usual, vec![(zitadel::claims, users)]);
    let boundary =
        Boundary::new(http, Arc::default(), &SystemEntropy).set_up(TrustedProxies::default(), pages);
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let ended = tokio::spawn(run(
        vec![listener],
        Protocol::Http(boundary),
        ClientLimits::default(),
        async {
            let _stopped_or_dropped = stopped.await;
        },
    ));
    Served { address, stop, ended }
}

#[tokio::test]
async fn pages_of_named_origins_and_no_others_read_answers() {
    let app = TestApp::new().await;
    let own = authorization(&app);
    let named = serve_to_pages(&app, &["https://app.example", "http://localhost:3000"]);
    let none = serve_to_pages(&app, &[]);
    let preflight = [
        "Host: x",
        "Access-Control-Request-Method: POST",
        "Access-Control-Request-Headers: authorization",
    ];
    for (served, origin, may) in [
        (&named, "https://app.example", true),
        (&named, "http://localhost:3000", true),
        (&named, "https://other.example", false),
        (&named, "https://app.example.evil.example", false),
        (&named, "http://app.example", false),
        (&named, "https://app.example:8443", false),
        (&named, "null", false),
        (&none, "https://app.example", false),
    ] {
        let names_some = served.address == named.address;
        let origin_line = format!("Origin: {origin}");
        let allowed = format!("\r\naccess-control-allow-origin: {origin}\r\n");
        let (status, head) = asked(
            served,
            "OPTIONS /v2/Services HTTP/1.1",
            &[&preflight[..], &[&origin_line]].concat(),
        )
        .await;
        assert_eq!(status == 204, may, "{origin} {head}");
        assert_eq!(head.contains(&allowed), may, "{origin} {head}");
        assert_eq!(
            head.contains("access-control-allow-methods: get, post, delete"),
            may
        );
        assert_eq!(
            head.contains("access-control-allow-headers: authorization, content-type"),
            may
        );
        // An answer, and a refusal: the page learns why.
        for (credentials, status) in [(own.as_str(), 200), ("Authorization: Basic eDp5", 401)] {
            let headers = ["Host: x", &*origin_line, credentials];
            let (found, head) = asked(served, "GET /v2/Services HTTP/1.1", &headers).await;
            assert_eq!(found, status);
            assert_eq!(head.contains(&allowed), may, "{origin} {head}");
            assert_eq!(
                head.contains("\r\naccess-control-expose-headers: *"),
                may,
                "{head}"
            );
            assert!(!head.contains("access-control-allow-credentials"), "{head}");
            assert_eq!(head.contains("\r\nvary: origin"), names_some, "{head}");
        }
    }
    // Whoever is no page notices nothing, and two origins are none.
    let (status, head) = asked(&named, "GET /v2/Services HTTP/1.1", &["Host: x", &own]).await;
    assert!(status == 200 && !head.contains("access-control"), "{head}");
    let two = [
        "Host: x",
        &own,
        "Origin: https://app.example",
        "Origin: https://app.example",
    ];
    let (_, head) = asked(&named, "GET /v2/Services HTTP/1.1", &two).await;
    assert!(!head.contains("access-control"), "{head}");
}

/// A page that may use one API need not be one that may use the other.
#[tokio::test]
async fn calls_of_a_dialect_are_made_by_pages_that_are_named_for_it() {
    let app = TestApp::new().await;
    let own = authorization(&app);
    let [served, nobody] = [&["https://users.example"][..], &[]].map(|names| {
        let pages = PageOrigins::these(&origins(&["https://usual.example"]));
        serve_to(&app, pages.with_calls_of(zitadel::claims, &origins(names)))
    });
    let web = "POST /zitadel.auth.v1.AuthService/GetMyPhone HTTP/1.1";
    let json = "GET /auth/v1/users/me/phone HTTP/1.1";
    let usual = "GET /v2/Services HTTP/1.1";
    for (line, kind, status, may) in [
        (usual, "text/plain", 200, "https://usual.example"),
        (json, "application/json", 401, "https://users.example"),
        (
            "PUT /v2/users/a-user-1/phone HTTP/1.1",
            "application/json",
            501,
            "https://users.example",
        ),
        (web, "application/grpc-web+proto", 200, "https://users.example"),
        (web, "application/grpc-web-text", 200, "https://users.example"),
    ] {
        for origin in [
            "https://usual.example",
            "https://users.example",
            "https://other.example",
        ] {
            let expected = origin == may;
            let (path, origin_line) = (line.split(' ').nth(1).unwrap(), format!("Origin: {origin}"));
            let allowed = format!("\r\naccess-control-allow-origin: {origin}\r\n");
            let asks = ["Host: x", &*origin_line, "Access-Control-Request-Method: POST"];
            let (answered, head) = asked(&served, &format!("OPTIONS {path} HTTP/1.1"), &asks).await;
            assert_eq!(answered == 204, expected, "{line} {origin} {head}");
            assert_eq!(head.contains(&allowed), expected, "{line} {origin} {head}");
            let of_calls = expected && line != usual;
            for said in [
                "\r\naccess-control-allow-methods: get, post, put, delete\r\n",
                "\r\naccess-control-allow-headers: authorization, content-type, accept-language, grpc-timeout, x-grpc-web",
                "\r\naccess-control-expose-headers: grpc-status, grpc-message, grpc-status-details-bin",
            ] {
                assert_eq!(head.contains(said), of_calls, "{line} {origin} {head}");
            }
            let kind_line = format!("Content-Type: {kind}");
            let headers = ["Host: x", &own, &origin_line, &kind_line, "Content-Length: 0"];
            let (answered, head) = asked(&served, line, &headers).await;
            assert_eq!(answered, status, "{line} {head}");
            assert_eq!(head.contains(&allowed), expected, "{line} {origin} {head}");
            assert!(head.contains("\r\nvary: origin"), "{line} {head}");
            assert!(!head.contains("access-control-allow-credentials"), "{head}");
            // Where none are named for it, there are none.
            if line != usual {
                let (_, head) = asked(&nobody, line, &headers).await;
                assert!(!head.contains("access-control"), "{line} {origin} {head}");
            }
        }
    }
}
