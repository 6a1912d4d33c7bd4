//! What all connections of one server, and its admin port, have in common.
use crate::budget::Budget;
use crate::cpu::Cpu;
use crate::health::Readiness;
use crate::limits::Limits;
use crate::methods::Methods;
use crate::panics::OnPanic;
use crate::routes::Routes;
use hotpath_telemetry::Metrics;
use std::sync::Arc;
use tokio::runtime::RuntimeMetrics;

/// One server's parts: every call uses them, and the admin port reads them.
pub(crate) struct Shared {
    pub(crate) version: &'static str,
    pub(crate) revision: &'static str,
    /// The name of the pod or of the host; empty where nobody says it.
    pub(crate) instance: String,
    pub(crate) on_panic: OnPanic,
    /// Whether the service opened a store.
    pub(crate) stateful: bool,
    pub(crate) limits: Limits,
    pub(crate) methods: Methods,
    /// The memory of all admitted calls.
    pub(crate) memory: Arc<Budget>,
    /// The memory of all replies that wait in the transport for their readers.
    pub(crate) unread: Arc<Budget>,
    pub(crate) routes: Routes,
    pub(crate) cpu: Cpu,
    pub(crate) metrics: Metrics,
    pub(crate) runtime: RuntimeMetrics,
    pub(crate) readiness: Readiness,
}
