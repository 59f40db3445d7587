//! `countersign user`: why a code was refused, in the same words in the log, in the audit log and here; and opening again what is
//! closed.

use std::path::Path;
use std::time::Duration;

use countersign::domain::time::{Clock as _, SystemClock, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use super::decisions::{Asked, Told};
use super::process::{basic, complaint, program, run, stdout_of};
use crate::support::Authenticator;
use crate::support::terminal::at_terminal;

/// A way in which a login failed.
struct Way {
    what: &'static str,
    /// What `user show` is asked for.
    whom: String,
    /// What its entry is known by: the request, or the challenge that a device answered.
    key: String,
    /// A part of the reason; none where the outcome says it all.
    reason: &'static str,
}

/// Who failed, and how, so far.
struct Failing<'a> {
    asked: &'a Asked,
    service: String,
    service_sid: String,
    ways: Vec<Way>,
}

impl<'a> Failing<'a> {
    fn begin(asked: &'a Asked) -> Self {
        let service = asked
            .post("/v2/Services", "FriendlyName=Shop&CustomCodeEnabled=true")
            .body;
        let service_sid = text(&service["sid"]);
        Self {
            asked,
            service: format!("/v2/Services/{service_sid}"),
            service_sid,
            ways: Vec::new(),
        }
    }

    fn note(&mut self, what: &'static str, whom: &str, told: &Told, reason: &'static str) {
        self.ways.push(Way {
            what,
            whom: whom.to_owned(),
            key: told.id.clone(),
            reason,
        });
    }

    fn entity(&self, identity: &str) -> String {
        format!("{}/Entities/{identity}", self.service)
    }

    /// A TOTP factor that nobody has verified, and the app that shows its codes.
    fn enrol(&self, identity: &str, seed: u8) -> (String, Authenticator) {
        let app = Authenticator::new(&[seed; 20]);
        let form = format!(
            "FriendlyName=Phone&FactorType=totp&Binding.Secret={}",
            app.base32()
        );
        let factor = self
            .asked
            .post(&format!("{}/Factors", self.entity(identity)), &form);
        (text(&factor.body["sid"]), app)
    }

    fn enrol_verified(&self, identity: &str, seed: u8) -> (String, Authenticator, String) {
        let (factor, app) = self.enrol(identity, seed);
        let code = app.code_of(step());
        let path = format!("{}/Factors/{factor}", self.entity(identity));
        let verified = self.asked.post(&path, &format!("AuthPayload={code}"));
        assert_eq!(verified.body["status"], "verified", "{}", verified.body);
        (factor, app, code)
    }

    fn challenge(&self, identity: &str, factor: &str, more: &str) -> Told {
        let path = format!("{}/Challenges", self.entity(identity));
        self.asked.post(&path, &format!("FactorSid={factor}{more}"))
    }

    fn answer(&self, identity: &str, challenge: &Told, payload: &str) -> Told {
        let path = format!(
            "{}/Challenges/{}",
            self.entity(identity),
            text(&challenge.body["sid"])
        );
        self.asked.post(&path, &format!("AuthPayload={payload}"))
    }

    fn check(&self, number: &str, code: &str) -> Told {
        let path = format!("{}/VerificationCheck", self.service);
        self.asked.post(&path, &format!("To=%2B{number}&Code={code}"))
    }

    fn send(&self, number: &str) -> Told {
        let path = format!("{}/Verifications", self.service);
        let form = format!("To=%2B{number}&Channel=sms&CustomCode=314159");
        let sent = self.asked.post(&path, &form);
        assert_eq!(sent.status, 201, "{}", sent.body);
        sent
    }

