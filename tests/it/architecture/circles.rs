//! Which parts of `flows` build on which: none on itself by way of others.

use std::collections::{BTreeMap, BTreeSet};

use super::imports::{absolute, paths, statements};
use super::source::Source;

/// For each part of `flows`, the parts that it names.
struct Imports<'a>(BTreeMap<&'a str, BTreeSet<&'a str>>);

/// What is no use case but serves all of them; it names none.
const PLUMBING: &[&str] = &["error", "page", "reading", "retry"];

/// The circles of the parts of `flows`, and what `outbox` and the plumbing name although they must not.
pub(super) fn violations(sources: &[Source]) -> Vec<String> {
    let imports = Imports::of(sources);
    let mut violations: Vec<_> = imports.0.keys().filter_map(|part| imports.circle(part)).collect();
    for (part, named) in &imports.0 {
        for other in named.iter().filter(|other| !PLUMBING.contains(other)) {
            if *part == "outbox" || PLUMBING.contains(part) {
                violations.push(format!(
                    "`flows::{part}` must import no other flow, and imports `{other}`"
                ));
            }
        }
    }
    violations
}

impl<'a> Imports<'a> {
    fn of(sources: &'a [Source]) -> Self {
        let flows = sources.iter().filter(|source| !source.is_test());
        let modules = flows.map(|source| (source, source.module()));
        let inner: Vec<_> = modules
            .filter(|(_, module)| module.len() > 1 && module[0] == "flows")
            .collect();
        let mut imports: BTreeMap<&str, BTreeSet<&str>> = inner
            .iter()
            .map(|(_, module)| (module[1], BTreeSet::new()))
            .collect();
        let parts: BTreeSet<&str> = imports.keys().copied().collect();
        for (source, module) in &inner {
            for path in statements(source).iter().flat_map(|(_, code)| paths(code)) {
                if let [root, flows, part, ..] = absolute(module, &path).as_slice()
                    && (root == "crate" && flows == "flows" && part != module[1])
                    && let Some(part) = parts.get(part.as_str())
                {
                    imports.entry(module[1]).or_default().insert(part);
                }
            }
        }
        Self(imports)
    }

    /// The shortest way from `part` back to it, if there is one and no part of it comes before `part` in the alphabet: each
    /// circle is told once.
    fn circle(&self, part: &'a str) -> Option<String> {
        let mut ways: Vec<Vec<&str>> = vec![vec![part]];
        let mut seen = BTreeSet::new();
        while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in &ways {
                for next in way.last().and_then(|last| self.0.get(last)).into_iter().flatten() {
                    if *next == part {
                        return Some(format!(
                            "flows go round in a circle: {} -> {part}",
                            way.join(" -> ")
                        ));
                    }
                    if *next > part && seen.insert(*next) {
                        longer.push([way.as_slice(), &[next]].concat());
                    }
                }
            }
            ways = longer;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<_> = files
            .iter()
            .map(|(path, text)| Source::new(&format!("src/flows/{path}"), text))
            .collect();
        violations(&sources)
    }

    #[test]
    fn a_circle_is_told_once_whatever_it_is_named_by() {
        let circle = [
            ("a.rs", "use crate::flows::{Error, b::start};"),
            ("b/mod.rs", "pub use super::c::end;"),
            ("c/inner.rs", "fn f() { super::super::a::begin() }"),
        ];
        assert_eq!(found(&circle), ["flows go round in a circle: a -> b -> c -> a"]);
        assert_eq!(found(&circle[..2]), [""; 0]);
    }

    #[test]
    fn what_is_no_import_makes_no_circle() {
        let files = [
            ("mod.rs", "pub mod a;\npub mod b;\npub use self::a::A;"),
            (
                "a/mod.rs",
                "mod inner;\nuse self::inner::X;\nuse crate::flows::b::B;",
            ),
            ("a/inner.rs", "use super::Y;\nuse crate::flows::a::Z;"),
            (
                "b.rs",
                "//! See [`crate::flows::a`].\n#[cfg(test)]\nmod tests {\n    use crate::flows::a::A;\n}",
            ),
            ("b/tests/mod.rs", "use crate::flows::a::A;"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn the_outbox_imports_no_other_flow() {
        let files = [
            ("code.rs", ""),
            ("page.rs", ""),
            (
                "outbox/rows.rs",
                "use crate::flows::page::Page;\nuse crate::flows::Error;\nuse crate::flows::code::send;",
            ),
        ];
        assert_eq!(
            found(&files),
            ["`flows::outbox` must import no other flow, and imports `code`"]
        );
    }
}
