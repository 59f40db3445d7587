//! The image of the manual's Containerfile: built by buildah from the page's very block, and run as far as that goes without a
//! container engine: with a root that nothing can be written to, as its user, in mounts of its own.
//!
//! The image that it begins with is a registry's. Here it is one of this machine's own programs and libraries, whose `cargo`
//! gives out the binary that is tested, since a build of its own would take as long as all tests.

use std::fs;
use std::io::{self, Write as _};
use std::net::TcpListener as BlockingListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use countersign::server::self_signed;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::page::page;
use super::proxies::installed;
use crate::postgres_server::free_port;
use crate::serving::process::{Process, basic};

#[tokio::test(flavor = "multi_thread")]
async fn the_image_of_the_manual_serves_from_a_root_that_it_cannot_write_to() {
    let Some(buildah) = installed("buildah", "buildah") else {
        return;
    };
    if !may_mount() {
        return;
    }
    let mut network = Network::begin();
    let built = Built::from_the_page(buildah, &network.authority());
    built.holds_what_it_needs_and_nothing_else();
    let volume = built.volume(&network);

    let run = Run::of(&built, &volume);
    let created = run
        .command(&["account", "create", "--name", "Owl Bank"])
        .output()
        .unwrap();
    assert!(created.status.success(), "{created:?}");
    let told = String::from_utf8(created.stdout).unwrap();
    let value = |name| {
        let line = told.lines().find_map(|line| line.trim().strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    let authorization = basic(&value("Account SID"), &value("Auth token"));

    let server = run.serve();
    run.is_confined(&server);
    let ready = crate::serving::process::get(&run.ops(), "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    let service = post(&server, &authorization, "/v2/Services", "FriendlyName=Owl+Bank");
    let service = service["sid"].as_str().unwrap().to_owned();
    let path = format!("/v2/Services/{service}/Verifications");
    post(&server, &authorization, &path, "To=%2B4915112345678&Channel=sms");
    // Its name was found, and its certificate believed.
    let asked = network.next().await;
    assert!(asked.starts_with("POST / HTTP/1.1\r\n"), "{asked}");
    assert_eq!(server.rest_after_sigterm(), "");

    // What it stored lies in the volume, for the next one.
    let again = run.serve();
    let answer = again.get(&format!("/v2/Services/{service}"));
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let listed = run.command(&["account", "list"]).output().unwrap();
    assert!(
        String::from_utf8(listed.stdout.clone())
            .unwrap()
            .contains("Owl Bank"),
        "{listed:?}"
    );
    assert_eq!(again.rest_after_sigterm(), "");
}

fn post(server: &Process, authorization: &str, path: &str, form: &str) -> Value {
    let mut stream = server.connect();
    let length = form.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{form}"
    )
    .unwrap();
    let mut answer = String::new();
    io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// An image, and where it is kept until the test is over.
struct Built {
    directory: TempDir,
    buildah: PathBuf,
}

impl Built {
    /// The page's block, with an image to begin with that trusts `authority`.
    fn from_the_page(buildah: PathBuf, authority: &Path) -> Self {
        let built = Self {
            directory: TempDir::new().unwrap(),
            buildah,
        };
        let containerfile = page("deploying")
            .blocks()
            .into_iter()
            .find(|block| block.language == "dockerfile")
            .unwrap()
            .text;
        let first = containerfile.lines().find_map(|line| line.strip_prefix("FROM "));
        let first = first.and_then(|from| from.strip_suffix(" AS build")).unwrap();
        built.make_first_image(first, authority);

        let context = built.path("context");
        fs::create_dir_all(context.join("src")).unwrap();
        for file in ["Cargo.toml", "Cargo.lock"] {
            fs::copy(super::root().join(file), context.join(file)).unwrap();
        }
        fs::copy(env!("CARGO_BIN_EXE_countersign"), context.join("src/countersign")).unwrap();
        fs::write(context.join("Containerfile"), containerfile).unwrap();
        built.buildah(
            &[
                "bud",
                "--isolation",
                "chroot",
                "--pull=never",
                "-q",
                "-t",
                "countersign",
            ],
            |command| command.arg("-f").arg(context.join("Containerfile")).arg(&context),
        );
        let container = built.buildah(
            &["from", "--pull=never", "--name", "ours", "countersign"],
            |command| command,
        );
        assert_eq!(container, "ours");
        built
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Programs of this machine, with their libraries.
    fn make_first_image(&self, name: &str, authority: &Path) {
        let root = self.path("first");
        let trusted = root.join("etc/ssl/certs");
        fs::create_dir_all(&trusted).unwrap();
        fs::copy(authority, trusted.join("ca-certificates.crt")).unwrap();
        fs::create_dir_all(root.join("tmp")).unwrap();
        let mut script = Command::new("sh");
        script
            .args(["-c", FIRST_IMAGE, "sh"])
            .arg(&root)
            .arg(env!("CARGO_BIN_EXE_countersign"));
        succeeded(&script.output().unwrap());
        let container = self.buildah(&["from", "scratch"], |command| command);
        self.buildah(&["copy", "-q", &container], |command| command.arg(&root).arg("/"));
        self.buildah(&["commit", "-q", &container, name], |command| command);
        self.buildah(&["rm", &container], |command| command);
    }

    /// What buildah says, which keeps all that is its own in the directory.
    fn buildah(&self, arguments: &[&str], more: impl FnOnce(&mut Command) -> &mut Command) -> String {
        let mut command = Command::new(&self.buildah);
        command
            .arg("--root")
            .arg(self.path("storage"))
            .arg("--runroot")
            .arg(self.path("run"))
            .args(["--storage-driver", "vfs"])
            .args(arguments)
            .stdin(Stdio::null());
        let output = more(&mut command).output().unwrap();
        succeeded(&output);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The image's files in a container.
    fn root(&self) -> PathBuf {
        PathBuf::from(self.buildah(&["mount", "ours"], |command| command))
    }

    /// What the image says of itself.
    fn configuration(&self) -> Value {
        let told = self.buildah(&["inspect", "--type", "image", "countersign"], |command| command);
        let told: Value = serde_json::from_str(&told).unwrap();
        told["OCIv1"]["config"].clone()
    }

    fn holds_what_it_needs_and_nothing_else(&self) {
        let mut found = Vec::new();
        files_below(&self.root(), "", &mut found);
        let libraries = succeeded(
            &Command::new("ldd")
                .arg(env!("CARGO_BIN_EXE_countersign"))
                .output()
                .unwrap(),
        );
        let libraries = libraries
            .split_whitespace()
            .filter(|word| word.starts_with("/lib"));
        let mut expected: Vec<_> = libraries.map(str::to_owned).collect();
        expected.extend(
            [
                "/etc/nsswitch.conf",
                "/etc/ssl/certs/ca-certificates.crt",
                "/usr/bin/countersign",
            ]
            .map(str::to_owned),
        );
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
        let configuration = self.configuration();
        assert_eq!(configuration["User"], "10001:10001");
        assert_eq!(
            configuration["Entrypoint"],
            serde_json::json!(["/usr/bin/countersign"])
        );
        assert_eq!(configuration["Volumes"], serde_json::json!({"/data": {}}));
    }

    /// A volume as engines make it: with the owner and the rights that the image gives it.
    fn volume(&self, network: &Network) -> PathBuf {
        let volume = self.path("volume");
        succeeded(
            &Command::new("cp")
                .arg("-a")
                .arg(self.root().join("data"))
                .arg(&volume)
                .output()
                .unwrap(),
        );
        let settings = format!(
            "[[senders]]\nname = \"network\"\nkind = \"http\"\nchannels = [\"sms\"]\nurl = \"https://{HOST}:{}/\"\ntext = \"{{{{text}}}}\"\n",
            network.port
        );
        fs::write(volume.join("countersign.toml"), settings).unwrap();
        volume
    }
}

fn files_below(root: &Path, at: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(at.trim_start_matches('/'))).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{at}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files_below(root, &path, found);
        } else {
            found.push(path);
        }
    }
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// How a container is run.
struct Run {
    root: PathBuf,
    volume: PathBuf,
    hosts: PathBuf,
    environment: Vec<String>,
    entrypoint: String,
    user: String,
    ops: u16,
}

impl Run {
    fn of(built: &Built, volume: &Path) -> Self {
        let configuration = built.configuration();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let (api, ops) = (free_port(), free_port());
        // The last one counts, as with an engine's `-e`.
        let mut environment: Vec<_> = configuration["Env"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        environment.extend([
            format!("COUNTERSIGN_LISTEN=127.0.0.1:{api}"),
            format!("COUNTERSIGN_OPS_LISTEN=127.0.0.1:{ops}"),
            "COUNTERSIGN_CONFIG=/data/countersign.toml".to_owned(),
            "COUNTERSIGN_MASTER_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".to_owned(),
        ]);
        let hosts = built.path("hosts");
        fs::write(&hosts, format!("127.0.0.1 localhost {HOST}\n")).unwrap();
        // What engines put into every container, on which they mount what is theirs.
        let root = built.root();
        for directory in ["proc", "dev"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join("etc/hosts"), "").unwrap();
        Self {
            root,
            volume: volume.to_owned(),
            hosts,
            environment,
            entrypoint: text(&configuration["Entrypoint"][0]),
            user: text(&configuration["User"]),
            ops,
        }
    }

    fn ops(&self) -> String {
        format!("http://127.0.0.1:{}", self.ops)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c", CONTAINED, "sh"])
            .args([&self.root, &self.volume, &self.hosts])
            .args(["env", "-i"])
            .args(&self.environment)
            .args(["/usr/sbin/chroot", "--userspec", &self.user])
            .arg(&self.root)
            .arg(&self.entrypoint)
            .args(arguments)
            .stdin(Stdio::null());
        command
    }

    fn serve(&self) -> Process {
        Process::begin(self.command(&[]))
    }

    /// It is nobody's process but its user's, and may write to nothing but its volume.
    fn is_confined(&self, server: &Process) {
        let told = |file| fs::read_to_string(format!("/proc/{}/{file}", server.id())).unwrap();
        let status = told("status");
        for line in [
            "Uid:\t10001\t10001\t10001\t10001",
            "Gid:\t10001\t10001\t10001\t10001",
            "CapEff:\t0000000000000000",
        ] {
            assert!(status.contains(line), "no {line} in {status}");
        }
        let mounts = told("mountinfo");
        let options = |at: &str| {
            let line = mounts.lines().rfind(|line| line.split(' ').nth(4) == Some(at));
            line.and_then(|line| line.split(' ').nth(5)).map(str::to_owned)
        };
        // Seen from within.
        let root = options("/").unwrap();
        assert!(root.split(',').any(|option| option == "ro"), "{mounts}");
        let data = options("/data").unwrap();
        assert!(data.split(',').any(|option| option == "rw"), "{mounts}");
        let owned = fs::metadata(&self.volume).unwrap();
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&owned), 10_001);
    }
}

/// Whether this machine lets its user mount, which containers need.
fn may_mount() -> bool {
    let mut tried = Command::new("unshare");
    tried.args([
        "--mount",
        "--propagation",
        "private",
        "mount",
        "-t",
        "tmpfs",
        "none",
        "/mnt",
    ]);
    let may = tried.output().is_ok_and(|output| output.status.success());
    assert!(
        may || std::env::var_os("COUNTERSIGN_TEST_ALL").is_none_or(|all| all != "1"),
        "COUNTERSIGN_TEST_ALL=1, but nothing can be mounted, so no image can be run: run the tests as root, where mounts are allowed"
    );
    if !may {
        io::stderr()
            .write_all(b"SKIPPED: an image, as nothing can be mounted (root can)\n")
            .unwrap();
    }
    may
}

/// Somebody whom codes are sent to, with TLS.
struct Network {
    directory: TempDir,
    port: u16,
    requests: mpsc::Receiver<String>,
}

impl Network {
    fn begin() -> Self {
        let directory = TempDir::new().unwrap();
        let files = self_signed::ensure(directory.path(), Some(HOST)).unwrap();
        let chain = CertificateDer::from_pem_file(&files.certificate).unwrap();
        let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = BlockingListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let listener = TcpListener::from_std(listener).unwrap();
        let (came, requests) = mpsc::channel(9);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Who does not trust the certificate leaves here.
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let mut head = [0; 4096];
                    let length = stream.read(&mut head).await.unwrap_or_default();
                    let _gone = stream.write_all(ANSWER.as_bytes()).await;
                    let _gone = stream.shutdown().await;
                    let _over = came
                        .send(String::from_utf8_lossy(&head[..length]).into_owned())
                        .await;
                }
            }
        });
        Self {
            directory,
            port,
            requests,
        }
    }

    fn authority(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }

    async fn next(&mut self) -> String {
        let next = tokio::time::timeout(PATIENCE, self.requests.recv()).await;
        next.expect("a code is sent, to a host that is found and trusted")
            .unwrap()
    }
}

