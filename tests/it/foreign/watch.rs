//! `countersign device watch`, against the real server and against others.

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::Value;

use super::device::Phone;
use super::{Server, text};

#[test]
fn a_watching_device_prints_each_pending_challenge_once() {
    let server = Server::start();
    let phone = Phone::enroll(&server, "user-0001");
    let mut watch = Watch::start(&phone);
    for message in ["one", "two"] {
        let challenge = phone.challenge(message);
        watch.prints(&challenge);
    }
}

/// A server without event streams, like Twilio's own, is asked for what is pending again and again.
#[test]
fn a_device_polls_a_server_without_event_streams() {
    const NONE: &str = r#"{"code":20404,"message":"not found","more_info":"","status":404}"#;
    let server = Server::start();
    let phone = Phone::enroll(&server, "user-0001");
    let front = Front::before(&phone, vec![answer("404 Not Found", "application/json", NONE)]);
    let mut watch = Watch::start(&phone);
    for message in ["one", "two", "three"] {
        let challenge = phone.challenge(message);
        watch.prints(&challenge);
    }
    assert_eq!(
        front.asked_for_events.try_iter().count(),
        1,
        "it asks once for a stream"
    );
}

/// A stream breaks off, then the server is away, then it repeats what the device knows: it comes again behind the last
/// event that it has, and prints nothing twice.
#[test]
fn a_device_comes_again_behind_the_last_event_that_it_has() {
    let server = Server::start();
    let phone = Phone::enroll(&server, "user-0001");
    let challenges = ["one", "two"].map(|message| phone.create_challenge(message, &[]));
    let [first, second] = challenges.each_ref().map(|challenge| text(challenge, "/sid"));
    let [told_first, told_second] = challenges.each_ref().map(created);
    let stream = |events: &str| {
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 99999\r\n\r\n{events}")
    };
    let front = Front::before(
        &phone,
        vec![
            stream(&format!(
                "retry: 10\n\n{told_first}id: {second}\nevent: challenge.cre"
            )),
            answer("503 Service Unavailable", "text/plain", "restarting"),
            stream(&format!("{told_first}{told_second}")),
        ],
    );
    let mut watch = Watch::start(&phone);
    watch.prints(first);
    watch.prints(second);
    let mut asked = front.asked_for_events.iter().take(4);
    let mut last_id = || {
        let head = asked.next().expect("it comes again").to_ascii_lowercase();
        let line = head.lines().find_map(|line| line.strip_prefix("last-event-id: "));
        line.map(str::to_owned)
    };
    // The second event was told in part: that is no event.
    let first = Some(first.to_ascii_lowercase());
    assert_eq!([last_id(), last_id(), last_id()], [None, first.clone(), first]);
    assert_eq!(last_id(), Some(second.to_ascii_lowercase()));
    // From then on the real server tells.
    let third = phone.challenge("three");
    watch.prints(&third);
}

/// The command under test; it is killed when this is dropped.
struct Watch {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn start(phone: &Phone<'_>) -> Self {
        let mut process = phone
            .command("watch", &["--interval", "1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("watch starts");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        Self { process, lines }
    }

    /// The next line that it prints is of this challenge.
    #[track_caller]
    fn prints(&mut self, challenge: &str) {
        let line = self.lines.next().expect("a line").expect("text");
        assert!(line.starts_with(challenge), "{line}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // A command that is gone already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Stands before the real server, and answers the first requests for event streams in its place.
struct Front {
    /// The heads of all requests for an event stream.
    asked_for_events: Receiver<String>,
}

impl Front {
    /// One that the phone takes for its server from now on.
    fn before(phone: &Phone<'_>, answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let server = phone.server.url.trim_start_matches("http://").to_owned();
        let (asked, asked_for_events) = channel();
        thread::spawn(move || {
            let mut answers = answers.into_iter();
            for device in listener.incoming() {
                let mut device = device.expect("a connection");
                let Some(head) = read_head(&mut device) else {
                    continue;
                };
                if head.contains("/Events ") {
                    // The test may have seen enough.
                    let _ = asked.send(head.clone());
                    if let Some(answer) = answers.next() {
                        device.write_all(answer.as_bytes()).expect("the device listens");
                        continue;
                    }
                }
                let server = TcpStream::connect(&server).expect("the server is there");
                forward(device, server, &head);
            }
        });
        let state = std::fs::read_to_string(&phone.state).expect("a state file");
        let mut state: Value = serde_json::from_str(&state).expect("JSON");
        state["url"] = format!("http://{address}").into();
        std::fs::write(&phone.state, state.to_string()).expect("a state file");
        Self { asked_for_events }
    }
}

/// The head of a request that has no body.
fn read_head(device: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        device.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// Hands one request on, and what is answered back, however long that takes.
fn forward(mut device: TcpStream, mut server: TcpStream, head: &str) {
    let head = head.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    server.write_all(head.as_bytes()).expect("the server listens");
    thread::spawn(move || {
        // Until one of the two has enough.
        let _ = std::io::copy(&mut server, &mut device);
        let _ = device.shutdown(Shutdown::Both);
    });
}

fn answer(status: &str, content_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn created(challenge: &Value) -> String {
    format!(
        "id: {}\nevent: challenge.created\ndata: {challenge}\n\n",
        text(challenge, "/sid")
    )
}
