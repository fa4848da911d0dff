//! Simulated merchants: they receive webhooks, fail in every way, and remember what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use paywatch_webhook::{Answer, Failure, HttpSend, Outcome, Request};

use crate::clock::{Clock, Who};
use crate::crash::Crashes;
use crate::random::Random;
use crate::told::Told;

/// In which mood a merchant's server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It takes what comes.
    Well,
    /// It answers with an error.
    Failing,
    /// It does not answer.
    Silent,
    /// It wants no more events, ever.
    Gone,
}

/// What has failed so often does not hold up what follows.
const OVERTAKEN_AFTER: u32 = 3;

/// One webhook endpoint of the merchant.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The end of its URL.
    pub number: usize,
    /// Its mood.
    pub mood: Mood,
    /// Whether it ever said that it wants no more.
    pub was_gone: bool,
    /// By invoice and version, what it was told.
    pub told: BTreeMap<String, BTreeMap<u64, Told>>,
    /// Ids of the events that it took.
    pub taken: BTreeSet<String>,
    /// By invoice and version, how often it was sent and whether an answer said that it was taken.
    tries: BTreeMap<(String, u64), (u32, bool)>,
    /// What must never happen, and did.
    pub wrongs: Vec<String>,
}

/// All endpoints.
#[derive(Debug)]
pub struct Merchants {
    /// In the order of their numbers.
    pub shops: Vec<Shop>,
    /// Requests that went wrong.
    pub faults: u64,
    /// Troubles are over.
    pub is_calm: bool,
    failure: u32,
    random: Random,
}

impl Merchants {
    /// Endpoints that are well.
    pub fn new(seed: u64, count: usize, failure: u32) -> Self {
        let mut merchants = Self {
            shops: Vec::new(),
            faults: 0,
            is_calm: false,
            failure,
            random: Random::of(seed, "merchants", 0),
        };
        for _ in 0..count {
            merchants.open();
        }
        merchants
    }

    /// Opens another endpoint; answers its number.
    pub fn open(&mut self) -> usize {
        let number = self.shops.len();
        self.shops.push(Shop {
            number,
            mood: Mood::Well,
            was_gone: false,
            told: BTreeMap::new(),
            taken: BTreeSet::new(),
            tries: BTreeMap::new(),
            wrongs: Vec::new(),
        });
        number
    }

    /// Where an endpoint is.
    pub fn url(number: usize) -> String {
        format!("https://shop.example/{number}")
    }

    /// Gives one endpoint another mood.
    pub fn change_mood(&mut self) {
        let moods = [Mood::Well, Mood::Well, Mood::Failing, Mood::Silent];
        let count = u64::try_from(self.shops.len()).unwrap_or(0);
        let which = usize::try_from(self.random.below(count)).unwrap_or(0);
        let mood = self.random.pick(&moods).copied().unwrap_or(Mood::Well);
        let is_gone = self.random.is(60_000);
        if let Some(shop) = self.shops.get_mut(which).filter(|shop| !shop.was_gone) {
            self.faults = self.faults.saturating_add(1);
            shop.mood = if is_gone { Mood::Gone } else { mood };
        }
    }

    /// Ends all troubles. What is gone stays gone.
    pub fn calm(&mut self) {
        self.is_calm = true;
        for shop in &mut self.shops {
            if !shop.was_gone {
                shop.mood = Mood::Well;
            }
        }
    }

    /// The status that the endpoint will answer with, whether the request reaches it, and whether the
    /// answer comes back.
    fn draw(&mut self, number: usize) -> (u16, bool, bool) {
        let Some(shop) = self.shops.get(number) else {
            return (404, true, true);
        };
        let fails = !self.is_calm && self.random.is(self.failure);
        let drawn = match shop.mood {
            Mood::Gone => (410, true, true),
            Mood::Failing => (500, true, true),
            Mood::Silent => (200, false, false),
            Mood::Well if fails => {
                let ways = [
                    (500, true, true),
                    (429, true, true),
                    (302, true, true),
                    // It took the event, and nobody hears of that.
                    (200, true, false),
                    (200, false, false),
                ];
                self.random
                    .pick(&ways)
                    .copied()
                    .unwrap_or((500, true, true))
            }
            Mood::Well => return (200, true, true),
        };
        self.faults = self.faults.saturating_add(1);
        drawn
    }
}

