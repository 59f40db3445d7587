//! A certificate for development: made once, kept, and made anew when it is to name another host.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The files of a certificate.
#[derive(Clone, Debug)]
pub struct SelfSigned {
    /// The certificate, for clients to trust.
    pub certificate: PathBuf,
    /// Its private key, readable for this user only.
    pub key: PathBuf,
}

/// The certificate in `directory` for this machine and `host`, made if it is not there.
///
/// # Errors
/// When the files cannot be written.
pub fn ensure(directory: &Path, host: Option<&str>) -> io::Result<SelfSigned> {
    let files = SelfSigned {
        certificate: directory.join("cert.pem"),
        key: directory.join("key.pem"),
    };
    let mut names: Vec<String> = LOCAL.iter().map(ToString::to_string).collect();
    names.extend(
        host.map(str::to_owned)
            .filter(|host| !LOCAL.contains(&host.as_str())),
    );
    // Readers of PEM skip what stands before the first block.
    let title = format!("Countersign, self-signed, for {}", names.join(", "));
    let kept = fs::read_to_string(&files.certificate);
    if kept.is_ok_and(|kept| kept.lines().next() == Some(&title)) && files.key.is_file() {
        return Ok(files);
    }
    let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // The certificate comes last: it is what says that the pair is complete.
    let _none = fs::remove_file(&files.key);
    let mut key = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&files.key)?;
    key.write_all(made.signing_key.serialize_pem().as_bytes())?;
    fs::write(&files.certificate, format!("{title}\n{}", made.cert.pem()))?;
    Ok(files)
}

const LOCAL: &[&str] = &["localhost", "127.0.0.1", "::1"];

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_certificate_is_kept_until_it_is_to_name_another_host() {
        let directory = TempDir::new().unwrap();
        let read = |host| fs::read(ensure(directory.path(), host).unwrap().certificate).unwrap();
        let first = read(None);
        assert_eq!(read(None), first);
        assert_eq!(read(Some("localhost")), first);
        let second = read(Some("verify.example.com"));
        assert_ne!(second, first);
        assert_eq!(read(Some("verify.example.com")), second);
    }

    #[test]
    fn the_key_is_for_its_owner_only() {
        let directory = TempDir::new().unwrap();
        let key = ensure(&directory.path().join("tls"), None).unwrap().key;
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
