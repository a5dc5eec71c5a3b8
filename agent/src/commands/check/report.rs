//! What was found, for people and for machines.

use anyhow::Result;
use serde::Serialize;
use zonemeter_model::text::visible;

/// How a requirement is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// The agent works, with less than it could do.
    Warning,
    /// The agent would not work.
    Failed,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Requirement {
    /// Stable: machines look for it.
    pub(super) name: &'static str,
    pub(super) status: Status,
    pub(super) found: String,
    pub(super) needed: String,
    /// What to do; empty where nothing is to be done.
    pub(super) remedy: String,
}

impl Requirement {
    pub(super) fn ok(
        name: &'static str,
        found: impl Into<String>,
        needed: impl Into<String>,
    ) -> Self {
        Self {
            name,
            status: Status::Ok,
            found: found.into(),
            needed: needed.into(),
            remedy: String::new(),
        }
    }

    /// Works all the same.
    pub(super) fn but(self, remedy: impl Into<String>) -> Self {
        Self {
            status: Status::Warning,
            remedy: remedy.into(),
            ..self
        }
    }

    /// Does not work.
    pub(super) fn unless(self, remedy: impl Into<String>) -> Self {
        Self {
            status: Status::Failed,
            remedy: remedy.into(),
            ..self
        }
    }
}

/// All of them, in the order in which the agent would meet them.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) requirements: Vec<Requirement>,
}

#[derive(Serialize)]
struct Json<'a> {
    works: bool,
    requirements: &'a [Requirement],
}

impl Report {
    /// Warnings do not keep an agent from working.
    pub(super) fn works(&self) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.status != Status::Failed)
    }

    pub(super) fn json(&self) -> Result<String> {
        let json = Json {
            works: self.works(),
            requirements: &self.requirements,
        };
        Ok(format!("{}\n", serde_json::to_string_pretty(&json)?))
    }

    /// Columns; what to do stands below its line.
    pub(super) fn table(&self) -> String {
        let width = |column: fn(&Requirement) -> &str| {
            self.requirements
                .iter()
                .map(|r| column(r).chars().count())
                .max()
                .unwrap_or(0)
        };
        let (name, found) = (width(|r| r.name), width(|r| &r.found).max("found".len()));
        let mut text = format!("{:<7}  {:<name$}  {:<found$}  needed\n", "", "", "found");
        for requirement in &self.requirements {
            text.push_str(&format!(
                "{:<7}  {:<name$}  {:<found$}  {}\n",
                word(requirement.status),
                requirement.name,
                requirement.found,
                requirement.needed
            ));
            if !requirement.remedy.is_empty() {
                text.push_str(&format!(
                    "{:<7}  {:<name$}  -> {}\n",
                    "", "", requirement.remedy
                ));
            }
        }
        let lines = text.lines().map(visible);
        let mut text = lines.fold(String::new(), |text, line| text + &line + "\n");
        text.push_str(match self.works() {
            true => "The agent works here.\n",
            false => "The agent does not work here: see FAILED.\n",
        });
        text
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Warning => "warning",
        Status::Failed => "FAILED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(last: Requirement) -> Report {
        Report {
            requirements: vec![
                Requirement::ok("kernel", "6.1.0", "Linux 5.10 or newer"),
                last,
            ],
        }
    }

    #[test]
    fn a_warning_works_and_a_failure_does_not() {
        let found = Requirement::ok("connections", "no BTF", "BTF");
        let warned = report(found.clone().but("nothing"));
        assert!(warned.works());
        let failed = report(found.unless("another kernel"));
        assert!(!failed.works());
        let json: serde_json::Value = serde_json::from_str(&failed.json().unwrap()).unwrap();
        assert_eq!(json["works"], false);
        assert_eq!(json["requirements"][1]["status"], "failed");
        assert_eq!(json["requirements"][1]["remedy"], "another kernel");
    }

    #[test]
    fn the_remedy_stands_below_what_it_is_for() {
        let table = report(Requirement::ok("connections", "no BTF", "BTF").but("wait")).table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(
            lines[1],
            "ok       kernel       6.1.0   Linux 5.10 or newer"
        );
        assert_eq!(lines[2], "warning  connections  no BTF  BTF");
        assert_eq!(lines[3].trim(), "-> wait");
    }
}
