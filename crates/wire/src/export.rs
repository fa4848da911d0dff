//! What a wallet handed out, for other programs: descriptors for Bitcoin Core, tables, labels.

use paywatch_domain::UnixMillis;
use serde::Serialize;

use crate::{json_text, time};

/// A form in which a wallet's addresses leave the watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportForm {
    /// Two lines: what `bitcoin-cli importdescriptors` takes, and the gap limit for other wallets
    /// (<https://github.com/bitcoin/bitcoin/blob/master/doc/descriptors.md>).
    Descriptor,
    /// A table with one line per address (RFC 4180).
    Csv,
    /// One JSON document per line, each the label of an address
    /// (<https://github.com/bitcoin/bips/blob/master/bip-0329.mediawiki>).
    Bip329,
}

impl ExportForm {
    /// Every form.
    pub const ALL: [Self; 3] = [Self::Descriptor, Self::Csv, Self::Bip329];

    /// The name in queries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Descriptor => "descriptor",
            Self::Csv => "csv",
            Self::Bip329 => "bip329",
        }
    }

    /// The form with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == text)
    }

    /// The media type of an export.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Descriptor => "text/plain; charset=utf-8",
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Bip329 => "application/x-ndjson",
        }
    }

    /// What stands before the first address.
    pub fn head(self) -> &'static str {
        match self {
            Self::Csv => "index,path,address,invoice_id,order_id,status,created_at\r\n",
            Self::Descriptor | Self::Bip329 => "",
        }
    }

    /// One address; nothing in a form that does not name addresses.
    pub fn row(self, row: &ExportRow) -> String {
        match self {
            Self::Descriptor => String::new(),
            Self::Csv => row.csv(),
            Self::Bip329 => row.label(),
        }
    }
}

/// An address and what it was handed out for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportRow {
    /// The index below the wallet's node.
    pub index: u32,
    /// The full derivation path.
    pub path: String,
    /// The address.
    pub address: String,
    /// `inv_…`.
    pub invoice_id: String,
    /// The merchant's own reference.
    pub order_id: Option<String>,
    /// The invoice's status as last said.
    pub status: String,
    /// When the invoice was created.
    pub created_at: UnixMillis,
}

impl ExportRow {
    fn csv(&self) -> String {
        let cells = [
            &self.index.to_string(),
            &self.path,
            &self.address,
            &self.invoice_id,
            self.order_id.as_deref().unwrap_or_default(),
            &self.status,
            &time::rfc3339(self.created_at),
        ];
        cells.map(cell).join(",") + "\r\n"
    }

    fn label(&self) -> String {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(rename = "type")]
            kind: &'a str,
            #[serde(rename = "ref")]
            reference: &'a str,
            label: &'a str,
        }
        let order = self.order_id.as_deref();
        let label = order.map_or_else(
            || self.invoice_id.clone(),
            |order| format!("{} {order}", self.invoice_id),
        );
        let line = Line {
            kind: "addr",
            reference: &self.address,
            label: &label,
        };
        json_text(&line) + "\n"
    }
}

/// A cell of a table: quoted where it has to be, and never one that a spreadsheet would compute. What
/// begins like a formula gets an apostrophe before it, which spreadsheets take for "this is text"
/// (<https://owasp.org/www-community/attacks/CSV_Injection>).
fn cell(text: &str) -> String {
    let formula = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    let mark = if text.trim_start_matches(' ').starts_with(formula) {
        "'"
    } else {
        ""
    };
    if text.contains(['"', ',', '\r', '\n']) || text != text.trim() {
        format!("\"{mark}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{mark}{text}")
    }
}

/// A descriptor as `importdescriptors` of Bitcoin Core takes it
/// (<https://bitcoincore.org/en/doc/30.0.0/rpc/wallet/importdescriptors/>), and on a second line the
/// gap limit to set in wallets that have no range. Neither active nor internal: whoever imports it
/// sees the payments and hands out no addresses that the watcher hands out too.
#[derive(Clone, Debug, Serialize)]
pub struct DescriptorExport<'a> {
    /// The descriptor with its checksum.
    pub desc: &'a str,
    /// The first and the last index that was handed out; the first twice when none was.
    pub range: [u32; 2],
    /// When the wallet was registered, in seconds since 1970: no payment is older.
    pub timestamp: i64,
    /// Whether new addresses are taken from it: no.
    pub active: bool,
    /// Whether it is for change: no.
    pub internal: bool,
}

impl DescriptorExport<'_> {
    /// The text of an export.
    pub fn text(&self, gap_limit: u32) -> String {
        format!("{}\ngap limit: {gap_limit}\n", json_text(&[self]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(order_id: Option<&str>) -> ExportRow {
        ExportRow {
            index: 7,
            path: "m/84h/1h/0h/0/7".into(),
            address: "bcrt1q".into(),
            invoice_id: "inv_1".into(),
            order_id: order_id.map(Into::into),
            status: "paid".into(),
            created_at: UnixMillis(0),
        }
    }

    #[test]
    fn cells_are_quoted_and_no_formula() {
        for (given, expected) in [
            ("A-7", "A-7"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=1+1", "'=1+1"),
            ("+49 30", "'+49 30"),
            ("-7", "'-7"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1", "'＝1"),
            ("\t=1", "\"'\t=1\""),
            (" =1", "\"' =1\""),
            ("=A1,\"x\"", "\"'=A1,\"\"x\"\"\""),
            ("a=b", "a=b"),
        ] {
            assert_eq!(cell(given), expected, "{given:?}");
        }
    }

    #[test]
    fn rows_in_each_form() {
        let csv = ExportForm::Csv;
        assert_eq!(
            csv.row(&row(Some("=A"))),
            "7,m/84h/1h/0h/0/7,bcrt1q,inv_1,'=A,paid,1970-01-01T00:00:00.000Z\r\n"
        );
        let columns = csv.head().split(',').count();
        assert_eq!(csv.row(&row(None)).split(',').count(), columns);
        let bip329 = ExportForm::Bip329;
        assert_eq!(
            bip329.row(&row(Some("a \"b\""))),
            "{\"type\":\"addr\",\"ref\":\"bcrt1q\",\"label\":\"inv_1 a \\\"b\\\"\"}\n"
        );
        assert!(bip329.row(&row(None)).contains("\"label\":\"inv_1\""));
        let export = DescriptorExport {
            desc: "wpkh(xpub/0/*)#abcdefgh",
            range: [5, 11],
            timestamp: 1_700_000_000,
            active: false,
            internal: false,
        };
        assert_eq!(
            export.text(24),
            "[{\"desc\":\"wpkh(xpub/0/*)#abcdefgh\",\"range\":[5,11],\"timestamp\":1700000000,\
             \"active\":false,\"internal\":false}]\ngap limit: 24\n"
        );
        for form in ExportForm::ALL {
            assert_eq!(ExportForm::parse(form.as_str()), Some(form));
        }
    }
}
