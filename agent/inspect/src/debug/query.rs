//! Reads query parameters strictly: a name that does not exist, a parameter given twice and a
//! value that is not accepted are refused, each by name.

use axum::http::StatusCode;

use super::answer::Refusal;

/// The parameters of one request, not yet taken.
#[derive(Debug)]
pub(crate) struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    /// Takes the pairs of a query string if every name is one of `known`.
    pub(crate) fn new(pairs: Vec<(String, String)>, known: &[&str]) -> Result<Self, Refusal> {
        for (index, (name, value)) in pairs.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                return Err(refuse(name, value, &accepted_names(known)));
            }
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(refuse(name, value, "each parameter once"));
            }
        }
        Ok(Self { pairs })
    }

    /// A parameter's text; `None` where it is absent or empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(found, _)| found == name);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// A parameter's meaning by `read`; `None` where it is absent or empty.
    pub(crate) fn read<T>(
        &self,
        name: &str,
        accepted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        read(value)
            .map(Some)
            .ok_or_else(|| refuse(name, value, accepted))
    }
}

/// A refusal of a parameter's value.
pub(crate) fn refuse(name: &str, value: &str, accepted: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, name, value, accepted)
}

fn accepted_names(known: &[&str]) -> String {
    match known {
        [] => "no parameter".to_owned(),
        [only] => format!("only the parameter {only}"),
        _ => format!("a parameter of {}", known.join(", ")),
    }
}
