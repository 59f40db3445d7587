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
    for name in form.names() {
        if let Spelling::Wrong(right) = judge(name) {
            return Err(ApiError::misspelt(name, right));
        }
    }
    Ok(form.renamed(|name| match judge(name) {
        Spelling::Meant(meant) => Some(meant),
        Spelling::Exact | Spelling::Unknown | Spelling::Wrong(_) => None,
    }))
}

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
    fn values_keep_their_order_and_their_names() {
        let form = Form::parse(b"Details.Fields.0=a&x=1&Details.Fields=b&Details.Fields%5B%5D=c").unwrap();
        let form = settle(form).unwrap();
        assert_eq!(form.all("Details.Fields").collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(form.filled("x"), Some("1"));
        assert!(settle(Form::parse(b"a=1&details.fields=x").unwrap()).is_err());
    }
}
