//! Errors as AWS answers them.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::Value;

/// The error of an action.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ApiError {
    /// What it is.
    pub(crate) code: Code,
    /// In words.
    pub(crate) message: String,
    /// HTTP status.
    pub(crate) status: StatusCode,
    /// Further members of a JSON error, e.g. `clusterName`; ignored by the XML protocols.
    pub(crate) fields: Vec<(String, Value)>,
}

/// The code of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// The same for all services.
    Named(Cow<'static, str>),
    /// A parameter is missing: each service has its own word.
    Missing,
    /// A parameter can't be read: each service has its own word.
    Malformed,
}

/// The code of what the simulator does not know.
pub(crate) const NOT_SIMULATED: &str = "NotSimulated";

impl ApiError {
    /// An error of the client's, HTTP 400.
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        Self {
            code: Code::Named(code.into()),
            message: message.into(),
            status: StatusCode::BAD_REQUEST,
            fields: Vec::new(),
        }
    }

    /// The same with another HTTP status.
    #[must_use]
    pub(crate) fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// The same with a further member, for JSON protocols.
    #[must_use]
    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.push((name.to_owned(), value.into()));
        self
    }

    /// A parameter that has to be there isn't.
    pub(crate) fn missing(name: &str) -> Self {
        let mut error = Self::new("", format!("The request must contain the parameter {name}"));
        error.code = Code::Missing;
        error
    }

    /// A parameter can't be read.
    pub(crate) fn malformed(name: &str, value: &Value) -> Self {
        let shown = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let mut error = Self::new("", format!("Invalid value '{shown}' for {name}."));
        error.code = Code::Malformed;
        error
    }

    /// Something that AWS has and the simulator hasn't. HTTP 501: no SDK tries such a call again (botocore, the Rust, Go v2
    /// and JavaScript SDKs repeat 500, 502, 503 and 504; Go v1 names 501 as final).
    pub(crate) fn not_simulated(what: impl std::fmt::Display) -> Self {
        Self::new(
            NOT_SIMULATED,
            format!("not simulated: the sandbox's AWS does not have {what}"),
        )
        .status(StatusCode::NOT_IMPLEMENTED)
    }

    /// The code as this service says it.
    pub(crate) fn code_for(&self, invalid: Option<&'static str>) -> Cow<'static, str> {
        match &self.code {
            Code::Named(code) => code.clone(),
            Code::Missing => invalid.unwrap_or("MissingParameter").into(),
            Code::Malformed => invalid.unwrap_or("InvalidParameterValue").into(),
        }
    }
}
