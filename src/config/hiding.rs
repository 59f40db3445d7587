//! What of a setting's value may be shown to whoever reads over the operator's shoulder, or the ticket that it is pasted into.

/// What of a value may be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShownPart {
    /// It is a secret.
    Nothing,
    /// The program of a command line: a secret may be among its arguments.
    Program,
    Whole,
    /// A path, or a URL that a password may be in.
    WithoutPassword,
}

impl ShownPart {
    /// What is shown of `text`.
    pub(super) fn of(self, text: &str) -> String {
        match self {
            Self::Nothing => HIDDEN.to_owned(),
            Self::Program => match text.split_once(char::is_whitespace) {
                Some((program, _)) => format!("{program} {HIDDEN}"),
                None => text.to_owned(),
            },
            Self::Whole => text.to_owned(),
            Self::WithoutPassword => without_password(text),
        }
    }
}

/// The text without what may be a password: behind the user's name, or a parameter. Rather too little is shown than too much, as
/// whoever writes a password into a URL seldom encodes it.
fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        // A path, unless it is what libpq takes besides: words such as password=...
        return if text.contains('=') {
            HIDDEN.to_owned()
        } else {
            text.to_owned()
        };
    };
    let (address, parameters) = if let Some((user, place)) = rest.rsplit_once('@') {
        let name = user.split([':', '/', '?', '#']).next().unwrap_or_default();
        let password = if name == user { "" } else { ":(hidden)" };
        let (place, parameters) = parted(place);
        (format!("{name}{password}@{place}"), parameters)
    } else {
        let (place, parameters) = parted(rest);
        (place.to_owned(), parameters)
    };
    let parameters = parameters.map_or_else(String::new, |all| format!("?{}", harmless(all)));
    format!("{scheme}://{address}{parameters}")
}

fn parted(place: &str) -> (&str, Option<&str>) {
    place
        .split_once('?')
        .map_or((place, None), |(place, all)| (place, Some(all)))
}

/// The parameters with the values of those alone that say nothing secret.
fn harmless(parameters: &str) -> String {
    let shown = parameters
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if !HARMLESS.contains(&name) => format!("{name}={HIDDEN}"),
            Some(_) => parameter.to_owned(),
            None => HIDDEN.to_owned(),
        });
    shown.collect::<Vec<_>>().join("&")
}

/// What stands for a value that is not shown.
pub(super) const HIDDEN: &str = "(hidden)";

/// The parameters of libpq that operators look for most.
const HARMLESS: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "passfile",
    "port",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "user",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_a_url_is_not_shown_however_it_stands_there() {
        for (url, shown) in [
            ("postgres://db.example/c", "postgres://db.example/c"),
            ("postgres://u@db.example/c", "postgres://u@db.example/c"),
            (
                "postgres://u:hunter2@db.example/c",
                "postgres://u:(hidden)@db.example/c",
            ),
            ("postgres://u:hun@ter2@db/c", "postgres://u:(hidden)@db/c"),
            ("postgres://u:hunter2/@db/c", "postgres://u:(hidden)@db/c"),
            ("postgres://u:?hunter2#@db/c", "postgres://u:(hidden)@db/c"),
            (
                "postgres://u@a,b:5433/c?sslmode=require",
                "postgres://u@a,b:5433/c?sslmode=require",
            ),
            (
                "postgres://u@db/c?password=hunter2&sslmode=require",
                "postgres://u@db/c?password=(hidden)&sslmode=require",
            ),
            (
                "postgres://u@db/c?pass%77ord=hunter2",
                "postgres://u@db/c?pass%77ord=(hidden)",
            ),
            ("postgres://u@db/c?hunter2", "postgres://u@db/c?(hidden)"),
            ("host=db password=hunter2", "(hidden)"),
            ("/var/lib/witness", "/var/lib/witness"),
        ] {
            assert_eq!(ShownPart::WithoutPassword.of(url), shown, "{url}");
        }
        assert_eq!(ShownPart::Program.of("vault read hunter2"), "vault (hidden)");
        assert_eq!(ShownPart::Program.of("get-key"), "get-key");
        assert_eq!(ShownPart::Nothing.of("hunter2"), "(hidden)");
    }
}
