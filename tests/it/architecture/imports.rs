//! Which module may name which. Tests may look further: nothing is built on them.

use std::collections::BTreeSet;

use super::source::Source;

/// What the files below a module may name of this crate, and of others. A name stands for all that is below it.
struct Rule {
    module: &'static str,
    ours: &'static [&'static str],
    never: &'static [&'static str],
}

/// The first rule whose module the file is below holds. A module may always name itself.
const RULES: &[Rule] = &[
    Rule {
        module: "domain",
        ours: &[],
        never: &[
            "axum",
            "hyper",
            "hyper_util",
            "reqwest",
            "rmp_serde",
            "serde_json",
            "deadpool_postgres",
            "sled",
            "tokio_postgres",
            // What changes behind a shared reference is something that a process remembers: `memory`.
            "std::cell",
            "std::sync::Condvar",
            "std::sync::Mutex",
            "std::sync::OnceLock",
            "std::sync::RwLock",
            "std::sync::atomic",
            "tokio",
            "tower",
        ],
    },
    Rule {
        module: "memory",
        ours: &["domain"],
        never: &[
            "axum",
            "hyper",
            "reqwest",
            "deadpool_postgres",
            "sled",
            "tokio_postgres",
        ],
    },
    // It vouches for entries; engines know bytes only.
    Rule {
        module: "store::authentic",
        ours: &["crypto", "domain", "store"],
        never: &["axum", "hyper", "reqwest"],
    },
    Rule {
        module: "store::transfer::verify",
        ours: &["crypto", "domain", "store"],
        never: &["axum", "hyper", "reqwest"],
    },
    Rule {
        module: "store",
        ours: &["domain"],
        never: &["axum", "hyper", "reqwest"],
    },
    Rule {
        module: "crypto",
        ours: &["domain"],
        never: &[
            "axum",
            "hyper",
            "reqwest",
            "deadpool_postgres",
            "sled",
            "tokio_postgres",
            "tokio",
        ],
    },
    // The one HTTP client of all deliveries.
    Rule {
        module: "delivery::http",
        ours: &["delivery", "domain"],
        never: &["axum", "deadpool_postgres", "sled", "tokio_postgres"],
    },
    Rule {
        module: "delivery",
        ours: &["crypto", "domain"],
        never: &[
            "axum",
            "reqwest::Client",
            "reqwest::ClientBuilder",
            "deadpool_postgres",
            "sled",
            "tokio_postgres",
        ],
    },
    Rule {
        module: "app",
        ours: &["crypto", "delivery", "domain", "memory", "store"],
        never: &[
            "axum",
            "hyper",
            "deadpool_postgres",
            "sled",
            "tokio_postgres",
            "std::sync::Mutex",
            "std::sync::atomic",
            "tokio",
        ],
    },
    Rule {
        module: "flows",
        ours: &["app", "crypto", "delivery", "domain", "memory", "store"],
        never: &[
            "axum",
            "hyper",
            "reqwest",
            "deadpool_postgres",
            "sled",
            "tokio_postgres",
        ],
    },
    // At its root is the seam between dialects and the server, which imports less: see `problem`.
    Rule {
        module: "dialect",
        ours: &["app", "crypto", "domain", "flows", "web"],
        never: &["deadpool_postgres", "sled", "tokio_postgres"],
    },
    Rule {
        module: "web",
        ours: &["app", "dialect", "domain", "flows", "manual", "memory"],
        never: &["deadpool_postgres", "sled", "tokio_postgres"],
    },
    Rule {
        module: "config",
        // What the file says of senders is what senders are built of.
        ours: &["app", "crypto", "delivery", "domain"],
        never: &["axum", "hyper", "deadpool_postgres", "sled", "tokio_postgres"],
    },
    Rule {
        module: "server",
        ours: &["dialect", "domain", "web"],
        never: &["deadpool_postgres", "sled", "tokio_postgres"],
    },
    // Text, which anybody may show.
    Rule {
        module: "manual",
        ours: &[],
        never: &[
            "axum",
            "hyper",
            "reqwest",
            "deadpool_postgres",
            "sled",
            "tokio_postgres",
            "tokio",
        ],
    },
    // The commands wire everything together.
    Rule {
        module: "cli",
        ours: &[
            "app", "config", "crypto", "delivery", "dialect", "domain", "flows", "manual", "memory",
            "server", "store", "web",
        ],
        never: &["deadpool_postgres", "sled", "tokio_postgres"],
    },
];

