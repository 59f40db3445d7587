//! How much is logged, by the module that says it.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// A level for all, and others for some modules of this program: `info,countersign::decision=off,countersign::store=debug`.
///
/// What libraries would write at the finer levels may quote requests, and so what is secret: nothing turns that on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirectives {
    all: LevelFilter,
    /// The longest name that fits counts.
    modules: Vec<(String, LevelFilter)>,
}

/// In which form lines are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// An object on each line.
    Json,
}

impl LogDirectives {
    /// This level for all.
    #[must_use]
    pub fn of(all: LevelFilter) -> Self {
        let modules = Vec::new();
        Self { all, modules }
    }

    /// Reads directives; `None` unless each is a level, or a module of this program and a level.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (mut all, mut modules) = (None, Vec::new());
        for directive in text.split(',').map(str::trim) {
            match directive.split_once('=') {
                None if all.is_none() => all = Some(level(directive)?),
                None => return None,
                Some((module, of_it)) => {
                    let is_ours = module == OURS || module.starts_with(&format!("{OURS}::"));
                    let is_name =
                        |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':';
                    if !is_ours || !module.chars().all(is_name) {
                        return None;
                    }
                    modules.push((module.to_owned(), level(of_it)?));
                }
            }
        }
        Some(Self {
            all: all.unwrap_or(LevelFilter::INFO),
            modules,
        })
    }

    /// The same, but nothing that is finer than `most`.
    #[must_use]
    pub fn at_most(&self, most: LevelFilter) -> Self {
        let modules = self.modules.iter();
        Self {
            all: self.all.min(most),
            modules: modules
                .map(|(module, level)| (module.clone(), (*level).min(most)))
                .collect(),
        }
    }

    /// Which lines are let through.
    #[must_use]
    pub fn targets(&self) -> Targets {
        let modules = self
            .modules
            .iter()
            .map(|(module, level)| (module.as_str(), *level));
        Targets::new().with_target(OURS, self.all).with_targets(modules)
    }
}

fn level(text: &str) -> Option<LevelFilter> {
    match text {
        "off" => Some(LevelFilter::OFF),
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

/// How all modules of this program begin.
const OURS: &str = env!("CARGO_CRATE_NAME");

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn a_level_is_for_all_and_others_for_some_modules() {
        let directives =
            LogDirectives::parse("warn, countersign::decision=info,countersign::store=trace").unwrap();
        let targets = directives.targets();
        for (module, level, is_let_through) in [
            ("countersign::decision", Level::INFO, true),
            ("countersign::decision", Level::DEBUG, false),
            ("countersign::store::sled::open", Level::TRACE, true),
            ("countersign::flows", Level::WARN, true),
            ("countersign::flows", Level::INFO, false),
            ("hyper::client", Level::ERROR, false),
        ] {
            assert_eq!(
                targets.would_enable(module, &level),
                is_let_through,
                "{module} {level}"
            );
        }
        let quiet = directives.at_most(LevelFilter::WARN).targets();
        assert!(!quiet.would_enable("countersign::decision", &Level::INFO));
        assert!(quiet.would_enable("countersign::store", &Level::WARN));
    }

    #[test]
    fn modules_of_libraries_and_what_is_no_directive_are_refused() {
        for text in [
            "",
            "loud",
            "info,debug",
            "hyper=trace",
            "countersignal=info",
            "countersign::store",
            "countersign::a[b]=info",
        ] {
            assert_eq!(LogDirectives::parse(text), None, "{text}");
        }
    }
}
