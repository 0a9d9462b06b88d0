//! TLS over any transport, with the certificates of [`Trust`].
//!
//! The HTTP library has a connector for rustls, too. This one reads the certificates when the first encrypted
//! connection needs them, and accepts a server's self-signed certificate that the user named, as OpenSSL does.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme,
    StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::address::Address;
use crate::error::HttpError;
use crate::trust::{Roots, Trust};

/// The settings of TLS, which are made when they are first needed.
#[derive(Debug)]
pub(crate) struct Tls {
    trust: Trust,
    made: OnceLock<Result<Arc<ClientConfig>, HttpError>>,
}

impl Tls {
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust, made: OnceLock::new() }
    }

    fn config(&self) -> Result<Arc<ClientConfig>, HttpError> {
        self.made.get_or_init(|| self.make()).clone()
    }

    fn make(&self) -> Result<Arc<ClientConfig>, HttpError> {
        let failed =
            |error: &dyn fmt::Display| HttpError::Setting(format!("cannot set up TLS: {error}"));
        let Roots { store, named, from } = self.trust.roots()?;
        let provider = Arc::new(default_provider());
        let chains =
            WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(&provider));
        let chains = chains.build().map_err(|error| failed(&error))?;
        let config =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config
            .map_err(|error| failed(&error))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { chains, named, from }))
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

/// The error of a certificate whose authority is not known, with the authorities that are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotAmong(pub(crate) String);

impl fmt::Display for NotAmong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "its authority is not among {}", self.0)
    }
}

impl std::error::Error for NotAmong {}

/// Accepts chains of certificates that end in a trusted one, and trusted certificates themselves.
#[derive(Debug)]
struct Verifier {
    chains: Arc<WebPkiServerVerifier>,
    /// The certificates that the user named.
    named: Vec<CertificateDer<'static>>,
    /// Where the trusted certificates are from.
    from: String,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chains = &self.chains;
        match chains.verify_server_cert(certificate, intermediates, server, ocsp_response, now) {
            // A self-signed certificate that says that it is an authority is valid now, but nothing that vouches
            // for a server. If the user named it itself, no other has to vouch for it.
            Err(error)
                if is_authority(&error) && self.named.iter().any(|named| named == certificate) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, server)?;
                Ok(ServerCertVerified::assertion())
            }
            Err(error) if is_authority(&error) || is_unknown(&error) => {
                let other = rustls::OtherError(Arc::new(NotAmong(self.from.clone())));
                Err(CertificateError::Other(other).into())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

fn is_unknown(error: &rustls::Error) -> bool {
    *error == rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)
}

fn is_authority(error: &rustls::Error) -> bool {
    let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = error else {
        return false;
    };
    other.0.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity)
}

/// Wraps the transport of the connectors before it in TLS, if the address asks for it.
#[derive(Debug)]
pub(crate) struct TlsConnector(pub(crate) Arc<Tls>);

impl<In: Transport> Connector<In> for TlsConnector {
    type Out = Either<In, TlsTransport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else { return Ok(None) };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let other = |error: HttpError| ureq::Error::Other(Box::new(error));
        let config = self.0.config().map_err(other)?;
        let host = Address::parse(&details.uri.to_string()).map_err(other)?.host().to_owned();
        let name = ServerName::try_from(host).map_err(|_| ureq::Error::HostNotFound)?;
        let tls = |error| ureq::Error::Other(Box::new(error));
        let mut connection = ClientConnection::new(config, name).map_err(tls)?;
        let mut below = TransportAdapter::new(transport.boxed(), Arc::clone(&details.current_time));
        below.set_timeout(details.timeout);
        connection.complete_io(&mut below)?;
        let sizes = details.config;
        let buffers = LazyBuffers::new(sizes.input_buffer_size(), sizes.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { buffers, stream: StreamOwned::new(connection, below) })))
    }
}

/// An encrypted connection.
pub(crate) struct TlsTransport {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsTransport").finish_non_exhaustive()
    }
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        use std::io::Write;
        self.stream.sock.set_timeout(timeout);
        self.stream.write_all(&self.buffers.output()[..amount])?;
        Ok(self.stream.flush()?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        use std::io::Read;
        self.stream.sock.set_timeout(timeout);
        let count = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}
