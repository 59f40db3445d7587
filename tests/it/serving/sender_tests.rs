//! `countersign senders test`: what goes to the provider, and what is said of its answer.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::Output;
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

use super::process::{complaint, program};

/// A provider that gives one answer; what it was asked.
fn provider(answer: &'static str) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let (mut request, mut part) = (String::new(), [0; 4096]);
        // The last that is sent is the end of the body.
        while !request.ends_with("END") {
            let count = connection.read(&mut part).unwrap();
            assert_ne!(count, 0, "{request}");
            request += std::str::from_utf8(&part[..count]).unwrap();
        }
        connection.write_all(answer.as_bytes()).unwrap();
        request
    });
    (address, asked)
}

fn settings(address: SocketAddr) -> String {
    format!(
        "[[senders]]\nname = 'sms-one'\nkind = 'http'\nchannels = ['sms']\ncountries = ['US', 'CA']\n\
         url = 'http://{address}/send'\ntext = '{{{{to}}}} {{{{text}}}} {{{{code}}}} {{{{secret}}}} END'\n\
         content_type = 'text/plain'\n[[senders]]\nname = 'mail'\nkind = 'log'\nchannels = ['email']\n"
    )
}

fn senders_test(settings: &str, arguments: &[&str]) -> Output {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("countersign.toml");
    fs::write(&file, settings).unwrap();
    let data = directory.path().join("data");
    let (file, data_text) = (file.to_str().unwrap(), data.to_str().unwrap());
    let all = [
        &["senders", "test", "--config", file, "--data", data_text],
        arguments,
    ]
    .concat();
    let mut command = program(&all);
    let output = command
        .env("COUNTERSIGN_SENDER_SMS_ONE_SECRET", "hunter2")
        .output()
        .unwrap();
    assert!(!data.exists(), "nothing is opened");
    let shown = format!("{output:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    output
}

#[test]
fn a_message_without_a_code_reaches_the_provider_and_its_answer_is_told() {
    let (address, asked) = provider("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let output = senders_test(&settings(address), &["sms-one", "+12025550123"]);
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.starts_with("sms-one took the message by sms for "),
        "{shown}"
    );
    assert!(!shown.contains("5550123"), "{shown}");
    let asked = asked.join().unwrap();
    let body = asked.split_once("\r\n\r\n").unwrap().1;
    assert!(
        body.contains("This is a test") && body.contains(" 0000 hunter2 END"),
        "{body}"
    );

    let (address, asked) = provider("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    let output = senders_test(&settings(address), &["sms-one", "+12025550123", "--json"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&shown["outcome"], &shown["channel"]),
        (&"taken".into(), &"sms".into())
    );
    asked.join().unwrap();
}

#[test]
fn a_provider_that_refuses_or_is_not_there_is_told_of_with_status_1() {
    let refusal = "HTTP/1.1 400 Bad Request\r\ncontent-length: 12\r\nconnection: close\r\n\r\nno such plan";
    let (address, asked) = provider(refusal);
    let line = complaint(&senders_test(&settings(address), &["sms-one", "+12025550123"]), 1);
    assert!(
        line.contains("the provider answered 400") && line.contains("no such plan"),
        "{line}"
    );
    assert!(line.ends_with("(a server would not try again)"), "{line}");
    asked.join().unwrap();

    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let line = complaint(&senders_test(&settings(free), &["sms-one", "+12025550123"]), 1);
    assert!(line.contains("the provider was not reached"), "{line}");
    assert!(line.ends_with("(a server would try again)"), "{line}");
}

#[test]
fn what_the_server_would_not_send_is_refused_before_anything_is_sent() {
    let nobody = settings("127.0.0.1:9".parse().unwrap());
    for (arguments, part) in [
        (["sms-on", "+12025550123"].as_slice(), "did you mean sms-one?"),
        (
            &["pigeon-post", "+12025550123"],
            "The settings (see --config) have: sms-one, mail",
        ),
        (&["sms-one", "5005550123"], "the number must"),
        (&["sms-one", "ada@"], "the address must"),
        (
            &["sms-one", "ada@example.com"],
            "no channel of the sender sms-one leads there",
        ),
        (
            &["sms-one", "+12025550123", "--channel", "call"],
            "call of the sender sms-one",
        ),
        (
            &["sms-one", "+41791234567"],
            "would not take the sender sms-one for CH",
        ),
    ] {
        let line = complaint(&senders_test(&nobody, arguments), 2);
        assert!(line.contains(part), "{arguments:?}: {line}");
    }
}
