//! The listener: a bounded number of connections, an `accept` that backs off, and a drain that ends.
use crate::{
    connection::{self, Stop},
    shared::Shared,
};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{info, warn};

/// Serves until `stop.drain`, then tells every connection and waits for its calls, at most `limits.drain`.
/// False if calls were cut.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>, stop: Stop) -> bool {
    let slots = Arc::new(Semaphore::new(shared.limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let socket = tokio::select! {
            biased;
            () = stop.drain.cancelled() => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => socket,
                Err(error) => {
                    if !is_of_one_connection(&error) {
                        // Out of descriptors, say: without a pause this loop would spin.
                        warn!(%error, "accept");
                        sleep(Duration::from_millis(100)).await;
                    }
                    continue;
                }
            },
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            shared.metrics.refused.inc();
            continue;
        };
        let (shared, stop) = (Arc::clone(&shared), stop.clone());
        connections.spawn(async move {
            shared.metrics.connections.inc();
            let served = connection::serve(socket, Arc::clone(&shared), stop).await;
            shared.metrics.connections.dec();
            drop(slot);
            served
        });
    }
    drop(listener);
    info!(connections = connections.len(), memory_in_use = shared.admission.in_use(), "draining");
    let mut whole = true;
    let all = async {
        while let Some(ended) = connections.join_next().await {
            whole &= ended.unwrap_or(false);
        }
    };
    if timeout(shared.limits.drain, all).await.is_err() {
        stop.cut.cancel();
        while let Some(ended) = connections.join_next().await {
            whole &= ended.unwrap_or(false);
        }
    }
    whole
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted
    )
}
