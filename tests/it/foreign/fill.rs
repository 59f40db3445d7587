//! `countersign bench fill`, and a server on what it filled.

use aws_lc_rs::hmac;
use serde_json::Value;

use countersign::crypto::totp::{TotpSecret, code_at};
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::domain::totp_algorithm::TotpAlgorithm;

use super::{Server, block_on, client, countersign, text};
use crate::postgres_server::{Cluster, Database};

#[test]
fn a_server_on_a_filled_directory_knows_everybody() {
    a_server_on_a_filled_store_knows_everybody(None);
}

#[test]
fn a_server_on_a_filled_database_knows_everybody() {
    let Some(cluster) = Cluster::shared() else { return };
    a_server_on_a_filled_store_knows_everybody(Some(&cluster.database()));
}

fn a_server_on_a_filled_store_knows_everybody(database: Option<&Database>) {
    let home = tempfile::tempdir().expect("a temporary directory");
    let data = home.path().join("data").display().to_string();
    let url = database.map(Database::url);
    let mut variables = vec![("COUNTERSIGN_DATA", data.as_str()), ("COUNTERSIGN_LOG", "warn")];
    if let Some(url) = &url {
        variables.push(("COUNTERSIGN_STORE", url));
        variables.push(("COUNTERSIGN_MASTER_KEY", MASTER_KEY));
    }
    let output = |arguments: &[&str]| {
        let mut command = countersign();
        let output = command.args(arguments).envs(variables.iter().copied()).output();
        output.expect("it runs")
    };
    let run = |arguments: &[&str]| {
        let output = output(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    };
    let own = tempfile::tempdir().expect("a temporary directory");
    let own = own.path().to_str().expect("text");
    let refused = |seed: &str| {
        let mut arguments = vec!["bench", "fill", "--factors", "2401", "--seed", seed];
        if database.is_some() {
            // As from another machine.
            arguments.extend(["--data", own]);
        }
        let output = output(&arguments);
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).expect("text")
    };
    if database.is_some() {
        run(&["store", "migrate"]);
    }
    let guessable = refused("fifteen letters");
    assert!(guessable.contains("the seed has fewer than 16"), "{guessable}");
    let fill = |factors: &str| run(&["bench", "fill", "--factors", factors, "--seed", SEED]);
    let first = fill("1200");
    let (count, credentials) = first.trim().split_once('\n').expect("two lines");
    assert!(count.starts_with("1200 factors in the service VA"), "{first}");
    assert_eq!(fill("2400"), first.replace("1200", "2400"));
    let checked = run(&["store", "check"]);
    for line in ["      2400  entities\n", "      2400  factors\n", "all sound"] {
        assert!(checked.contains(line), "{checked}");
    }

    let credentials = credentials
        .strip_prefix("COUNTERSIGN_ACCOUNT=")
        .expect("the credentials");
    crate::doubles::watch::secret(credentials.split_once(':').expect("a token").1);
    let server = Server::start_in(home, &variables);
    let busy = refused(SEED);
    let why = match database {
        Some(_) => "servers run on the store",
        None => "another countersign uses the data directory",
    };
    assert!(busy.contains(why), "{busy}");
    let service = count.rsplit(' ').next().expect("its identifier");
    let (number, identity) = (2400, identity(2400));
    let call = |method: reqwest::Method, path: &str, form: &[(&str, &str)]| {
        let (account, token) = credentials.split_once(':').expect("a token");
        let url = format!("{}/v2/Services/{service}/Entities/{identity}/{path}", server.url);
        let request = client()
            .request(method, url)
            .form(form)
            .basic_auth(account, Some(token));
        let answer: Value = block_on(async { request.send().await?.json().await }).expect("JSON");
        answer
    };
    let listed = call(reqwest::Method::GET, "Factors", &[]);
    let factors = listed["factors"].as_array().expect("a list");
    assert_eq!(factors.len(), 1, "{listed}");
    assert_eq!(factors[0]["status"], "verified");
    let (sid, code) = (text(&factors[0], "/sid"), code_now(number));
    let challenge = [("FactorSid", sid), ("AuthPayload", code.as_str())];
    let approved = call(reqwest::Method::POST, "Challenges", &challenge);
    assert_eq!(approved["status"], "approved", "{approved}");
    let replayed = call(reqwest::Method::POST, "Challenges", &challenge);
    assert_eq!(replayed["status"], "pending", "{replayed}");

    // All but that one, in some order.
    let loaded = server.bench_as(
        credentials,
        "totp",
        &["--filled", "2399", "--seed", SEED, "--pid", &server.pid()],
    );
    assert_eq!(loaded["errors"], 0, "{loaded}");
    for figure in ["requests_per_second", "cpu_us"] {
        assert!(loaded[figure].as_f64().expect(figure) > 0.0, "{loaded}");
    }
}

/// The code of the current step of those that nobody but the seed's owner knows.
fn code_now(number: u64) -> String {
    let secret = TotpSecret::from_bytes(drawn(3, number)[..20].to_vec().into()).expect("a secret");
    let step = SystemClock.now().seconds() / 60;
    let code = code_at(&secret, TotpAlgorithm::Sha1, 6, step).expect("a code");
    code.reveal().to_owned()
}

fn identity(number: u64) -> String {
    let bytes = *drawn(2, number).first_chunk().expect("sixteen bytes");
    let mut text = format!("{:032x}", u128::from_be_bytes(bytes));
    for dash in [8, 13, 18, 23] {
        text.insert(dash, '-');
    }
    text
}

/// The first bytes that are drawn of the seed for this purpose and number.
fn drawn(purpose: u8, number: u64) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SEED.as_bytes());
    let position = 0_u32;
    let message = [&[purpose][..], &number.to_be_bytes(), &position.to_be_bytes()].concat();
    hmac::sign(&key, &message).as_ref().to_vec()
}

const SEED: &str = "a seed of this test";
const MASTER_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
