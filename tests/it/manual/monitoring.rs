//! Prometheus takes the alerts of the manual, and each of them fires when it must and is silent when it must.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::page::{Block, page};

#[test]
fn alerts_fire_when_they_must_and_only_then() {
    if Command::new("promtool").arg("--version").output().is_err() {
        assert!(
            std::env::var_os("COUNTERSIGN_TEST_ALL").is_none(),
            "install promtool (Debian's package prometheus)"
        );
        eprintln!("not run: promtool is not there");
        return;
    }
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("rules.yml"), rules()).unwrap();
    let cases = include_str!("alerts.yml");
    fs::write(directory.path().join("cases.yml"), cases).unwrap();
    promtool(directory.path(), &["check", "rules", "rules.yml"]);
    promtool(directory.path(), &["test", "rules", "cases.yml"]);
    // None is without both of its cases.
    let rules = rules();
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    for alert in alerts.filter_map(|line| line.split_whitespace().next()) {
        for what in ["fires", "is silent"] {
            assert!(cases.contains(&format!("# {alert} {what}\n")), "{alert} {what}");
        }
    }
}

/// What is looked at is asked for as Prometheus reads it.
#[test]
fn the_dashboard_asks_what_prometheus_can_answer() {
    let queries = queries();
    assert!(queries.len() > 10, "{queries:?}");
    if Command::new("promtool").arg("--version").output().is_err() {
        eprintln!("not run: promtool is not there");
        return;
    }
    let directory = TempDir::new().unwrap();
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (number, query) in queries.iter().enumerate() {
        let query = query.replace("$__rate_interval", "5m").replace("$instance", ".*");
        let query = serde_json::to_string(&query).unwrap();
        writeln!(rules, "      - record: query:{number}\n        expr: {query}").unwrap();
    }
    fs::write(directory.path().join("rules.yml"), rules).unwrap();
    promtool(directory.path(), &["check", "rules", "rules.yml"]);
}

fn promtool(directory: &Path, arguments: &[&str]) {
    let ran = Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{arguments:?}: {}{}",
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    );
}

fn rules() -> String {
    let is_rules = |block: &Block| block.language == "yaml" && block.text.starts_with("groups:");
    page("monitoring")
        .blocks()
        .into_iter()
        .find(is_rules)
        .unwrap()
        .text
}

fn queries() -> BTreeSet<String> {
    let blocks = page("monitoring").blocks();
    let dashboard = blocks.iter().find(|block| block.language == "json").unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard.text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    targets
        .filter_map(|target| Some(target["expr"].as_str()?.to_owned()))
        .collect()
}
