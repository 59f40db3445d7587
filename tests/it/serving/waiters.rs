//! Those who wait, as connections and at the end of a process.

use std::io::{Read as _, Write as _};
use std::net::TcpStream as Connection;
use std::time::{Duration, Instant};

use countersign::server::ClientLimits;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::http::{PATIENCE, Served, serve, until_closed};
use super::process::{Process, basic, connect, get};
use crate::support::{Device, TestApp, User};

pub(crate) struct Scene {
    app: TestApp,
    user: User,
    device: Device,
    pub(crate) served: Served,
}

impl Scene {
    pub(crate) async fn set(limits: ClientLimits) -> Self {
        let app = TestApp::new().await;
        let user = User::create(&app.client()).await;
        let device = user.device(&app, &app.client()).await;
        let served = serve(app.router(), limits).await;
        Self {
            app,
            user,
            device,
            served,
        }
    }

    /// A connection with one request on the way.
    async fn asking(&self, path: &str) -> TcpStream {
        let mut stream = self.served.connect().await;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
            self.credentials()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// What stands in the header `Authorization`.
    pub(crate) fn credentials(&self) -> String {
        self.app.account.header()
    }

    /// Asks the device; the challenge's SID.
    pub(crate) async fn challenge(&self) -> String {
        let path = self.user.push_challenge(&self.app.client(), &self.device).await;
        path.rsplit('/').next().unwrap().to_owned()
    }

    pub(crate) async fn until_waiting(&self, number: usize) {
        tokio::time::timeout(PATIENCE, self.app.until_waiting(number))
            .await
            .expect("they come and go");
    }

    pub(crate) fn list(&self, wait: u32) -> String {
        format!("{}/Challenges?Status=pending&Wait={wait}", self.user.path)
    }

    pub(crate) fn events(&self) -> String {
        format!("{}/Events", self.device.path())
    }
}

async fn read_until(stream: &mut TcpStream, part: &str) -> String {
    let mut text = String::new();
    let read = async {
        while !text.contains(part) {
            let mut piece = [0; 1024];
            let length = stream.read(&mut piece).await.unwrap();
            assert!(length > 0, "closed after {text:?}");
            text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("it comes");
    text
}

/// Nobody is kept in memory for a client that is gone.
#[tokio::test]
async fn a_client_that_goes_away_waits_no_longer() {
    let scene = Scene::set(ClientLimits::default()).await;
    let poll = scene.asking(&scene.list(60)).await;
    let mut stream = scene.asking(&scene.events()).await;
    read_until(&mut stream, "retry:").await;
    scene.until_waiting(2).await;
    drop(poll);
    scene.until_waiting(1).await;
    drop(stream);
    scene.until_waiting(0).await;
}

/// What limits how long a client may idle does not limit how long it may wait.
#[tokio::test]
async fn waits_are_longer_than_a_connection_may_idle() {
    let short = Duration::from_millis(100);
    let limits = ClientLimits {
        head: short,
        body: short,
        idle: short,
        ..ClientLimits::default()
    };
    let scene = Scene::set(limits).await;
    let mut events = scene.asking(&scene.events()).await;
    let head = read_until(&mut events, "retry:").await;
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\n"), "{head}");
    let mut poll = scene.asking(&scene.list(1)).await;
    // Ten times as long, then the connection idles, and that is limited.
    let answer = until_closed(&mut poll).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains(r#""challenges":[]"#));
    let challenge = scene.challenge().await;
    let told = read_until(&mut events, "\n\n").await;
    assert!(told.contains(&challenge), "{told}");
}

/// The one whole path: the binary, a signal, and an end that is not waited for.
#[test]
fn who_waits_is_answered_when_the_process_is_told_to_end() {
    let directory = TempDir::new().unwrap();
    let mut server = Process::start_with(directory.path(), &["--ops-listen", "127.0.0.1:0"], &[]);
    let line = server.wait_for_log("serving /health");
    let ops = format!("http://{}", line.rsplit("http://").next().unwrap());
    let (sid, token) = server.credentials();
    let call = |method: &str, path: &str, form: &str| {
        let mut stream = connect(&server.url);
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Length: {}\r\n\r\n{form}",
            basic(&sid, &token),
            form.len()
        )
        .unwrap();
        stream
    };
    let created = |path: &str, form: &str| {
        let mut stream = call("POST", path, form);
        let answer = read_answer(&mut stream);
        let (_, rest) = answer.split_once(r#"{"sid":""#).unwrap();
        rest[..34].to_owned()
    };
    let service = created("/v2/Services", "FriendlyName=Owl");
    let entity = format!("/v2/Services/{service}/Entities/user-0001");
    let factor = created(&format!("{entity}/Factors"), "FriendlyName=Phone&FactorType=totp");
    let mut poll = call("GET", &format!("{entity}/Challenges?Status=pending&Wait=60"), "");
    let mut events = call("GET", &format!("{entity}/Factors/{factor}/Events"), "");
    while !get(&ops, "/metrics").contains("\ncountersign_waiters 2\n") {
        std::thread::yield_now();
    }
    let began = Instant::now();
    server.signal("TERM");
    let (mut answer, mut told) = (String::new(), String::new());
    poll.read_to_string(&mut answer).unwrap();
    events.read_to_string(&mut told).unwrap();
    assert!(answer.contains(r#""challenges":[]"#), "{answer}");
    // The last chunk: the stream was ended and did not break off.
    assert!(told.ends_with("\r\n0\r\n\r\n"), "{told}");
    assert_eq!(server.wait(), Some(0));
    // Half of the time that requests at work are given.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

fn read_answer(stream: &mut Connection) -> String {
    let (mut text, mut piece) = (String::new(), [0; 4096]);
    while !text.contains("\r\n\r\n") || !text.ends_with('}') {
        let length = stream.read(&mut piece).unwrap();
        assert!(length > 0, "closed after {text}");
        text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
    }
    text
}
