//! How people write phone numbers, before any plan is asked.
//!
//! Digits and signs of ASCII only are taken; blanks, dashes and marks that nobody sees may be any. Digits of other scripts, letters on keys, extensions and `tel:` URIs are refused, not guessed at.

use super::super::text::{BadPhone, Invalid, is_invisible};
use super::super::typed_code::is_dash;

/// A number without what stands between its digits.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Dialled {
    /// Whether a plus sign stood before it.
    pub(super) plus: bool,
    /// The digits; at least one.
    pub(super) digits: String,
}

/// Takes `text` apart.
///
/// # Errors
/// [`Invalid`] if it is empty, too long, or holds what belongs to no number.
pub(super) fn read(text: &str) -> Result<Dialled, Invalid> {
    // What messengers and address books copy along: marks of direction, blanks that do not break.
    let seen = || text.trim().chars().filter(|c| !is_invisible(*c));
    if text.len() > MOST_BYTES || seen().count() > MOST_CHARACTERS {
        return Err(EXPECTED);
    }
    let mut dialled = Dialled {
        plus: false,
        digits: String::with_capacity(text.len()),
    };
    for c in seen() {
        match c {
            '0'..='9' => dialled.digits.push(c),
            '+' if !dialled.plus && dialled.digits.is_empty() => dialled.plus = true,
            '.' | '/' | '(' | ')' => {}
            _ if c.is_whitespace() || is_dash(c) => {}
            _ => return Err(EXPECTED),
        }
    }
    if dialled.digits.is_empty() {
        return Err(EXPECTED);
    }
    Ok(dialled)
}

/// No mark between digits needs more.
const MOST_BYTES: usize = 4 * MOST_CHARACTERS;

/// How long a number may be, with all that stands between its digits.
const MOST_CHARACTERS: usize = 40;

const EXPECTED: Invalid = Invalid::Phone(BadPhone::Unreadable);
