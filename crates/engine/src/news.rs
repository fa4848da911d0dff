//! What there is to tell about an invoice that was folded again: one event a change, numbered without
//! gaps.

use std::borrow::Cow;

use paywatch_domain::{
    Amount, CauseKind, Dossier, EventId, EventType, Exception, ExceptionId, ExceptionNews, Folded,
    PoolNews, Said, UnixMillis, Violation,
};
use paywatch_store::events::{self, NewEvent};
use paywatch_store::invoices::{self, Loaded, Spoken};
use paywatch_store::{InvoiceKey, StoreError, Tx, exceptions};
use paywatch_wire::{EventHead, Invoice, RevertedOption, exception_event, invoice_event};

use crate::pass::Pass;

/// What a fold leads to.
pub(crate) enum Outcome {
    /// Nothing has changed.
    Nothing,
    /// The mempool alone changed something, and has been told of often enough.
    Held {
        /// Until when.
        until: UnixMillis,
    },
    /// There is something to tell.
    News(Box<News>),
}

/// What is told about one invoice.
pub(crate) struct News {
    invoice: InvoiceKey,
    said: Said,
    /// In the order of their versions; at least one.
    events: Vec<NewEvent>,
    opened: Vec<Exception>,
    amended: Vec<(ExceptionId, Amount)>,
    resolved: Vec<ExceptionId>,
}

impl News {
    /// Compares a fold with what was last said.
    ///
    /// A change of what is said comes first, then what a person has to decide. All events of one fold
    /// show the same state.
    pub(crate) fn of(
        loaded: &Loaded,
        dossier: &Dossier,
        folded: &Folded,
        pass: &mut Pass<'_>,
    ) -> Result<Outcome, Violation> {
        let mut said = Said::of(folded);
        said.pool = dossier.said.as_ref().and_then(|before| before.pool);
        let change = match &dossier.said {
            None => Some(EventType::Created),
            Some(before) => before.news(&said),
        };
        let exceptions = ExceptionNews::between(&dossier.exceptions, &folded.exceptions);
        if change.is_none() && exceptions.is_empty() {
            return Ok(Outcome::Nothing);
        }
        let before = dossier.said.as_ref();
        let is_final_news = before.is_none_or(|before| !before.has_same_final(&said));
        if pass.cause.kind == CauseKind::Mempool && !is_final_news && may_wait(change) {
            match PoolNews::one_more(said.pool, pass.now) {
                Ok(pool) => said.pool = Some(pool),
                Err(until) => return Ok(Outcome::Held { until }),
            }
        }
        // An open exception about more or less than was told is a change of the invoice.
        let amended = !exceptions.amended.is_empty();
        let change = change.or(amended.then_some(EventType::Updated));
        let opened: Vec<Exception> = exceptions
            .opened
            .iter()
            .map(|finding| Exception {
                id: ExceptionId::from_bits(pass.ids.bits()),
                finding: finding.clone(),
                opened_at: pass.now,
                resolved_at: None,
            })
            .collect();
        // Copied only when its exceptions change, which is seldom.
        let mut after = Cow::Borrowed(dossier);
        if !exceptions.is_empty() {
            amend(
                &mut after.to_mut().exceptions,
                &exceptions,
                &opened,
                pass.now,
            );
        }
        let mut telling = Telling {
            loaded,
            dossier: &after,
            folded,
            pass,
            events: Vec::new(),
        };
        if let Some(kind) = change {
            telling.say(kind, None)?;
        }
        for exception in &opened {
            telling.say(EventType::ExceptionOpened, Some(exception.id))?;
        }
        for id in &exceptions.resolved {
            telling.say(EventType::ExceptionResolved, Some(*id))?;
        }
        Ok(Outcome::News(Box::new(Self {
            invoice: loaded.key,
            said,
            events: telling.events,
            opened,
            amended: exceptions.amended,
            resolved: exceptions.resolved,
        })))
    }
}

