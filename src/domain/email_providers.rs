//! What is known of the great providers of mailboxes: how they spell one mailbox in many ways, and that everybody is there.
//!
//! Facts from the providers' own help pages. For limits only: a code that was sent to one spelling proves no other.

/// How a provider spells a mailbox.
struct Provider {
    /// Its domains; mailboxes have the same names in all of them if the first is given twice.
    domains: &'static [&'static str],
    /// Whether a name is the same mailbox in all the domains.
    one_name: bool,
    /// What it drops from names.
    dropped: &'static [char],
}

/// The name and the domain of a mailbox, of all spellings the same; both in lower case, and so is what comes back.
pub(super) fn mailbox(local: &str, domain: &str) -> Option<(String, &'static str)> {
    let provider = PROVIDERS.iter().find(|known| known.domains.contains(&domain))?;
    let known = provider.domains.iter().find(|known| **known == domain)?;
    let domain = if provider.one_name {
        provider.domains.first()?
    } else {
        known
    };
    // A tag alone is a name.
    let (name, _tag) = local.split_once('+').unwrap_or((local, ""));
    let name = if name.is_empty() { local } else { name };
    let short = name.replace(provider.dropped, "");
    Some((if short.is_empty() { name.to_owned() } else { short }, domain))
}

/// Whether mailboxes of everybody are in the domain: what one of its users does says nothing of the others.
pub(super) fn is_public(domain: &str) -> bool {
    PROVIDERS.iter().any(|known| known.domains.contains(&domain))
        || PUBLIC.contains(&domain)
        || domain
            .split_once('.')
            .is_some_and(|(name, ending)| FAMILIES.contains(&name) && is_of_a_country(ending))
}

/// Whether a domain ends in a country's two letters, perhaps with `co` or `com` before them.
fn is_of_a_country(ending: &str) -> bool {
    let country = ending
        .strip_prefix("co.")
        .or_else(|| ending.strip_prefix("com."))
        .unwrap_or(ending);
    country.len() == 2 && country.bytes().all(|letter| letter.is_ascii_lowercase())
}

/// Providers that have a domain in each of many countries.
const FAMILIES: &[&str] = &["gmx", "hotmail", "live", "msn", "outlook", "yahoo"];

/// The domain that somebody registered, of which all below it are his. Without the list of public suffixes it is an
/// approximation: the last two labels, or three below endings such as `co.uk`.
pub(super) fn registered(domain: &str) -> &str {
    let mut dots = domain.rmatch_indices('.').map(|(place, _)| place);
    let (Some(top), second) = (dots.next(), dots.next()) else {
        return domain;
    };
    let Some(second) = second else {
        return domain;
    };
    let ending = &domain[second + 1..top];
    if domain.len() - top == 3 && SECOND_LEVEL.contains(&ending) {
        dots.next().map_or(domain, |third| &domain[third + 1..])
    } else {
        &domain[second + 1..]
    }
}

/// Those that take a tag behind a plus sign.
const PROVIDERS: &[Provider] = &[
    Provider {
        domains: &["gmail.com", "googlemail.com"],
        one_name: true,
        dropped: &['.'],
    },
    Provider {
        domains: &[
            "outlook.com",
            "hotmail.com",
            "live.com",
            "msn.com",
            "hotmail.co.uk",
            "hotmail.de",
            "hotmail.fr",
            "hotmail.it",
            "outlook.de",
            "outlook.fr",
            "live.co.uk",
            "live.nl",
        ],
        one_name: false,
        dropped: &[],
    },
    Provider {
        domains: &["icloud.com", "me.com", "mac.com"],
        one_name: true,
        dropped: &[],
    },
    Provider {
        domains: &["proton.me", "protonmail.com", "pm.me"],
        one_name: true,
        dropped: &['.', '-', '_'],
    },
    Provider {
        domains: &[
            "fastmail.com",
            "fastmail.fm",
            "zoho.com",
            "tutanota.com",
            "hey.com",
        ],
        one_name: false,
        dropped: &[],
    },
    Provider {
        domains: &["yandex.ru", "yandex.com", "ya.ru", "yandex.by", "yandex.kz"],
        one_name: true,
        dropped: &[],
    },
];

