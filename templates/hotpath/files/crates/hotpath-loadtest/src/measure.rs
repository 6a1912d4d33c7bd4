//! What is done to a service, phase by phase.
use crate::{
    capacity,
    error::Error,
    run::{BURST, IDLE, RECOVERY, Run, SETTLE, SOAK, STEADY},
    session::{Session, Subject},
    settings::Settings,
};
use std::time::Duration;

/// Callers that warm caches, connections and the allocator up.
const WARM_UP_CALLERS: usize = 2;

/// Starts or finds the service, does `work` to it, and hands over what was measured. It is stopped whatever happens.
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

/// Finds the capacity of a service that has been warmed up.
pub fn capacity(session: &mut Session, settings: &Settings) -> Result<(), Error> {
    session.closed_loop("warm-up".to_owned(), WARM_UP_CALLERS, settings.plan.warm_up)?;
    capacity::find(session, &settings.plan)?;
    session.progress.say(&format!("capacity: {:.0} heavy calls/s", session.run.capacity));
    Ok(())
}

/// All phases.
pub fn phases(session: &mut Session, settings: &Settings) -> Result<(), Error> {
    session.phase(IDLE, "idle: only cheap calls and health checks".to_owned(), 0.0, settings.plan.idle)?;
    capacity(session, settings)?;
    let at = session.run.capacity;
    under(session, settings, at)?;
    capacity::again(session, &settings.plan)
}

/// Steady load, burst and recovery, in relation to a capacity that is known.
pub fn under(session: &mut Session, settings: &Settings, capacity: f64) -> Result<(), Error> {
    let (plan, gates) = (&settings.plan, &settings.gates);
    let (steady, burst) = (gates.steady.load * capacity, gates.burst.load * capacity);
    let title = |share: f64, rate: f64| format!("{:.0}% of capacity: {rate:.0} calls/s", share * 100.0);
    session.phase(STEADY, title(gates.steady.load, steady), steady, plan.steady)?;
    session.phase(SETTLE, "settling".to_owned(), 0.0, plan.settle)?;
    session.phase(BURST, title(gates.burst.load, burst), burst, plan.burst)?;
    session.phase(RECOVERY, "recovery: does memory come back?".to_owned(), 0.0, plan.recovery)
}

/// Steady load, for long.
pub fn soak(session: &mut Session, settings: &Settings, length: Duration) -> Result<(), Error> {
    session.phase(IDLE, "idle: only cheap calls and health checks".to_owned(), 0.0, settings.plan.idle)?;
    capacity(session, settings)?;
    let rate = settings.gates.steady.load * session.run.capacity;
    session.phase(SOAK, format!("soak: {rate:.0} calls/s"), rate, length)
}
