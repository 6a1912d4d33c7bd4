//! Every method there is, from the descriptors, with its policy, its permits and its metrics: made once, so that a
//! call costs one look-up, and no peer can mint a label.
use crate::limits::{Limits, MethodLimits};
use crate::policy::Policy;
use hotpath_telemetry::{CallMetrics, Failure, Name, Series, names};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// One method.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: Name,
    pub(crate) limits: MethodLimits,
    pub(crate) series: Series,
}

/// The methods by path.
pub(crate) type Methods = BTreeMap<String, Arc<Method>>;

/// Checks that `policies` has one line for every method of `descriptors`, and none for others. A service's tests call
/// this, so that a forgotten line is found before the process refuses to start.
///
/// A line names its method as briefly as it likes: `Method`, `Service/Method` or `package.Service/Method`.
///
/// # Errors
/// The method that has no line, or the line that does not name one method.
pub fn check_policies(descriptors: &[u8], policies: &[(&str, Policy)]) -> Result<(), Failure> {
    matched(descriptors, policies).map(drop)
}

/// Every method, and its policy.
fn matched(descriptors: &[u8], policies: &[(&str, Policy)]) -> Result<Vec<(Name, Policy)>, Failure> {
    let names = names(descriptors)?;
    for (line, _) in policies {
        let count = names.iter().filter(|name| name.is(line)).count();
        if count != 1 {
            return Err(format!("policy: {line} names {count} methods").into());
        }
    }
    let with_policy = |name: Name| {
        let lines: Vec<_> = policies.iter().filter(|(line, _)| name.is(line)).collect();
        match lines.as_slice() {
            [(_, policy)] => Ok((name, *policy)),
            [] => Err(format!("policy: {name} has no line").into()),
            _ => Err(format!("policy: {name} has two lines").into()),
        }
    };
    names.into_iter().map(with_policy).collect()
}

/// The methods of the service, and those of health and reflection.
pub(crate) fn build(
    descriptors: &[u8],
    policies: &[(&str, Policy)],
    limits: &Limits,
    metrics: &CallMetrics,
) -> Result<Methods, Failure> {
    let mut all = matched(descriptors, policies)?;
    let reflection =
        [tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET, tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET];
    for descriptors in [tonic_health::pb::FILE_DESCRIPTOR_SET].into_iter().chain(reflection) {
        all.extend(names(descriptors)?.into_iter().map(|name| (name.clone(), probe(&name, limits))));
    }
    let mut methods = Methods::new();
    for (name, policy) in all {
        let bounds = limits.method(&policy, &name);
        let one = bounds.work + bounds.answer;
        if one > limits.call_memory {
            let Limits { memory, call_memory, .. } = limits;
            let why = format!(
                "MEMORY_BUDGET={memory}: a memory budget of so many bytes has {call_memory} for calls; one of {name} may take {one}"
            );
            return Err(why.into());
        }
        let series = metrics.series(&name);
        methods.insert(format!("/{name}"), Arc::new(Method { name, limits: bounds, series }));
    }
    Ok(methods)
}

/// The bounds of the process and of each of its own methods, as one JSON object.
pub(crate) fn describe(limits: &Limits, methods: &Methods) -> Value {
    let bounds = |MethodLimits { in_flight, work, answer, request, reply, deadline, .. }: &MethodLimits| {
        json!({
            "in_flight": in_flight, "memory_bytes": work + answer, "request_bytes": request, "reply_bytes": reply,
            "deadline_ms": deadline.map(|limit| limit.as_millis() as u64),
        })
    };
    let own = methods.values().filter(|method| method.limits.work > 0);
    let own: Map<_, _> = own.map(|method| (method.name.to_string(), bounds(&method.limits))).collect();
    json!({"process": limits.to_json(), "methods": own})
}

/// Health checks are tiny; a watch of one lasts as long as its connection. Reflection answers with whole files.
fn probe(name: &Name, limits: &Limits) -> Policy {
    match (name.service.as_str(), name.method.as_str()) {
        ("grpc.health.v1.Health", "Watch") => Policy::probe(limits.connections)
            .request(1 << 10)
            .reply(1 << 10)
            .deadline(limits.connection_age.mul_f64(1.2)),
        ("grpc.health.v1.Health", _) => Policy::probe(64).request(1 << 10).reply(1 << 10),
        _ => Policy::probe(8).request(4 << 10).deadline(limits.deadline.max(Duration::from_secs(5))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_line_is_named_and_so_is_a_wrong_one() {
        let check = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|name| (*name, Policy::light())).collect();
            check_policies(tonic_health::pb::FILE_DESCRIPTOR_SET, &lines).map_err(|error| error.to_string())
        };
        assert_eq!(check(&["Check", "Health/Watch"]), Ok(()));
        assert_eq!(check(&["grpc.health.v1.Health/Check", "Watch"]), Ok(()));
        assert_eq!(check(&["Check"]).unwrap_err(), "policy: grpc.health.v1.Health/Watch has no line");
        assert_eq!(check(&["Check", "Watch", "Wach"]).unwrap_err(), "policy: Wach names 0 methods");
        assert_eq!(check(&["Check", "Watch", "eck"]).unwrap_err(), "policy: eck names 0 methods");
        assert_eq!(
            check(&["Check", "Watch", "Health/Check"]).unwrap_err(),
            "policy: grpc.health.v1.Health/Check has two lines"
        );
    }
}
