//! Every method there is, from the descriptors, with its policy, its permits and its metrics: made once, so that a
//! call costs one look-up, and no peer can mint a label.
use crate::{
    App, Failure, Policy,
    admission::Class,
    limits::{Limits, MethodLimits},
    metrics::{Dialect, Name, Series},
};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// One method.
#[derive(Debug)]
pub(crate) struct Method {
    pub(crate) name: Name,
    /// Only the deadline ends it: the reply is more than one message.
    pub(crate) streams: bool,
    pub(crate) limits: MethodLimits,
    pub(crate) class: Class,
    pub(crate) series: Series,
}

/// The methods by path.
pub(crate) type Methods = BTreeMap<String, Arc<Method>>;

/// The names of all methods in a descriptor set, and whether their replies are streams.
pub(crate) fn names(descriptors: &[u8]) -> Result<Vec<(Name, bool)>, Failure> {
    let mut names = Vec::new();
    for file in FileDescriptorSet::decode(descriptors)?.file {
        for service in &file.service {
            for method in &service.method {
                let kind = match (method.client_streaming(), method.server_streaming()) {
                    (false, false) => "unary",
                    (true, false) => "client_stream",
                    (false, true) => "server_stream",
                    (true, true) => "bidi_stream",
                };
                let package = file.package();
                let dot = if package.is_empty() { "" } else { "." };
                let service = format!("{package}{dot}{}", service.name());
                names.push((Name { kind, service, method: method.name().to_owned() }, method.server_streaming()));
            }
        }
    }
    Ok(names)
}

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

/// Every method, whether its replies are a stream, and its policy.
type Matched = Vec<(Name, bool, Policy)>;

fn matched(descriptors: &[u8], policies: &[(&str, Policy)]) -> Result<Matched, Failure> {
    let names = names(descriptors)?;
    for (line, _) in policies {
        let count = names.iter().filter(|(name, _)| name.is(line)).count();
        if count != 1 {
            return Err(format!("policy: {line} names {count} methods").into());
        }
    }
    let policy = |name: &Name| {
        let mut lines = policies.iter().filter(|(line, _)| name.is(line));
        match (lines.next(), lines.next()) {
            (Some((_, policy)), None) => Ok(*policy),
            (None, _) => Err(format!("policy: {name} has no line")),
            (Some(_), Some(_)) => Err(format!("policy: {name} has two lines")),
        }
    };
    names
        .into_iter()
        .map(|(name, streams)| policy(&name).map(|policy| (name, streams, policy)).map_err(Failure::from))
        .collect()
}

/// The methods of the service, and those of health and reflection.
pub(crate) fn build(app: &App, limits: &Limits, dialect: &Dialect) -> Result<Methods, Failure> {
    let mut methods = Methods::new();
    let probes = names(tonic_health::pb::FILE_DESCRIPTOR_SET)?
        .into_iter()
        .chain(names(tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET)?)
        .map(|(name, streams)| {
            let policy = probe(&name, limits);
            (name, streams, policy)
        });
    for (name, streams, policy) in matched(app.descriptors, app.policies)?.into_iter().chain(probes) {
        let bounds = limits.method(&policy);
        let call = bounds.work + bounds.answer;
        if call > limits.call_memory {
            let (memory, calls) = (limits.memory, limits.call_memory);
            return Err(format!(
                "a memory budget of {memory} bytes leaves {calls} for calls, and one of {name} may take {call}"
            )
            .into());
        }
        let method = Method {
            series: dialect.series(&name),
            class: Class::new(&bounds),
            limits: bounds,
            streams,
            name,
        };
        methods.insert(format!("/{}", method.name), Arc::new(method));
    }
    Ok(methods)
}

/// The bounds of the process and of each of its own methods, as one JSON object.
pub(crate) fn describe(limits: &Limits, methods: &Methods) -> Value {
    let own = methods.values().filter(|method| method.limits.work > 0);
    let own: Map<_, _> = own.map(|method| (method.name.to_string(), method.limits.to_json())).collect();
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
