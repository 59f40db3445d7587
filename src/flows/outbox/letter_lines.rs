//! What the log says of dead letters: of each lane the first one in a [`WINDOW`] with its reason, of the rest how many there were.

use std::time::Duration;

use crate::app::App;
use crate::domain::outbox::{Lane, Reason};
use crate::domain::sid::EventSid;
use crate::memory::dead_letters::CountedLetters;

/// Says that a row became a dead letter.
pub(super) fn tell_of_one(app: &App, lane: Lane, sid: EventSid, why: &Reason) {
    if app.memory.dead_letters.note(lane, 1) {
        let why = beginning_of(why);
        tracing::warn!(
            account = %lane.account,
            "{sid} to {lane} is a dead letter: {why}; `countersign outbox list` shows it"
        );
    }
}

/// Says that so many rows of a receiver that fails became dead letters.
pub(super) fn tell_of_old_ones(app: &App, lane: Lane, count: u64, why: &Reason) {
    if count > 0 && app.memory.dead_letters.note(lane, count) {
        let why = beginning_of(why);
        tracing::warn!(
            account = %lane.account,
            "{count} messages to {lane} waited for too long and are dead letters: {why}"
        );
    }
}

/// Says how many there were of which nothing was said since this was last done.
pub(super) fn tell_of_the_rest(app: &App) {
    for CountedLetters { account, lane, count } in app.memory.dead_letters.take() {
        if let Some(lane) = lane {
            tracing::warn!(
                %account,
                "{count} more messages to {lane} are dead letters; `countersign outbox list` shows them"
            );
        } else {
            tracing::warn!(
                %account,
                "{count} messages to other receivers of account {account} are dead letters; \
                 `countersign outbox list` shows them"
            );
        }
    }
}

/// A reason may quote a receiver at length; all of it stands with the letter.
fn beginning_of(why: &Reason) -> String {
    why.as_str().chars().take(MOST_CHARACTERS).collect()
}

/// How often the rest is counted.
pub(super) const WINDOW: Duration = Duration::from_mins(1);

/// How much of a reason stands in the log.
const MOST_CHARACTERS: usize = 200;

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::domain::outbox::Receiver;
    use crate::domain::sid::{AccountSid, WebhookSid};
    use crate::doubles::TestParts;

    #[derive(Clone, Default)]
    struct ToldLines(Arc<Mutex<Vec<u8>>>);

    impl Write for ToldLines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_first_letter_is_said_with_its_reason_and_the_rest_is_counted() {
        let app = TestParts::default().wire();
        let lane = |account: u8| Lane {
            account: AccountSid::from_bytes([account; 16]),
            receiver: Receiver::Webhook(WebhookSid::from_bytes([account; 16])),
        };
        let sid = EventSid::from_bytes([3; 16]);
        let why = Reason::new(&format!("status 500: {}", "\u{fc}".repeat(1000)));
        let told = ToldLines::default();
        let to = told.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || to.clone())
            .with_ansi(false)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..1000 {
                tell_of_one(&app, lane(1), sid, &why);
            }
            tell_of_old_ones(&app, lane(2), 0, &why);
            tell_of_old_ones(&app, lane(2), 64, &why);
            tell_of_old_ones(&app, lane(2), 6, &why);
            tell_of_the_rest(&app);
            tell_of_the_rest(&app);
        });
        let text = String::from_utf8(told.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        for (line, part, account) in [
            (
                lines[0],
                format!("{sid} to {} is a dead letter: status 500: ", lane(1)),
                1,
            ),
            (
                lines[1],
                format!("64 messages to {} waited for too long", lane(2)),
                2,
            ),
            (
                lines[2],
                format!("999 more messages to {} are dead letters", lane(1)),
                1,
            ),
            (
                lines[3],
                format!("6 more messages to {} are dead letters", lane(2)),
                2,
            ),
        ] {
            assert!(line.contains(&part), "{line}");
            let account = format!("account={}", lane(account).account);
            assert!(line.contains(&account), "{line}");
        }
        assert_eq!(lines[0].matches('\u{fc}').count(), 200 - "status 500: ".len());
    }
}
