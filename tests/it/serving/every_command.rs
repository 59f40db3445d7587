//! Every command of the binary, found in its own command line: that it answers programs in JSON and people in tables, and that it ends
//! with the status that the manual's table has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use super::decisions::Asked;
use super::forged::forge;
use super::process::{Process, complaint, program};
use crate::support::Authenticator;
use countersign::crypto::age::AgeIdentity;
use countersign::crypto::master_key::MasterKey;
use countersign::domain::entropy::SystemEntropy;
use countersign::domain::sid::EventSid;
use countersign::flows::backup::BackupWriter;
use countersign::store::sled::{Options, SledStore};
use countersign::store::{Store as _, keys, transfer};

/// What has no `--json`, and why.
const WITHOUT_JSON: &[(&str, &str)] = &[
    (
        "bench floor-server",
        "the benchmark starts it, and reads one line of it",
    ),
    ("completions", "it prints a script for a shell"),
    ("config reference", "it prints a page of the manual"),
    ("man", "it prints a page for man"),
    ("manual", "it prints pages of the manual"),
    (
        "serve",
        "it prints what people need at its start; --log-format json is for its log",
    ),
];

/// Statuses that a command never ends with here, and why.
const NOT_HERE: &[(&str, i32, &str)] = &[
    ("audit follow", 0, "it goes on until a signal ends it"),
    ("bench floor", 1, "it needs nothing that could be missing"),
    ("bench floor-server", 0, "it goes on until the benchmark ends it"),
    ("bench floor-server", 1, "it needs nothing that could be missing"),
    ("bench signal", 0, "foreign/commands.rs has the server for it"),
    ("bench verify", 0, "foreign/commands.rs has the server for it"),
    ("bench vonage", 0, "foreign/commands.rs has the server for it"),
    ("completions", 1, "it needs nothing that could be missing"),
    ("config check", 1, "whatever is wrong is wrong with the settings"),
    ("config reference", 1, "it needs nothing that could be missing"),
    ("config show", 1, "whatever is wrong is wrong with the settings"),
    ("device watch", 0, "it goes on until a signal ends it"),
    ("manual", 1, "it needs nothing that could be missing"),
    ("node list", 0, "it needs a database; register.rs has one"),
    ("store migrate", 0, "it needs a database; database.rs has one"),
];

#[test]
fn each_command_answers_in_json_or_has_a_reason_not_to() {
    let without: Vec<_> = commands()
        .into_iter()
        .filter(|(_, command)| {
            !command
                .get_arguments()
                .any(|argument| argument.get_id() == "json")
        })
        .map(|(path, _)| path)
        .collect();
    let known: Vec<_> = WITHOUT_JSON.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(without, known);
}