/// Others of which everybody may have a mailbox.
const PUBLIC: &[&str] = &[
    // Whoever signs in with Apple and hides the address.
    "privaterelay.appleid.com",
    "mail.com",
    "tuta.com",
    "tuta.io",
    "tutamail.com",
    "cox.net",
    "bellsouth.net",
    "charter.net",
    "rocketmail.com",
    "zohomail.com",
    "rambler.ru",
    "ukr.net",
    "centrum.cz",
    "mail.de",
    "alice.it",
    "yahoo.com",
    "ymail.com",
    "aol.com",
    "gmx.net",
    "gmx.com",
    "web.de",
    "t-online.de",
    "freenet.de",
    "mail.ru",
    "bk.ru",
    "list.ru",
    "inbox.ru",
    "qq.com",
    "163.com",
    "126.com",
    "sina.com",
    "foxmail.com",
    "naver.com",
    "daum.net",
    "hanmail.net",
    "docomo.ne.jp",
    "ezweb.ne.jp",
    "au.com",
    "softbank.ne.jp",
    "softbank.jp",
    "orange.fr",
    "wanadoo.fr",
    "free.fr",
    "laposte.net",
    "sfr.fr",
    "libero.it",
    "virgilio.it",
    "tiscali.it",
    "seznam.cz",
    "wp.pl",
    "o2.pl",
    "onet.pl",
    "interia.pl",
    "uol.com.br",
    "bol.com.br",
    "terra.com.br",
    "comcast.net",
    "verizon.net",
    "att.net",
    "sbcglobal.net",
    "btinternet.com",
    "rediffmail.com",
    "bluewin.ch",
    "telenet.be",
    "ziggo.nl",
    "kpnmail.nl",
    "telia.com",
    "mailbox.org",
    "posteo.de",
];

/// What stands before a country's letters in endings below which names are registered.
const SECOND_LEVEL: &[&str] = &[
    "ac", "ad", "co", "com", "edu", "go", "gob", "gouv", "gov", "gr", "id", "in", "ltd", "me", "mil", "ne",
    "net", "nom", "or", "org", "plc", "sch",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_mailbox_are_known() {
        let spelled = |local: &str, domain: &str| {
            mailbox(local, domain).map(|(name, domain)| format!("{name}@{domain}"))
        };
        for (local, domain, expected) in [
            ("a.d.a+shop", "googlemail.com", "ada@gmail.com"),
            ("ada", "gmail.com", "ada@gmail.com"),
            ("ada.l+x+y", "outlook.com", "ada.l@outlook.com"),
            ("ada", "hotmail.com", "ada@hotmail.com"),
            ("ada+1", "me.com", "ada@icloud.com"),
            ("a-d_a", "pm.me", "ada@proton.me"),
            ("+ada", "gmail.com", "+ada@gmail.com"),
            ("...", "gmail.com", "...@gmail.com"),
        ] {
            assert_eq!(spelled(local, domain).as_deref(), Some(expected));
        }
        assert_eq!(spelled("a.b+c", "example.com"), None);
    }

    #[test]
    fn where_everybody_has_mailboxes_is_known_in_each_country() {
        for public in [
            "gmail.com",
            "privaterelay.appleid.com",
            "yahoo.ca",
            "yahoo.co.jp",
            "yahoo.com.br",
            "hotmail.nl",
            "live.fr",
            "outlook.jp",
            "gmx.at",
        ] {
            assert!(is_public(public), "{public}");
        }
        for private in [
            "example.com",
            "yahoo.example",
            "live.example.nl",
            "appleid.com",
            "hotmail",
            "notyahoo.ca",
        ] {
            assert!(!is_public(private), "{private}");
        }
    }

    #[test]
    fn what_is_below_a_registered_domain_is_its_owners() {
        for (domain, expected) in [
            ("example.com", "example.com"),
            ("a.b.example.com", "example.com"),
            ("example.co.uk", "example.co.uk"),
            ("a.example.co.uk", "example.co.uk"),
            ("mail.example.de", "example.de"),
            ("co.uk", "co.uk"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(registered(domain), expected);
        }
    }
}
