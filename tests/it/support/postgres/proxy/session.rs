//! What is under way on one connection, and where the faults come into it.

use std::collections::{HashMap, VecDeque};

use bytes::BytesMut;

use super::faults::{Controls, CutMoment};
use super::frames::{Frame, answer, request};
use super::statement::Effect;

/// The state of the conversation, as both directions tell it.
#[derive(Debug)]
pub(super) struct Session {
    /// The requests that the server has not answered whole, the oldest first.
    requests: VecDeque<Request>,
    prepared: HashMap<Vec<u8>, Effect>,
    bound: HashMap<Vec<u8>, Effect>,
    is_in_transaction: bool,
    /// The transaction has failed, and the server does nothing more in it.
    is_failed: bool,
    /// Data are copied to the server, which does not answer the next [`request::SYNC`].
    is_copying: bool,
    /// What was sent since the last [`request::SYNC`].
    unsynced: Unsynced,
}

#[derive(Debug, PartialEq, Eq)]
enum Request {
    Login,
    Statements,
    /// Its answer is lost.
    Unanswered,
}

#[derive(Debug, Default)]
struct Unsynced {
    changes: bool,
    fails: bool,
    unanswered: bool,
}

/// Whether the connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    Cut,
    On,
}

impl Session {
    pub(super) fn new() -> Self {
        Self {
            requests: VecDeque::from([Request::Login]),
            prepared: HashMap::new(),
            bound: HashMap::new(),
            is_in_transaction: false,
            is_failed: false,
            is_copying: false,
            unsynced: Unsynced::default(),
        }
    }

    /// Passes on a message of the client's.
    pub(super) fn request(&mut self, frame: &Frame, controls: &Controls, output: &mut BytesMut) -> Passed {
        let mut texts = frame.texts();
        let mut text = || texts.next().unwrap_or_default();
        match frame.kind {
            request::PARSE => {
                let (name, statement) = (text(), text());
                self.prepared.insert(name.to_vec(), Effect::of(statement));
            }
            request::BIND => {
                let (portal, name) = (text(), text());
                let effect = self.prepared.get(name).copied().unwrap_or(Effect::Session);
                self.bound.insert(portal.to_vec(), effect);
            }
            request::EXECUTE => {
                let effect = self.bound.get(text()).copied().unwrap_or(Effect::Session);
                return self.execute(effect, frame, controls, output);
            }
            request::COPY_DONE | request::COPY_FAIL => self.is_copying = true,
            request::SYNC => return self.sync(frame, controls, output),
            request::QUERY => return self.query(text(), frame, controls, output),
            _ => {}
        }
        frame.put(output);
        Passed::On
    }

    fn execute(
        &mut self,
        effect: Effect,
        frame: &Frame,
        controls: &Controls,
        output: &mut BytesMut,
    ) -> Passed {
        controls.statements.add();
        if self.fails(effect, controls) {
            self.unsynced.fails = true;
            failing_execution().put(output);
            return Passed::On;
        }
        // This commits by itself, whatever follows.
        let commits = effect == Effect::Commit && !self.unsynced.fails;
        if commits && self.commit(controls) == Passed::Cut {
            return Passed::Cut;
        }
        self.follow(effect);
        frame.put(output);
        Passed::On
    }

    fn sync(&mut self, frame: &Frame, controls: &Controls, output: &mut BytesMut) -> Passed {
        // In the simple protocol none follows what was copied.
        if std::mem::take(&mut self.is_copying) {
            frame.put(output);
            return Passed::On;
        }
        if self.unsynced.changes && !self.unsynced.fails {
            if controls.failing_commits.fails() {
                failing_execution().put(output);
            } else if self.commit(controls) == Passed::Cut {
                return Passed::Cut;
            }
        }
        self.end_request();
        frame.put(output);
        Passed::On
    }

