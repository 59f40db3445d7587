//! What a run prints: a few aligned lines, or one JSON object.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde_json::{Map, Value};

use super::load::LoadOutcome;

/// The figures of one run, in the order in which they are printed.
pub(super) struct Report {
    figures: Map<String, Value>,
    sample_error: Option<String>,
}

impl Report {
    pub(super) fn new(outcome: &LoadOutcome) -> Self {
        let mut report = Self {
            figures: Map::new(),
            sample_error: outcome.sample_error.clone(),
        };
        report.figure("requests_per_second", outcome.per_second(), 1);
        report.figure("p50_ms", outcome.latencies.quantile_ms(500), 3);
        report.figure("p99_ms", outcome.latencies.quantile_ms(990), 3);
        report.fact("errors", outcome.errors);
        report.fact("successes", outcome.latencies.count());
        report.figure("seconds", outcome.elapsed.as_secs_f64(), 3);
        report.fact("ran_out", outcome.ran_out);
        report
    }

    /// The report of a run whose measurements are pairs of requests.
    pub(super) fn of_pairs(outcome: &LoadOutcome) -> Self {
        let mut report = Self::new_of(outcome.sample_error.clone());
        report.figure("pairs_per_second", outcome.per_second(), 1);
        report.figure("requests_per_second", 2.0 * outcome.per_second(), 1);
        report.figure("p50_ms", outcome.latencies.quantile_ms(500), 3);
        report.figure("p99_ms", outcome.latencies.quantile_ms(990), 3);
        report.fact("errors", outcome.errors);
        report.fact("pairs", outcome.latencies.count());
        report.figure("seconds", outcome.elapsed.as_secs_f64(), 3);
        report
    }

    /// A report without figures yet; `sample_error` is one of the errors, if there were any.
    pub(super) fn new_of(sample_error: Option<String>) -> Self {
        Self {
            figures: Map::new(),
            sample_error,
        }
    }

    /// Adds a measured number with this many decimals.
    pub(super) fn figure(&mut self, name: &str, value: f64, decimals: i32) {
        let scale = 10_f64.powi(decimals);
        self.fact(name, (value * scale).round() / scale);
    }

    /// Adds a control that was measured in the same run, and what part of it the requests reached.
    pub(super) fn ratio(&mut self, name: &str, control_name: &str, control: f64) {
        let reached = self.figures["requests_per_second"].as_f64().unwrap_or_default();
        self.figure(control_name, control, 1);
        self.figure(&format!("{name}_ratio"), reached / control.max(f64::EPSILON), 3);
    }

    /// Adds anything else.
    pub(super) fn fact(&mut self, name: &str, value: impl Into<Value>) {
        self.figures.insert(name.to_owned(), value.into());
    }

    /// Prints the report. Errors among the answers are an error of the command, after the report.
    pub(super) fn print(self, json: bool) -> Result<(), String> {
        let mut out = io::stdout().lock();
        let text = if json {
            format!("{}\n", Value::Object(self.figures.clone()))
        } else {
            self.aligned()
        };
        out.write_all(text.as_bytes())
            .map_err(|error| format!("cannot write the output: {error}"))?;
        match self.sample_error {
            Some(sample) => Err(format!("not every answer was a success, for instance: {sample}")),
            None => Ok(()),
        }
    }

    fn aligned(&self) -> String {
        let width = self.figures.keys().map(String::len).max().unwrap_or(0);
        let mut text = String::new();
        for (name, value) in &self.figures {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{:<width$}  {value}", name.replace('_', " "));
        }
        if self.figures.get("ran_out") == Some(&Value::Bool(true)) {
            text.push_str("Everything that the set-up made was used before the time was up; the rate is that of the shorter time.\n");
        }
        text
    }
}
