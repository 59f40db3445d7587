//! nginx, Caddy and HAProxy in front of a server, with the very blocks of the manual: only ports and paths are the test's, and
//! HTTP/2 towards the server where the page says that it can be had.

use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use countersign::server::self_signed;
use serde_json::Value;
use tempfile::TempDir;

use super::page::page;
use crate::postgres_server::free_port;
use crate::serving::process::{Process, program};
use crate::support::Receiver;

#[tokio::test(flavor = "multi_thread")]
async fn nginx_serves_as_the_manual_configures_it() {
    if let Some(nginx) = installed("nginx", "nginx-light") {
        serves(&FAR_TOO_LONG, |place| start_nginx(&nginx, place)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_serves_as_the_manual_configures_it() {
    if let Some(caddy) = installed("caddy", "caddy") {
        serves(&TOO_LONG, |place| start_caddy(&caddy, place, "")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy_serves_in_http_2_towards_the_server() {
    if let Some(caddy) = installed("caddy", "caddy") {
        serves(&TOO_LONG, |place| start_caddy(&caddy, place, "h2c://")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_serves_as_the_manual_configures_it() {
    if let Some(haproxy) = installed("haproxy", "haproxy") {
        serves(&FAR_TOO_LONG, |place| start_haproxy(&haproxy, place, "")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy_serves_in_http_2_towards_the_server() {
    if let Some(haproxy) = installed("haproxy", "haproxy") {
        serves(&FAR_TOO_LONG, |place| start_haproxy(&haproxy, place, "proto h2 ")).await;
    }
}

/// Longer bodies than the server reads. Go's server resets connections on which more than 256 KiB are left to read, and some clients
/// lose the answer then: so those are no matter of ours behind Caddy.
const TOO_LONG: [usize; 2] = [70_000, 200_000];
const FAR_TOO_LONG: [usize; 2] = [70_000, 4_000_000];

/// Everything that the page promises of a proxy.
async fn serves(too_long: &[usize], start: impl FnOnce(&Place) -> Child) {
    let network = Receiver::answering("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
    let place = Place::new(&network);
    let mut server = place.serve();
    let (account, token) = server.credentials();
    let _proxy = Proxy(start(&place));
    let client = Client {
        place,
        account,
        token,
    };
    client.wait_until_ready();
    both_versions_are_spoken(&client);
    clients_are_told_apart(&client, &network);
    bodies_pass_up_to_the_limit(&client, too_long);
    waiting_is_neither_held_back_nor_cut(&client);
    a_server_may_restart_behind(&client, server);
}

fn both_versions_are_spoken(client: &Client) {
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let answer = client.ask(&[flag, "-w", "\n%{http_version}"], "/v2/Services");
        let (body, spoken) = answer.rsplit_once('\n').unwrap();
        assert_eq!(spoken, version);
        let url = serde_json::from_str::<Value>(body).unwrap()["meta"]["url"].to_string();
        assert!(url.contains(&client.place.public_url()), "{url}");
    }
}

/// The network that is asked whose address it was hears of the client's, whatever the client says of itself.
fn clients_are_told_apart(client: &Client, network: &Receiver) {
    let service = client.create("/v2/Services", &["FriendlyName=Owl Bank"], "sid");
    for (nth, flag) in ["--http1.1", "--http2"].into_iter().enumerate() {
        let to = format!("To=+491511234567{nth}");
        let verifications = format!("/v2/Services/{service}/Verifications");
        let verification: Value =
            serde_json::from_str(&client.post(&verifications, &[&to, "Channel=sna"])).unwrap();
        let url = verification["sna"]["url"].as_str().unwrap();
        let path = url.strip_prefix(&client.place.public_url()).unwrap();
        let forged = [
            "-X",
            "POST",
            flag,
            "-H",
            "X-Forwarded-For: 203.0.113.9, 127.0.0.1",
        ];
        let answer = client.ask(&forged, path);
        assert!(answer.starts_with("ErrorCode=0"), "{answer}");
    }
    let told: Vec<_> = network
        .requests()
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert_eq!(told, [b"ip=127.0.0.2"; 2]);
}

fn bodies_pass_up_to_the_limit(client: &Client, too_long: &[usize]) {
    let services = || client.ask(&[], "/v2/Services");
    let before = services();
    let file = client.place.path("body");
    let body = format!("@{}", file.display());
    for flag in ["--http1.1", "--http2"] {
        let sent = [flag, "-w", "\n%{http_code}", "--data-binary", &body];
        fs::write(&file, format!("FriendlyName={}", "a".repeat(60_000))).unwrap();
        let answer = client.ask(&sent, "/v2/Services");
        // What the server itself refuses for what it says, it has read.
        assert!(
            answer.ends_with("\n400") && answer.contains("\"code\""),
            "{answer}"
        );
        for length in too_long {
            fs::write(&file, format!("FriendlyName={}", "a".repeat(*length))).unwrap();
            // Which of two directions is faster differs from one time to the next.
            for _ in 0..5 {
                let answer = client.ask(&sent, "/v2/Services");
                assert!(answer.ends_with("\n413"), "{flag} {length}: {answer}");
            }
        }
    }
    assert_eq!(services(), before, "nothing was created");
}

/// A long poll of the longest time, an answer that ends one early, and a stream that outlives both.
fn waiting_is_neither_held_back_nor_cut(client: &Client) {
    let phone = Phone::enroll(client);
    let first = phone.challenge(client);
    let stream = client.spawn(&["-N", "-H", "Accept: text/event-stream"], &phone.events);
    let mut events = Events::of(stream);
    events.wait_for("event: challenge.created", Duration::from_secs(5));
    let began = Instant::now();
    let poll = format!("{}/{first}?Wait=60", phone.challenges);
    let answer = client.ask(&["--http2"], &poll);
    assert!(answer.contains("\"status\":\"pending\""), "{answer}");
    assert!(began.elapsed() > Duration::from_secs(59), "{:?}", began.elapsed());
    let polling = client.spawn(&["--http1.1"], &poll);
    thread::sleep(Duration::from_millis(500));
    phone.approve();
    let approved = Instant::now();
    events.wait_for("event: challenge.approved", Duration::from_secs(5));
    let answer = String::from_utf8(polling.wait_with_output().unwrap().stdout).unwrap();
    assert!(answer.contains("\"status\":\"approved\""), "{answer}");
    assert!(
        approved.elapsed() < Duration::from_secs(5),
        "{:?}",
        approved.elapsed()
    );
}

fn a_server_may_restart_behind(client: &Client, server: Process) {
    let count = || client.ask(&["-w", "\n%{http_code}"], "/v2/Services");
    let before = count();
    server.rest_after_sigterm();
    let answer = count();
    assert!(
        ["502", "503"].iter().any(|status| answer.ends_with(status)),
        "{answer}"
    );
    let _server = client.place.serve();
    client.wait_until_ready();
    assert_eq!(count(), before);
    client.create("/v2/Services", &["FriendlyName=Afterwards"], "sid");
}

/// Where a server and the proxy in front of it are.
struct Place {
    directory: TempDir,
    proxy: u16,
    server: u16,
    ops: u16,
}

impl Place {
    /// The sender asks `network` whose address it was.
    fn new(network: &Receiver) -> Self {
        let directory = TempDir::new().unwrap();
        let files = self_signed::ensure(directory.path(), None).unwrap();
        let place = Self {
            directory,
            proxy: free_port(),
            server: free_port(),
            ops: free_port(),
        };
        let pair = [&files.certificate, &files.key].map(|file| fs::read_to_string(file).unwrap());
        fs::write(place.path("ca.pem"), &pair[0]).unwrap();
        fs::write(place.path("key.pem"), &pair[1]).unwrap();
        fs::write(place.path("pair.pem"), pair.concat()).unwrap();
        let settings = format!(
            "[[senders]]\nname = \"network\"\nkind = \"http\"\nchannels = [\"sna\"]\nurl = \"{}\"\n\
             text = \"ip={{{{device_ip}}}}\"\nsuccess_statuses = [204]\n",
            network.url("/")
        );
        fs::write(place.path("settings.toml"), settings).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn public_url(&self) -> String {
        format!("https://localhost:{}", self.proxy)
    }

    fn serve(&self) -> Process {
        let ops = format!("127.0.0.1:{}", self.ops);
        let settings = self.path("settings.toml");
        let arguments = ["--ops-listen", &ops, "--config", settings.to_str().unwrap()];
        let variables = [
            ("COUNTERSIGN_TRUSTED_PROXIES", "127.0.0.1"),
            ("COUNTERSIGN_PUBLIC_URL", &self.public_url()),
        ];
        let listen = format!("127.0.0.1:{}", self.server);
        Process::start_on(&listen, &self.path("data"), &arguments, &variables)
    }

    /// The page's block for this proxy, each of the texts replaced, which must stand in it.
    fn configuration(language: &str, replaced: &[(&str, &str)]) -> String {
        let blocks = page("deploying").blocks();
        let block = blocks.into_iter().find(|block| block.language == language);
        let mut text = block.unwrap().text;
        for (from, to) in replaced {
            assert!(text.contains(from), "no {from} in\n{text}");
            text = text.replace(from, to);
        }
        text
    }
}

fn start_nginx(nginx: &Path, place: &Place) -> Child {
    let directory = place.directory.path().display();
    let block = Place::configuration(
        "nginx",
        &[
            ("127.0.0.1:8080", &format!("127.0.0.1:{}", place.server)),
            ("listen 443 ", &format!("listen 127.0.0.1:{} ", place.proxy)),
            ("2fa.example.com;", "localhost;"),
            ("/etc/ssl/2fa.example.com.pem", &format!("{directory}/ca.pem")),
            ("/etc/ssl/2fa.example.com.key", &format!("{directory}/key.pem")),
        ],
    );
    // One process, that ends when it is told to; what it puts aside lies in the directory.
    let mut text = format!(
        "daemon off;\nmaster_process off;\npid {directory}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n"
    );
    for kept in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        text = format!("{text}{kept}_temp_path {directory}/{kept};\n");
    }
    fs::write(place.path("nginx.conf"), format!("{text}{block}}}\n")).unwrap();
    let mut command = Command::new(nginx);
    command.args(["-e", "stderr", "-p"]).arg(place.directory.path());
    start(command.arg("-c").arg(place.path("nginx.conf")), place)
}

/// What it speaks towards the server stands before the address there.
fn start_caddy(caddy: &Path, place: &Place, towards: &str) -> Child {
    let directory = place.directory.path().display();
    let site = format!(
        "https://localhost:{} {{\nbind 127.0.0.1\ntls {directory}/ca.pem {directory}/key.pem",
        place.proxy
    );
    let block = Place::configuration(
        "caddyfile",
        &[
            ("127.0.0.1:8080", &format!("{towards}127.0.0.1:{}", place.server)),
            ("2fa.example.com {", &site),
        ],
    );
    // Nobody configures it over a port, and it asks nobody for certificates.
    let text = format!("{{\nadmin off\nauto_https off\nskip_install_trust\n}}\n{block}");
    fs::write(place.path("Caddyfile"), text).unwrap();
    let mut command = Command::new(caddy);
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env(variable, place.directory.path());
    }
    command.args(["run", "--adapter", "caddyfile", "--config"]);
    start(command.arg(place.path("Caddyfile")), place)
}

/// What it speaks towards the server stands behind the address there.
fn start_haproxy(haproxy: &Path, place: &Place, towards: &str) -> Child {
    let pair = place.path("pair.pem");
    let text = Place::configuration(
        "haproxy",
        &[
            (
                "127.0.0.1:8080 ",
                &format!("127.0.0.1:{} {towards}", place.server),
            ),
            ("check port 9090", &format!("check port {}", place.ops)),
            ("bind :443 ", &format!("bind 127.0.0.1:{} ", place.proxy)),
            ("/etc/haproxy/2fa.example.com.pem", pair.to_str().unwrap()),
        ],
    );
    fs::write(place.path("haproxy.cfg"), text).unwrap();
    let mut command = Command::new(haproxy);
    start(command.args(["-db", "-f"]).arg(place.path("haproxy.cfg")), place)
}

fn start(command: &mut Command, place: &Place) -> Child {
    let log = File::create(place.path("proxy.log")).unwrap();
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().unwrap()
}

/// A proxy that runs, until this is dropped.
struct Proxy(Child);

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A client of the proxy, whose address is 127.0.0.2, which the server does not take for a proxy's.
struct Client {
    place: Place,
    account: String,
    token: String,
}

impl Client {
    fn ask(&self, arguments: &[&str], path: &str) -> String {
        let output = self.spawn(arguments, path).wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{path}: {output:?}\n{}",
            self.complaints()
        );
        String::from_utf8(output.stdout).unwrap()
    }

    fn post(&self, path: &str, form: &[&str]) -> String {
        let fields = form.iter().flat_map(|field| ["--data-urlencode", field]);
        let arguments: Vec<_> = ["--fail-with-body"].into_iter().chain(fields).collect();
        self.ask(&arguments, path)
    }

    /// The `member` of what was created.
    fn create(&self, path: &str, form: &[&str], member: &str) -> String {
        let created: Value = serde_json::from_str(&self.post(path, form)).unwrap();
        created[member].as_str().unwrap().to_owned()
    }

    fn spawn(&self, arguments: &[&str], path: &str) -> Child {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "90", "--interface", "127.0.0.2", "--resolve"])
            .arg(format!("localhost:{}:127.0.0.1", self.place.proxy))
            .args(["-u", &format!("{}:{}", self.account, self.token), "--cacert"])
            .arg(self.place.path("ca.pem"))
            .args(arguments)
            .arg(format!("{}{path}", self.place.public_url()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        curl.spawn().unwrap()
    }

    /// Waits until the proxy listens and takes the server for one that serves.
    fn wait_until_ready(&self) {
        let began = Instant::now();
        let is_ready = || {
            TcpStream::connect(("127.0.0.1", self.place.proxy)).is_ok()
                && self
                    .ask(&["-w", "\n%{http_code}"], "/v2/Services")
                    .ends_with("\n200")
        };
        while !is_ready() {
            assert!(began.elapsed() < PATIENCE, "{}", self.complaints());
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn complaints(&self) -> String {
        fs::read_to_string(self.place.path("proxy.log")).unwrap_or_default()
    }
}

/// A device that was enrolled through the proxy.
struct Phone {
    state: PathBuf,
    ca: PathBuf,
    factor: String,
    challenges: String,
    events: String,
}

impl Phone {
    fn enroll(client: &Client) -> Self {
        let service = client.create("/v2/Services", &["FriendlyName=Owl Bank"], "sid");
        let tokens = format!("/v2/Services/{service}/AccessTokens");
        let token = client.create(&tokens, &["Identity=user-0001", "FactorType=push"], "token");
        let (state, ca) = (client.place.path("phone.json"), client.place.path("ca.pem"));
        let url = client.place.public_url();
        let mut command = program(&["device", "enroll", "--url", &url, "--service", &service]);
        let enrolled = command
            .args(["--identity", "user-0001", "--name", "Ada's phone", "--state"])
            .arg(&state)
            .arg("--ca")
            .arg(&ca)
            .env("COUNTERSIGN_ACCESS_TOKEN", token)
            .output()
            .unwrap();
        assert!(enrolled.status.success(), "{enrolled:?}");
        let text = fs::read_to_string(&state).unwrap();
        let at = text.find("\"YF").unwrap() + 1;
        let factor = text[at..at + 34].to_owned();
        let user = format!("/v2/Services/{service}/Entities/user-0001");
        Self {
            events: format!("{user}/Factors/{factor}/Events"),
            challenges: format!("{user}/Challenges"),
            state,
            ca,
            factor,
        }
    }

    fn challenge(&self, client: &Client) -> String {
        let factor = format!("FactorSid={}", self.factor);
        client.create(&self.challenges, &[&factor, "Details.Message=Log in?"], "sid")
    }

    fn approve(&self) {
        let mut command = program(&["device", "approve", "--state"]);
        let approved = command.arg(&self.state).arg("--ca").arg(&self.ca).output();
        let approved = approved.unwrap();
        assert!(approved.status.success(), "{approved:?}");
    }
}

/// The lines of an event stream as they come.
struct Events {
    curl: Child,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Events {
    fn of(mut curl: Child) -> Self {
        let (sender, lines) = std::sync::mpsc::channel();
        let stdout = BufReader::new(curl.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _nobody = sender.send(line);
            }
        });
        Self { curl, lines }
    }

    #[track_caller]
    fn wait_for(&mut self, wanted: &str, patience: Duration) {
        let began = Instant::now();
        loop {
            let left = patience.checked_sub(began.elapsed()).expect("it comes at once");
            let line = self.lines.recv_timeout(left).expect("it comes at once");
            if line == wanted {
                return;
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ended_already = self.curl.kill();
        let _reaped = self.curl.wait();
    }
}

/// The program, if it is installed. Says what is skipped where it is not, past the test harness.
///
/// # Panics
/// When it is not installed and `COUNTERSIGN_TEST_ALL` is 1.
pub(super) fn installed(program: &str, package: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian's programs of administrators are on no path but theirs.
    let directories = env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let found = directories
        .map(|directory| directory.join(program))
        .find(|file| file.is_file());
    assert!(
        found.is_some() || env::var_os(ALL).is_none_or(|all| all != "1"),
        "{ALL}=1, but {program} is not installed: install Debian's package {package}"
    );
    if found.is_none() {
        let line =
            format!("SKIPPED: a test with {program}, which is not installed (Debian's package {package})\n");
        io::stderr().write_all(line.as_bytes()).unwrap();
    }
    found
}

const ALL: &str = "COUNTERSIGN_TEST_ALL";
const PATIENCE: Duration = Duration::from_secs(30);
