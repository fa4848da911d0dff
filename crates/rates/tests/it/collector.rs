//! Goal: what sources say becomes what is believed, and a source that fails changes nothing but its own word.
//! Method: the collector on a real database with a clock in the test's hand, and sources that say what they are told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use bytes::Bytes;
use futures_util::future::{BoxFuture, join};
use paywatch_domain::{AssetName, Pair, RatePlan, Rates, UnixMillis};
use paywatch_rates::{AnswerProblem, Collector, Fetch, Settings, Source};
use paywatch_store::{MasterKey, Options, Store, migrate, rates};
use tokio::sync::oneshot;

const START: UnixMillis = UnixMillis(1_700_000_000_000);
const REFRESH_MS: i64 = 60_000;

type Answers = Arc<Mutex<BTreeMap<Box<str>, Result<&'static str, AnswerProblem>>>>;

/// Sources without a network.
struct Spoken(Answers);

impl Fetch for Spoken {
    fn fetch(&self, source: Arc<Source>) -> BoxFuture<'static, Result<Bytes, AnswerProblem>> {
        let answers = self.0.lock().unwrap();
        let answer = answers[&source.name].map(|text| Bytes::from_static(text.as_bytes()));
        Box::pin(async move { answer })
    }
}

fn pair() -> Pair {
    "btc/USD".parse().unwrap()
}

fn plan() -> Arc<RatePlan> {
    let sources = ["a", "b", "c"].map(|name| (Box::from(name), None));
    Arc::new(RatePlan {
        pairs: BTreeMap::from([(pair(), sources.into())]),
        ..RatePlan::default()
    })
}

fn source(name: &str) -> Source {
    Source {
        name: name.into(),
        url: "https://rates.example".parse().unwrap(),
        headers: HeaderMap::new(),
        pointers: BTreeMap::from([(pair(), "/p".parse().unwrap())]),
        times: BTreeMap::new(),
    }
}

/// A collector over a database, with what its sources say.
struct Bed {
    store: Store,
    master: Arc<MasterKey>,
    answers: Answers,
    collector: Collector<Spoken>,
}

impl Bed {
    fn new(store: Store) -> Self {
        let master = Arc::new(MasterKey::from_bytes([5; 32]));
        let answers = Answers::default();
        let settings = Settings {
            plan: plan(),
            sources: ["a", "b", "c"].map(source).into(),
            refresh_ms: REFRESH_MS,
        };
        let fetch = Spoken(Arc::clone(&answers));
        let collector = Collector::new(store.clone(), Arc::clone(&master), fetch, settings);
        Self {
            store,
            master,
            answers,
            collector,
        }
    }

    /// The same with sources that say from when their rates are.
    fn timed(self) -> Self {
        let timed = |name| Source {
            times: BTreeMap::from([(pair(), "/t".parse().unwrap())]),
            ..source(name)
        };
        let settings = Settings {
            plan: plan(),
            sources: ["a", "b", "c"].map(timed).into(),
            refresh_ms: REFRESH_MS,
        };
        let (fetch, master) = (Spoken(Arc::clone(&self.answers)), Arc::clone(&self.master));
        let collector = Collector::new(self.store.clone(), master, fetch, settings);
        Self { collector, ..self }
    }

    /// What was wrong with each source's last answer.
    async fn problems(&self) -> Vec<Option<Box<str>>> {
        let mut conn = self.store.read().await.unwrap();
        let told = rates::told(&mut conn, &self.master, [&pair()]).await;
        let told = told.unwrap().into_iter();
        let of_sources = told.filter(|told| told.source.is_some());
        of_sources.map(|told| told.problem).collect()
    }

    fn say(&self, answers: [Result<&'static str, AnswerProblem>; 3]) {
        let named = ["a", "b", "c"]
            .map(Box::<str>::from)
            .into_iter()
            .zip(answers);
        self.answers.lock().unwrap().extend(named);
    }

    /// Asks all sources and records what they say, at this time.
    async fn round(&mut self, now: UnixMillis) {
        let wake_at = self.collector.step(now).await.unwrap();
        assert_eq!(wake_at, now.plus_ms(REFRESH_MS), "all are being asked");
        let wake_at = self.collector.step(now).await.unwrap();
        assert_eq!(wake_at, now.plus_ms(REFRESH_MS), "all were heard");
    }

    /// The rate at a time: its value, or the word of the problem.
    async fn rate(&self, now: UnixMillis) -> String {
        let mut conn = self.store.read().await.unwrap();
        let told = rates::told(&mut conn, &self.master, [&pair()])
            .await
            .unwrap();
        let plan = plan();
        let asset: AssetName = "btc@bitcoin".parse().unwrap();
        match Rates::new(&plan, &told, now).rate(&asset, "USD") {
            Ok(rate) => format!("{} of {}", rate.value, rate.quotes.len()),
            Err(problem) => problem.as_str().into(),
        }
    }
}

async fn on_a_database(body: impl AsyncFnOnce(Bed)) {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("paywatch.db").display());
    migrate(&url, START).await.unwrap();
    let (store, writer) = Store::open(&url, Options::default()).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let test = async move {
        body(Bed::new(store)).await;
        drop(stop);
    };
    let shutdown = async move {
        let _ = stopped.await;
    };
    join(Box::pin(test), writer.run(shutdown)).await;
}

