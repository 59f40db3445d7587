//! Names that are nearly those of parameters. They are understood or refused, never dropped: somebody means them, and a filter
//! that is dropped lists everything.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::error::{ApiError, Parameter};
use super::form::Form;

/// The same parameters under the names that they have here.
///
/// # Errors
/// When a name is nearly that of a parameter, or of a family of parameters (`Details.Message` and `Details.Fields` are one).
pub(super) fn settle(form: Form) -> Result<Form, ApiError> {
    if form.names().all(is_exact) {
        return Ok(form);
    }
    let mut unknown = 0;
    for name in form.names() {
        match judge(name) {
            Spelling::Wrong(right) => return Err(ApiError::misspelt(name, right)),
            // Looking for what is near takes time, and a body has room for thousands.
            Spelling::Unknown if unknown < MOST_WARNINGS => {
                warn_of(name);
                unknown += 1;
            }
            Spelling::Exact | Spelling::Meant(_) | Spelling::Unknown => {}
        }
    }
    Ok(form.renamed(|name| match judge(name) {
        Spelling::Meant(meant) => Some(meant),
        Spelling::Exact | Spelling::Unknown | Spelling::Wrong(_) => None,
    }))
}

/// Says in the log that a parameter was dropped. Twilio has parameters that are unknown here, so it is not refused. The log leaves out
/// what is said too often.
fn warn_of(name: &str) {
    if let Some(right) = nearest(name) {
        tracing::warn!(
            "a request has a parameter that is nearly {right}, and it was ignored: the client misspells it"
        );
    } else if !name.starts_with('_') {
        // Its name is not said: a body that is no form is one name, and may be a password.
        let letters = name.chars().count();
        tracing::warn!(
            "a request has a parameter of {letters} letters that is unknown here, and it was ignored"
        );
    }
}

/// The parameter whose name differs from this one by two letters at the most; of a name so short that this would be another word,
/// none.
fn nearest(name: &str) -> Option<&'static str> {
    let near = |known: &&&str| known.len() >= SHORTEST_NEAR && is_within_two(name, known);
    Parameter::NAMES.iter().find(near).copied()
}

/// Whether one becomes the other by putting in, leaving out or exchanging two letters at the most, neighbours that changed places
/// being one.
fn is_within_two(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    one.len() <= other.len() + 2 && other.len() <= one.len() + 2 && edits_fit(one, other, 2)
}

fn edits_fit(one: &[u8], other: &[u8], left: u8) -> bool {
    let same = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other)
        .count();
    let (one, other) = (&one[same..], &other[same..]);
    if one.is_empty() && other.is_empty() {
        return true;
    }
    let Some(left) = left.checked_sub(1) else {
        return false;
    };
    let swapped = matches!((one, other), ([a, b, ..], [c, d, ..]) if a == d && b == c);
    (swapped && edits_fit(&one[2..], &other[2..], left))
        || (!one.is_empty() && edits_fit(&one[1..], other, left))
        || (!other.is_empty() && edits_fit(one, &other[1..], left))
        || (!one.is_empty() && !other.is_empty() && edits_fit(&one[1..], &other[1..], left))
}

/// How many unknown parameters of one request are told of.
const MOST_WARNINGS: u32 = 8;

/// The fewest letters of a parameter that others can be nearly.
const SHORTEST_NEAR: usize = 6;

/// Refuses what is none of `known`: whoever asks for a part must not be told everything.
///
/// Names that begin with an underscore are for caches on the way.
pub(super) fn only<'n>(
    query: &Form,
    known: impl Fn(&str) -> bool,
    names: impl Fn() -> Vec<&'n str>,
) -> Result<(), ApiError> {
    let mut unknown = query
        .names()
        .filter(|name| !known(name) && !name.starts_with('_'));
    match unknown.next() {
        None => Ok(()),
        Some(name) => Err(ApiError::unknown_filter(name, &names())),
    }
}

