//! Where a called service is, and what bounds the calls to it: `DOWNSTREAM_<NAME>`, and what begins with it.
use super::way::is_https;
use crate::env::Env;
use hotpath_telemetry::Failure;
use http::Uri;
use std::{num::NonZeroU32, num::NonZeroU64, time::Duration};

/// Calls at once to one service. Beyond it they are refused here, so that a service which hangs holds no more than these.
const IN_FLIGHT: NonZeroU32 = NonZeroU32::new(256).unwrap();
/// Between two look-ups of the addresses: a new replica has its share of the calls after at most this time.
const RESOLVE: NonZeroU64 = NonZeroU64::new(10_000).unwrap();
/// How long a replica may take to accept a connection, to make the TLS handshake, and to speak HTTP/2.
const CONNECT: NonZeroU64 = NonZeroU64::new(1_000).unwrap();
/// How long a replica may say nothing while calls end without an answer: three that take a second each, say.
const SILENT: NonZeroU64 = NonZeroU64::new(3_000).unwrap();
/// How long a replica may say nothing during a call before it is pinged. A Go server with its defaults ends a connection, and
/// the calls on it, at the fourth ping in a row that comes within five minutes of the one before while its handler is quiet.
const KEEPALIVE: NonZeroU64 = NonZeroU64::new(360_000).unwrap();

/// The address of a called service, and the bounds of the calls to it.
#[derive(Debug)]
pub(super) struct Settings {
    /// The longest that a call may take.
    pub(super) deadline: Duration,
    /// Calls at once.
    pub(super) in_flight: usize,
    /// Between two look-ups of the addresses.
    pub(super) resolve: Duration,
    /// Of each connection.
    pub(super) bounds: Bounds,
    /// `DOWNSTREAM_<NAME>`.
    pub(super) variable: String,
}

/// What bounds each connection.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// How long it may take to be made.
    pub(super) connect: Duration,
    /// How long nothing may come on it while calls end in vain. Then another is made in its place.
    pub(super) silent: Duration,
    /// How long nothing may come on it during a call before the replica is pinged.
    pub(super) keepalive: Duration,
}

impl Settings {
    /// Reads what `env` says of `service`. No call takes longer than `deadline` where it says nothing else.
    ///
    /// # Errors
    /// If a variable is malformed, or zero.
    pub(super) fn read(service: &str, env: &Env, deadline: Duration) -> Result<Self, Failure> {
        let variable = format!("DOWNSTREAM_{}", service.replace('-', "_").to_uppercase());
        let deadline = NonZeroU64::new(deadline.as_millis().try_into().unwrap_or(u64::MAX)).unwrap_or(NonZeroU64::MIN);
        let millis = |name: &str, default| {
            env.get(&format!("{variable}_{name}"), default)
                .map(|millis: NonZeroU64| Duration::from_millis(millis.get()))
        };
        Ok(Self {
            deadline: millis("DEADLINE_MS", deadline)?,
            in_flight: env.get(&format!("{variable}_IN_FLIGHT"), IN_FLIGHT)?.get() as usize,
            resolve: millis("RESOLVE_MS", RESOLVE)?,
            bounds: Bounds {
                connect: millis("CONNECT_MS", CONNECT)?,
                silent: millis("SILENT_MS", SILENT)?,
                keepalive: millis("KEEPALIVE_MS", KEEPALIVE)?,
            },
            variable,
        })
    }

    /// The addresses of the service, separated by commas: `default`, or what `env` says instead.
    ///
    /// # Errors
    /// If one of them is not of the form `http://HOST:PORT` or `https://HOST:PORT`, or they are not all of one of them.
    pub(super) fn addresses(&self, default: &str, env: &Env) -> Result<Vec<Uri>, Failure> {
        let text = env.text(&self.variable).unwrap_or(default);
        let addresses = text.split(',').map(|one| address(one.trim()).map_err(|why| self.refuse(text, &why)));
        let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
        if addresses.iter().any(is_https) && !addresses.iter().all(is_https) {
            return Err(self.refuse(text, "some are https and some http: calls to one service are TLS or plain text"));
        }
        Ok(addresses)
    }

    fn refuse(&self, text: &str, why: &str) -> Failure {
        format!("{}={text}: {why}", self.variable).into()
    }
}

