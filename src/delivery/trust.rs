//! Whose certificates a sender trusts.

use std::fmt;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// The authorities of an operator's own, trusted instead of the system's.
#[derive(Clone)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// The certificates in a PEM file; `None` if there are none, or one is none.
    #[must_use]
    pub fn from_pem(pem: &[u8]) -> Option<Self> {
        let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let all = all.ok().filter(|all| !all.is_empty())?;
        let mut store = RootCertStore::empty();
        all.iter()
            .all(|certificate| store.add(certificate.clone()).is_ok())
            .then_some(Self(all))
    }

    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

/// How TLS is spoken to a server whose certificate is signed by `authorities`, or else by one that the system trusts.
///
/// # Errors
/// When the system's trusted certificates cannot be used.
pub(super) fn client_config(authorities: Option<&Authorities>) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = match authorities {
        None => builder.with_platform_verifier()?,
        Some(authorities) => {
            let mut store = RootCertStore::empty();
            for certificate in authorities.certificates() {
                store.add(certificate.clone())?;
            }
            builder.with_root_certificates(store)
        }
    };
    Ok(builder.with_no_client_auth())
}
