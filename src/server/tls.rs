//! The certificate of the listener for HTTPS, read again when its files change.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

use crate::domain::machine::CertificateLife;
use crate::domain::time::Timestamp;

/// A certificate and its key, as their files were when they last fitted together.
#[derive(Debug)]
pub struct Certificates {
    files: Files,
    current: ArcSwap<CertifiedKey>,
    seen: Mutex<Option<[Stamp; 2]>>,
}

#[derive(Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// Tells one state of a file from the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
}

/// Why a certificate cannot be used. One line that says which file to look at.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The key does not fit the certificate, or one of them is of no use.
    #[error("{certificate} cannot be used with the key in {key}: {source}")]
    Mismatch {
        certificate: PathBuf,
        key: PathBuf,
        source: rustls::Error,
    },
    /// A file is not what it should be.
    #[error("{path} must hold {expected} in PEM form")]
    NotPem {
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
}

impl Certificates {
    /// Reads the files.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn load(certificate: PathBuf, key: PathBuf) -> Result<Self, CertificateError> {
        let files = Files { certificate, key };
        let stamps = files.stamps();
        let current = ArcSwap::from_pointee(files.read()?);
        Ok(Self {
            files,
            current,
            seen: Mutex::new(stamps.ok()),
        })
    }

    /// The settings of a listener that shows this certificate, and each that follows it.
    ///
    /// # Errors
    /// When the cryptography lacks what TLS needs, which no build of ours does.
    pub fn server_config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Looks at the files again and again, for as long as the future lives.
    pub async fn watch(self: Arc<Self>, period: Duration) {
        loop {
            tokio::time::sleep(period).await;
            let looking = Arc::clone(&self);
            let looked = tokio::task::spawn_blocking(move || looking.refresh()).await;
            match looked {
                Ok(Ok(false)) | Err(_) => {}
                Ok(Ok(true)) => {
                    tracing::info!("the TLS certificate changed; new connections get the new one");
                }
                Ok(Err(error)) => {
                    tracing::error!("the TLS certificate changed, but {error}; keeping the old one");
                }
            }
        }
    }

    /// From when to when the certificate that is shown is valid, with those above it that are sent along; `None` if it cannot be told.
    #[must_use]
    pub fn life(&self) -> Option<CertificateLife> {
        life_of(&self.current.load().cert)
    }

    /// Reads the files again if they changed since they were last read; whether there is a new certificate.
    ///
    /// # Errors
    /// [`CertificateError`] when they changed and cannot be used; the old certificate stays. The same state of the files
    /// is reported once.
    pub fn refresh(&self) -> Result<bool, CertificateError> {
        // Taken before reading: a change in between is seen next time.
        let stamps = self.files.stamps();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = match stamps {
            Ok(stamps) if *seen == Some(stamps) => return Ok(false),
            Ok(stamps) => {
                *seen = Some(stamps);
                None
            }
            Err(_) if seen.is_none() => return Ok(false),
            Err(error) => {
                *seen = None;
                Some(error)
            }
        };
        drop(seen);
        if let Some(error) = failed {
            return Err(error);
        }
        self.current.store(Arc::new(self.files.read()?));
        Ok(true)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Files {
    fn stamps(&self) -> Result<[Stamp; 2], CertificateError> {
        Ok([stamp(&self.certificate)?, stamp(&self.key)?])
    }

    fn read(&self) -> Result<CertifiedKey, CertificateError> {
        let chain = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| unreadable(&self.certificate, "a certificate", error))?;
        if chain.is_empty() {
            return Err(unreadable(
                &self.certificate,
                "a certificate",
                pem::Error::NoItemsFound,
            ));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| unreadable(&self.key, "a private key", error))?;
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).map_err(|source| {
            let (certificate, key) = (self.certificate.clone(), self.key.clone());
            CertificateError::Mismatch {
                certificate,
                key,
                source,
            }
        })
    }
}

