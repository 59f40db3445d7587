//! What a statement does, by its words.

/// What a statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Begin,
    Change,
    Commit,
    Read,
    Rollback,
    /// Nothing that concerns data.
    Session,
}

impl Effect {
    pub(super) fn of(statement: &[u8]) -> Self {
        let text = String::from_utf8_lossy(statement).to_uppercase();
        let mut words = text
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty());
        match words.next().unwrap_or_default() {
            "BEGIN" | "START" => Self::Begin,
            "COMMIT" | "END" => Self::Commit,
            // To a savepoint.
            "ROLLBACK" if words.any(|word| word == "TO") => Self::Session,
            "ABORT" | "ROLLBACK" => Self::Rollback,
            first if OF_SESSIONS.contains(&first) => Self::Session,
            first if CHANGING.contains(&first) || words.any(|word| CHANGING.contains(&word)) => Self::Change,
            _ => Self::Read,
        }
    }

    /// The effects of a text of several statements. A text with a semicolon in it is taken for two.
    pub(super) fn of_all(statements: &[u8]) -> Vec<Self> {
        let statements = statements.split(|byte| *byte == b';');
        statements
            .filter(|statement| !statement.trim_ascii().is_empty())
            .map(Self::of)
            .collect()
    }

    pub(super) fn concerns_data(self) -> bool {
        matches!(self, Self::Change | Self::Read)
    }
}

const CHANGING: [&str; 9] = [
    "ALTER", "COPY", "CREATE", "DELETE", "DROP", "INSERT", "MERGE", "TRUNCATE", "UPDATE",
];

const OF_SESSIONS: [&str; 11] = [
    "CLOSE",
    "DEALLOCATE",
    "DISCARD",
    "LISTEN",
    "PREPARE",
    "RELEASE",
    "RESET",
    "SAVEPOINT",
    "SET",
    "SHOW",
    "UNLISTEN",
];
