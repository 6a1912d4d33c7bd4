//! The phases of each kind of run.
use crate::{
    capacity,
    error::Error,
    run::{BURST, IDLE, RECOVERY, Run, SETTLE, SOAK, STEADY},
    session::{Session, Subject},
    settings::Settings,
};
use std::time::Duration;

/// Callers of the warm-up, which fills caches, opens connections and lets the allocator grow.
const WARM_UP_CALLERS: usize = 2;

/// Opens a session with the service, runs `work` in it, and returns what was measured. The session is closed, and a service
/// that it started is stopped, whatever `work` returns.
pub fn with(
    subject: &Subject<'_>,
    settings: &Settings,
    work: impl FnOnce(&mut Session) -> Result<(), Error>,
) -> Result<Run, Error> {
    let mut session = Session::open(subject, settings)?;
    let done = work(&mut session);
    let run = session.close();
    done.map(|()| run)
}

/// Warms the service up and finds its capacity.
pub fn capacity(session: &mut Session, settings: &Settings) -> Result<(), Error> {
    session.closed_loop("warm-up".to_owned(), WARM_UP_CALLERS, settings.plan.warm_up)?;
    capacity::find(session, &settings.plan)?;
    session.progress.print(&format!("capacity: {:.0} heavy calls/s", session.run.capacity));
    Ok(())
}

/// All phases of `run`.
pub fn phases(session: &mut Session, settings: &Settings) -> Result<(), Error> {
    session.phase(IDLE, "idle: only cheap calls and health checks".to_owned(), 0.0, settings.plan.idle)?;
    capacity(session, settings)?;
    let at = session.run.capacity;
    under(session, settings, at)?;
    capacity::again(session, &settings.plan)
}

/// Steady load, burst and recovery, in proportion to a capacity that is known.
pub fn under(session: &mut Session, settings: &Settings, capacity: f64) -> Result<(), Error> {
    let (plan, gates) = (&settings.plan, &settings.gates);
    let (steady, burst) = (gates.steady.load * capacity, gates.burst.load * capacity);
    let title = |share: f64, rate: f64| format!("{:.0}% of capacity: {rate:.0} calls/s", share * 100.0);
    session.phase(STEADY, title(gates.steady.load, steady), steady, plan.steady)?;
    session.phase(SETTLE, "settling".to_owned(), 0.0, plan.settle)?;
    session.phase(BURST, title(gates.burst.load, burst), burst, plan.burst)?;
    session.phase(RECOVERY, "recovery: does memory come back?".to_owned(), 0.0, plan.recovery)
}

/// All phases of `soak`: a steady load for a long time.
pub fn soak(session: &mut Session, settings: &Settings, length: Duration) -> Result<(), Error> {
    session.phase(IDLE, "idle: only cheap calls and health checks".to_owned(), 0.0, settings.plan.idle)?;
    capacity(session, settings)?;
    let rate = settings.gates.steady.load * session.run.capacity;
    session.phase(SOAK, format!("soak: {rate:.0} calls/s"), rate, length)
}
