//! The manifests are what Kubernetes takes, and a server runs with what they say.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tempfile::TempDir;

use super::page::page;
use crate::foreign::{python, with_input};
use crate::postgres_server::Cluster;
use crate::serving::process::{Process, run};

#[test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
fn manifests_fit_their_schemas_and_a_server_runs_as_they_say() {
    let blocks = page("kubernetes").blocks();
    let manifests = blocks.iter().filter(|block| block.language == "yaml");
    let manifests: Vec<&str> = manifests.map(|block| block.text.as_str()).collect();
    let read = with_input(
        python("manifests.py", &["kubernetes_validate", "yaml"]),
        &manifests.join("---\n"),
    );
    assert!(read.status.success(), "{read:?}");
    let manifests: Vec<Value> = serde_json::from_slice(&read.stdout).unwrap();
    let of_kind = |kind: &str| {
        manifests
            .iter()
            .find(|manifest| manifest["kind"] == kind)
            .unwrap()
    };
    serve_as(of_kind("StatefulSet"), &BTreeMap::new());
    if let Some(cluster) = Cluster::shared() {
        let store = cluster.database().url();
        let known = BTreeMap::from([("store", store.as_str())]);
        migrate_as(of_kind("Job"), &known);
        serve_as(of_kind("Deployment"), &known);
    }
    let selected = |manifest: &Value| manifest["spec"]["selector"]["matchLabels"].clone();
    let of_pods = &of_kind("Deployment")["spec"]["template"]["metadata"]["labels"];
    assert_eq!(selected(of_kind("PodDisruptionBudget")), *of_pods);
    assert_eq!(of_kind("Service")["spec"]["selector"], *of_pods);
    assert_eq!(
        of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *of_pods
    );
}

fn container(manifest: &Value) -> &Value {
    &manifest["spec"]["template"]["spec"]["containers"][0]
}

/// The variables of the container; `known` says what the secret has under each key.
fn variables(container: &Value, known: &BTreeMap<&str, &str>) -> Vec<(String, String)> {
    let account = format!("AC{}:{}", "0".repeat(32), "1".repeat(32));
    let of_secret = |key: &str| match key {
        "bootstrap" => account.clone(),
        "master-key" => "ab".repeat(32),
        key => known[key].to_owned(),
    };
    let variables = container["env"].as_array().unwrap().iter();
    let pair = |variable: &Value| {
        let value = variable["value"].as_str().map(str::to_owned);
        let of_secret = || of_secret(variable["valueFrom"]["secretKeyRef"]["key"].as_str().unwrap());
        (
            variable["name"].as_str().unwrap().to_owned(),
            value.unwrap_or_else(of_secret),
        )
    };
    variables.map(pair).collect()
}

/// Starts a server with the manifest's variables, but on ports that are free and in a directory that is there, below one whose group
/// may write it, as a volume is; and asks it what the kubelet would.
fn serve_as(manifest: &Value, known: &BTreeMap<&str, &str>) {
    let container = container(manifest);
    assert_eq!(container["args"], serde_json::json!(["serve"]));
    let volume = TempDir::new().unwrap();
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o2775)).unwrap();
    let mut variables = variables(container, known);
    for (name, value) in &mut variables {
        match name.as_str() {
            "COUNTERSIGN_DATA" => assert!(value.starts_with("/data/")),
            "COUNTERSIGN_LISTEN" => assert_eq!(value, "0.0.0.0:8080"),
            "COUNTERSIGN_OPS_LISTEN" => {
                assert_eq!(value, "0.0.0.0:9090");
                "127.0.0.1:0".clone_into(value);
            }
            _ => {}
        }
    }
    let variables: Vec<(&str, &str)> = variables
        .iter()
        .filter(|(name, _)| !["COUNTERSIGN_DATA", "COUNTERSIGN_LISTEN"].contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let server = Process::start_with(&volume.path().join("countersign"), &[], &variables);
    let line = server.wait_for_log("serving /health");
    let address = line.split("http://").nth(1).unwrap();
    let end = address.find(|symbol: char| !symbol.is_ascii_digit() && !".:".contains(symbol));
    let address = &address[..end.unwrap_or(address.len())];
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let asked = &container[probe]["httpGet"];
        assert_eq!(asked["port"], "ops");
        let path = asked["path"].as_str().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
    }
}

/// Runs the job's command where nothing can be written.
fn migrate_as(manifest: &Value, known: &BTreeMap<&str, &str>) {
    let container = container(manifest);
    let arguments: Vec<&str> = container["args"]
        .as_array()
        .unwrap()
        .iter()
        .map(|argument| argument.as_str().unwrap())
        .collect();
    let variables = variables(container, known);
    let store = variables.iter().find(|(name, _)| name == "COUNTERSIGN_STORE");
    let (_, store) = store.unwrap();
    let nowhere = std::path::Path::new("/proc/countersign");
    let migrated = run(nowhere, &[&arguments[..], &["--store", store]].concat());
    assert!(migrated.status.success(), "{migrated:?}");
}