/// An address of the form `http://HOST:PORT` or `https://HOST:PORT`.
fn address(text: &str) -> Result<Uri, String> {
    let form = || format!("{text:?} is not an address such as http://orders:50051");
    let uri: Uri = text.parse().map_err(|_invalid| form())?;
    match uri.scheme_str() {
        Some("http") => {}
        Some("https") if cfg!(feature = "tls") => {}
        Some("https") => {
            return Err(format!(
                "this build speaks no TLS: rustgen set tls=server, or write http{} and leave TLS to a service mesh",
                text.trim_start_matches(|c: char| c.is_ascii_alphabetic())
            ));
        }
        _ => return Err(form()),
    }
    let scheme = uri.scheme_str().unwrap_or_default();
    if uri.path_and_query().is_some_and(|path| path != "/") {
        return Err(format!("{text:?} has a path, and a gRPC service has none: write {scheme}://HOST:PORT"));
    }
    if uri.port_u16().is_none() || uri.host().is_none_or(str::is_empty) {
        return Err(format!("{text:?} names no port: write {scheme}://HOST:PORT"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Result<Vec<String>, String> {
        let env = Env::from_pairs([("DOWNSTREAM_STOCK_LEVELS", text)]);
        let settings = Settings::read("stock-levels", &env, Duration::from_secs(1)).unwrap();
        let addresses = settings.addresses("http://127.0.0.1:1", &env).map_err(|error| error.to_string())?;
        Ok(addresses.iter().map(Uri::to_string).collect())
    }

    #[test]
    fn addresses_are_one_or_several() {
        assert_eq!(addresses("http://stock:50051").unwrap(), ["http://stock:50051/"]);
        assert_eq!(addresses("").unwrap(), ["http://127.0.0.1:1/"], "the default");
        let two = addresses("http://10.0.0.1:1, http://[::1]:2/").unwrap();
        assert_eq!(two, ["http://10.0.0.1:1/", "http://[::1]:2/"]);
    }

    #[test]
    fn https_is_tls_or_refused_and_never_both() {
        let (one, both) = (addresses("https://stock:50051"), addresses("https://stock:1,http://stock:2"));
        if cfg!(feature = "tls") {
            assert_eq!(one.unwrap(), ["https://stock:50051/"]);
            assert!(both.unwrap_err().contains("some are https and some http"));
        } else {
            let error = one.unwrap_err();
            assert!(error.contains("rustgen set tls=server, or write http://stock:50051 and"), "{error}");
        }
    }

    #[test]
    fn a_wrong_address_names_its_variable_and_what_to_write() {
        for (wrong, why) in [
            (
                "https://stock",
                if cfg!(feature = "tls") { "write https://HOST:PORT" } else { "this build speaks no TLS" },
            ),
            ("stock:50051", "not an address such as http://orders:50051"),
            ("dns:///stock:50051", "not an address such as"),
            ("http://a b:1", "not an address such as"),
            ("http://stock", "names no port"),
            ("http://stock:1/v1", "has a path"),
            ("http://stock:1,", "not an address such as"),
        ] {
            let error = addresses(wrong).unwrap_err();
            assert!(error.starts_with(&format!("DOWNSTREAM_STOCK_LEVELS={wrong}: ")), "{error}");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn bounds_are_of_each_service_and_never_zero() {
        let read = |name: &str, value: &str| {
            let env = Env::from_pairs([(format!("DOWNSTREAM_STOCK_{name}"), value)]);
            Settings::read("stock", &env, Duration::from_secs(1)).map_err(|error| error.to_string())
        };
        assert_eq!(read("IN_FLIGHT", "7").unwrap().in_flight, 7);
        assert_eq!(read("DEADLINE_MS", "70").unwrap().deadline, Duration::from_millis(70));
        assert_eq!(read("RESOLVE_MS", "700").unwrap().resolve, Duration::from_millis(700));
        let defaults = read("NOTHING", "").unwrap();
        assert_eq!((defaults.in_flight, defaults.deadline), (256, Duration::from_secs(1)));
        assert_eq!(defaults.bounds.keepalive, Duration::from_secs(360), "Go's servers want five minutes at least");
        for name in ["IN_FLIGHT", "DEADLINE_MS", "RESOLVE_MS", "CONNECT_MS", "SILENT_MS", "KEEPALIVE_MS"] {
            let error = read(name, "0").unwrap_err();
            assert!(error.starts_with(&format!("DOWNSTREAM_STOCK_{name}=0: ")), "{error}");
        }
    }
}