const HOST: &str = "sms.test";
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes a directory of programs and the libraries that these and the tested binary name.
const FIRST_IMAGE: &str = r#"
set -e
root=$1
mkdir -p "$root/usr/bin" "$root/usr/lib" "$root/usr/lib64"
ln -s usr/bin usr/lib usr/lib64 "$root/"
take_libraries() {
    for library in $(ldd "$1" | grep -o '/[^ ]*\.so[^ ]*'); do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done
}
for name in sh bash ldd cat chmod cp echo grep install mkdir strip; do
    program=$(readlink -f "/usr/bin/$name")
    cp "$program" "$root/usr/bin/$name"
    take_libraries "$program" || true
done
take_libraries "$2"
cat > "$root/usr/bin/cargo" <<'END'
#!/bin/sh
mkdir -p target/dist
cp src/countersign target/dist/
END
chmod 0755 "$root/usr/bin/cargo"
"#;

/// Runs a command in a root that is read-only but for the volume.
const CONTAINED: &str = r#"
set -e
root=$1 volume=$2 hosts=$3
shift 3
mount --bind "$root" "$root"
mount --bind "$volume" "$root/data"
mount --bind "$hosts" "$root/etc/hosts"
mount --rbind /proc "$root/proc"
mount -o remount,bind,ro "$root"
exec "$@"
"#;