#[test]
fn each_command_ends_with_2_when_its_command_line_is_wrong() {
    let directory = TempDir::new().unwrap();
    for (path, _) in commands() {
        let mut wrong = program(&path.split(' ').collect::<Vec<_>>());
        let output = wrong
            .arg("--no-such-flag")
            .current_dir(directory.path())
            .output()
            .unwrap();
        let line = complaint(&output, 2);
        assert!(line.contains("--no-such-flag"), "{path}: {line}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// The table of the manual, row by row: what can be provoked here ends so, and nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_command_ends_as_the_manual_says_and_its_json_can_be_read() {
    let mut told = Told::begin();
    told.administer();
    told.help_users();
    told.copy().await;
    told.play_a_device();
    told.look_at_settings();
    told.measure();
    told.serve();
    told.fail();
    for (path, _) in commands() {
        let ended = told.ended.get(&path).cloned().unwrap_or_default();
        for status in [0, 1] {
            let excuse = NOT_HERE
                .iter()
                .find(|(command, never, _)| *command == path && *never == status);
            assert_eq!(
                ended.contains(&status),
                excuse.is_none(),
                "{path} and status {status}: {ended:?}, {excuse:?}"
            );
        }
        let incomplete = [
            "backup create",
            "backup restore",
            "store convert",
            "store export",
            "store import",
        ];
        assert_eq!(
            ended.contains(&3),
            incomplete.contains(&path.as_str()),
            "{path}: {ended:?}"
        );
    }
}

/// All commands that do something, hidden ones too, with the words that call them.
fn commands() -> Vec<(String, clap::Command)> {
    fn add(command: &clap::Command, before: &str, found: &mut Vec<(String, clap::Command)>) {
        for inner in command.get_subcommands() {
            let path = format!("{before} {}", inner.get_name()).trim_start().to_owned();
            if inner.has_subcommands() {
                add(inner, &path, found);
            } else {
                found.push((path, inner.clone()));
            }
        }
    }
    let mut found = Vec::new();
    add(&countersign::cli::command_line(), "", &mut found);
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    found
}

/// What commands have told so far.
struct Told {
    directory: TempDir,
    asked: Asked,
    /// An account whose token is known.
    account: String,
    token: String,
    service: String,
    secrets: Vec<String>,
    ended: BTreeMap<String, BTreeSet<i32>>,
}

impl Told {
    fn begin() -> Self {
        let directory = TempDir::new().unwrap();
        let asked = Asked::start_in(
            &directory.path().join("data"),
            &[("COUNTERSIGN_TELEGRAM_LISTEN", "127.0.0.1:0")],
        );
        let service = asked.post("/v2/Services", "FriendlyName=Shop").body;
        let master_key = fs::read_to_string(directory.path().join("data/master.key")).unwrap();
        Self {
            account: String::new(),
            token: String::new(),
            service: text(&service["sid"]),
            secrets: vec![master_key.trim().to_owned()],
            ended: BTreeMap::new(),
            directory,
            asked,
        }
    }

    fn at(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn note(&mut self, path: &str, output: &Output) {
        let status = output
            .status
            .code()
            .unwrap_or_else(|| panic!("{path}: {output:?}"));
        self.ended.entry(path.to_owned()).or_default().insert(status);
    }

    /// Runs a command that ends with this status.
    fn ends(&mut self, path: &str, more: &[impl AsRef<str>], status: i32) -> Output {
        let more: Vec<_> = more.iter().map(AsRef::as_ref).collect();
        let mut command = self.command(path, &more);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{path}: {output:?}");
        self.note(path, &output);
        if status == 1 || status == 2 {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or_default();
            assert!(last.starts_with("countersign: "), "{path}: {said}");
        }
        output
    }

    fn command(&self, path: &str, more: &[&str]) -> Command {
        let words: Vec<_> = path.split(' ').chain(more.iter().copied()).collect();
        let mut command = program(&words);
        command.env("COUNTERSIGN_ACCOUNT", format!("{}:{}", self.account, self.token));
        command
    }

    /// What a command says in JSON that tells no secret.
    fn json(&mut self, path: &str, more: &[impl AsRef<str>]) -> Value {
        let (value, text) = self.secret_json(path, more);
        for secret in &self.secrets {
            assert!(!text.contains(secret.as_str()), "{path} tells a secret");
        }
        value
    }

    /// What a command says in JSON whose job it is to tell one.
    fn secret_json(&mut self, path: &str, more: &[impl AsRef<str>]) -> (Value, String) {
        let more: Vec<_> = more.iter().map(AsRef::as_ref).chain(["--json"]).collect();
        let output = self.ends(path, &more, 0);
        let text = String::from_utf8(output.stdout).unwrap();
        let values: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
        let mut values = values.unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
        // The audit log is one object on each line.
        let value = if path.starts_with("audit ") && path != "audit verify" {
            Value::Array(values)
        } else {
            assert_eq!(values.len(), 1, "{path}: {text}");
            values.remove(0)
        };
        (value, text)
    }

    /// The lines of a list for people: a header, and this many rows.
    fn table(&mut self, path: &str, more: &[impl AsRef<str>], rows: usize) {
        let output = self.ends(path, more, 0);
        let text = String::from_utf8(output.stdout).unwrap();
        let head = text.lines().next().unwrap_or_default();
        if rows == 0 {
            assert!(
                text.starts_with("No") && text.lines().count() == 1,
                "{path}: {text}"
            );
        } else {
            assert!(
                head.chars().all(|letter| !letter.is_lowercase()),
                "{path}: {text}"
            );
            assert_eq!(text.lines().count(), rows + 1, "{path}: {text}");
        }
    }

    fn administer(&mut self) {
        let data = self.at("data");
        let with = |more: &[&str]| -> Vec<String> {
            let place = ["--data", data.as_str()];
            let words = more.iter().chain(&place);
            words.map(|word| (*word).to_owned()).collect()
        };
        self.table("account list", &with(&[]), 1);
        let (made, _) = self.secret_json("account create", &with(&["--name", "Second"]));
        let second = text(&made["sid"]);
        let of = |more: &[&str]| with(&[&[second.as_str()], more].concat());
        self.secrets
            .extend([text(&made["secret"]), text(&made["webhook_secret"])]);
        self.table("account list", &with(&[]), 2);
        let listed = self.json("account list", &with(&[]));
        assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
        let (rotated, _) = self.secret_json("account rotate-token", &of(&[]));
        let (hook, _) = self.secret_json("account rotate-webhook-secret", &of(&[]));
        self.secrets
            .extend([text(&rotated["secret"]), text(&hook["webhook_secret"])]);
        self.json("account suspend", &of(&[]));
        self.json("account resume", &of(&[]));

        self.table("key list", &of(&[]), 0);
        assert_eq!(self.json("key list", &of(&[])), serde_json::json!([]));
        let (key, _) = self.secret_json("key create", &of(&["--name", "ci"]));
        let (secret, file) = ("TheSecretOfElsewhere", self.at("secret.txt"));
        fs::write(&file, format!("{secret}\n")).unwrap();
        self.secrets.extend([text(&key["secret"]), secret.to_owned()]);
        self.json("key import", &of(&["--key", "abcd1234", "--secret-file", &file]));
        self.table("key list", &of(&[]), 2);
        assert_eq!(self.json("key list", &of(&[]))[1]["imported"], "abcd1234");
        self.json("key revoke", &with(&[&text(&key["sid"])]));

        self.table("token list", &of(&[]), 0);
        let (token, _) = self.secret_json("token create", &of(&["--signal"]));
        self.secrets.push(text(&token["token"]));
        self.table("token list", &of(&[]), 1);
        let listed = self.json("token list", &of(&[]));
        assert_eq!(listed[0]["dialect"], "signal", "{listed}");
        self.json("token revoke", &with(&[&text(&token["sid"])]));

        self.table("outbox list", &with(&[]), 0);
        self.json("outbox list", &with(&[]));
        self.json("outbox retry", &with(&["--all"]));
        self.json("outbox drop", &with(&["--all"]));
        self.json("keys list", &with(&[]));
        self.json("keys rotate", &with(&[]));
        self.json("keys retire", &with(&["1"]));
        self.table(
            "audit list",
            &with(&["--account", "none", "--identity", "user-9999"]),
            0,
        );
        self.json("audit list", &with(&["--account", &second]));
        self.json("audit export", &with(&["--account", "none"]));
        self.json("audit verify", &with(&[]));
        self.json("telegram key", &with(&[]));
        // In whose name the rest is done.
        let (made, _) = self.secret_json("account create", &with(&["--name", "Third"]));
        (self.account, self.token) = (text(&made["sid"]), text(&made["secret"]));
        self.secrets.push(self.token.clone());
    }

    /// Makes a user with one factor, and returns the factor's creation.
    fn user(&self, identity: &str) -> Value {
        let app = Authenticator::new(&[7; 20]);
        let form = format!(
            "FriendlyName=Phone&FactorType=totp&Binding.Secret={}",
            app.base32()
        );
        let path = format!("/v2/Services/{}/Entities/{identity}/Factors", self.service);
        self.asked.post(&path, &form).body
    }

    fn help_users(&mut self) {
        let made = self.user("user-0001");
        let (data, account) = (self.at("data"), self.asked.account.clone());
        let whom = ["user-0001", "--account", &account, "--data", &data];
        let sure = [&whom[..], &["--yes"]].concat();
        let uri = text(&made["binding"]["uri"]);
        self.secrets.push(text(&made["binding"]["secret"]));
        let user = self.json("user show", &whom);
        assert_eq!(user["places"][0]["factors"][0]["sid"], made["sid"], "{user}");
        self.json("user unlock", &sure);
        self.json("user reset", &sure);
        let empty = self.ends("user show", &whom, 0);
        let empty = String::from_utf8(empty.stdout).unwrap();
        assert!(
            empty.contains("no factors") && empty.contains("no challenges"),
            "{empty}"
        );
        self.json("user delete", &sure);
        self.ends(
            "user show",
            &["user-8888", "--account", &account, "--data", &data],
            1,
        );
        for act in ["unlock", "reset", "delete"] {
            let nobody = ["user-8888", "--account", &account, "--data", &data, "--yes"];
            self.ends(&format!("user {act}"), &nobody, 1);
        }
        let (code, _) = self.secret_json("totp", &["--uri", &uri]);
        assert_eq!(text(&code["code"]).len(), 6);
        self.ends("totp", &["--uri", "otpauth://hotp/x"], 1);
    }

    async fn copy(&mut self) {
        let (data, key) = (self.at("data"), self.at("data/master.key"));
        let (export, backup) = (self.at("export"), self.at("backup"));
        let said = self.json("store export", &["--to", &export, "--data", &data]);
        assert!(said["entries"].as_u64() > Some(0), "{said}");
        self.json("backup create", &["--to", &backup, "--data", &data]);
        self.json("backup verify", &["--from", &backup, "--data", &data]);
        let of = |place: &str, more: &[&str]| -> Vec<String> {
            let place = ["--data", place, "--master-key-file", &key];
            let words = more.iter().chain(&place);
            words.map(|word| (*word).to_owned()).collect()
        };
        let (imported, converted) = (self.at("imported"), self.at("converted"));
        self.json("store import", &of(&imported, &["--from", &export]));
        let restored = of(&self.at("restored"), &["--from", &backup, "--factors"]);
        let restored = self.json("backup restore", &restored);
        assert!(restored["back"].as_array().unwrap().len() >= 3, "{restored}");
        let checked = self.json("store check", &of(&imported, &[]));
        assert_eq!(checked["ok"], true, "{checked}");
        self.json("store convert", &["--from", &imported, "--to", &converted]);

        // Somebody else writes into one of them: the copies are good but for that.
        let garbage = keys::dead_letter(EventSid::from_bytes([7; 16])).into_bytes();
        forge(Path::new(&imported), &[garbage]).await;
        let (spoilt, spoilt_backup) = (self.at("spoilt"), self.at("spoilt-backup"));
        copy_with_all_that_is_in_it(&imported, &key, &spoilt, &spoilt_backup).await;
        let to = self.at("left-out");
        let left_out = self.ends("store export", &of(&imported, &["--to", &to, "--json"]), 3);
        let left_out: Value = serde_json::from_slice(&left_out.stdout).unwrap();
        assert_eq!(left_out["left_out"], 1, "{left_out}");
        let to = self.at("left-out-backup");
        self.ends("backup create", &of(&imported, &["--to", &to, "--json"]), 3);
        let leave_out = "--leave-out-forged";
        let (one, other, to) = (self.at("one"), self.at("other"), self.at("to"));
        self.ends(
            "store import",
            &of(&one, &[leave_out, "--json", "--from", &spoilt]),
            3,
        );
        self.ends(
            "backup restore",
            &of(&other, &[leave_out, "--json", "--from", &spoilt_backup]),
            3,
        );
        let convert = [leave_out, "--json", "--from", &imported, "--to", &to];
        let mut convert = self.command("store convert", &convert);
        let converted = convert.env("COUNTERSIGN_MASTER_KEY_FILE", &key).output();
        let converted = converted.unwrap();
        assert_eq!(converted.status.code(), Some(3), "{converted:?}");
        self.note("store convert", &converted);
    }

    fn play_a_device(&mut self) {
        let form = "Identity=user-0002&FactorType=push";
        let token = self
            .asked
            .post(&format!("/v2/Services/{}/AccessTokens", self.service), form);
        let token = text(&token.body["token"]);
        self.secrets.push(token.clone());
        let (state, url) = (self.at("phone.json"), self.asked.server.url.clone());
        let service = self.service.clone();
        let enroll = [
            "--url",
            &url,
            "--service",
            &service,
            "--identity",
            "user-0002",
            "--name",
            "Phone",
            "--state",
            &state,
            "--access-token",
            &token,
        ];
        let enrolled = self.json("device enroll", &enroll);
        let kept: Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
        self.secrets.push(text(&kept["private_key"]));
        let held = ["--state", state.as_str()];
        self.table("device list", &held, 0);
        assert_eq!(self.json("device list", &held), serde_json::json!([]));
        let ask = |told: &Self| {
            let form = format!(
                "FactorSid={}&Details.Message=Log+in%3F",
                text(&enrolled["factor_sid"])
            );
            let path = format!("/v2/Services/{service}/Entities/user-0002/Challenges");
            assert_eq!(told.asked.post(&path, &form).status, 201);
        };
        ask(self);
        assert_eq!(self.json("device approve", &held)["status"], "approved");
        ask(self);
        assert_eq!(self.json("device deny", &held)["status"], "denied");
        self.table("device list", &held, 2);
        let listed = self.json("device list", &held);
        assert_eq!(listed[0]["status"], "denied", "{listed}");
        self.json("device remove", &held);
        let gone = self.at("gone.json");
        let held = ["--state", gone.as_str()];
        for command in ["approve", "deny", "list", "remove", "watch"] {
            self.ends(&format!("device {command}"), &held, 1);
        }
        let nowhere = [&["--url", "http://127.0.0.1:1"], &enroll[2..]].concat();
        self.ends("device enroll", &nowhere, 1);
    }

    fn look_at_settings(&mut self) {
        let data = self.at("data");
        self.json("config check", &["--data", &data]);
        self.json("config show", &["--data", &data]);
        for command in ["config check", "config show"] {
            self.ends(command, &["--data", &data, "--log", "loud"], 2);
        }
        self.ends("config reference", NONE, 0);
        self.ends("manual", NONE, 0);
        self.ends("manual", &["no-such-page"], 2);
        self.ends("completions", &["bash"], 0);
        let pages = self.at("pages");
        fs::create_dir(&pages).unwrap();
        self.ends("man", &[&pages], 0);
        let sender = self.at("senders.toml");
        fs::write(
            &sender,
            "[[senders]]\nname = 'away'\nkind = 'http'\nchannels = ['sms']\nurl = 'http://127.0.0.1:1/'\ntext = '{{code}}'\n",
        )
        .unwrap();
        self.json("senders test", &["log", "+12025550123", "--data", &data]);
        self.ends("senders test", &["away", "+12025550123", "--config", &sender], 1);
        self.ends("senders test", &["awey", "+12025550123", "--config", &sender], 2);
        let tls = self.at("tls");
        self.json("tls init", &["--host", "localhost", &tls]);
        self.ends("tls init", &["--host", "localhost", &tls], 1);
        self.json("tls renew", &[&tls]);
        self.ends("tls renew", &[&self.at("none")], 1);
    }

    fn measure(&mut self) {
        let url = self.asked.server.url.clone();
        let short = ["--seconds", "1", "--connections", "2"];
        self.json("bench floor", &short);
        for command in ["totp", "push", "waiters"] {
            let load = [&["--url", &url], &short[..]].concat();
            self.json(&format!("bench {command}"), &load);
        }
        for command in ["totp", "push", "waiters", "verify", "signal", "vonage"] {
            let token: &[&str] = if command == "signal" {
                &["--token", "x"]
            } else {
                &[]
            };
            let load = [&["--url", "http://127.0.0.1:1"], token].concat();
            self.ends(&format!("bench {command}"), &load, 1);
        }
        let filled = self.at("filled");
        let (made, _) = self.secret_json(
            "bench fill",
            &["--factors", "3", "--seed", "0123456789abcdef", "--data", &filled],
        );
        assert_eq!(made["factors"], 3, "{made}");
        self.ends(
            "bench fill",
            &["--factors", "3", "--seed", "short", "--data", &filled],
            1,
        );
    }

    fn serve(&mut self) {
        let server = Process::start(&self.directory.path().join("served"));
        server.signal("TERM");
        assert_eq!(server.wait(), Some(0));
        self.ended.entry("serve".to_owned()).or_default().insert(0);
    }

    /// All that needs a store, where none can be.
    fn fail(&mut self) {
        let file = self.at("file");
        fs::write(&file, "").unwrap();
        let broken = format!("{file}/data");
        let (none, new, secret) = (self.at("none"), self.at("new"), self.at("secret.txt"));
        let account = self.account.clone();
        let data = ["--data", broken.as_str()];
        let plain = [
            "account create",
            "account list",
            "audit export",
            "audit list",
            "audit verify",
            "key create",
            "key list",
            "keys list",
            "keys rotate",
            "node list",
            "outbox list",
            "serve",
            "store check",
            "store migrate",
            "telegram key",
            "token list",
        ];
        for path in plain {
            self.ends(path, &data, 1);
        }
        let with: [(&str, &[&str]); 16] = [
            ("account resume", &[&account]),
            ("account rotate-token", &[&account]),
            ("account rotate-webhook-secret", &[&account]),
            ("account suspend", &[&account]),
            ("key import", &["--key", "abcd1234", "--secret-file", &secret]),
            ("key revoke", &["SK00000000000000000000000000000001"]),
            ("token create", &["--signal"]),
            ("token revoke", &["BT00000000000000000000000000000001"]),
            ("outbox retry", &["--all"]),
            ("outbox drop", &["--all"]),
            ("keys retire", &["1"]),
            ("backup create", &["--to", &new]),
            ("backup verify", &["--from", &none]),
            ("backup restore", &["--from", &none]),
            ("store export", &["--to", &new]),
            ("store import", &["--from", &none]),
        ];
        for (path, words) in with {
            self.ends(path, &[words, &data].concat(), 1);
        }
        self.ends("store convert", &["--from", &none, "--to", &new], 1);
        self.ends("man", &[&format!("{file}/pages")], 1);
        // Nobody runs there who could tell.
        let idle = self.at("restored");
        let key = self.at("data/master.key");
        let account = self.asked.account.clone();
        self.ends(
            "audit follow",
            &["--data", &idle, "--master-key-file", &key, "--account", &account],
            1,
        );
    }
}

/// An export and a backup of a store, as they were made before forged entries were left out.
async fn copy_with_all_that_is_in_it(place: &str, key: &str, export: &str, backup: &str) {
    let engine = SledStore::open(&Options::new(Path::new(place).join("store"))).unwrap();
    let mut file = File::create(export).unwrap();
    transfer::export(&engine, None, &mut file).await.unwrap();
    engine.close().await.unwrap();
    let key = MasterKey::parse(fs::read_to_string(key).unwrap().trim()).unwrap();
    let recipient = AgeIdentity::of_master_key(&key).unwrap().recipient();
    let file = File::create(backup).unwrap();
    let mut sealed = BackupWriter::begin(file, &[recipient], &SystemEntropy).unwrap();
    sealed.write_all(&fs::read(export).unwrap()).unwrap();
    sealed.finish().unwrap();
}

const NONE: &[&str] = &[];

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}
