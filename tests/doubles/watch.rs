//! Looks for secrets in everything that is logged, by every test that makes an [`App`](countersign::app::App) or starts the
//! binary: the finest level is written, with the filter of the program itself, and each line is looked through.
//!
//! A secret is what a test was told to be one ([`secret`]) and whatever looks like one. One that is found ends the whole run at
//! once, with a line on standard error that says in which test: nobody can overlook it, whatever the test makes of it.

use std::collections::HashMap;
use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::{LazyLock, Once, PoisonError, RwLock};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// From now on everything that this process logs is looked through.
pub(crate) fn begin() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| {
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(Lines)
            .with_ansi(false)
            .without_time();
        // As in `countersign serve`: nobody can make it write more.
        let ours = Targets::new().with_target("countersign", LevelFilter::TRACE);
        let subscriber = tracing_subscriber::registry().with(lines).with(ours);
        if tracing::subscriber::set_global_default(subscriber).is_err() {
            end("another subscriber was there first: nothing would be looked through");
        }
    });
}

/// No line may hold this from now on. What is shorter than [`SHORTEST`] is none: by chance it would be everywhere.
pub(crate) fn secret(text: &str) {
    for line in text.lines().map(str::trim) {
        // Keys in PEM are told by their inner lines, of which each is enough.
        if line.len() < SHORTEST || line.starts_with("-----") {
            continue;
        }
        let start = window(line.as_bytes(), 0);
        let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
        let same = secrets.entry(start).or_default();
        if !same.iter().any(|known| known == line) {
            same.push(line.to_owned());
        }
    }
}

/// Ends the run if `text` holds a secret; `place` says where it was found.
pub(crate) fn look(place: &str, text: &str) {
    // That is what this sender is for.
    if text.contains(LOG_SENDER) {
        return;
    }
    let text = text.trim_end();
    end_if_found(place, text, known(text).or_else(|| likely(text)));
}

/// Ends the run if what is printed for debugging holds a secret that was told of. Whatever else is in there may look like one.
pub(crate) fn look_at_debug(place: &str, printed: &dyn Debug) {
    let text = format!("{printed:?}");
    end_if_found(place, &text, known(&text));
}

type Found = (&'static str, String);

fn end_if_found(place: &str, text: &str, found: Option<Found>) {
    if let Some((what, secret)) = found {
        let shown = text.replace(&secret, "<HERE>");
        end(&format!("{what} is in {place}: {shown}"));
    }
}

/// The secret in `text` that was told of.
fn known(text: &str) -> Option<Found> {
    let bytes = text.as_bytes();
    if bytes.len() >= WINDOW {
        let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
        for at in 0..=bytes.len() - WINDOW {
            let same = secrets.get(&window(bytes, at)).into_iter().flatten();
            for known in same {
                if bytes[at..].starts_with(known.as_bytes()) {
                    return Some(("a secret of the test", known.clone()));
                }
            }
        }
    }
    None
}

/// What in `text` looks like a secret.
fn likely(text: &str) -> Option<Found> {
    for sign in [
        "otpauth://",
        "-----BEGIN",
        "secret=",
        "Bearer ey",
        "authorization: ",
    ] {
        if let Some(at) = text.find(sign) {
            return Some(("what looks like a secret", text[at..].to_owned()));
        }
    }
    // `+324701****` is a prefix that codes are refused for, and no number.
    // `0.250000 EUR` is a price.
    let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "*.-".contains(letter)));
    // What letters and hyphens hold together is a name: of a user, as in `owner-0001-00000013`, or a UUID.
    let is_name =
        |word: &&str| word.contains('-') && word.contains(|letter: char| letter.is_ascii_alphabetic());
    let is_date = |word: &&str| word.len() == 10 && word.as_bytes()[4] == b'-' && word.as_bytes()[7] == b'-';
    let words = words
        .filter(|word| !is_name(word) && !is_date(word))
        .map(|word| word.replace('-', ""));
    for word in words {
        let word = word.trim_matches('.');
        // One-time codes and phone numbers, which have 15 digits at the most. Identifiers have letters, too, or more.
        if (6..=15).contains(&word.len()) && word.bytes().all(|digit| digit.is_ascii_digit()) {
            return Some(("what looks like a code or a phone number", word.to_owned()));
        }
    }
    let tokens = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "-_.".contains(letter)));
    // The SID of a bearer token alone is none.
    let mut bearers = tokens
        .clone()
        .filter(|token| token.starts_with("BT") && token.contains('_'));
    if let Some(token) = bearers.next() {
        return Some(("what looks like a bearer token", token.to_owned()));
    }
    let mut jwts = tokens.filter(|token| token.starts_with("eyJ") && token.matches('.').count() == 2);
    jwts.next()
        .map(|token| ("what looks like a JWT", token.to_owned()))
}

fn end(why: &str) -> ! {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a thread of some test");
    // Past whatever the test harness captures.
    let _unwritable = writeln!(io::stderr(), "\nSECRETS: in {test}: {why}");
    std::process::abort();
}

fn window(bytes: &[u8], at: usize) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    window.copy_from_slice(&bytes[at..at + WINDOW]);
    window
}

/// Lines of the log, each looked through as it is written.
#[derive(Clone, Copy)]
struct Lines;

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        look("the log", &String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}

/// The secrets, by how they begin.
static SECRETS: LazyLock<RwLock<HashMap<[u8; WINDOW], Vec<String>>>> = LazyLock::new(RwLock::default);

/// How the line of the sender begins that writes codes to the log.
const LOG_SENDER: &str = " the code for ";

const WINDOW: usize = 8;

/// How many bytes a secret has at least.
pub(crate) const SHORTEST: usize = 12;
