//! Through which doors flows come to the store: one that remembers what a decision rests on, and one that only looks.

use super::source::Source;

/// Where the store is asked by its own name. `reading` is the door; a check of the store looks at entries as they are, those
/// that no record can be made of among them, and decides nothing.
const DOORS: &[&str] = &["check_store", "reading"];

/// What no decision rests on: whether this process has the store to itself, what processes tell each other, and a copy of
/// everything.
const HARMLESS: &[&str] = &[
    ".store.is_exclusive()",
    ".store.keeps_verdicts()",
    ".store.announcements()",
    ".store.export()",
];

/// Where a flow goes past the door, and where it asserts by hand.
pub(super) fn violations(source: &Source) -> Vec<String> {
    let module = source.module();
    let [flows, part, ..] = module.as_slice() else {
        return Vec::new();
    };
    if source.is_test() || *flows != "flows" || DOORS.contains(part) {
        return Vec::new();
    }
    let around = source.code().filter(|(_, line)| {
        let line = HARMLESS
            .iter()
            .fold((*line).to_owned(), |line, harmless| line.replace(harmless, ""));
        let names_store = line
            .split(".store")
            .skip(1)
            .any(|rest| !rest.starts_with(is_name));
        names_store
            || [".assert_at(", ".assert_absent("]
                .iter()
                .any(|by_hand| line.contains(by_hand))
    });
    around
        .map(|(number, _)| {
            let path = source.path();
            format!("{path}:{number}: a flow reads, asserts and commits through a `Reading`")
        })
        .collect()
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        violations(&Source::new(path, text)).len()
    }

    #[test]
    fn the_store_is_reached_through_a_reading_only() {
        for bad in [
            "let entries = app.store.scan(scan).await?;",
            "let entries = app\n    .store\n    .scan(scan)",
            "let store = app.store.as_ref();",
            "match self.app.store.commit(batch).await {",
            "batch = batch.assert_at(key, entry.version);",
        ] {
            assert_eq!(found("src/flows/sweep.rs", bad), 1, "{bad}");
            assert_eq!(found("src/flows/check_store/walk.rs", bad), 0, "{bad}");
            assert_eq!(found("src/flows/reading/mod.rs", bad), 0, "{bad}");
            assert_eq!(found("src/flows/code/tests/world.rs", bad), 0, "{bad}");
            assert_eq!(found("src/cli/store.rs", bad), 0, "{bad}");
        }
        for good in [
            "Some(until) if !app.store.is_exclusive() => until,",
            "use crate::flows::store_format;",
            "let format = self.stored_format;",
        ] {
            assert_eq!(found("src/flows/outbox/rows.rs", good), 0, "{good}");
        }
    }
}
