//! What all calls share.
use crate::{Cpu, Limits, Routes, admission::Admission, methods::Methods, metrics::Metrics};
use std::sync::atomic::AtomicBool;
use tokio::runtime::RuntimeMetrics;

/// One server's parts; the admin port reads them, and every call passes through them.
pub(crate) struct Shared {
    pub(crate) limits: Limits,
    pub(crate) methods: Methods,
    pub(crate) admission: Admission,
    pub(crate) routes: Routes,
    pub(crate) cpu: Cpu,
    pub(crate) metrics: Metrics,
    pub(crate) runtime: RuntimeMetrics,
    /// False from the moment that the process begins to stop.
    pub(crate) ready: AtomicBool,
}
