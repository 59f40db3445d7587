//! What clients were told of their challenges, and what has to have been told to others.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::line::Line;
use super::receiver::Told;

/// What became of challenges, as their one client saw it: each is pending, and then is one other thing for ever.
#[derive(Default)]
pub(super) struct Statuses(BTreeMap<String, String>);

impl Statuses {
    /// Takes in a challenge as a server shows it.
    pub(super) fn observe(&mut self, challenge: &Value) {
        let text = |name: &str| challenge[name].as_str().unwrap().to_owned();
        let (sid, status) = (text("sid"), text("status"));
        assert!(
            ["pending", "approved", "denied", "expired"].contains(&status.as_str()),
            "{sid} is {status}"
        );
        let before = self.0.insert(sid.clone(), status.clone());
        assert!(
            before
                .as_ref()
                .is_none_or(|before| before == "pending" || *before == status),
            "{sid} was {before:?} and is {status}"
        );
    }
}

/// Adds what must have been told of an entity, by what the servers say now.
pub(super) fn add_what_happened(
    line: &mut Line,
    entity: &str,
    statuses: &mut Statuses,
    happened: &mut BTreeSet<Told>,
) {
    let mut add = |event: &str, factor: &Value, challenge: Option<&Value>| {
        let text = |sid: &Value| sid.as_str().unwrap().to_owned();
        happened.insert(Told {
            event: event.to_owned(),
            factor: text(factor),
            challenge: challenge.map(text),
        });
    };
    for factor in everything(line, &format!("{entity}/Factors"), "factors") {
        add("factor.created", &factor["sid"], None);
        if factor["status"] == "verified" {
            add("factor.verified", &factor["sid"], None);
        }
    }
    for challenge in everything(line, &format!("{entity}/Challenges"), "challenges") {
        statuses.observe(&challenge);
        let event = match challenge["status"].as_str().unwrap() {
            "pending" => continue,
            status => format!("challenge.{status}"),
        };
        add(&event, &challenge["factor_sid"], Some(&challenge["sid"]));
    }
}

/// All pages of a list; nothing if there is no such entity.
fn everything(line: &mut Line, path: &str, name: &str) -> Vec<Value> {
    let mut all = Vec::new();
    let mut next = Some(format!("{path}?PageSize=100"));
    while let Some(path) = next {
        let answer = line.call("GET", &path, &[]).unwrap();
        if answer.status == 404 {
            return all;
        }
        let mut page = answer.expect(200);
        all.append(page[name].as_array_mut().unwrap());
        let url = page["meta"]["next_page_url"].as_str();
        next = url.map(|url| url[url.find("/v2/").unwrap()..].to_owned());
    }
    all
}
