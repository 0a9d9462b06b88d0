//! The certificate authorities that are trusted to vouch for servers.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_native_certs::{load_certs_from_paths, load_native_certs};

use crate::error::HttpError;

/// Where the certificates of the trusted authorities are: given ones, or else those that the environment names, or
/// else those of the operating system, or else those of Mozilla's browsers, which are built in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Trust {
    /// Certificates in PEM that are trusted in place of all others.
    pub(crate) given: Option<Vec<u8>>,
    /// The variables that name certificates, with the files or folders.
    named: Vec<(&'static str, PathBuf)>,
}

/// The trusted certificates, and how messages call them.
pub(crate) struct Roots {
    pub(crate) store: RootCertStore,
    /// The certificates that the user named, as opposed to those of the system.
    pub(crate) named: Vec<CertificateDer<'static>>,
    /// Where the certificates are from.
    pub(crate) from: String,
}

impl Trust {
    /// Reads the variables that Python's requests, httpx and ssl and curl read. As there, certificates that a
    /// variable names are trusted in place of the system's. If several variables are set, all are trusted.
    pub(crate) fn from_vars(var: &dyn Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| var(name).filter(|value| !value.trim().is_empty());
        let mut named = Vec::new();
        for variable in ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"] {
            named.extend(value(variable).map(|path| (variable, PathBuf::from(path))));
        }
        if let Some(folders) = value("SSL_CERT_DIR") {
            // OpenSSL passes over folders of this list that do not exist.
            let folders = std::env::split_paths(&folders).filter(|folder| folder.is_dir());
            named.extend(folders.map(|folder| ("SSL_CERT_DIR", folder)));
        }
        Self { given: None, named }
    }

    /// Reads the certificates.
    ///
    /// # Errors
    /// Returns an error if given or named certificates cannot be read, or if there are none.
    pub(crate) fn roots(&self) -> Result<Roots, HttpError> {
        let mut store = RootCertStore::empty();
        let (named, from) = if let Some(pem) = &self.given {
            let named: Vec<_> =
                CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect();
            if named.is_empty() {
                let message = "the file of certificate authorities contains no certificate in PEM";
                return Err(HttpError::Setting(message.to_owned()));
            }
            (named, "the given authorities".to_owned())
        } else if !self.named.is_empty() {
            let mut named = Vec::new();
            for (variable, path) in &self.named {
                named.extend(read(variable, path)?);
            }
            named.sort_by(|a: &CertificateDer<'_>, b| a.as_ref().cmp(b.as_ref()));
            named.dedup();
            let mut variables: Vec<&str> =
                self.named.iter().map(|(variable, _)| *variable).collect();
            variables.dedup();
            (named, format!("the authorities of {}", variables.join(", ")))
        } else {
            store.add_parsable_certificates(load_native_certs().certs);
            let mut from = "the authorities that the operating system trusts";
            if store.is_empty() {
                store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
                from = "the built-in authorities";
            }
            (Vec::new(), from.to_owned())
        };
        store.add_parsable_certificates(named.iter().cloned());
        Ok(Roots { store, named, from })
    }
}

/// Reads the certificates of a file or of all files of a folder.
fn read(variable: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let found = match path.is_dir() {
        true => load_certs_from_paths(None, Some(path)),
        false => load_certs_from_paths(Some(path), None),
    };
    match (found.certs.is_empty(), found.errors.first()) {
        (false, _) => Ok(found.certs),
        // An empty folder is usual, an empty file is not.
        (true, None) if path.is_dir() => Ok(Vec::new()),
        (true, error) => {
            let why =
                error.map_or_else(|| "it contains none in PEM".to_owned(), ToString::to_string);
            Err(HttpError::Setting(format!(
                "cannot read the certificates of {}, which {variable} names ({why}); correct or unset {variable}",
                path.display()
            )))
        }
    }
}