/// Parameters that come once for each item.
const LISTS: [&str; 2] = ["Details.Fields", "EventTypes"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spelling {
    Exact,
    /// Another way to write this name.
    Meant(&'static str),
    /// Nothing that anybody could mean by a parameter.
    Unknown,
    /// Not what it is called: this, or a name that begins so.
    Wrong(&'static str),
}

fn is_exact(name: &str) -> bool {
    // The iOS SDK writes the token's name with a small p.
    Parameter::is_name(name) || name == "pageToken"
}

fn judge(name: &str) -> Spelling {
    if is_exact(name) {
        return Spelling::Exact;
    }
    let list = LISTS
        .into_iter()
        .find(|list| name.strip_prefix(*list).is_some_and(is_place));
    if let Some(list) = list {
        return Spelling::Meant(list);
    }
    // A client that escapes the dot of `ChannelData.To` as if it stood in a regular expression.
    if let Some(meant) = named(&name.replace('\\', "")) {
        return Spelling::Meant(meant);
    }
    let family = name.split(['.', '[', '\\']).next().unwrap_or_default();
    let right = BY_FORM.get(&plain(name)).or_else(|| BY_FORM.get(&plain(family)));
    right.map_or(Spelling::Unknown, |right| Spelling::Wrong(right))
}

/// `[]`, `[3]` or `.3` behind the name of a list.
fn is_place(text: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let dotted = text.strip_prefix('.').filter(|rest| !rest.is_empty());
    bracketed.or(dotted).is_some_and(digits)
}

fn named(text: &str) -> Option<&'static str> {
    Parameter::NAMES.iter().copied().find(|name| *name == text)
}

/// Names and the beginnings of names, by what is left of them without case, signs and plural.
static BY_FORM: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let families = Parameter::NAMES.iter().filter_map(|name| {
        let (family, _) = name.split_once('.')?;
        Some((plain(family), &name[..=family.len()]))
    });
    let whole = Parameter::NAMES.iter().map(|name| (plain(name), *name));
    families.chain(whole).collect()
});

fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let plain: String = letters.map(|letter| letter.to_ascii_lowercase()).collect();
    plain.strip_suffix('s').map(str::to_owned).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_is_called_what_it_is_called() {
        for name in Parameter::NAMES {
            assert_eq!(judge(name), Spelling::Exact, "{name}");
        }
        assert_eq!(judge("pageToken"), Spelling::Exact);
    }

    #[test]
    fn items_of_lists_are_numbered_or_bracketed_by_some() {
        for (name, meant) in [
            ("Details.Fields[]", "Details.Fields"),
            ("Details.Fields[0]", "Details.Fields"),
            ("Details.Fields[19]", "Details.Fields"),
            ("Details.Fields.0", "Details.Fields"),
            ("EventTypes[]", "EventTypes"),
            ("EventTypes.1", "EventTypes"),
            (r"ChannelData\.To", "ChannelData.To"),
            (r"Details\.Message", "Details.Message"),
        ] {
            assert_eq!(judge(name), Spelling::Meant(meant), "{name}");
        }
    }

    #[test]
    fn what_is_nearly_a_name_is_refused() {
        for (name, right) in [
            ("details.fields", "Details.Fields"),
            ("details_fields", "Details.Fields"),
            ("DetailsFields", "Details.Fields"),
            ("Details.Field", "Details.Fields"),
            ("Details.Feilds", "Details."),
            ("Details", "Details."),
            ("Details[Message]", "Details.Message"),
            ("Details.Fields[0][label]", "Details."),
            ("Details.Fields.0.label", "Details."),
            ("Details.Fields[", "Details.Fields"),
            ("Details.Fields[x]", "Details."),
            ("ChannelData\\.Too", "ChannelData."),
            ("friendlyName", "FriendlyName"),
            ("friendly_name", "FriendlyName"),
            ("FriendlyName[]", "FriendlyName"),
            ("status", "Status"),
            ("EventType", "EventTypes"),
            ("RateLimits[ip]", "RateLimits"),
            ("RateLimits.ip", "RateLimits"),
            ("Config.Algorithm", "Config."),
        ] {
            assert_eq!(judge(name), Spelling::Wrong(right), "{name}");
        }
    }

    #[test]
    fn what_nobody_means_by_a_parameter_is_nothing() {
        for name in [
            "",
            ".",
            "[]",
            "\\",
            "_",
            "utm_source",
            "Passkeys.RelyingParty.Id",
            "Über",
            "ſtatuſ",
        ] {
            assert_eq!(judge(name), Spelling::Unknown, "{name}");
        }
    }

    #[test]
    fn the_log_names_what_was_meant() {
        for (name, right) in [
            ("CodeLenght", Some("CodeLength")),
            ("CodLength", Some("CodeLength")),
            ("CodeLengthh", Some("CodeLength")),
            ("FreindlyNmae", Some("FriendlyName")),
            ("FriendlyTitle", None),
            ("Tx", None),
            ("Toe", None),
            ("", None),
            ("correcthorsebattery", None),
        ] {
            assert_eq!(nearest(name), right, "{name}");
        }
    }

    #[test]
    fn values_keep_their_order_and_their_names() {
        let form = Form::parse(b"Details.Fields.0=a&x=1&Details.Fields=b&Details.Fields%5B%5D=c").unwrap();
        let form = settle(form).unwrap();
        assert_eq!(form.all("Details.Fields").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(form.filled("x"), Some("1"));
        assert!(settle(Form::parse(b"a=1&details.fields=x").unwrap()).is_err());
    }
}
