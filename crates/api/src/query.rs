//! Parameters of lists: page and filters, each fault named.

use std::str::FromStr;

use paywatch_domain::{UnixMillis, limits};
use paywatch_store::Cursor;
use paywatch_wire::{Code, FieldError};

use crate::fault::Fault;

/// The parameters of a query under reading.
#[derive(Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
    /// The names that were asked for.
    known: Vec<String>,
    errors: Vec<FieldError>,
}

/// Which rows of a list, by ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Window<I> {
    /// How many rows.
    pub(crate) limit: u32,
    /// Where to begin.
    pub(crate) cursor: Cursor<I>,
}

/// Where to begin in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// After what has this number; 0 is the beginning.
    After(i64),
    /// At its end.
    Latest,
}

impl Query {
    pub(crate) fn new(text: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(text.unwrap_or_default().as_bytes());
        Self {
            pairs: pairs.into_owned().collect(),
            known: Vec::new(),
            errors: Vec::new(),
        }
    }

    /// Notes what is wrong with a parameter.
    pub(crate) fn refuse(&mut self, name: &str, code: &str, detail: impl Into<String>) {
        let short: String = name.chars().take(64).collect();
        self.errors
            .push(FieldError::new(format!("?{short}"), code, detail));
    }

    /// A parameter; each may be given once.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        self.known.push(name.to_owned());
        let place = self.pairs.iter().position(|(given, _)| given == name)?;
        let (_, value) = self.pairs.remove(place);
        if limits::TEXT_CHARS_MAX < value.chars().count() {
            let detail = format!("at most {} characters are possible", limits::TEXT_CHARS_MAX);
            self.refuse(name, Code::TextTooLong.as_str(), detail);
            return None;
        }
        if value.chars().any(char::is_control) {
            // Postgres cannot even compare a text with a zero character in it.
            let detail = "must not hold control characters";
            self.refuse(name, Code::TextInvalid.as_str(), detail);
            return None;
        }
        Some(value)
    }

    fn parsed<T>(
        &mut self,
        name: &str,
        detail: &str,
        code: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = read(&text);
        if value.is_none() {
            self.refuse(name, code, detail);
        }
        value
    }

    /// An id.
    pub(crate) fn id<I: FromStr>(&mut self, name: &str, what: &str) -> Option<I> {
        let detail = format!("must be the id of {what}");
        self.parsed(name, &detail, Code::IdInvalid.as_str(), |text| {
            text.parse().ok()
        })
    }

    /// One of the words that `read` knows.
    pub(crate) fn word<T>(
        &mut self,
        name: &str,
        known: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let detail = format!("must be one of {known}");
        self.parsed(name, &detail, "word_unknown", read)
    }

    /// A time, RFC 3339.
    pub(crate) fn time(&mut self, name: &str) -> Option<UnixMillis> {
        let detail = "must be a time such as 2026-12-01T09:30:00.000Z";
        self.parsed(name, detail, "time_invalid", |text| {
            paywatch_wire::time::parse_rfc3339(text).ok()
        })
    }

    /// A place in a stream; its beginning when nothing is said.
    pub(crate) fn place(&mut self, name: &str) -> Place {
        let detail = "must be a whole number from 0, or `latest`";
        let place = self.parsed(name, detail, "sequence_invalid", |text| match text {
            "latest" => Some(Place::Latest),
            _ => text.parse().ok().filter(|seq| 0 <= *seq).map(Place::After),
        });
        place.unwrap_or(Place::After(0))
    }

    /// How many rows.
    pub(crate) fn limit(&mut self) -> u32 {
        let detail = format!("must be from 1 to {}", limits::PAGE_ROWS_MAX);
        let limit = self.parsed("limit", &detail, "limit_invalid", |text| {
            text.parse()
                .ok()
                .filter(|rows| (1..=limits::PAGE_ROWS_MAX).contains(rows))
        });
        limit.unwrap_or(limits::PAGE_ROWS_DEFAULT)
    }

    /// `limit`, `starting_after` and `ending_before`.
    pub(crate) fn window<I: FromStr>(&mut self, what: &str) -> Window<I> {
        let limit = self.limit();
        let after = self.id("starting_after", what);
        let before = self.id("ending_before", what);
        let cursor = match (after, before) {
            (Some(_), Some(_)) => {
                let detail = "give either starting_after or ending_before";
                self.refuse("ending_before", "window_ambiguous", detail);
                Cursor::Newest
            }
            (Some(after), None) => Cursor::After(after),
            (None, Some(before)) => Cursor::Before(before),
            (None, None) => Cursor::Newest,
        };
        Window { limit, cursor }
    }

    /// Nothing, or everything that is wrong; what was not asked for is named.
    pub(crate) fn finish(mut self) -> Result<(), Fault> {
        let known = self.known.join(", ");
        for (name, _) in std::mem::take(&mut self.pairs) {
            let detail = if known.is_empty() {
                "not known; there are no parameters here".to_owned()
            } else {
                format!("not known, or given twice; known here: {known}")
            };
            self.refuse(&name, "unknown_parameter", detail);
        }
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Fault::Query(self.errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use paywatch_domain::InvoiceId;

    use super::*;

    fn read(text: &str) -> Result<Window<InvoiceId>, Vec<(String, String)>> {
        let mut query = Query::new(Some(text));
        let window = query.window("an invoice");
        match query.finish() {
            Ok(()) => Ok(window),
            Err(Fault::Query(errors)) => Err(errors
                .into_iter()
                .map(|error| (error.pointer, error.code))
                .collect()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn pages_are_read_and_faults_named() {
        let id = InvoiceId::from_bits(5);
        let newest = Window {
            limit: 20,
            cursor: Cursor::Newest,
        };
        assert_eq!(read(""), Ok(newest));
        assert_eq!(
            read(&format!("limit=100&starting_after={id}")),
            Ok(Window {
                limit: 100,
                cursor: Cursor::After(id)
            })
        );
        assert_eq!(
            read(&format!("ending_before={id}")),
            Ok(Window {
                limit: 20,
                cursor: Cursor::Before(id)
            })
        );
        let wrong = |pointer: &str, code: &str| Err(vec![(pointer.into(), code.into())]);
        assert_eq!(read("limit=0"), wrong("?limit", "limit_invalid"));
        assert_eq!(read("limit=101"), wrong("?limit", "limit_invalid"));
        assert_eq!(
            read("limit=5&limit=6"),
            wrong("?limit", "unknown_parameter")
        );
        assert_eq!(
            read("starting_after=x"),
            wrong("?starting_after", "id_invalid")
        );
        for control in ["%00", "a%0Ab", "%7f", "%C2%85"] {
            assert_eq!(
                read(&format!("starting_after={control}")),
                wrong("?starting_after", "text_invalid")
            );
        }
        assert_eq!(read("colour=red"), wrong("?colour", "unknown_parameter"));
        assert_eq!(
            read(&format!("starting_after={id}&ending_before={id}")),
            wrong("?ending_before", "window_ambiguous")
        );
    }
}
