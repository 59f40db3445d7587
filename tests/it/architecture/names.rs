//! One name, one type: whoever reads a name anywhere knows which type is meant.

use std::collections::BTreeMap;

use super::source::Source;

/// Each area has a refusal of its own; the others are how every command of the command line is written.
const SHARED: &[&str] = &["Args", "Command", "Refusal"];

/// The names that two types have.
pub(super) fn violations(sources: &[Source]) -> Vec<String> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for source in sources {
        for (number, line) in source.code() {
            if let Some(name) = declared(line).filter(|name| !SHARED.contains(name)) {
                let place = format!("{}:{number}", source.path());
                places.entry(name.to_owned()).or_default().push(place);
            }
        }
    }
    let doubled = places.into_iter().filter(|(_, places)| places.len() > 1);
    doubled
        .map(|(name, places)| {
            format!(
                "{name} is the name of {} types: {}",
                places.len(),
                places.join(", ")
            )
        })
        .collect()
}

/// The type that a line declares. Associated types are none of their own.
fn declared(line: &str) -> Option<&str> {
    let item = line.trim_start();
    let item = match item.strip_prefix("pub") {
        Some(rest) if rest.starts_with('(') => rest.split_once(')')?.1,
        Some(rest) => rest,
        None => item,
    };
    let (kind, rest) = item.trim_start().split_once(' ')?;
    let associated = kind == "type" && line.starts_with(' ');
    if associated || !["enum", "struct", "trait", "type"].contains(&kind) {
        return None;
    }
    rest.split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_types_of_one_name_are_found() {
        let text = "pub struct Pair<T>(T);\nenum Kind {}\nimpl X {\n    type Kind = u8;\n}\n";
        let other = "    pub(crate) trait Pair {}\npub enum Refusal {}\n";
        let more = "pub enum Refusal {}\nstruct Pairs;\n";
        let sources = [
            Source::new("src/a.rs", text),
            Source::new("src/b.rs", other),
            Source::new("src/c.rs", more),
        ];
        assert_eq!(
            violations(&sources),
            ["Pair is the name of 2 types: src/a.rs:1, src/b.rs:1"]
        );
    }
}
