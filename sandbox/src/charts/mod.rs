//! The sandbox's chart repository.

use tokio_util::sync::CancellationToken;

/// Serve the stand-ins' charts until `shutdown`.
pub async fn serve(listener: tokio::net::TcpListener, shutdown: CancellationToken) {
    shutdown.cancelled().await;
    drop(listener);
}
