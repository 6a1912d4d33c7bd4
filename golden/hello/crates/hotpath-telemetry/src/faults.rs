//! One line for a call that failed by the service's own fault: a metric says how many there are, the line says which.
use crate::codes::{is_fault, name};
use crate::limiter::Limiter;
use std::{net::SocketAddr, time::Duration};
use tonic::Code;
use tracing::{Span, warn};

/// Lines of one method and one code in a second. A flood of one failure hides neither another nor the log.
const LINES: u64 = 5;
/// Bytes of a status message that are logged.
const MESSAGE: usize = 1 << 10;

/// Where a call came from.
pub(crate) struct Origin<'a> {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) caller: Option<&'a str>,
}

/// The limits on what is said of one method, by code.
#[derive(Debug)]
pub(crate) struct Faults([Limiter; 17]);

impl Faults {
    pub(crate) fn new() -> Self {
        Self([const { Limiter::new(LINES, Duration::from_secs(1)) }; 17])
    }

    /// Logs that the call of `span` failed, if that is the service's fault. The span says its method and its trace.
    pub(crate) fn tell(&self, code: Code, message: &str, Origin { peer, caller }: Origin<'_>, span: &Span) {
        if !is_fault(code) {
            return;
        }
        if let Some(suppressed) = self.0.get(code as usize).and_then(Limiter::pass) {
            let error = message.get(..message.floor_char_boundary(MESSAGE)).unwrap_or_default();
            let peer = peer.map(tracing::field::display);
            warn!(parent: span, code = name(code), error, peer, caller, suppressed, "call failed");
        }
    }
}
