//! How commands reach a server that asks who they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::HeaderValue;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};
use tonic::{Request, Status};

use super::load::caller::Target;
use crate::config::{Environment, Secret};

/// What to show a server, and whom to take for it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Reach {
    /// A file that holds the API key or token to show. Else the variable GUERDON_KEY, if it is set.
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Authorities of the server's certificate, as PEM, for targets that begin with https://.
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    #[arg(skip)]
    key: Option<Secret>,
}

/// Why no connection can be tried.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    #[error("`{0}` is not an address; write host:port, http://host:port or https://host:port")]
    Address(String),
    #[error("{path} cannot be read: {error}")]
    File { path: String, error: std::io::Error },
    #[error("the key cannot be sent: it must be one line of plain ASCII")]
    Key,
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl Reach {
    /// With the key of the environment, if there is one.
    #[must_use]
    pub fn with_key_of(self, environment: &Environment) -> Reach {
        Reach { key: environment.key(), ..self }
    }

    /// Where `target` is. Without a scheme it is spoken to in the clear.
    ///
    /// # Errors
    /// When that cannot be an address, or the authorities cannot be read.
    pub(super) fn endpoint(&self, target: &str) -> Result<Endpoint, ReachError> {
        let uri = if target.contains("://") { target.to_owned() } else { format!("http://{target}") };
        let wrong = || ReachError::Address(target.to_owned());
        let endpoint = Endpoint::from_shared(uri).map_err(|_| wrong())?;
        // Neither a name and password nor a path would be of use.
        if endpoint.uri().authority().is_some_and(|to| to.as_str().contains('@')) || endpoint.uri().path() != "/" {
            return Err(wrong());
        }
        match (endpoint.uri().scheme_str(), endpoint.uri().port_u16()) {
            (Some("http"), Some(_)) => Ok(endpoint),
            (Some("https"), Some(_)) => {
                let Some(path) = &self.tls_ca else {
                    return Err(ReachError::Tls(
                        "name the authority of the server's certificate by --tls-ca".to_owned(),
                    ));
                };
                let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?));
                endpoint.tls_config(tls).map_err(|error| ReachError::Tls(error.to_string()))
            }
            _ => Err(wrong()),
        }
    }

    /// As [`Reach::endpoint`] and [`Reach::shows`] for calls that are put into frames here.
    ///
    /// # Errors
    /// The same.
    pub(super) fn line(&self, target: &str) -> Result<Target, ReachError> {
        let uri = self.endpoint(target)?.uri().clone();
        let wrong = || ReachError::Address(target.to_owned());
        let tls = match (&self.tls_ca, uri.scheme_str()) {
            (Some(path), Some("https")) => Some(Arc::new(trusting(&read(path)?).map_err(ReachError::Tls)?)),
            _ => None,
        };
        let shows = self.shows()?.0.map(|key| {
            let mut key = HeaderValue::from_bytes(key.as_encoded_bytes()).map_err(|_| ReachError::Key)?;
            key.set_sensitive(true);
            Ok(key)
        });
        Ok(Target { authority: uri.authority().cloned().ok_or_else(wrong)?, tls, shows: shows.transpose()? })
    }

    /// What shows the key with every call.
    ///
    /// # Errors
    /// When there is one that cannot be read or sent.
    pub(super) fn shows(&self) -> Result<Shows, ReachError> {
        let of_file = self.key_file.as_deref().map(read).transpose()?.map(Secret::new);
        let Some(key) = of_file.as_ref().or(self.key.as_ref()) else { return Ok(Shows(None)) };
        let value = format!("Bearer {}", key.expose().trim());
        let mut value = MetadataValue::try_from(value).map_err(|_| ReachError::Key)?;
        value.set_sensitive(true);
        Ok(Shows(Some(value)))
    }
}

/// Whom these authorities sign for is spoken to, in HTTP/2.
fn trusting(authorities: &str) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authorities.as_bytes()) {
        let authority = authority.map_err(|error| error.to_string())?;
        roots.add(authority).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        return Err("the authorities' file holds no certificate".to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|error| error.to_string())?.with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn read(path: &Path) -> Result<String, ReachError> {
    std::fs::read_to_string(path).map_err(|error| ReachError::File { path: path.display().to_string(), error })
}

/// Puts the key into each call.
#[derive(Clone, Debug)]
pub struct Shows(Option<MetadataValue<Ascii>>);

impl Interceptor for Shows {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(key) = &self.0 {
            request.metadata_mut().insert("authorization", key.clone());
        }
        Ok(request)
    }
}
