//! The methods that there are, from the descriptors of their protos: no peer can mint a label.
use crate::failure::Failure;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::{fmt, sync::Arc};

/// The name of a method, as every dialect labels it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `unary`, `client_stream`, `server_stream` or `bidi_stream`.
    pub kind: &'static str,
    /// The service, with its package.
    pub service: String,
    /// The method, without its service.
    pub method: String,
    /// Both, as in `package.Service/Method`. Shared by the spans of all its calls.
    pub full: Arc<str>,
}

impl Name {
    /// Whether `line` names it, with or without package and service.
    pub fn is(&self, line: &str) -> bool {
        self.full.strip_suffix(line).is_some_and(|before| before.is_empty() || before.ends_with(['.', '/']))
    }

    /// Whether its replies are a stream.
    pub fn streams(&self) -> bool {
        matches!(self.kind, "server_stream" | "bidi_stream")
    }

    /// Whether its requests are a stream.
    pub fn requests_stream(&self) -> bool {
        matches!(self.kind, "client_stream" | "bidi_stream")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.full)
    }
}

/// The names of all methods in a descriptor set.
///
/// # Errors
/// If the bytes are no descriptor set.
pub fn names(descriptors: &[u8]) -> Result<Vec<Name>, Failure> {
    let mut names = Vec::new();
    for file in FileDescriptorSet::decode(descriptors)?.file {
        for service in &file.service {
            let dot = if file.package().is_empty() { "" } else { "." };
            let path = format!("{}{dot}{}", file.package(), service.name());
            names.extend(service.method.iter().map(|method| {
                let kind = match (method.client_streaming(), method.server_streaming()) {
                    (false, false) => "unary",
                    (true, false) => "client_stream",
                    (false, true) => "server_stream",
                    (true, true) => "bidi_stream",
                };
                Name {
                    kind,
                    service: path.clone(),
                    method: method.name().to_owned(),
                    full: format!("{path}/{}", method.name()).into(),
                }
            }));
        }
    }
    Ok(names)
}
