//! How much the service can do: a closed loop with more and more callers, until more callers bring no more answers.
//! Closed, because an open loop beyond the capacity measures how a service drowns, which is the burst's business.
use crate::{
    calls::Calls,
    error::Error,
    plan::Plan,
    run::Step,
    session::Session,
};

const CALLERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// A step that brings less than this over the best so far brings nothing.
const GAIN: f64 = 1.03;
/// More refused than this, and the service has said how many callers it takes.
const REFUSED: f64 = 0.10;

/// Finds the capacity and leaves it in the run.
pub fn find(session: &mut Session, plan: &Plan) -> Result<(), Error> {
    let mut best: Option<Step> = None;
    let mut flat = 0;
    for callers in CALLERS {
        let title = format!("capacity: {callers} callers");
        let calls = session.closed_loop(title, callers, plan.step)?.heavy;
        let step = step(callers, &calls);
        if calls.answered == 0 {
            return Err(Error::Failed(format!(
                "no heavy call was answered: {}; is the workload right?",
                calls.refusals()
            )));
        }
        session.run.steps.push(step.clone());
        flat = if best.as_ref().is_none_or(|best| step.goodput > best.goodput * GAIN) { 0 } else { flat + 1 };
        let refused = step.refused > REFUSED;
        if best.as_ref().is_none_or(|best| step.goodput > best.goodput) {
            best = Some(step);
        }
        if flat == 2 || refused {
            break;
        }
    }
    // The best of several short steps flatters: the capacity is what a longer look at it finds.
    let callers = best.map_or(1, |best| best.callers);
    session.run.capacity = hold(session, callers, plan)?;
    Ok(())
}

/// Measures again, with as many callers as were best.
pub fn again(session: &mut Session, plan: &Plan) -> Result<(), Error> {
    let best = session.run.steps.iter().max_by(|a, b| a.goodput.total_cmp(&b.goodput));
    let callers = best.map_or(1, |best| best.callers);
    session.run.capacity_after = Some(hold(session, callers, plan)?);
    Ok(())
}

fn hold(session: &mut Session, callers: usize, plan: &Plan) -> Result<f64, Error> {
    Ok(session.closed_loop(format!("capacity: {callers} callers, longer"), callers, plan.hold)?.heavy.goodput)
}

fn step(callers: usize, calls: &Calls) -> Step {
    Step {
        callers,
        goodput: calls.goodput,
        p99: calls.p99,
        refused: calls.refused(),
    }
}
