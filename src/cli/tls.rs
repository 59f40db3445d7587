//! `countersign tls`: a private certification authority for one server, and certificates of it.
//!
//! For clients whose host is fixed, and for networks without a public name. The authority's certificate permits these hosts alone
//! (RFC 5280, 4.2.1.10), so whoever trusts it does not trust whoever steals its key with any other.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName};
use serde_json::json;
use time::{Duration, OffsetDateTime};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use zeroize::Zeroizing;

use super::whole_file::WholeFile;
use super::write_beside::TextBeside;
use super::{Failure, output};

/// What is done about certificates.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a private authority and a certificate of it, in a new directory.
    ///
    /// Clients that trust its `ca.pem` trust this server by these names, and nobody by any other. `cert.pem` and `key.pem` are for
    /// `serve --tls-cert` and `--tls-key`; keep `ca.key` elsewhere until you renew.
    Init(InitArgs),
    /// Make a new certificate of the authority in that directory, for the same hosts.
    ///
    /// A server that runs takes it by itself.
    Renew {
        /// The directory
        #[arg(default_value = DIRECTORY)]
        directory: PathBuf,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
}

/// For whom.
#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// A name or an address that clients reach the server by; one or several
    #[arg(long = "host", value_name = "NAME", required = true)]
    hosts: Vec<String>,
    /// The directory, which must have none of these files
    #[arg(default_value = DIRECTORY)]
    directory: PathBuf,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

const DIRECTORY: &str = "countersign-tls";

/// Runs one `countersign tls` command.
pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Init(args) => init(&args),
        Command::Renew { directory, json } => renew(&directory, json),
    }
}

fn init(args: &InitArgs) -> Result<(), Failure> {
    let directory = args.directory.as_path();
    if let Some(wrong) = args.hosts.iter().find(|host| !is_host(host)) {
        return Err(Failure::misused(format!(
            "{wrong:?} is no host: give a name or an address, without scheme and port"
        )));
    }
    let authority = Authority::new(&args.hosts)?;
    let certificate = authority.certify(&args.hosts)?;
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory);
    made.map_err(|error| failed("make", directory, &error))?;
    let files = [
        (CA_KEY, authority.key.as_str()),
        (CA, &authority.certificate),
        (KEY, &certificate.key),
        (CERTIFICATE, &certificate.chain),
    ];
    // Before the first is written: half of an authority is of no use.
    if let Some((name, _)) = files
        .iter()
        .find(|(name, _)| directory.join(name).symlink_metadata().is_ok())
    {
        return Err(Failure::new(format!(
            "{} is there already: take another directory, or `countersign tls renew` for a new certificate of the same authority",
            directory.join(name).display()
        )));
    }
    for (name, text) in files {
        let path = directory.join(name);
        write_new(&path, text).map_err(|error| failed("write", &path, &error))?;
    }
    tell(
        directory,
        &certificate,
        args.json,
        |[ca, certificate, key], ends| {
            format!(
                "Clients trust {ca}; the server takes --tls-cert {certificate} --tls-key {key}, until {ends}.\n"
            )
        },
    );
    Ok(())
}

fn is_host(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    text.parse::<IpAddr>().is_ok() || DnsName::try_from(name).is_ok()
}

fn renew(directory: &Path, json: bool) -> Result<(), Failure> {
    let (certificate, key) = (directory.join(CERTIFICATE), directory.join(KEY));
    let hosts = hosts_of(&certificate)?;
    let authority = Authority::load(directory, &hosts)?;
    authority.require_its_key(directory)?;
    let renewed = authority.certify(&hosts)?;
    // A server that reads them in between goes on with the old ones.
    for (path, text) in [(&key, renewed.key.as_str()), (&certificate, &renewed.chain)] {
        let written = TextBeside::write(path, text).and_then(TextBeside::replace);
        written.map_err(|error| failed("write", path, &error))?;
    }
    tell(directory, &renewed, json, |[_, certificate, _], ends| {
        format!("{certificate} is renewed until {ends}.\n")
    });
    Ok(())
}

/// Says where the certificates of the authority and of the server are, and its key, and until when they are good.
fn tell(
    directory: &Path,
    made: &MadeCertificate,
    json: bool,
    text: impl FnOnce([String; 3], time::Date) -> String,
) {
    let [ca, certificate, key] =
        [CA, CERTIFICATE, KEY].map(|name| directory.join(name).display().to_string());
    let ends = made.ends;
    output::tell(
        json,
        || json!({"ca": ca, "certificate": certificate, "key": key, "ends": ends.to_string()}),
        || text([ca.clone(), certificate.clone(), key.clone()], ends),
    );
}

/// The files of the directory.
const CA: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const CERTIFICATE: &str = "cert.pem";
const KEY: &str = "key.pem";

struct Authority {
    parameters: CertificateParams,
    /// PEM.
    key: Zeroizing<String>,
    /// PEM.
    certificate: String,
}

/// A certificate of it.
struct MadeCertificate {
    /// PEM.
    key: Zeroizing<String>,
    /// The certificate and that of the authority, PEM.
    chain: String,
    /// The day of its end.
    ends: time::Date,
}

