//! What one attempt means for its delivery and its endpoint. Pure.

use paywatch_domain::UnixMillis;
use paywatch_store::deliveries::Outcome as Fate;

use crate::schedule::Schedule;
use crate::send::Outcome;

/// The answer by which a receiver says that it wants no more events (RFC 9110, section 15.5.11).
const GONE: u16 = 410;
/// What one attempt comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What becomes of the delivery.
    pub fate: Fate,
    /// The receiver answered 410: its endpoint is disabled at once.
    pub gone: bool,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, for people; `None` on success.
    pub error: Option<String>,
    /// The first bytes of the answer as text that every database stores.
    pub answer: String,
    /// A stable word for metrics: delivered, refused or the kind of failure.
    pub kind: &'static str,
}

impl Verdict {
    /// Judges the attempt number `attempts_made` (from 1), which ended at `now`.
    pub fn of(
        outcome: &Outcome,
        attempts_made: usize,
        schedule: &Schedule,
        now: UnixMillis,
        random: u64,
    ) -> Self {
        let asked = outcome
            .result
            .as_ref()
            .ok()
            .and_then(|answer| answer.retry_after);
        let again = || match schedule.next(attempts_made, now, random, asked) {
            Some(due_at) => Fate::Retry { due_at },
            None => Fate::Exhausted,
        };
        match &outcome.result {
            Ok(answer) if (200..300).contains(&answer.status) => Self {
                fate: Fate::Delivered,
                gone: false,
                status: Some(answer.status),
                error: None,
                answer: storable(&answer.head),
                kind: "delivered",
            },
            Ok(answer) => Self {
                fate: again(),
                gone: answer.status == GONE,
                status: Some(answer.status),
                error: Some(refusal(answer.status)),
                answer: storable(&answer.head),
                kind: "refused",
            },
            Err(failure) => Self {
                fate: again(),
                gone: false,
                status: None,
                error: Some(storable(failure.to_string().as_bytes())),
                answer: String::new(),
                kind: failure.kind(),
            },
        }
    }
}

fn refusal(status: u16) -> String {
    match status {
        300..400 => {
            format!("the receiver redirects with status {status}; redirects are not followed")
        }
        GONE => "the receiver is gone: status 410".to_owned(),
        _ => format!("the receiver answered with status {status}"),
    }
}

/// Text without what cannot be stored: broken UTF-8, and control characters other than line breaks
/// and tabs (Postgres has no place for the character 0).
fn storable(bytes: &[u8]) -> String {
    let keep = |symbol: char| match symbol {
        '\n' | '\t' => symbol,
        _ if symbol.is_control() => char::REPLACEMENT_CHARACTER,
        _ => symbol,
    };
    String::from_utf8_lossy(bytes).chars().map(keep).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::schedule::RetryAfter;
    use crate::send::{Answer, Failure};

    const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

    fn answer(status: u16) -> Outcome {
        let answer = Answer {
            status,
            retry_after: None,
            head: Bytes::from_static(b"ok"),
        };
        Outcome {
            duration_ms: 3,
            result: Ok(answer),
        }
    }

    fn judge(outcome: &Outcome, attempts_made: usize) -> Verdict {
        Verdict::of(outcome, attempts_made, &Schedule::default(), NOW, 0)
    }

    #[test]
    fn only_2xx_is_success_and_only_410_is_gone() {
        // Status, delivered, gone.
        let table = [
            (100, false, false),
            (199, false, false),
            (200, true, false),
            (204, true, false),
            (299, true, false),
            (300, false, false),
            (301, false, false),
            (308, false, false),
            (400, false, false),
            (404, false, false),
            (410, false, true),
            (429, false, false),
            (500, false, false),
            (599, false, false),
        ];
        for (status, delivered, gone) in table {
            let verdict = judge(&answer(status), 1);
            assert_eq!(verdict.fate == Fate::Delivered, delivered, "{status}");
            assert_eq!(verdict.error.is_none(), delivered, "{status}");
            assert_eq!(verdict.gone, gone, "{status}");
            assert_eq!(
                (verdict.status, verdict.answer.as_str()),
                (Some(status), "ok")
            );
        }
    }

    #[test]
    fn failures_are_tried_again_until_the_schedule_ends() {
        let failed = Outcome {
            duration_ms: 3,
            result: Err(Failure::Timeout),
        };
        let verdict = judge(&failed, 1);
        assert_eq!(
            verdict.fate,
            Fate::Retry {
                due_at: NOW.plus_ms(4_000)
            }
        );
        assert_eq!((verdict.status, verdict.kind), (None, "timeout"));
        assert_eq!(verdict.error.as_deref(), Some("no answer in time"));
        assert!(matches!(judge(&failed, 9).fate, Fate::Retry { .. }));
        assert_eq!(judge(&failed, 10).fate, Fate::Exhausted);
        assert_eq!(judge(&answer(500), 10).fate, Fate::Exhausted);
        assert_eq!(judge(&answer(200), 10).fate, Fate::Delivered);
    }

    #[test]
    fn retry_after_of_a_refusal_counts() {
        let retry_after = Some(RetryAfter::Seconds(9));
        let answer = Answer {
            status: 429,
            retry_after,
            head: Bytes::new(),
        };
        let verdict = judge(
            &Outcome {
                duration_ms: 3,
                result: Ok(answer),
            },
            1,
        );
        assert_eq!(
            verdict.fate,
            Fate::Retry {
                due_at: NOW.plus_ms(9_000)
            }
        );
    }

    #[test]
    fn what_is_kept_of_an_answer_can_be_stored() {
        let table: [(&[u8], &str); 4] = [
            (b"plain\nlines\t", "plain\nlines\t"),
            (b"zero\0escape\x1b", "zero\u{fffd}escape\u{fffd}"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            ("cut \u{20ac}".as_bytes().split_at(5).0, "cut \u{fffd}"),
        ];
        for (bytes, expected) in table {
            assert_eq!(storable(bytes), expected);
        }
    }
}
