//! Why a load test did not come to its verdicts.
use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// By Ctrl-C or SIGTERM.
    Interrupted,
    /// What failed, for the person who runs it.
    Failed(String),
}

impl From<String> for Error {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::Failed(text) => write!(f, "error: {text}"),
        }
    }
}