impl Authority {
    fn new(hosts: &[String]) -> Result<Self, Failure> {
        let parameters = authority_for(hosts);
        let key = KeyPair::generate().map_err(|error| unmade(&error))?;
        let certificate = parameters
            .self_signed(&key)
            .map_err(|error| unmade(&error))?
            .pem();
        Ok(Self {
            parameters,
            key: Zeroizing::new(key.serialize_pem()),
            certificate,
        })
    }

    fn load(directory: &Path, hosts: &[String]) -> Result<Self, Failure> {
        let read = |name| {
            let path = directory.join(name);
            fs::read_to_string(&path).map_err(|error| failed("read", &path, &error))
        };
        Ok(Self {
            parameters: authority_for(hosts),
            key: Zeroizing::new(read(CA_KEY)?),
            certificate: read(CA)?,
        })
    }

    /// Fails unless the key is that of the certificate: clients would not trust what is made with another one.
    fn require_its_key(&self, directory: &Path) -> Result<(), Failure> {
        let key = KeyPair::from_pem(&self.key).map_err(|error| unmade(&error))?;
        let trusted = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        let trusted = trusted
            .ok()
            .and_then(|der| x509_cert::Certificate::from_der(&der).ok());
        let is_its = trusted.is_some_and(|trusted| {
            let public = &trusted.tbs_certificate.subject_public_key_info.subject_public_key;
            public.raw_bytes() == key.public_key_raw()
        });
        if is_its {
            return Ok(());
        }
        Err(Failure::new(format!(
            "{} is not the key of {}: nothing was changed",
            directory.join(CA_KEY).display(),
            directory.join(CA).display()
        )))
    }

    fn certify(&self, hosts: &[String]) -> Result<MadeCertificate, Failure> {
        let authority_key = KeyPair::from_pem(&self.key).map_err(|error| unmade(&error))?;
        let issuer = Issuer::new(self.parameters.clone(), authority_key);
        let mut parameters = CertificateParams::new(hosts.to_vec()).map_err(|error| unmade(&error))?;
        let now = OffsetDateTime::now_utc();
        parameters.distinguished_name = named(&hosts[0]);
        parameters.not_before = now - Duration::days(1);
        parameters.not_after = now + Duration::days(CERTIFICATE_DAYS);
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().map_err(|error| unmade(&error))?;
        let made = parameters
            .signed_by(&key, &issuer)
            .map_err(|error| unmade(&error))?;
        Ok(MadeCertificate {
            key: Zeroizing::new(key.serialize_pem()),
            chain: format!("{}{}", made.pem(), self.certificate),
            ends: parameters.not_after.date(),
        })
    }
}

/// What the authority for these hosts says of itself: the same, whenever it is asked.
fn authority_for(hosts: &[String]) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    let now = OffsetDateTime::now_utc();
    parameters.distinguished_name = named(&format!("Countersign authority for {}", hosts[0]));
    parameters.not_before = now - Duration::days(1);
    parameters.not_after = now + Duration::days(AUTHORITY_DAYS);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let permitted = hosts.iter().map(|host| match host.parse::<IpAddr>() {
        Ok(address) => {
            let whole = if address.is_ipv4() { 32 } else { 128 };
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(address, whole))
        }
        Err(_) => GeneralSubtree::DnsName(host.trim_start_matches("*.").to_owned()),
    });
    parameters.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted.collect(),
        excluded_subtrees: Vec::new(),
    });
    parameters
}

fn named(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    // The longest common name that there may be (RFC 5280, appendix A.1).
    names.push(DnType::CommonName, name.chars().take(64).collect::<String>());
    names
}

/// The hosts that the certificate in this file is for.
fn hosts_of(path: &Path) -> Result<Vec<String>, Failure> {
    let unusable = || {
        Failure::new(format!(
            "{} is no certificate that `countersign tls init` made",
            path.display()
        ))
    };
    let bytes = fs::read(path).map_err(|error| failed("read", path, &error))?;
    let first = CertificateDer::from_pem_slice(&bytes).map_err(|_| unusable())?;
    let read = x509_cert::Certificate::from_der(&first).map_err(|_| unusable())?;
    let names = read.tbs_certificate.get::<SubjectAltName>();
    let (_, SubjectAltName(names)) = names.ok().flatten().ok_or_else(unusable)?;
    let hosts: Option<Vec<String>> = names.iter().map(host_of).collect();
    hosts.filter(|hosts| !hosts.is_empty()).ok_or_else(unusable)
}

fn host_of(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
            address.ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// Certificates are for everybody to read, keys for the owner alone.
fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = WholeFile::begin(path)?;
    file.write_all(text.as_bytes())?;
    file.keep()?;
    if path.ends_with(CA) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot {what} {}: {error}", path.display()))
}

fn unmade(error: &rcgen::Error) -> Failure {
    Failure::new(format!("the certificate cannot be made: {error}"))
}

/// As long as clients let one be valid whose authority they were told to trust.
const CERTIFICATE_DAYS: i64 = 397;
const AUTHORITY_DAYS: i64 = 3650;
