//! Every way by which a code is checked, over all protocols: the same races, counters and kills go through each of them.
//!
//! # How to add a dialect
//! Write a file beside [`signal`] with a [`Way`] for each call that evaluates codes, say what its other calls do (that is
//! the table of its [`Spoken`]), and add it to [`all`]. What else counts in a dialect is in its own folder.

mod counters;
mod drift;
mod ground;
mod kills;
mod races;
mod round;
pub(crate) mod signal;
mod telegram;
mod twilio;
mod vonage;
mod zitadel;

use std::sync::Arc;

use async_trait::async_trait;

use self::ground::{App, Ground};

/// What a code is right for.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A phone number, to which codes are sent.
    Number(String),
    /// An authenticator app that is to prove itself.
    Unverified(App),
    /// One that did.
    Verified(App),
}

/// The kind of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Unverified,
    Verified,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Number, Self::Unverified, Self::Verified];

    /// How many wrong codes in a row are evaluated at one moment, by all ways together.
    fn evaluates(self) -> usize {
        match self {
            Self::Number | Self::Verified => 10,
            Self::Unverified => 5,
        }
    }
}

/// What is to be checked by a way.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Where, as the way understands it.
    pub(crate) at: Vec<String>,
    pub(crate) token: String,
    /// Known within a test, and not if the server is a process.
    pub(crate) right: Option<String>,
    pub(crate) wrong: String,
}

/// What a guess is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Right,
    Wrong,
    /// The code was not looked at, since there were too many.
    Limited,
    /// Nor was it for another reason.
    Refused,
}

/// A way by which a code is checked.
#[async_trait]
pub(crate) trait Way: Send + Sync {
    /// The call, as its dialect describes it.
    fn call(&self) -> &'static str;

    /// What it checks codes of.
    fn kind(&self) -> Kind;

    /// How many wrong codes in a row it evaluates of one target at one moment.
    fn evaluates(&self) -> usize;

    /// Whether whoever gives the right code again is told again that it is right, though it counts once.
    fn repeats(&self) -> bool {
        false
    }

    /// Whether it can be called of a server that is a process.
    fn reaches_processes(&self) -> bool {
        true
    }

    /// Begins what ends with a code of `subject`.
    async fn begin(&self, ground: &Ground, subject: &Subject) -> Target;

    /// Gives a code.
    async fn guess(&self, ground: &Ground, target: &Target, code: &str) -> Verdict;
}

/// A dialect.
struct Spoken {
    /// Everything that can be called, as the dialect's routes or descriptors have it.
    described: Vec<String>,
    /// All of it again, and what it does with codes: whether it evaluates them.
    evaluates: Vec<(String, bool)>,
    ways: Vec<Arc<dyn Way>>,
}

/// Everything that is spoken.
fn all() -> Vec<Spoken> {
    vec![
        twilio::spoken(),
        signal::spoken(),
        telegram::spoken(),
        vonage::spoken(),
        zitadel::spoken(),
    ]
}

/// All ways by which a code is checked.
fn ways() -> Vec<Arc<dyn Way>> {
    all().into_iter().flat_map(|spoken| spoken.ways).collect()
}

/// A check that one path forgets is a check that attackers find: a new call has to say here what it does with codes.
#[test]
fn every_call_that_evaluates_codes_is_a_way() {
    for spoken in all() {
        let mut said: Vec<_> = spoken.evaluates.iter().map(|(call, _)| call.clone()).collect();
        let mut described = spoken.described;
        said.sort_unstable();
        described.sort_unstable();
        assert_eq!(said, described);
        let evaluating = spoken.evaluates.iter().filter(|(_, evaluates)| *evaluates);
        let mut evaluating: Vec<_> = evaluating.map(|(call, _)| call.as_str()).collect();
        let mut ways: Vec<_> = spoken.ways.iter().map(|way| way.call()).collect();
        evaluating.sort_unstable();
        ways.sort_unstable();
        assert_eq!(ways, evaluating);
    }
    for kind in Kind::ALL {
        assert!(ways().iter().any(|way| way.kind() == kind), "{kind:?}");
    }
}
