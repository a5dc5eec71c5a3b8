//! What a reader of JSON or YAML found, in plain words: whoever wrote or fetched a file knows
//! neither the library that reads it nor its types.

use std::fmt;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1; where it is known.
    pub line: Option<u64>,
    /// Column, from 1; where it is known.
    pub column: Option<u64>,
    /// What is wrong, in one line.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(formatter, "line {line}")?;
            if let Some(column) = self.column {
                write!(formatter, " column {column}")?;
            }
            write!(formatter, ": ")?;
        }
        formatter.write_str(&self.problem)
    }
}

const ENDS_EARLY: &str = "the text ends in the middle: it is half written or was cut short";

/// A fault in JSON.
pub fn json(error: &serde_json::Error) -> Fault {
    use serde_json::error::Category;
    let words = error.to_string();
    let problem = match error.classify() {
        Category::Eof => ENDS_EARLY.to_owned(),
        Category::Syntax if words.starts_with("trailing characters") => {
            "more text follows where the end belongs".to_owned()
        }
        Category::Syntax => "this is not JSON".to_owned(),
        Category::Io => words,
        Category::Data => {
            let place = format!(" at line {} column {}", error.line(), error.column());
            plain(words.strip_suffix(&place).unwrap_or(&words))
        }
    };
    let known = |number: usize| u64::try_from(number).ok().filter(|number| *number > 0);
    Fault {
        line: known(error.line()),
        column: known(error.column()),
        problem,
    }
}

/// A fault in YAML.
pub fn yaml(error: &serde_saphyr::Error) -> Fault {
    use serde_saphyr::Error;
    let error = error.without_snippet();
    let problem = match error {
        Error::Eof { .. } => ENDS_EARLY.to_owned(),
        Error::MultipleDocuments { .. } => {
            "a second document begins here, and one is read: remove the line --- or the rest"
                .to_owned()
        }
        Error::DuplicateMappingKey { key: Some(key), .. } => {
            format!("{key:?} is there twice: remove one")
        }
        Error::DuplicateMappingKey { key: None, .. } => {
            "a key is there twice: remove one".to_owned()
        }
        Error::SerdeUnknownField {
            field, expected, ..
        } => {
            let known = expected.join(", ");
            format!("{field:?} is not known here: known are {known}")
        }
        Error::SerdeInvalidType {
            unexpected,
            expected,
            ..
        } => misplaced(unexpected, expected),
        Error::SerdeMissingField { field, .. } => format!("{field} is missing"),
        Error::NullIntoString { .. } => misplaced("null", "string"),
        Error::Unexpected { expected, .. } => format!("{} belongs here", thing(expected)),
        Error::Budget { .. } => "there is more of it than is read".to_owned(),
        Error::Message { msg, .. } => plain(msg),
        Error::IOError { cause } => cause.to_string(),
        _ => {
            "this is not YAML: look for a quote, a bracket or an indent that is missing".to_owned()
        }
    };
    let location = error.location();
    Fault {
        line: location.map(|location| location.line()),
        column: location.map(|location| location.column()),
        problem,
    }
}

/// Our own words as they are; those of serde for a value of another type in plain ones.
fn plain(words: &str) -> String {
    let words = words.lines().next().unwrap_or_default();
    let key = |rest: &str| rest.split('`').nth(1).unwrap_or_default().to_owned();
    if let Some(rest) = words.strip_prefix("missing field ") {
        return format!("{} is missing", key(rest));
    }
    if let Some(rest) = words.strip_prefix("duplicate field ") {
        return format!("{:?} is there twice: remove one", key(rest));
    }
    let of_type = words.strip_prefix("invalid type: ");
    match of_type.and_then(|of_type| of_type.split_once(", expected ")) {
        Some((found, wanted)) => misplaced(found, wanted),
        None => words.to_owned(),
    }
}

fn misplaced(found: &str, wanted: &str) -> String {
    format!("{} stands where {} belongs", thing(found), thing(wanted))
}