    /// Codes of an app.
    fn fail_with_codes(&mut self) {
        let (factor, app, used) = self.enrol_verified(ADA, 1);
        let told = self.challenge(ADA, &factor, "&AuthPayload=nonsense");
        self.note("no code at all", ADA, &told, "none of the factor's length");
        let told = self.challenge(ADA, &factor, &format!("&AuthPayload={}", wrong(&app, 0)));
        self.note("a wrong code", ADA, &told, "wrong code");
        let told = self.challenge(ADA, &factor, &format!("&AuthPayload={used}"));
        self.note("a replayed code", ADA, &told, "replayed");
        let early = app.code_of(step() + 20);
        let told = self.challenge(ADA, &factor, &format!("&AuthPayload={early}"));
        self.note("a clock that is ahead", ADA, &told, "outside the window by ");

        let answered = self.challenge(ADA, &factor, &format!("&AuthPayload={}", app.code_of(step() + 1)));
        assert_eq!(answered.body["status"], "approved", "{}", answered.body);
        let told = self.answer(ADA, &answered, &wrong(&app, 1));
        self.note("answered before", ADA, &told, "answered already");
        let tried = self.challenge(ADA, &factor, "");
        for number in 2..7 {
            self.answer(ADA, &tried, &wrong(&app, number));
        }
        let told = self.answer(ADA, &tried, &wrong(&app, 7));
        self.note("a challenge's tries used up", ADA, &told, "5 codes were tried");
        let short = Timestamp::from_seconds(seconds() + 5).to_string();
        let expired = self.challenge(ADA, &factor, &format!("&ExpirationDate={short}"));
        while seconds() < Timestamp::parse_iso8601(&short).unwrap().seconds() {
            std::thread::sleep(Duration::from_millis(100));
        }
        let told = self.answer(ADA, &expired, &wrong(&app, 8));
        self.note("too late", ADA, &told, "has expired");
        let nothing = format!("{}/Challenges/YC{}", self.entity(ADA), "0".repeat(32));
        let told = self.asked.post(&nothing, "AuthPayload=123456");
        self.note("no such challenge", ADA, &told, "no such challenge");

        let (factor, app) = self.enrol(BEN, 2);
        let told = self.challenge(BEN, &factor, "");
        self.note("not verified", BEN, &told, "not verified");
        let path = format!("{}/Factors/{factor}", self.entity(BEN));
        for number in 0..5 {
            self.asked
                .post(&path, &format!("AuthPayload={}", wrong(&app, number)));
        }
        let told = self.asked.post(&path, &format!("AuthPayload={}", wrong(&app, 6)));
        self.note("the enrolment's tries used up", BEN, &told, "5 codes were tried");

        let (factor, app, _) = self.enrol_verified(CLEO, 3);
        for number in 0..10 {
            let payload = format!("&AuthPayload={}", wrong(&app, number));
            self.challenge(CLEO, &factor, &payload);
        }
        let told = self.challenge(
            CLEO,
            &factor,
            &format!("&AuthPayload={}", app.code_of(step() + 1)),
        );
        self.note("delayed", CLEO, &told, "wrong codes");

        let (factor, ..) = self.enrol_verified(DAN, 4);
        let (_, other, _) = self.enrol_verified("user-0005", 5);
        let deleted = self
            .asked
            .request("DELETE", &format!("{}/Factors/{factor}", self.entity(DAN)));
        assert_eq!(deleted, 204);
        let payload = format!("&AuthPayload={}", other.code_of(step()));
        let told = self.challenge(DAN, &factor, &payload);
        self.note("a deleted factor", DAN, &told, "no such factor");
        let told = self.challenge("user-9999", &factor, &payload);
        self.note("nobody", "user-9999", &told, "no such");
    }

    /// A device that is asked.
    fn fail_with_a_device(&mut self, directory: &Path) {
        let tokens = format!("{}/AccessTokens", self.service);
        let token = self
            .asked
            .post(&tokens, &format!("Identity={EVE}&FactorType=push"));
        let state = directory.join("phone.json");
        let state = state.to_str().unwrap();
        let enrolled = program(&["device", "enroll", "--url", &self.asked.server.url])
            .args(["--service", &self.service_sid, "--identity", EVE])
            .args(["--name", "Phone", "--state", state])
            .env("COUNTERSIGN_ACCESS_TOKEN", text(&token.body["token"]))
            .output()
            .unwrap();
        assert!(enrolled.status.success(), "{enrolled:?}");
        let kept: Value = serde_json::from_slice(&std::fs::read(state).unwrap()).unwrap();
        let factor = find_text(&kept, "YF").unwrap();
        let message = "&Details.Message=Log+in%3F";

        let asked = self.challenge(EVE, &factor, message);
        let told = self.answer(EVE, &asked, "e30.e30.e30");
        self.note("a bad signature", EVE, &told, "does not belong to this challenge");
        let deny = |challenge: &Told, more: &[&str]| {
            let sid = text(&challenge.body["sid"]);
            let denied = program(&["device", "deny", "--state", state, &sid])
                .args(more)
                .output()
                .unwrap();
            assert!(denied.status.success(), "{denied:?}");
            sid
        };
        let denied = deny(&asked, &[]);
        let way = |what, key, reason| Way {
            what,
            whom: EVE.to_owned(),
            key,
            reason,
        };
        self.ways.push(way("denied", denied, ""));
        let asked = self.challenge(EVE, &factor, message);
        let reported = deny(&asked, &["--reason", "not-me"]);
        self.ways
            .push(way("reported", reported, "its holder did not ask for it"));
        let told = self.challenge(EVE, &factor, message);
        self.note("paused", EVE, &told, "reported a challenge");
    }