/// What a file names that it must not.
pub(super) fn violations(source: &Source) -> Vec<String> {
    if source.is_test() {
        return Vec::new();
    }
    let module = source.module();
    if module.is_empty() {
        return Vec::new();
    }
    let Some(rule) = RULES.iter().find(|rule| is_below(&module, rule.module)) else {
        return vec![format!(
            "{}: no rule says what this module may import",
            source.path()
        )];
    };
    let mut violations = BTreeSet::new();
    for (line, code) in statements(source) {
        for path in paths(&code) {
            let path = absolute(&module, &path);
            if let Some(problem) = problem(rule, &module, &path) {
                violations.insert(format!("{}:{line}: {problem}", source.path()));
            }
        }
    }
    violations.into_iter().collect()
}

fn problem(rule: &Rule, module: &[&str], path: &[String]) -> Option<String> {
    match path {
        [root, ours, rest @ ..] if root == "crate" => {
            let known = RULES.iter().any(|rule| rule.module == ours);
            if known && ours != rule.module && !rule.ours.contains(&ours.as_str()) {
                return Some(format!("`{}` must not import `{ours}`", rule.module));
            }
            if ours == "dialect" {
                return beyond_the_seam(rule.module, module.get(1).copied(), rest.first()?);
            }
            let seam = rule.module == "dialect" && !module.get(1).is_some_and(|own| is_dialect(own));
            (seam && known && ours != "dialect").then(|| format!("the seam must not import `{ours}`"))
        }
        _ => {
            let foreign = rule.never.iter().find(|name| is_below(path, name))?;
            Some(format!("`{}` must not import `{foreign}`", rule.module))
        }
    }
}

/// Whether `path` is `name` or something below it.
fn is_below(path: &[impl AsRef<str>], name: &str) -> bool {
    let mut path = path.iter();
    name.split("::")
        .all(|part| path.next().is_some_and(|given| given.as_ref() == part))
}

/// What is wrong with naming `name` of the module `dialect`: its root is the seam, which dialects, `web` and `server` are
/// built on; what is below a dialect's name is that dialect's, and for the commands to wire.
fn beyond_the_seam(module: &str, own: Option<&str>, name: &str) -> Option<String> {
    match module {
        _ if !is_dialect(name) || own == Some(name) => None,
        "web" | "server" => Some(format!("`{module}` must not know the dialect `{name}`")),
        "dialect" => own
            .filter(|own| is_dialect(own))
            .map(|own| format!("the dialect `{own}` must not import the dialect `{name}`")),
        _ => None,
    }
}

/// Whether the part of `dialect` with this name is a dialect: all but the types of the seam and the files they are in.
fn is_dialect(name: &str) -> bool {
    let seam = ["failure", "progress", "stream"];
    name.starts_with(|c: char| c.is_ascii_lowercase()) && !seam.contains(&name) && name != "self"
}

/// The lines of the code, those of a `use` statement joined.
pub(super) fn statements(source: &Source) -> Vec<(usize, String)> {
    let mut joined: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (number, line) in source.code() {
        let trimmed = line.trim();
        match joined.last_mut() {
            Some((_, statement)) if open => statement.push_str(trimmed),
            _ => joined.push((number, trimmed.to_owned())),
        }
        let begins = trimmed
            .trim_start_matches("pub ")
            .trim_start_matches("pub(crate) ")
            .starts_with("use ");
        open = (open || begins) && !trimmed.ends_with(';');
    }
    joined
}