/// Whether a merchant loses nothing by hearing of it minutes later, where nothing of it is final or was.
fn may_wait(change: Option<EventType>) -> bool {
    matches!(
        change,
        None | Some(EventType::Updated | EventType::Detected)
    )
}

/// The exceptions of an invoice as they are after the news.
fn amend(told: &mut Vec<Exception>, news: &ExceptionNews, opened: &[Exception], now: UnixMillis) {
    for exception in told.iter_mut() {
        if news.resolved.contains(&exception.id) {
            exception.resolved_at = Some(now);
        }
        let mut amended = news.amended.iter();
        if let Some((_, amount)) = amended.find(|(id, _)| *id == exception.id) {
            exception.finding.amount = *amount;
        }
    }
    told.extend(opened.iter().cloned());
}

/// Events of one invoice in the making.
struct Telling<'a, 'p> {
    loaded: &'a Loaded,
    /// With the exceptions as they are afterwards.
    dossier: &'a Dossier,
    folded: &'a Folded,
    pass: &'a mut Pass<'p>,
    events: Vec<NewEvent>,
}

impl Telling<'_, '_> {
    /// Adds the next event: about an exception, or else about the invoice itself.
    fn say(&mut self, kind: EventType, exception: Option<ExceptionId>) -> Result<(), Violation> {
        let before = self.events.last().and_then(|event| event.version);
        let version = before.unwrap_or(self.dossier.version).saturating_add(1);
        let head = EventHead {
            id: EventId::from_bits(self.pass.ids.bits()),
            kind,
            at: self.pass.now,
            mode: self.dossier.mode,
        };
        let invoice = Invoice::render(self.dossier, self.folded, version)?;
        let body = match exception {
            Some(id) => exception_event(&head, &invoice, id, self.pass.cause)?,
            None => {
                let before = self.dossier.said.as_ref();
                let previous = before.map(|said| said.status);
                let reverted = before
                    .filter(|_| kind == EventType::Reverted)
                    .map(|before| {
                        let now = Said::of(self.folded);
                        RevertedOption::between(&self.dossier.terms, before, &now)
                    });
                let reverted = reverted.transpose()?.unwrap_or_default();
                invoice_event(&head, &invoice, previous, reverted, self.pass.cause)
            }
        };
        self.events.push(NewEvent {
            id: head.id,
            merchant: self.loaded.merchant,
            mode: self.dossier.mode,
            invoice: Some(self.loaded.key),
            version: Some(version),
            kind,
            body,
            created_at: self.pass.now,
            only: None,
        });
        Ok(())
    }
}

/// Records what is told about locked invoices; answers how many events that are.
pub(crate) async fn record(
    tx: &mut Tx,
    news: Vec<News>,
    pass: &mut Pass<'_>,
) -> Result<usize, StoreError> {
    if news.is_empty() {
        return Ok(0);
    }
    let spoken: Vec<Spoken<'_>> = news
        .iter()
        .map(|one| Spoken {
            invoice: one.invoice,
            said: &one.said,
            version: one
                .events
                .last()
                .and_then(|event| event.version)
                .unwrap_or_default(),
        })
        .collect();
    invoices::record(tx, &spoken).await?;
    let (mut told, mut opened) = (Vec::new(), Vec::new());
    let (mut amended, mut resolved) = (Vec::new(), Vec::new());
    for one in news {
        told.extend(one.events);
        opened.extend(
            one.opened
                .into_iter()
                .map(|exception| (one.invoice, exception)),
        );
        amended.extend(one.amended);
        resolved.extend(one.resolved);
    }
    exceptions::open(tx, &opened).await?;
    exceptions::amend(tx, &amended).await?;
    exceptions::resolve(tx, &resolved, pass.now).await?;
    events::append(tx, &told, &mut || pass.ids.bits()).await?;
    Ok(told.len())
}
