//! The fields of spans and events, as they were given: text is made of them only when a line is written.
use std::fmt;
use tracing::field::{Field, Visit};

/// What a field holds. What only has a `Debug` is text at once: it may not live as long as its span.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Bool(bool),
    Int(i128),
    Uint(u128),
    Float(f64),
    Text(String),
    /// An object or a list, as it is.
    Json(serde_json::Value),
}

/// Fields in the order in which they were given, each name once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// Sets a field, in the place of an older value.
    pub(crate) fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// Sets a field that has no value yet.
    pub(crate) fn set_if_missing(&mut self, name: &'static str, value: impl FnOnce() -> Value) {
        if !self.0.iter().any(|(known, _)| *known == name) {
            self.0.push((name, value()));
        }
    }

    /// Takes over the fields of `others` that are not here.
    pub(crate) fn complete_from(&mut self, others: &Self) {
        for (name, value) in &others.0 {
            self.set_if_missing(name, || value.clone());
        }
    }

    /// Takes a field out, as text.
    pub(crate) fn take_text(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| *known == name)?;
        match self.0.remove(at).1 {
            Value::Text(text) => Some(text),
            other => Some(other.to_string()),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::Bool(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::Int(value.into()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::Uint(value.into()));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.set(field.name(), Value::Int(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.set(field.name(), Value::Uint(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), Value::Float(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::Text(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field.name(), Value::Text(format!("{value:?}")));
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Uint(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => value.fmt(f),
            Self::Json(value) => value.fmt(f),
        }
    }
}