#[tokio::test]
async fn sources_come_and_go_and_the_rate_is_that_of_most() {
    on_a_database(async |mut bed: Bed| {
        let (good, higher) = (Ok(r#"{"p":100}"#), Ok(r#"{"p":"101"}"#));
        let dead = Err(AnswerProblem::Unreachable);
        // What the sources say round after round, a minute apart, and what is believed then.
        let rounds = [
            ([dead, dead, dead], "stale"),
            ([good, dead, dead], "stale"),
            ([good, higher, dead], "100.5 of 2"),
            ([good, higher, higher], "101 of 3"),
            // The third is remembered for five minutes.
            ([good, higher, dead], "101 of 3"),
            ([good, higher, Ok(r#"{"p":1e400}"#)], "101 of 3"),
            ([good, higher, Ok(r#"{"p":9000}"#)], "100.5 of 2"),
            ([good, Ok(r#"{"p":200}"#), Ok(r#"{"p":9000}"#)], "disagree"),
            ([Ok(r#"{"p":200}"#), Ok(r#"{"p":200}"#), dead], "jumped"),
            ([Ok(r#"{"p":110}"#), Ok(r#"{"p":110}"#), dead], "110 of 2"),
        ];
        for (number, (answers, expected)) in (0..).zip(rounds) {
            let now = START.plus_ms(number * REFRESH_MS);
            bed.say(answers);
            bed.round(now).await;
            assert_eq!(bed.rate(now).await, expected, "round {number}");
        }
    })
    .await;
}

#[tokio::test]
async fn silence_makes_a_rate_stale_and_a_jump_that_lasts_is_believed() {
    on_a_database(async |mut bed: Bed| {
        let (before, after) = (Ok(r#"{"p":100}"#), Ok(r#"{"p":50}"#));
        bed.say([before; 3]);
        bed.round(START).await;
        assert_eq!(bed.rate(START.plus_s(300)).await, "100 of 3");
        assert_eq!(bed.rate(START.plus_s(301)).await, "stale");
        bed.say([after; 3]);
        for minute in 1..=5 {
            bed.round(START.plus_s(60 * minute)).await;
            assert_eq!(
                bed.rate(START.plus_s(60 * minute)).await,
                "jumped",
                "minute {minute}"
            );
        }
        bed.round(START.plus_s(360)).await;
        assert_eq!(bed.rate(START.plus_s(360)).await, "50 of 3");
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_was_put_back_stops_nothing() {
    on_a_database(async |mut bed: Bed| {
        bed.say([Ok(r#"{"p":100}"#); 3]);
        bed.round(START).await;
        let earlier = START.plus_ms(-24 * 3_600_000);
        assert_eq!(
            bed.rate(earlier).await,
            "stale",
            "what comes from the future says nothing"
        );
        bed.round(earlier).await;
        assert_eq!(bed.rate(earlier).await, "100 of 3");
    })
    .await;
}

/// Goal: a source that goes on answering with a rate of long ago does not keep it alive. Method: sources that say from
/// when their rates are.
#[tokio::test]
async fn api_rates_of_long_ago_are_stale_although_their_sources_answer() {
    on_a_database(async |bed: Bed| {
        let mut bed = bed.timed();
        let old = Ok(r#"{"p":100,"t":1700000000}"#);
        let young = Ok(r#"{"p":101,"t":"2023-11-14T22:18:21Z"}"#);
        bed.say([old; 3]);
        for (after_s, expected) in [(0, "100 of 3"), (300, "100 of 3"), (361, "stale")] {
            let now = START.plus_s(after_s);
            bed.round(now).await;
            assert_eq!(bed.rate(now).await, expected, "after {after_s} s");
        }
        let now = START.plus_s(421);
        bed.say([young, young, old]);
        bed.round(now).await;
        assert_eq!(
            bed.rate(now).await,
            "101 of 2",
            "what is old does not count"
        );
        assert_eq!(bed.rate(START.plus_s(601)).await, "101 of 2");
        assert_eq!(
            bed.rate(START.plus_s(602)).await,
            "stale",
            "by their own time"
        );

        // Half a minute ahead is a clock that differs, an hour is a wrong one.
        let now = START.plus_s(601);
        let ahead = Ok(r#"{"p":500,"t":1700004201}"#);
        let bad = [Ok(r#"{"p":500}"#), Ok(r#"{"p":500,"t":"soon"}"#), ahead];
        bed.say(bad);
        bed.round(now).await;
        let words = ["missing", "not_a_time", "ahead"].map(|word| Some(word.into()));
        assert_eq!(bed.problems().await, words);
        assert_eq!(
            bed.rate(now).await,
            "101 of 2",
            "what they said before stays"
        );
        bed.say([Ok(r#"{"p":102,"t":1700000691}"#); 3]);
        let now = START.plus_s(661);
        bed.round(now).await;
        assert_eq!(bed.problems().await, [None, None, None]);
        assert_eq!(
            bed.rate(START.plus_s(961)).await,
            "102 of 3",
            "from now on, not later"
        );
        assert_eq!(bed.rate(START.plus_s(962)).await, "stale");
    })
    .await;
}
