//! Finds how many heavy calls a second the service answers: a closed loop with more and more callers, until another step
//! brings no more answers. The loop is closed because open-loop load above the capacity measures overload; the burst does.
use crate::{calls::Calls, error::Error, plan::Plan, run::Step, session::Session};

/// How many callers each step has.
const CALLERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// The factor by which a step must exceed the best goodput so far to count as a gain.
const GAIN: f64 = 1.03;
/// The share of refused calls above which no more callers are tried: the service's own limit is reached.
const REFUSED: f64 = 0.10;

/// Finds the capacity and sets it in the run. It is an error if no heavy call was answered.
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
    // The best of several short steps is too high by chance, so its number of callers is measured again, for longer.
    let callers = best.map_or(1, |best| best.callers);
    session.run.capacity = hold(session, callers, plan)?;
    Ok(())
}

/// Measures the capacity again at the end of a run, with the number of callers that was best.
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
