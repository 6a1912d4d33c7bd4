//! Where the replicas of a called service are, as of now.
use futures_util::{FutureExt as _, future::BoxFuture, future::try_join_all};
use http::Uri;
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::{io, net::SocketAddr};
use tokio::net::lookup_host;

/// The most replicas that one process holds connections to. Above it each process takes some of its own choice: a fleet
/// of callers reaches all of them.
const MOST: usize = 20;

/// Addresses, and which of the names leads to each.
pub(super) type Found = BTreeMap<SocketAddr, usize>;

/// Looks the addresses up.
pub(super) struct Resolver {
    look_up: Box<dyn Fn() -> BoxFuture<'static, io::Result<Found>> + Send + Sync>,
    /// Orders the addresses in the way of this process.
    order: RandomState,
}

impl Resolver {
    /// Asks `look_up` each time. All addresses are those of one name.
    pub(super) fn new<R>(look_up: impl Fn() -> R + Send + Sync + 'static) -> Self
    where
        R: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        Self::asking(move || {
            let found = look_up();
            async { Ok(found.await?.into_iter().map(|address| (address, 0)).collect()) }
        })
    }

    fn asking<R>(look_up: impl Fn() -> R + Send + Sync + 'static) -> Self
    where
        R: Future<Output = io::Result<Found>> + Send + 'static,
    {
        Self {
            look_up: Box::new(move || look_up().boxed()),
            order: RandomState::new(),
        }
    }

    /// Asks the system for the names in `uris`.
    pub(super) fn of_names(uris: &[Uri]) -> Self {
        let names = uris.iter().map(|uri| {
            let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
            (host.to_owned(), uri.port_u16().unwrap_or_default())
        });
        let names: Vec<(String, u16)> = names.collect();
        Self::asking(move || {
            let found = names.clone().into_iter().enumerate().map(|(at, name)| async move {
                let found = lookup_host(name).await?;
                Ok::<_, io::Error>(found.map(|address| (address, at)).collect::<Vec<_>>())
            });
            let found = try_join_all(found);
            async { Ok(found.await?.into_iter().flatten().collect()) }
        })
    }

    /// The addresses now, at most [`MOST`] of them. None at all is an error: a name server that says so is more often wrong
    /// than right.
    pub(super) async fn resolve(&self) -> io::Result<Found> {
        let found = (self.look_up)().await?;
        if found.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no address"));
        }
        let mut ordered: Vec<(SocketAddr, usize)> = found.into_iter().collect();
        ordered.sort_by_cached_key(|(address, _)| self.order.hash_one(address));
        Ok(ordered.into_iter().take(MOST).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(count: u16) -> Resolver {
        Resolver::new(
            move || async move { Ok((0..count).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect()) },
        )
    }

    #[tokio::test]
    async fn names_and_addresses() {
        let uris = ["http://127.0.0.1:7", "http://[::1]:8"].map(Uri::from_static);
        let found = Resolver::of_names(&uris).resolve().await.unwrap();
        let found: Vec<_> = found.into_iter().map(|(address, name)| (address.to_string(), name)).collect();
        assert_eq!(found, [("127.0.0.1:7".to_owned(), 0), ("[::1]:8".to_owned(), 1)]);
        Resolver::of_names(&[Uri::from_static("http://nobody.invalid:1")]).resolve().await.unwrap_err();
    }

    #[tokio::test]
    async fn of_many_a_process_takes_some_and_keeps_to_them() {
        assert_eq!(of(3).resolve().await.unwrap().len(), 3);
        of(0).resolve().await.unwrap_err();
        let many = of(200);
        let mine = many.resolve().await.unwrap();
        assert_eq!(mine.len(), MOST);
        assert_eq!(many.resolve().await.unwrap(), mine);
        assert_ne!(of(200).resolve().await.unwrap(), mine, "another process takes others");
    }
}
