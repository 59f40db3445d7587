//! Whether a server serves, and why not: for load balancers a status, for people a line, for programs JSON.

use std::fmt;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde_json::json;

use super::failure::CountedAs;
use super::rpc::ServerHealth;
use crate::domain::machine::MachineWarning;
use crate::domain::store_condition::LowSpace;

/// Whether requests are to be sent here, and what to look at before they are not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// Why not; nothing if they are.
    pub(crate) unready: Vec<Unready>,
    pub(crate) warnings: Vec<MachineWarning>,
}

/// Why no requests are to be sent here. What else is known of it stands in the log: these may be read by more people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unready {
    ClockIsWrong,
    DiskIsFull(LowSpace),
    Ending,
    Starting,
    StoreFailed,
    StoreIsSilent,
    StoreTakesNoChange,
}

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadinessForm {
    Json,
    Text,
}

impl Readiness {
    /// Ready, and nothing to warn of.
    pub(crate) fn ready() -> Self {
        Self {
            unready: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Not, and for this reason alone.
    pub(crate) fn not(unready: Unready) -> Self {
        Self {
            unready: vec![unready],
            warnings: Vec::new(),
        }
    }

    /// The same in fewer words.
    pub(crate) fn health(&self) -> ServerHealth {
        let is = |unready| self.unready.contains(&unready);
        if self.unready.is_empty() {
            ServerHealth::Serving
        } else if is(Unready::Ending) {
            ServerHealth::Ending
        } else if is(Unready::ClockIsWrong) {
            ServerHealth::ClockIsWrong
        } else {
            ServerHealth::Failing
        }
    }

    /// What whoever asks is told: 200 if requests are to be sent here, else 503.
    pub(crate) fn answer(&self, form: ReadinessForm) -> Response {
        let status = if self.unready.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let mut answer = match form {
            ReadinessForm::Text => (status, self.text()).into_response(),
            ReadinessForm::Json => {
                let headers = [(CONTENT_TYPE, "application/json")];
                (status, headers, self.json().to_string()).into_response()
            }
        };
        // It is asked every few seconds, and nothing failed in saying so.
        answer.extensions_mut().insert(CountedAs(StatusCode::OK));
        answer
    }

    /// Why no requests are to be sent here, on one line; empty if they are.
    pub(crate) fn reasons(&self) -> String {
        let reasons: Vec<_> = self.unready.iter().map(ToString::to_string).collect();
        reasons.join("; ")
    }

    /// Whether both say the same, whatever the numbers in it.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        let codes =
            |readiness: &Self| -> Vec<_> { readiness.unready.iter().map(|unready| unready.code()).collect() };
        codes(self) == codes(other)
    }

    fn text(&self) -> String {
        let mut lines: Vec<_> = self.unready.iter().map(ToString::to_string).collect();
        if lines.is_empty() {
            lines.push("ready".to_owned());
        }
        let warnings = self.warnings.iter().map(|warning| format!("warning: {warning}"));
        lines.extend(warnings);
        lines.join("\n") + "\n"
    }

    fn json(&self) -> serde_json::Value {
        let said =
            |code: &str, message: &dyn fmt::Display| json!({"code": code, "message": message.to_string()});
        let reasons = self.unready.iter().map(|unready| said(unready.code(), unready));
        let warnings = self.warnings.iter().map(|warning| said(warning.code(), warning));
        json!({
            "ready": self.unready.is_empty(),
            "reasons": reasons.collect::<Vec<_>>(),
            "warnings": warnings.collect::<Vec<_>>(),
        })
    }
}

impl Unready {
    fn code(self) -> &'static str {
        match self {
            Self::ClockIsWrong => "clock_is_wrong",
            Self::DiskIsFull(_) => "disk_is_full",
            Self::Ending => "ending",
            Self::Starting => "starting",
            Self::StoreFailed => "store_failed",
            Self::StoreIsSilent => "store_is_silent",
            Self::StoreTakesNoChange => "store_takes_no_change",
        }
    }
}

impl fmt::Display for Unready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockIsWrong => f.write_str("the clock of this machine is too far from the database's"),
            Self::DiskIsFull(low) => write!(f, "the disk is full: {low}"),
            Self::Ending => f.write_str("the server is shutting down"),
            Self::Starting => f.write_str("the server is starting"),
            Self::StoreFailed => f.write_str("the store failed, and the server ends"),
            Self::StoreIsSilent => f.write_str("the store does not answer"),
            Self::StoreTakesNoChange => f.write_str("the database takes no changes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn reasons_and_warnings_are_told_as_text_and_as_json() {
        let low = LowSpace {
            free: 3 << 20,
            needed: 32 << 20,
        };
        let warning = MachineWarning::CertificateEndsSoon(Timestamp::from_seconds(1_800_000_000));
        let readiness = Readiness {
            unready: vec![Unready::ClockIsWrong, Unready::DiskIsFull(low)],
            warnings: vec![warning],
        };
        assert_eq!(
            readiness.text(),
            "the clock of this machine is too far from the database's\n\
             the disk is full: 3 MiB are free on the disk of the store, and 32 MiB have to be\n\
             warning: the TLS certificate is valid until 2027-01-15T08:00:00Z only: renew it\n"
        );
        let json = readiness.json();
        assert_eq!(json["ready"], false);
        assert_eq!(json["reasons"][1]["code"], "disk_is_full");
        assert_eq!(json["warnings"][0]["code"], "certificate_ends_soon");
        assert_eq!(readiness.health(), ServerHealth::ClockIsWrong);
    }

    #[test]
    fn a_warning_alone_keeps_nobody_away() {
        let readiness = Readiness {
            unready: Vec::new(),
            warnings: vec![MachineWarning::ClockJumped(-7)],
        };
        assert!(readiness.text().starts_with("ready\nwarning: the clock "));
        assert_eq!(readiness.answer(ReadinessForm::Text).status(), StatusCode::OK);
        assert_eq!(readiness.health(), ServerHealth::Serving);
        assert_eq!(
            Readiness::not(Unready::Starting)
                .answer(ReadinessForm::Json)
                .status(),
            StatusCode::SERVICE_UNAVAILABLE
        );
    }
}
