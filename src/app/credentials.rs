//! Who may call, kept in step with the credentials file; and the server's certificate.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};
use tracing::{error, info};

use super::StartError;
use crate::access::{Access, Credentials, Faults};
use crate::config::{AccessSettings, TlsSettings};

/// How often the file is looked at for changes.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A client that does not finish its handshake holds a connection for no longer.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Who may call, and what keeps that true while the server runs.
pub(super) struct Watched {
    pub(super) access: Arc<Access>,
    file: Option<File>,
}

struct File {
    path: PathBuf,
    /// Of the file as it was when it was last read well.
    digest: [u8; 32],
}

impl Watched {
    pub(super) async fn open(settings: &AccessSettings) -> Result<Watched, StartError> {
        match settings {
            AccessSettings::Development => Ok(Watched { access: Arc::new(Access::development()), file: None }),
            AccessSettings::Credentials(path) => {
                let credentials = read(path).await?;
                let file = Some(File { path: path.clone(), digest: credentials.digest() });
                Ok(Watched { access: Arc::new(Access::of(credentials)), file })
            }
        }
    }

    /// Reads the file again whenever it has changed, until told to stop. A file that has faults changes nothing.
    pub(super) async fn keep(self, stop: CancellationToken) {
        let Watched { access, file } = self;
        let Some(mut file) = file else { return };
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut said = None;
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => drop(hangup.recv().await),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = asked => said = None,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            match read(&file.path).await {
                Ok(found) if found.digest() == file.digest => said = None,
                Ok(found) => {
                    file.digest = found.digest();
                    access.replace(found);
                    said = None;
                    info!("the credentials have changed and are in force");
                }
                Err(faults) if said.as_ref() == Some(&faults) => {}
                Err(faults) => {
                    error!("the credentials stay as they were, for the file has faults:\n{faults}");
                    said = Some(faults);
                }
            }
        }
    }
}

async fn read(path: &Path) -> Result<Credentials, Faults> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || Credentials::read(&path)).await;
    read.unwrap_or_else(|_| Err(Faults(vec!["reading the credentials was cut off".to_owned()])))
}

/// The server's side of TLS.
pub(super) fn tls(settings: &TlsSettings) -> Result<ServerTlsConfig, StartError> {
    let open = |path: &Path| {
        std::fs::read(path).map_err(|error| StartError::Tls(format!("{} cannot be read: {error}", path.display())))
    };
    let identity = Identity::from_pem(open(&settings.certificate)?, open(&settings.key)?);
    let config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE_LIMIT);
    let Some(client_ca) = &settings.client_ca else { return Ok(config) };
    // Who has no certificate may still show a key.
    Ok(config.client_ca_root(Certificate::from_pem(open(client_ca)?)).client_auth_optional(true))
}
