//! What people see: a table that is drawn again in place on a terminal, one line per change
//! elsewhere.
#![expect(clippy::print_stdout, reason = "this is where the demo prints")]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use comfy_table::{Attribute, Cell, Color, Table, TableComponent, presets};
use paywatch_testkit::{Api, sleep};
use serde_json::Value;

use crate::merchant::{Ledger, Merchant};
use crate::stories::{Invoice, confirmations};

/// Pause between two looks at the API.
const PAUSE: Duration = Duration::from_millis(100);
/// Characters of an invoice's id that tell it apart.
const ID_CHARS: usize = 12;

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    id: String,
    story: &'static str,
    status: String,
    confirmations: String,
    received: usize,
    verified: usize,
}

/// The place where everything is shown.
pub(crate) struct Screen {
    watched: bool,
    started: Instant,
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    rows: Vec<Row>,
    /// What happens now.
    note: String,
    /// Lines that the last drawing took.
    lines: usize,
}

impl Screen {
    /// A screen for standard output.
    pub(crate) fn new() -> Self {
        Self {
            watched: std::io::stdout().is_terminal(),
            started: Instant::now(),
            shown: Mutex::default(),
        }
    }

    /// Whether a person looks at a terminal.
    pub(crate) fn is_watched(&self) -> bool {
        self.watched
    }

    /// Says what happens now.
    pub(crate) fn say(&self, text: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone_into(&mut shown.note);
        if self.watched {
            self.draw(&mut shown);
        } else {
            self.line(text);
        }
    }

    /// Prints a line that stays.
    pub(crate) fn print(&self, text: &str) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.lines = 0;
        println!("{text}");
    }

    /// Shows the invoices until it is dropped.
    pub(crate) async fn follow(
        &self,
        api: &Api,
        merchant: &Merchant,
        invoices: &[Invoice],
    ) -> Infallible {
        loop {
            self.refresh(api, merchant, invoices).await;
            sleep(PAUSE).await;
        }
    }

    /// Asks for every invoice once, and shows what changed. An answer that does not come now comes
    /// with the next look; what must come is checked elsewhere.
    pub(crate) async fn refresh(&self, api: &Api, merchant: &Merchant, invoices: &[Invoice]) {
        let mut answers = BTreeMap::new();
        for invoice in invoices {
            let answer = api.get(&format!("/v1/invoices/{}", invoice.id)).await;
            if let Ok(value) = answer.and_then(|answer| answer.value()) {
                answers.insert(invoice.id.clone(), value);
            }
        }
        let ledger = merchant.ledger();
        let rows: Vec<Row> = invoices
            .iter()
            .filter_map(|invoice| Some(Row::of(invoice, answers.get(&invoice.id)?, &ledger)))
            .collect();
        self.show(rows);
    }

    fn show(&self, rows: Vec<Row>) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.rows == rows {
            return;
        }
        let before = std::mem::replace(&mut shown.rows, rows);
        if self.watched {
            self.draw(&mut shown);
            return;
        }
        for row in shown.rows.iter().filter(|row| !before.contains(row)) {
            self.line(&row.sentence());
        }
    }

    /// One line with the time since the start.
    fn line(&self, text: &str) {
        let ms = self.started.elapsed().as_millis();
        println!("{:>3}.{} s  {text}", ms / 1000, ms % 1000 / 100);
    }

    /// Draws over what was drawn before.
    fn draw(&self, shown: &mut Shown) {
        let mut text = match shown.lines {
            0 => String::new(),
            // Up to the first line of the last drawing, and everything below it away.
            lines => format!("\x1b[{lines}A\x1b[J"),
        };
        let mut lines = 0;
        if !shown.rows.is_empty() {
            let table = table(&shown.rows);
            lines += table.lines().count() + 1;
            text.push_str(&table);
            text.push_str("\n\n");
        }
        let seconds = self.started.elapsed().as_secs();
        println!("{text}{seconds:>3} s  {}", shown.note);
        shown.lines = lines + 1;
    }
}

impl Row {
    fn of(invoice: &Invoice, answer: &Value, ledger: &Ledger) -> Self {
        let told = ledger
            .invoices
            .get(&invoice.id)
            .cloned()
            .unwrap_or_default();
        Self {
            id: invoice.id.chars().take(ID_CHARS).collect(),
            story: invoice.story.name,
            status: answer["status"].as_str().unwrap_or("?").to_owned(),
            confirmations: confirmations(answer),
            received: told.received,
            verified: told.types.len(),
        }
    }

    fn sentence(&self) -> String {
        format!(
            "{}  {:<25}  {:<10}  blocks {:<6}  webhooks {} received, {} verified",
            self.id, self.story, self.status, self.confirmations, self.received, self.verified
        )
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    // Lines between the rows would double the table.
    table.remove_style(TableComponent::HorizontalLines);
    table.remove_style(TableComponent::MiddleIntersections);
    let head = [
        "INVOICE", "STORY", "STATUS", "BLOCKS", "WEBHOOKS", "VERIFIED",
    ];
    table.set_header(head.map(|name| Cell::new(name).add_attribute(Attribute::Bold)));
    for row in rows {
        let status = Cell::new(format!("{:<10}", row.status)).fg(colour(&row.status));
        table.add_row([
            Cell::new(&row.id),
            Cell::new(row.story),
            status.add_attribute(Attribute::Bold),
            Cell::new(format!("{:<6}", row.confirmations)),
            Cell::new(row.received),
            Cell::new(row.verified).fg(Color::Green),
        ]);
    }
    table.to_string()
}

/// Green is done, yellow is under way, red needs somebody.
fn colour(status: &str) -> Color {
    match status {
        "paid" => Color::Green,
        "overpaid" => Color::Magenta,
        "detected" | "confirming" => Color::Yellow,
        "underpaid" | "late_paid" => Color::Red,
        "expired" | "canceled" => Color::DarkGrey,
        _ => Color::Reset,
    }
}
