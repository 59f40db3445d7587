//! `countersign user`: finding a user, and opening again what is closed.

use serde_json::Value;
use tempfile::TempDir;

use super::decisions::Asked;
use super::failed_logins::{Failing, shown, text, wrong};
use super::process::{complaint, run, stdout_of};
use crate::support::terminal::at_terminal;

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