    fn query(
        &mut self,
        statements: &[u8],
        frame: &Frame,
        controls: &Controls,
        output: &mut BytesMut,
    ) -> Passed {
        let effects = Effect::of_all(statements);
        self.is_copying = false;
        let mut only_data = !effects.is_empty();
        let mut fails = false;
        for effect in &effects {
            controls.statements.add();
            only_data &= effect.concerns_data();
        }
        if only_data {
            for effect in &effects {
                fails |= self.fails(*effect, controls);
            }
        }
        let mut failing_commit = None;
        if !fails {
            let was_in_transaction = self.is_in_transaction;
            for effect in &effects {
                self.follow(*effect);
            }
            let changes = std::mem::take(&mut self.unsynced.changes);
            if only_data && changes && controls.failing_commits.fails() {
                failing_commit = Some(statements);
            } else {
                let ends = was_in_transaction && effects.contains(&Effect::Commit);
                if (changes || ends) && self.commit(controls) == Passed::Cut {
                    return Passed::Cut;
                }
            }
        }
        self.end_request();
        if fails {
            failing_query(b"").put(output);
        } else if let Some(statements) = failing_commit {
            failing_query(statements).put(output);
        } else {
            frame.put(output);
        }
        Passed::On
    }

    fn fails(&self, effect: Effect, controls: &Controls) -> bool {
        !self.is_failed
            && effect.concerns_data()
            && !self.unsynced.fails
            && controls.failing_statements.fails()
    }

    /// Keeps up with what the server does.
    fn follow(&mut self, effect: Effect) {
        match effect {
            Effect::Begin => self.is_in_transaction = true,
            Effect::Change => self.unsynced.changes |= !self.is_in_transaction,
            Effect::Commit | Effect::Rollback => self.is_in_transaction = false,
            Effect::Read | Effect::Session => {}
        }
    }

    /// The message that comes now commits.
    fn commit(&mut self, controls: &Controls) -> Passed {
        match controls.take_cut() {
            Some(CutMoment::BeforeCommit) => {
                controls.cuts_at_commits.add();
                return Passed::Cut;
            }
            Some(CutMoment::AfterCommit) => self.unsynced.unanswered = true,
            None => {}
        }
        Passed::On
    }

    fn end_request(&mut self) {
        let unsynced = std::mem::take(&mut self.unsynced);
        self.requests.push_back(if unsynced.unanswered {
            Request::Unanswered
        } else {
            Request::Statements
        });
    }

    /// Passes on a message of the server's.
    pub(super) fn answer(&mut self, frame: &Frame, controls: &Controls, output: &mut BytesMut) -> Passed {
        let request = match frame.kind {
            answer::READY => {
                // The server knows it best.
                let status = frame.body.first().copied();
                self.is_failed = status == Some(b'E');
                let request = self.requests.pop_front();
                if self.requests.is_empty() {
                    self.is_in_transaction = status != Some(b'I');
                }
                request
            }
            _ => None,
        };
        // Notices that nobody asked for belong to no request; they are lost with the rest.
        if request == Some(Request::Unanswered) {
            controls.cuts_at_commits.add();
            return Passed::Cut;
        }
        if self.requests.front() == Some(&Request::Unanswered) && request.is_none() {
            return Passed::On;
        }
        if request == Some(Request::Statements) {
            controls.round_trips.add();
        }
        if is_of_failing(frame) {
            serialization_failure().put(output);
        } else {
            frame.put(output);
        }
        Passed::On
    }
}

/// What the server fails, with an error that names [`MISSING`]; in a transaction it takes that for failed, as it should.
fn failing_execution() -> Frame {
    let mut body = BytesMut::from(MISSING.as_bytes());
    // The end of the name, and no limit to the number of rows.
    body.extend_from_slice(&[0; 5]);
    Frame::new(request::EXECUTE, body)
}

/// As [`failing_execution`], when these statements are done.
fn failing_query(statements: &[u8]) -> Frame {
    let mut body = BytesMut::from(statements);
    body.extend_from_slice(format!("\n;EXECUTE \"{MISSING}\"\0").as_bytes());
    Frame::new(request::QUERY, body)
}

fn is_of_failing(frame: &Frame) -> bool {
    let mut fields = frame.texts();
    let missing = |field: &[u8]| {
        let message = field.strip_prefix(b"M").unwrap_or_default();
        String::from_utf8_lossy(message).contains(MISSING)
    };
    frame.kind == answer::ERROR && fields.any(missing)
}

/// As PostgreSQL says it.
fn serialization_failure() -> Frame {
    let fields = "SERROR\0VERROR\0C40001\0Mcould not serialize access due to concurrent update\0\0";
    Frame::new(answer::ERROR, fields.as_bytes())
}

/// The name of a portal and of a prepared statement that nobody makes.
const MISSING: &str = "failed by the proxy";