/// All paths of a line, `use` trees taken apart.
pub(super) fn paths(line: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(start) = rest.find(is_name) {
        let (path, behind) = path(&rest[start..]);
        rest = behind;
        match rest.strip_prefix('{') {
            Some(tree) if path.last().is_some_and(String::is_empty) => {
                let end = closing(tree);
                let branches = paths(&tree[..end]).into_iter();
                found.extend(branches.map(|branch| [&path[..path.len() - 1], &branch].concat()));
                rest = &tree[end..];
            }
            _ => found.push(path),
        }
    }
    found
}

/// The path at the front, and what is behind it. It ends in an empty name if a tree follows.
fn path(text: &str) -> (Vec<String>, &str) {
    let mut names = Vec::new();
    let mut rest = text;
    loop {
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        names.push(rest[..end].to_owned());
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(behind) => rest = behind,
            None => return (names, rest),
        }
        if names.last().is_some_and(String::is_empty) {
            return (names, rest);
        }
    }
}

fn closing(tree: &str) -> usize {
    let mut depth = 1;
    for (at, c) in tree.char_indices() {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return at;
        }
    }
    tree.len()
}

/// A path with `self` and `super` at its front resolved.
pub(super) fn absolute(module: &[&str], path: &[String]) -> Vec<String> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    let here = path.first().is_some_and(|name| name == "self");
    if supers == 0 && !here {
        return path.to_vec();
    }
    let kept = &module[..module.len().saturating_sub(supers)];
    let front = std::iter::once("crate".to_owned()).chain(kept.iter().map(|&name| name.to_owned()));
    front
        .chain(path[supers + usize::from(here)..].iter().cloned())
        .collect()
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        violations(&Source::new(path, text))
    }

    #[test]
    fn the_domain_imports_nothing() {
        let path = "src/domain/factor/totp.rs";
        assert_eq!(
            found(
                path,
                "use serde::Serialize;\nuse crate::domain::time::Timestamp;\nuse super::Factor;"
            ),
            [""; 0]
        );
        for bad in [
            "use crate::store::Store;",
            "use crate::flows::{self, Error};",
            "use axum::http::StatusCode;",
            "use tokio::sync::Mutex;",
            "use sled::Db;",
            "use std::sync::{Arc, Mutex};",
            "use std::sync::atomic::AtomicU64;",
            "struct Count(std::sync::atomic::AtomicU64);",
            "use serde_json::{Map, Value};",
            "let x = serde_json::json!({});",
            "use super::super::super::store::Store;",
            "    fn f(store: &dyn crate::store::Store) {}",
            "pub(crate) use crate::{\n    domain::time::Timestamp,\n    store::{keys, records},\n};",
        ] {
            assert_eq!(found(path, bad).len(), 1, "{bad}: {:?}", found(path, bad));
        }
    }

    #[test]
    fn tests_may_look_further() {
        let text = "//! Time.\n\n#[cfg(test)]\nmod tests {\n    use serde_json::Value;\n}\n";
        assert_eq!(found("src/domain/time.rs", text), [""; 0]);
        assert_eq!(
            found(
                "src/store/sled/tests/opening.rs",
                "use crate::crypto::vault::Vault;"
            ),
            [""; 0]
        );
    }

    #[test]
    fn comments_and_texts_of_documentation_are_no_imports() {
        let text = "//! See [`crate::store`].\n/// As `crate::flows` says.\nfn f() {} // crate::web";
        assert_eq!(found("src/domain/time.rs", text), [""; 0]);
    }

    #[test]
    fn the_store_and_crypto_do_not_know_each_other() {
        assert_eq!(
            found("src/store/records.rs", "use crate::crypto::vault::Vault;"),
            ["src/store/records.rs:1: `store` must not import `crypto`"]
        );
        assert_eq!(
            found("src/crypto/vault.rs", "\nuse crate::store::keys;"),
            ["src/crypto/vault.rs:2: `crypto` must not import `store`"]
        );
        assert_eq!(
            found(
                "src/store/sled/open.rs",
                "use sled::Db;\nuse super::super::Store;"
            ),
            [""; 0]
        );
        assert_eq!(found("src/store/keys.rs", "use crate::flows::Error;").len(), 1);
    }

    #[test]
    fn deliveries_share_one_http_client() {
        let client = "use reqwest::{Client, Response};\nuse crate::delivery::trust::Authorities;";
        assert_eq!(found("src/delivery/http/mod.rs", client), [""; 0]);
        assert_eq!(
            found("src/delivery/webhook/mod.rs", client),
            ["src/delivery/webhook/mod.rs:1: `delivery` must not import `reqwest::Client`"]
        );
    }

    #[test]
    fn flows_know_no_http_and_nobody_who_calls_them() {
        let path = "src/flows/sweep.rs";
        assert_eq!(
            found(path, "use crate::{app::App, store::{Batch, keys}};"),
            [""; 0]
        );
        for bad in [
            "use crate::dialect::twilio::Form;",
            "use crate::web::body;",
            "use axum::Json;",
        ] {
            assert_eq!(found(path, bad).len(), 1, "{bad}");
        }
    }

    #[test]
    fn dialects_know_neither_each_other_nor_the_store() {
        let path = "src/dialect/twilio/call.rs";
        assert_eq!(
            found(path, "use crate::dialect::twilio::Form;\nuse super::form::Form;"),
            [""; 0]
        );
        assert_eq!(
            found(path, "use crate::dialect::vonage::wire;"),
            ["src/dialect/twilio/call.rs:1: the dialect `twilio` must not import the dialect `vonage`"]
        );
        assert_eq!(found(path, "use super::super::vonage::wire;").len(), 1);
        assert_eq!(found(path, "use crate::store::Order;").len(), 1);
        assert_eq!(
            found("src/dialect/mod.rs", "pub mod twilio;\nuse self::twilio::Form;"),
            [""; 0]
        );
    }

    #[test]
    fn the_server_and_the_web_know_the_seam_and_no_dialect() {
        for path in ["src/server/http1.rs", "src/web/boundary.rs"] {
            assert_eq!(
                found(
                    path,
                    "use crate::dialect::{Drain, RequestStage};\nuse crate::dialect::Http;"
                ),
                [""; 0]
            );
            for bad in [
                "use crate::dialect::twilio::Failures;",
                "use crate::dialect::{Http, twilio};",
                "let x = crate::dialect::vonage::dialect();",
            ] {
                assert_eq!(found(path, bad).len(), 1, "{bad}");
            }
        }
    }

    #[test]
    fn the_seam_imports_neither_the_server_nor_the_web() {
        for path in ["src/dialect/mod.rs", "src/dialect/failure.rs"] {
            assert_eq!(
                found(path, "use super::RequestStage;\nuse axum::Router;"),
                [""; 0]
            );
            for bad in [
                "use crate::web::body;",
                "use crate::flows::Error;",
                "use crate::server::run;",
            ] {
                assert_eq!(found(path, bad).len(), 1, "{path}: {bad}");
            }
        }
    }

    #[test]
    fn a_module_without_a_rule_is_found() {
        assert_eq!(
            found("src/gateway/mod.rs", ""),
            ["src/gateway/mod.rs: no rule says what this module may import"]
        );
        assert_eq!(found("src/lib.rs", "pub mod app;"), [""; 0]);
    }

    #[test]
    fn trees_are_taken_apart() {
        let tree = "use crate::{a::{b, c::d}, e::*, f as g};";
        let expected = ["use", "crate::a::b", "crate::a::c::d", "crate::e", "crate::f"];
        let found: Vec<String> = paths(tree).iter().map(|path| path.join("::")).collect();
        for path in expected {
            assert!(
                found.iter().any(|found| found.trim_end_matches(':') == path),
                "{path}: {found:?}"
            );
        }
    }
}