    /// Codes that were sent.
    fn fail_with_numbers(&mut self) {
        let told = self.check("4915112345670", "271828");
        self.note(
            "nothing was sent",
            "+4915112345670",
            &told,
            "no such verification",
        );
        self.send("4915112345671");
        let told = self.check("4915112345671", "271828");
        self.note("a wrong sent code", "+4915112345671", &told, "wrong code");
        for _ in 1..5 {
            self.check("4915112345671", "271828");
        }
        let told = self.check("4915112345671", "314159");
        self.note("tries used up", "+4915112345671", &told, "are used up");
        let sent = self.send("4915112345672");
        let path = format!("{}/Verifications/{}", self.service, text(&sent.body["sid"]));
        self.asked.post(&path, "Status=canceled");
        let told = self.check("4915112345672", "314159");
        self.note("canceled", "+4915112345672", &told, "or it is over");
    }
}

const ADA: &str = "user-0001";
const BEN: &str = "user-0002";
const CLEO: &str = "user-0003";
const DAN: &str = "user-0004";
const EVE: &str = "user-0006";

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

fn seconds() -> u64 {
    SystemClock.now().seconds()
}

fn step() -> u64 {
    seconds() / 30
}

/// A code that is of no time step nearby, another one for each number.
fn wrong(app: &Authenticator, number: usize) -> String {
    let near: Vec<_> = (step() - 150..step() + 150)
        .map(|step| app.code_of(step))
        .collect();
    let mut others = (100_000..).map(|code: u32| code.to_string());
    others
        .by_ref()
        .filter(|code| !near.contains(code))
        .nth(number)
        .unwrap()
}

/// The first text in a JSON value that begins like this.
fn find_text(value: &Value, beginning: &str) -> Option<String> {
    match value {
        Value::String(text) if text.starts_with(beginning) => Some(text.clone()),
        Value::Array(items) => items.iter().find_map(|item| find_text(item, beginning)),
        Value::Object(fields) => fields.values().find_map(|item| find_text(item, beginning)),
        _ => None,
    }
}

fn shown(data: &Path, whom: &str) -> Value {
    let text = stdout_of(data, &["user", "show", whom, "--limit", "200", "--json"]);
    serde_json::from_str(&text).unwrap()
}

/// The entry that is known by `key`.
fn entry<'e>(entries: impl IntoIterator<Item = &'e Value>, key: &str) -> Option<&'e Value> {
    let is_it = |entry: &&Value| {
        entry["request_id"] == key
            || entry["challenge_sid"] == key
                && entry["act"] == "answer_challenge"
                && entry["outcome"] == "denied"
    };
    entries.into_iter().find(is_it)
}