/// Plain words for how serde and YAML call what a text holds.
fn thing(words: &str) -> String {
    let ours = words;
    let words = words.strip_prefix("a ").unwrap_or(words);
    let value = |word| Some(words.strip_prefix(word)?.trim_matches('`').to_owned());
    let known = match words.split([' ', '`']).next().unwrap_or_default() {
        "map" | "mapping" | "MappingStart" => Some("a mapping".to_owned()),
        "seq" | "sequence" | "SequenceStart" => Some("a list".to_owned()),
        "null" | "unit" | "Option" => Some("nothing".to_owned()),
        "integer" => value("integer "),
        "floating" => value("floating point "),
        "boolean" => value("boolean "),
        "string" | "scalar" => match words.split_once(' ') {
            Some((_, text)) if text.starts_with('"') => Some(format!("the text {text}")),
            _ => Some("a text".to_owned()),
        },
        _ => None,
    };
    let is_ours = ours.starts_with("a ");
    known.unwrap_or_else(|| match is_ours {
        true => ours.to_owned(),
        false => "something else".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io};

    use serde::{
        Deserialize,
        de::{DeserializeOwned, IgnoredAny},
    };

    use super::*;

    #[test]
    fn json_is_told_in_plain_words() {
        type Lists = BTreeMap<String, Vec<String>>;
        for (text, expected) in [
            (
                "{\"a\": [",
                "line 1 column 7: the text ends in the middle: it is half written or was cut short",
            ),
            ("{\"a\" [", "line 1 column 6: this is not JSON"),
            (
                "{} {}",
                "line 1 column 4: more text follows where the end belongs",
            ),
            (
                "{\"a\": 7}",
                "line 1 column 7: 7 stands where a list belongs",
            ),
            (
                "{\"a\": 1.5}",
                "line 1 column 9: 1.5 stands where a list belongs",
            ),
            (
                "{\"a\": true}",
                "line 1 column 10: true stands where a list belongs",
            ),
            (
                "{\"a\": \"x\"}",
                "line 1 column 9: the text \"x\" stands where a list belongs",
            ),
            (
                "[]",
                "line 1 column 0: a list stands where a mapping belongs",
            ),
            (
                "{\"a\": [null]}",
                "line 1 column 11: nothing stands where a text belongs",
            ),
        ] {
            let error = serde_json::from_str::<Lists>(text).unwrap_err();
            let told = json(&error).to_string();
            assert_eq!(told, expected.replace(" column 0", ""), "{text}");
        }
    }

    #[test]
    fn yaml_is_told_in_plain_words() {
        type Lists = BTreeMap<String, Vec<String>>;
        for (text, expected) in [
            ("a: [x\n", "is not YAML"),
            ("a: [x]\n---\nb: [y]\n", "a second document begins here"),
            ("a: [x]\na: [y]\n", "\"a\" is there twice: remove one"),
            ("a: 7\n", "a list"),
            ("- a\n", "a mapping"),
            ("a: 'x\n", "is not YAML"),
            ("a: &x [*y]\n", "is not YAML"),
            ("a: [[x]]\n", "line 1 column 5: a text belongs here"),
            (
                "a: [~]\n",
                "line 1 column 5: nothing stands where a text belongs",
            ),
        ] {
            let error = serde_saphyr::from_str::<Lists>(text).unwrap_err();
            let told = yaml(&error).to_string();
            assert!(
                told.starts_with("line ") && told.contains(expected),
                "{text:?}: {told}"
            );
        }
    }

    /// What is wrong with a text that is to be a `T`.
    fn wrong<T: DeserializeOwned>(text: &str) -> String {
        let read = serde_saphyr::from_str::<T>(text);
        yaml(&read.err().unwrap()).problem
    }

    #[test]
    fn values_of_other_types_are_told_in_plain_words() {
        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it is not read")]
        struct Rules {
            groups: Vec<String>,
        }
        let cut = "the text ends in the middle: it is half written or was cut short";
        assert_eq!(wrong::<Rules>(""), cut);
        assert_eq!(wrong::<Rules>("spec: {}\n"), "groups is missing");
        let twice = "a: { ? [x] : 1, ? [x] : 2 }\n";
        assert_eq!(
            wrong::<BTreeMap<String, IgnoredAny>>(twice),
            "a key is there twice: remove one"
        );
        let number = "the text \"x\" stands where a JSON number belongs";
        assert_eq!(wrong::<serde_json::Number>("x\n"), number);
        assert_eq!(
            wrong::<std::net::IpAddr>("x\n"),
            "invalid IP address syntax"
        );
    }

    #[test]
    fn what_keeps_a_text_from_being_read_is_said() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let read = serde_saphyr::from_reader::<_, Vec<String>>(Broken);
        assert_eq!(yaml(&read.err().unwrap()).problem, "the disk is gone");
        let few = serde_saphyr::options! { budget: serde_saphyr::budget! { max_nodes: 3 } };
        let read = serde_saphyr::from_str_with_options::<Vec<String>>("[a, b, c]", few);
        assert_eq!(
            yaml(&read.err().unwrap()).problem,
            "there is more of it than is read"
        );
    }
}
