//! The error of whatever is done at start.

/// Why something could not be done at start: any error, with a message for whoever runs the service.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
