//! Reads server-sent events (WHATWG HTML, 9.2.6) as they arrive.

use super::error::DeviceError;

/// What arrived of a stream and is not read yet.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    bytes: Vec<u8>,
    event: StreamEvent,
    /// The identifier of the event that is being read: it counts once that is complete.
    id: Option<String>,
    last_id: Option<String>,
    retry_millis: Option<u64>,
}

/// An event that arrived whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct StreamEvent {
    /// What it is; empty if the server gave it no name.
    pub(super) name: String,
    pub(super) data: String,
}

impl EventReader {
    /// Takes in what arrived; the events that are complete by it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<StreamEvent>, DeviceError> {
        self.bytes.extend_from_slice(bytes);
        let mut events = Vec::new();
        let mut read = 0;
        while let Some(length) = self.bytes[read..].iter().position(|byte| *byte == b'\n') {
            let line = self.bytes[read..read + length].to_vec();
            read += length + 1;
            // Servers end lines with CR LF or LF; that a CR alone may do it too is history.
            let line = line.strip_suffix(b"\r").unwrap_or(&line);
            let line = std::str::from_utf8(line)
                .map_err(|_| DeviceError::Answer("the server's event stream is no UTF-8".to_owned()))?;
            events.extend(self.line(line));
        }
        self.bytes.drain(..read);
        if self.bytes.len() + self.event.data.len() > MOST_BYTES {
            return Err(DeviceError::Answer(
                "an event of the server's has no end".to_owned(),
            ));
        }
        Ok(events)
    }

    /// The identifier of the last event: where to go on after the end.
    pub(super) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// After how long the server wants to be asked again, in milliseconds, if it said so.
    pub(super) fn retry_millis(&self) -> Option<u64> {
        self.retry_millis
    }

    fn line(&mut self, line: &str) -> Option<StreamEvent> {
        if line.is_empty() {
            self.last_id = self.id.clone();
            let mut event = std::mem::take(&mut self.event);
            event.data.pop();
            return (!event.data.is_empty()).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                self.event.data.push_str(value);
                self.event.data.push('\n');
            }
            "event" => value.clone_into(&mut self.event.name),
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" => self.retry_millis = value.parse().ok().or(self.retry_millis),
            // Comments, and what may be added some day.
            _ => {}
        }
        None
    }
}

/// Far more than any challenge has.
const MOST_BYTES: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &[u8] =
        b"retry: 2500\n\n: still here\n\nid: YC1\r\nevent: challenge.created\r\ndata: {\"a\":\r\n\
        data: 1}\r\n\r\nevent: nothing\n\nid\ndata:x\nunknown: y\n\n";

    fn events() -> Vec<StreamEvent> {
        let event = |name: &str, data: &str| StreamEvent {
            name: name.to_owned(),
            data: data.to_owned(),
        };
        vec![event("challenge.created", "{\"a\":\n1}"), event("", "x")]
    }

    #[test]
    fn events_are_read_wherever_the_pieces_end() {
        for length in 1..STREAM.len() {
            let mut reader = EventReader::default();
            let mut found = Vec::new();
            for piece in STREAM.chunks(length) {
                found.extend(reader.take(piece).unwrap());
            }
            assert_eq!(found, events(), "{length}");
            assert_eq!((reader.last_id(), reader.retry_millis()), (Some(""), Some(2500)));
        }
    }

    #[test]
    fn an_event_that_broke_off_is_not_the_last_one() {
        let mut reader = EventReader::default();
        reader.take(b"id: YC1\ndata: x\n\nid: YC2\ndata: y\n").unwrap();
        assert_eq!(reader.last_id(), Some("YC1"));
        reader.take(b"\n").unwrap();
        assert_eq!(reader.last_id(), Some("YC2"));
    }

    #[test]
    fn an_event_without_end_is_an_error() {
        let mut reader = EventReader::default();
        let piece = [b'x'; 4096];
        assert!((0..1000).any(|_| reader.take(&piece).is_err()));
        let mut reader = EventReader::default();
        assert!((0..10_000).any(|_| reader.take(b"data: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\n").is_err()));
        assert!(EventReader::default().take(b"\xff\n").is_err());
    }
}