#[test]
fn a_login_that_fails_in_many_ways_is_explained_by_the_log_the_audit_log_and_user_show_alike() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let asked = Asked::start_in(&data, &[("COUNTERSIGN_LOG", "info")]);
    let mut failing = Failing::begin(&asked);
    failing.fail_with_codes();
    failing.fail_with_a_device(directory.path());
    failing.fail_with_numbers();
    let service = failing.service.clone();
    let ways = failing.ways;
    assert!(ways.len() >= 20, "{}", ways.len());

    // Who is not let in is nobody's user.
    let stranger = asked.post_as(&basic(&asked.account, "none of its tokens"), &service, "x=y");
    assert_eq!(stranger.status, 401);
    let mut log = asked.server.log_until("authenticate refused");
    let form = format!("Identity={ADA}&FactorType=push");
    let token = asked.post(&format!("{service}/AccessTokens"), &form);
    stdout_of(&data, &["account", "suspend", &asked.account]);
    // Whoever has right credentials is told so, whatever they are.
    let enrolling = asked.post_as(
        &basic("token", &text(&token.body["token"])),
        &format!("{service}/Entities/{ADA}/Factors"),
        "FactorType=push",
    );
    let state = directory.path().join("phone.json");
    let listed = program(&["device", "list", "--state", state.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(!listed.status.success(), "{listed:?}");
    for author in ["by=access token ", "by=device "] {
        log.extend(asked.server.log_until(author));
        let line = log.last().unwrap();
        assert!(
            line.contains("authenticate refused") && line.contains("suspended"),
            "{line}"
        );
        assert_eq!(
            line.contains(&enrolling.id),
            author == "by=access token ",
            "{line}"
        );
    }
    let suspended = asked.post(&service, "x=y");
    assert!(suspended.status >= 400, "{}", suspended.body);
    log.extend(asked.server.log_until(&suspended.id));

    let listed = stdout_of(&data, &["audit", "list", "--json", "--limit", "1000"]);
    let audited: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for Way {
        what,
        whom,
        key,
        reason,
    } in &ways
    {
        let told = entry(&audited, key).unwrap_or_else(|| panic!("{what} is not in the audit log"));
        let why = told["reason"].as_str().unwrap_or_default();
        assert!(why.contains(reason), "{what}: {why}");
        let user = shown(&data, whom);
        let seen = entry(user["decisions"].as_array().unwrap(), key);
        let seen = seen.unwrap_or_else(|| panic!("{what} is not shown: {user}"));
        assert_eq!(
            (&seen["reason"], &seen["outcome"], &seen["act"]),
            (&told["reason"], &told["outcome"], &told["act"]),
            "{what}"
        );
        let outcome = format!("{} {}", text(&told["act"]), text(&told["outcome"]));
        let line = log
            .iter()
            .find(|line| line.contains(key.as_str()) && line.contains(&outcome) && line.contains(why));
        assert!(line.is_some(), "{what}: {outcome} of {key} is not in the log");
        let table = stdout_of(&data, &["user", "show", whom, "--limit", "200"]);
        assert!(table.contains(why), "{what}: {table}");
        assert!(!table.contains("1511234567"), "{table}");
    }

    // How things stand now.
    let user = shown(&data, "user-0003");
    assert_eq!(user["places"][0]["factors"][0]["failures"], 10);
    assert_eq!(user["account_status"], "suspended");
    let reasons = user["refused_now"].to_string();
    assert!(reasons.contains("is suspended"), "{reasons}");
    let not_let_in = user["not_let_in"].to_string();
    assert!(
        not_let_in.contains(&suspended.id) && not_let_in.contains("wrong credentials"),
        "{not_let_in}"
    );
    let paused = shown(&data, "user-0006");
    assert_eq!(paused["places"][0]["factors"][0]["locks"][0]["reason"], "report");
    let closed = shown(&data, "+4915112345671");
    assert_eq!(
        closed["destinations"][0]["locks"][0]["reason"], "max_attempts",
        "{closed}"
    );
    let masked = text(&closed["destinations"][0]["destination"]);
    assert!(masked.starts_with("+49") && masked.contains("***"), "{masked}");
}

/// The same factor by its SID, the challenge's, and the entity's; and nobody else by any other name.
#[test]
fn a_user_is_found_by_all_their_names_with_and_without_a_server() {
    let directory = TempDir::new().unwrap();
    let asked = Asked::start_in(directory.path(), &[]);
    let failing = Failing::begin(&asked);
    let (factor, _, code) = failing.enrol_verified("user-0001", 1);
    let challenge = failing.challenge("user-0001", &factor, &format!("&AuthPayload={code}"));
    let sent = failing.send("4915112345671");
    let other = Failing::begin(&asked);
    other.enrol("user-0001", 9);
    let data = directory.path();
    let look = || {
        let by_identity = shown(data, "user-0001");
        let places = by_identity["places"].as_array().unwrap();
        assert_eq!(places.len(), 2, "in both services: {by_identity}");
        let entity = text(&challenge.body["entity_sid"]);
        for name in [&factor, &text(&challenge.body["sid"]), &entity] {
            let user = shown(data, name);
            let places = user["places"].as_array().unwrap();
            assert_eq!(places.len(), 1, "{name}: {user}");
            assert_eq!(places[0]["service_sid"], *failing.service_sid);
            assert_eq!(places[0]["factors"][0]["sid"], *factor);
        }
        for name in ["+4915112345671", &text(&sent.body["sid"])] {
            let user = shown(data, name);
            assert_eq!(
                user["destinations"][0]["verifications"][0]["status"], "pending",
                "{user}"
            );
        }
        let full = stdout_of(data, &["user", "show", "+4915112345671", "--full-numbers"]);
        assert!(full.contains("+4915112345671"), "{full}");
        let gone = format!("YF{}", "0".repeat(32));
        for (name, why, status) in [
            ("user-9999", "nobody in the account", 1),
            (gone.as_str(), "nobody in the account", 1),
            ("\u{1b}[2Juser-0001\n\u{202e}", "names nobody", 2),
            ("", "names nobody", 2),
        ] {
            let line = complaint(&run(data, &["user", "show", name]), status);
            assert!(line.contains(why) && !line.contains(char::is_control), "{line}");
            assert!(!line.contains('\u{202e}'), "{line}");
        }
    };
    look();
    // Another account has no part in it.
    let created = stdout_of(data, &["account", "create", "--json"]);
    let created: Value = serde_json::from_str(&created).unwrap();
    let elsewhere = text(&created["sid"]);
    let line = complaint(&run(data, &["user", "show", "user-0001"]), 2);
    assert!(line.contains("several accounts"), "{line}");
    for command in ["show", "unlock", "reset", "delete"] {
        for name in ["user-0001", &factor, &text(&sent.body["sid"])] {
            let mut arguments = vec!["user", command, name, "--account", &elsewhere];
            arguments.extend((command != "show").then_some("--yes"));
            let line = complaint(&run(data, &arguments), 1);
            assert!(line.contains("nobody in the account"), "{line}");
        }
    }
    asked.server.signal("TERM");
    asked.server.log_until("stopped: countersign");
    drop(asked.server);
    let shown = stdout_of(data, &["user", "show", &factor, "--account", &asked.account]);
    assert!(shown.contains(&factor) && shown.contains("user-0001"), "{shown}");
}

#[test]
fn what_is_closed_is_unlocked_and_a_reset_user_enrols_anew() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    let asked = Asked::start_in(data, &[]);
    let failing = Failing::begin(&asked);
    let (factor, app, accepted) = failing.enrol_verified("user-0001", 1);
    for number in 0..10 {
        failing.challenge(
            "user-0001",
            &factor,
            &format!("&AuthPayload={}", wrong(&app, number)),
        );
    }
    let delayed = shown(data, "user-0001");
    let lock = &delayed["places"][0]["factors"][0]["locks"][0];
    assert_eq!(lock["reason"], "wrong_codes", "{delayed}");
    let left = lock["until"]["in_seconds"].as_i64().unwrap();
    assert!((1..=30).contains(&left), "{delayed}");
    assert!(
        delayed["refused_now"]
            .to_string()
            .contains("10 wrong codes in a row"),
        "{delayed}"
    );
    failing.send("4915112345671");
    for _ in 0..5 {
        failing.check("4915112345671", "271828");
    }
    // Nobody is asked where nobody sits, and nothing is changed then.
    let line = complaint(&run(data, &["user", "unlock", "user-0001"]), 2);
    assert!(line.contains("--yes"), "{line}");
    assert_eq!(
        shown(data, "user-0001")["places"][0]["factors"][0]["failures"],
        10
    );

    let said = stdout_of(data, &["user", "unlock", "user-0001", "--yes"]);
    assert!(
        said.contains("10 failures forgotten, wrong_codes lifted"),
        "{said}"
    );
    let user = shown(data, "user-0001");
    assert_eq!(user["places"][0]["factors"][0]["failures"], 0);
    assert_eq!(user["refused_now"], serde_json::json!([]));
    let told = &user["decisions"][0];
    assert!(text(&told["author"]).starts_with("operator"), "{told}");
    assert!(text(&told["reason"]).starts_with("unlocked: "), "{told}");
    // What was used stays used.
    let replayed = failing.challenge("user-0001", &factor, &format!("&AuthPayload={accepted}"));
    assert_eq!(replayed.body["status"], "pending", "{}", replayed.body);
    let again = stdout_of(data, &["user", "unlock", "user-0001", "--yes"]);
    assert!(again.contains("was open"), "{again}");

    let said = stdout_of(data, &["user", "unlock", "+4915112345671", "--yes"]);
    assert!(said.contains(": unlocked"), "{said}");
    assert_eq!(
        shown(data, "+4915112345671")["refused_now"],
        serde_json::json!([])
    );
    failing.send("4915112345671");

    let said = stdout_of(data, &["user", "reset", "+4915112345671", "--yes"]);
    assert!(said.contains(": ended"), "{said}");
    assert_eq!(failing.check("4915112345671", "314159").status, 404);
    let waiting = failing.challenge("user-0001", &factor, "");
    let said = stdout_of(data, &["user", "reset", &factor, "--yes", "--json"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    assert!(
        text(&said["done"][0]).contains("1 factors deleted, 12 challenges ended"),
        "{said}"
    );
    let user = shown(data, "user-0001");
    assert_eq!(user["places"][0]["factors"], serde_json::json!([]));
    let ended = user["places"][0]["challenges"].as_array().unwrap();
    let ended = ended
        .iter()
        .find(|challenge| challenge["sid"] == waiting.body["sid"]);
    assert_eq!(ended.unwrap()["status"], "expired");
    assert!(user["refused_now"].to_string().contains("has to enrol"), "{user}");
    failing.enrol_verified("user-0001", 2);
}

/// One name in two services is two people, for all that is known: none of them loses a factor by mistake.
#[test]
fn a_name_that_several_services_know_is_changed_only_in_the_one_that_is_named() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    let asked = Asked::start_in(data, &[]);
    let (one, other) = (Failing::begin(&asked), Failing::begin(&asked));
    one.enrol_verified("user-0001", 1);
    let (factor, ..) = other.enrol_verified("user-0001", 2);
    for command in ["reset", "unlock"] {
        let line = complaint(&run(data, &["user", command, "user-0001", "--yes"]), 2);
        for part in [one.service_sid.as_str(), other.service_sid.as_str(), "--service"] {
            assert!(line.contains(part), "{line}");
        }
    }
    // An identity that looks like the SID of somebody else's factor hides neither.
    let named_like_it = one.enrol(&factor, 3).0;
    let both = shown(data, &factor);
    assert_eq!(both["is_ambiguous"], true, "{both}");
    assert_eq!(both["places"].as_array().unwrap().len(), 2, "{both}");
    assert_eq!(both["places"][0]["factors"][0]["sid"], *factor, "{both}");
    let line = complaint(&run(data, &["user", "reset", &factor, "--yes"]), 2);
    assert!(line.contains("somebody else"), "{line}");
    let unknown = format!("VA{}", "0".repeat(32));
    let line = complaint(
        &run(
            data,
            &["user", "reset", "user-0001", "--yes", "--service", &unknown],
        ),
        1,
    );
    assert!(line.contains("there is no service"), "{line}");

    // Only the service that is named is changed, and the codes to a number that others sent there too only if it is named.
    one.send("4915112345671");
    let said = stdout_of(
        data,
        &[
            "user",
            "reset",
            "user-0001",
            "--yes",
            "--service",
            &other.service_sid,
        ],
    );
    assert!(said.contains("1 factors deleted"), "{said}");
    let said = stdout_of(
        data,
        &[
            "user",
            "reset",
            "+4915112345671",
            "--yes",
            "--service",
            &other.service_sid,
        ],
    );
    assert!(said.contains("nothing to change"), "{said}");
    assert_eq!(
        one.check("4915112345671", "314159").body["status"],
        "approved",
        "nothing of another service ended"
    );
    let user = shown(data, "user-0001");
    for place in user["places"].as_array().unwrap() {
        let left = usize::from(place["service_sid"] != *other.service_sid);
        assert_eq!(place["factors"].as_array().unwrap().len(), left, "{user}");
    }
    // The factor is no more, so its SID means only who is called so.
    let left = shown(data, &factor);
    assert_eq!(left["is_ambiguous"], false, "{left}");
    assert_eq!(left["places"][0]["factors"][0]["sid"], *named_like_it, "{left}");
}

/// What is not the user's own stays closed, and whoever unlocks the user is told so.
#[test]
fn whoever_unlocks_is_told_what_stays_closed() {
    let directory = TempDir::new().unwrap();
    let data = &directory.path().join("data");
    std::fs::create_dir(data).unwrap();
    let file = directory.path().join("countersign.toml");
    std::fs::write(&file, "[codes]\nsends_per_service_per_day = 1\n").unwrap();
    let asked = Asked::start_in(data, &[("COUNTERSIGN_CONFIG", file.to_str().unwrap())]);
    let failing = Failing::begin(&asked);
    failing.send("4915112345671");
    let form = "To=%2B4915112345671&Channel=sms&CustomCode=314159";
    let path = format!("{}/Verifications", failing.service);
    let refused = asked.post(&path, form);
    assert!(refused.status >= 400, "{}", refused.body);
    let said = stdout_of(data, &["user", "unlock", "+4915112345671", "--yes"]);
    assert!(
        said.contains("still closed: ") && said.contains("what opens it before: "),
        "{said}"
    );
    let user = shown(data, "+4915112345671");
    assert_eq!(
        user["destinations"][0]["locks"][0]["reason"], "service_budget",
        "{user}"
    );
}

/// What goes is listed, and only the name that is typed lets it go.
#[test]
fn a_user_is_deleted_when_the_name_is_typed() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    let asked = Asked::start_in(data, &[]);
    let (one, other) = (Failing::begin(&asked), Failing::begin(&asked));
    let (factor, ..) = one.enrol_verified("user-0001", 1);
    let waiting = one.challenge("user-0001", &factor, "");
    other.enrol_verified("user-0001", 2);
    one.send("4915112345671");
    for _ in 0..5 {
        one.check("4915112345671", "271828");
    }
    let before = shown(data, "user-0001");
    let line = complaint(&run(data, &["user", "delete", "user-0001", "--yes"]), 2);
    assert!(
        line.contains(&one.service_sid) && line.contains("--all-services"),
        "{line}"
    );
    let chosen = ["user", "delete", "user-0001", "--service", &one.service_sid];
    let line = complaint(&run(data, &chosen), 2);
    assert!(line.contains("--yes"), "{line}");
    // Nothing but the name is a yes.
    for answer in ["y", "user-0002"] {
        let refused = at_terminal(super::process::command(data, &chosen), "user-0001: ", answer);
        assert_eq!(refused.output.status.code(), Some(1), "{}", refused.text);
        assert!(refused.text.contains("nothing was changed"), "{}", refused.text);
    }
    assert_eq!(shown(data, "user-0001")["places"], before["places"]);

    let done = at_terminal(super::process::command(data, &chosen), "user-0001: ", "user-0001");
    assert!(done.output.status.success(), "{}", done.text);
    for listed in [
        factor.as_str(),
        &one.service_sid,
        "challenges: 1",
        "deleted for good",
    ] {
        assert!(done.text.contains(listed), "{listed}: {}", done.text);
    }
    assert!(!done.text.contains(&other.service_sid), "{}", done.text);
    let said = String::from_utf8(done.output.stdout).unwrap();
    assert!(
        said.contains("1 factors and 1 challenges deleted, the entity is gone"),
        "{said}"
    );
    let left = shown(data, "user-0001");
    assert_eq!(left["places"].as_array().unwrap().len(), 1, "{left}");
    assert_eq!(left["places"][0]["service_sid"], *other.service_sid, "{left}");
    let told = &left["decisions"][0];
    assert!(text(&told["author"]).starts_with("operator"), "{told}");
    assert!(text(&told["reason"]).starts_with("deleted: the user"), "{told}");
    let gone = one.answer("user-0001", &waiting, "123456");
    assert_eq!(gone.status, 404, "{}", gone.body);

    // A number: its locks are lifted and what waits ends.
    one.send("4915112345672");
    for number in ["+4915112345671", "+4915112345672"] {
        let said = stdout_of(data, &["user", "delete", number, "--yes", "--json"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said["failed"], Value::Null, "{said}");
        assert_eq!(shown(data, number)["refused_now"], serde_json::json!([]));
    }
    assert_eq!(one.check("4915112345672", "314159").status, 404);
    one.send("4915112345671");

    one.enrol_verified("user-0001", 3);
    let said = stdout_of(data, &["user", "delete", "user-0001", "--all-services", "--yes"]);
    for service in [&one.service_sid, &other.service_sid] {
        assert!(said.contains(service.as_str()), "{said}");
    }
    let nobody = shown(data, "user-0001");
    assert_eq!(nobody["places"], serde_json::json!([]), "{nobody}");
    // Whoever is gone can begin anew.
    one.enrol_verified("user-0001", 4);
}