/// Clients accept a chain as long as they accept each of its certificates.
fn life_of(chain: &[CertificateDer<'_>]) -> Option<CertificateLife> {
    let lives = chain.iter().map(|certificate| {
        let read = x509_cert::Certificate::from_der(certificate).ok()?;
        let moment = |time: Time| Timestamp::from_seconds(time.to_unix_duration().as_secs());
        let validity = read.tbs_certificate.validity;
        Some(CertificateLife {
            begins: moment(validity.not_before),
            ends: moment(validity.not_after),
        })
    });
    let lives: Vec<_> = lives.collect::<Option<_>>()?;
    Some(CertificateLife {
        begins: lives.iter().map(|life| life.begins).max()?,
        ends: lives.iter().map(|life| life.ends).min()?,
    })
}

fn stamp(path: &Path) -> Result<Stamp, CertificateError> {
    let read = || {
        let metadata = fs::metadata(path)?;
        Ok(Stamp {
            modified: metadata.modified()?,
            length: metadata.len(),
        })
    };
    read().map_err(|source| CertificateError::Io {
        path: path.to_path_buf(),
        source,
    })
}

fn unreadable(path: &Path, expected: &'static str, error: pem::Error) -> CertificateError {
    let path = path.to_path_buf();
    match error {
        pem::Error::Io(source) => CertificateError::Io { path, source },
        _ => CertificateError::NotPem { path, expected },
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::server::self_signed;

    fn shown(certificates: &Certificates) -> Vec<u8> {
        certificates.current.load().cert[0].to_vec()
    }

    #[test]
    fn changed_files_are_read_and_broken_ones_reported_once() {
        let directory = TempDir::new().unwrap();
        let (one, two) = (directory.path().join("one"), directory.path().join("two"));
        let (one, two) = (
            self_signed::ensure(&one, None).unwrap(),
            self_signed::ensure(&two, Some("two")).unwrap(),
        );
        let certificates = Certificates::load(one.certificate.clone(), one.key.clone()).unwrap();
        let first = shown(&certificates);
        assert!(!certificates.refresh().unwrap());

        fs::copy(&two.certificate, &one.certificate).unwrap();
        let error = certificates.refresh().unwrap_err().to_string();
        assert!(error.contains("cannot be used with the key in"), "{error}");
        assert!(!certificates.refresh().unwrap());
        assert_eq!(shown(&certificates), first);

        fs::copy(&two.key, &one.key).unwrap();
        assert!(certificates.refresh().unwrap());
        assert_ne!(shown(&certificates), first);

        fs::remove_file(&one.key).unwrap();
        assert!(matches!(certificates.refresh(), Err(CertificateError::Io { .. })));
        assert!(!certificates.refresh().unwrap());
        fs::copy(&two.key, &one.key).unwrap();
        assert!(certificates.refresh().unwrap());
    }

    #[test]
    fn a_chain_is_valid_as_long_as_all_of_it_is() {
        let made = |from: i32, to: i32| {
            let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            parameters.not_before = rcgen::date_time_ymd(from, 1, 1);
            parameters.not_after = rcgen::date_time_ymd(to, 1, 1);
            let key = rcgen::KeyPair::generate().unwrap();
            parameters.self_signed(&key).unwrap().der().clone()
        };
        let year = |year: u64| Timestamp::parse_iso8601(&format!("{year}-01-01T00:00:00Z")).unwrap();
        let chain = [made(2025, 2060), made(2024, 2030), made(2026, 2100)];
        let expected = CertificateLife {
            begins: year(2026),
            ends: year(2030),
        };
        assert_eq!(life_of(&chain), Some(expected));
        assert_eq!(life_of(&[]), None);
        assert_eq!(
            life_of(&[chain[0].clone(), CertificateDer::from(vec![1, 2])]),
            None
        );
    }

    #[test]
    fn files_that_are_no_pem_are_named() {
        let directory = TempDir::new().unwrap();
        let good = self_signed::ensure(directory.path(), None).unwrap();
        let bad = directory.path().join("bad");
        fs::write(&bad, "nonsense").unwrap();
        for (certificate, key) in [(&bad, &good.key), (&good.certificate, &bad)] {
            let error = Certificates::load(certificate.clone(), key.clone()).unwrap_err();
            assert!(error.to_string().starts_with(bad.to_str().unwrap()), "{error}");
        }
    }
}