impl Shop {
    /// Something is sent: nothing of the same invoice may come before what it follows, unless that has
    /// failed often enough.
    fn expect(&mut self, (invoice, version): &(String, u64)) {
        for below in 1..*version {
            let before = self.tries.get(&(invoice.clone(), below));
            let (tries, is_taken) = before.copied().unwrap_or_default();
            if !is_taken && tries < OVERTAKEN_AFTER {
                let text = format!("{invoice}: version {version} is sent before {below}");
                self.wrongs.push(text);
            }
        }
        let (tries, _) = self.tries.entry((invoice.clone(), *version)).or_default();
        *tries = tries.saturating_add(1);
    }

    fn receive(&mut self, request: &Request, status: u16) {
        let header = |name: &str| {
            let mut headers = request.headers.iter();
            headers
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.clone())
        };
        let told = match Told::read(&request.body) {
            Ok(told) => told,
            Err(error) => {
                return self
                    .wrongs
                    .push(format!("an event cannot be read: {error}"));
            }
        };
        if header("webhook-id").as_deref() != Some(&told.id) {
            self.wrongs
                .push(format!("webhook-id is not that of {}", told.id));
        }
        if header("webhook-signature").is_none_or(|signature| !signature.starts_with("v1,")) {
            self.wrongs.push(format!("{} is not signed", told.id));
        }
        if status == 410 {
            self.was_gone = true;
        }
        let is_taken = (200..300).contains(&status);
        if is_taken {
            self.taken.insert(told.id.clone());
        }
        if let Some((invoice, version)) = told
            .invoice
            .as_ref()
            .map(|one| (one.id.clone(), one.version))
        {
            let own = self.told.entry(invoice).or_default();
            if let Some(before) = own.get(&version).filter(|before| before.id != told.id) {
                let text = format!("{} and {} have one version", before.id, told.id);
                self.wrongs.push(text);
            }
            own.insert(version, told);
        }
    }
}

/// Sends to the simulated merchants.
#[derive(Clone, Debug)]
pub struct Post {
    /// To whom.
    pub merchants: Arc<Mutex<Merchants>>,
    /// When.
    pub clock: Clock,
    /// Sending is a moment at which the process may end.
    pub crashes: Arc<Crashes>,
}

impl Post {
    /// The merchants.
    pub fn merchants(&self) -> MutexGuard<'_, Merchants> {
        self.merchants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn carry(self, request: Request) -> Outcome {
        let number = request.url.path().trim_start_matches('/').parse();
        let number = number.unwrap_or(usize::MAX);
        let (there_ms, back_ms) = {
            let mut merchants = self.merchants();
            let random = &mut merchants.random;
            (random.wait_ms(100), random.wait_ms(100))
        };
        if !self.crashes.passes("send") {
            std::future::pending::<()>().await;
        }
        let what = Told::read(&request.body).ok().and_then(|told| told.invoice);
        let what = what.map(|invoice| (invoice.id, invoice.version));
        if let (Some(what), Some(shop)) = (&what, self.merchants().shops.get_mut(number)) {
            shop.expect(what);
        }
        self.clock.wait(Who::Deliverer, there_ms).await;
        let (status, arrives, comes_back) = self.merchants().draw(number);
        if arrives {
            let mut merchants = self.merchants();
            if let Some(shop) = merchants.shops.get_mut(number) {
                shop.receive(&request, status);
            }
        }
        if !self.crashes.passes("sent") {
            std::future::pending::<()>().await;
        }
        let wait_ms = if comes_back { back_ms } else { 20_000 };
        self.clock.wait(Who::Deliverer, wait_ms).await;
        let is_taken = comes_back && (200..300).contains(&status);
        if let (Some(what), Some(shop)) = (what, self.merchants().shops.get_mut(number)) {
            shop.tries.entry(what).or_default().1 |= is_taken;
        }
        let duration_ms = u64::try_from(there_ms.saturating_add(wait_ms)).unwrap_or(0);
        let answer = Answer {
            status,
            retry_after: None,
            head: Bytes::new(),
        };
        Outcome {
            duration_ms,
            result: if comes_back {
                Ok(answer)
            } else {
                Err(Failure::Timeout)
            },
        }
    }
}

impl HttpSend for Post {
    fn send(&self, request: Request) -> BoxFuture<'static, Outcome> {
        Box::pin(self.clone().carry(request))
    }
}
