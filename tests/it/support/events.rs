//! A reader of server-sent events, written from the description of the format and not from the code under test.

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use http_body_util::BodyExt;
use serde_json::Value;

/// An open stream.
#[derive(Debug)]
pub(crate) struct Events {
    pub(crate) headers: HeaderMap,
    body: Body,
    text: String,
}

/// One block of a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
    pub(crate) comment: String,
    pub(crate) retry: Option<u64>,
}

impl Events {
    /// The stream that was answered. Its first block says when to come again.
    #[track_caller]
    pub(crate) fn of(response: Response<Body>) -> Self {
        assert_eq!(response.status(), 200);
        let (parts, body) = response.into_parts();
        Self {
            headers: parts.headers,
            body,
            text: String::new(),
        }
    }

    /// The next block; `None` at the end.
    pub(crate) async fn block(&mut self) -> Option<Event> {
        loop {
            if let Some(length) = self.text.find("\n\n") {
                let event = Event::read(&self.text[..length]);
                self.text.drain(..length + 2);
                return Some(event);
            }
            let frame = self.body.frame().await?.unwrap();
            self.text
                .push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    /// The next event, past comments and the like; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.block().await?;
            if !event.name.is_empty() {
                return Some(event);
            }
        }
    }

    /// The name and the id of the next event.
    #[track_caller]
    pub(crate) fn expect(&mut self, name: &str, challenge: &str) -> impl Future<Output = Value> {
        let sid = challenge.rsplit('/').next().unwrap().to_owned();
        let name = format!("challenge.{name}");
        async move {
            let event = self.next().await.expect("the stream goes on");
            assert_eq!((event.name, &event.id), (name, &sid));
            assert_eq!(event.data["sid"], sid);
            event.data
        }
    }
}

impl Event {
    fn read(block: &str) -> Self {
        let mut event = Self::default();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.trim_start();
            match field {
                "id" => value.clone_into(&mut event.id),
                "event" => value.clone_into(&mut event.name),
                "data" => event.data = serde_json::from_str(value).unwrap(),
                "retry" => event.retry = value.parse().ok(),
                "" => value.clone_into(&mut event.comment),
                _ => panic!("a field {field:?}"),
            }
        }
        event
    }
}
