//! TLS to databases: by rustls with ring, verifying unless it is told not to.

use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, ring, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Why certificates of authorities cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum AuthoritiesError {
    /// The file cannot be read, or is no PEM.
    #[error("the authorities' certificates in {0} cannot be read: {1}")]
    Unreadable(String, String),
    /// The file has none.
    #[error("no certificate in {0}")]
    None(String),
}

/// The certificates of authorities that are trusted: the system's, and those of a file.
pub(crate) fn authorities(
    file: Option<&Path>,
) -> Result<Vec<CertificateDer<'static>>, AuthoritiesError> {
    // What the system has and cannot be read is not trusted, which is the safe side.
    let mut trusted = rustls_native_certs::load_native_certs().certs;
    if let Some(path) = file {
        let shown = path.display().to_string();
        let unreadable = |error: rustls::pki_types::pem::Error| {
            AuthoritiesError::Unreadable(shown.clone(), error.to_string())
        };
        let read = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
        let certificates = read.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        if certificates.is_empty() {
            return Err(AuthoritiesError::None(shown));
        }
        trusted.extend(certificates);
    }
    let mut store = RootCertStore::empty();
    trusted.retain(|certificate| store.add(certificate.clone()).is_ok());
    Ok(trusted)
}

/// A configuration that trusts these authorities, or, without any, everybody.
pub(crate) fn client(authorities: Option<&[CertificateDer<'static>]>) -> ClientConfig {
    let provider = Arc::new(ring::default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let builder = ClientConfig::builder_with_provider(provider as Arc<CryptoProvider>)
        .with_safe_default_protocol_versions()
        .expect("ring has what the default versions need");
    let builder = match authorities {
        Some(authorities) => {
            let mut store = RootCertStore::empty();
            store.add_parsable_certificates(authorities.iter().cloned());
            builder.with_root_certificates(store)
        }
        None => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody { algorithms }))
        }
    };
    builder.with_no_client_auth()
}

/// Takes every certificate, if its owner has the key to it.
#[derive(Debug)]
struct Anybody {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
