//! An order history as it is read: one row a line, each row checked, strings kept once.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use super::{from_csv, from_parquet};
use crate::domain::id::{IdError, Label, LineId, MemberId, OrderId, Sku};
use crate::domain::order::{Currency, Order};
use crate::domain::time::Instant;

/// The columns of the input, by name; a file may hold them in any order and others beside them.
pub const COLUMNS: [&str; 13] = [
    "order_id",
    "member_id",
    "occurred_at",
    "currency_code",
    "channel",
    "store_id",
    "line_id",
    "sku",
    "category",
    "brand",
    "quantity",
    "amount_minor",
    "list_amount_minor",
];

/// Columns that may be missing from a file, and empty in a row.
pub const OPTIONAL: [&str; 6] = ["channel", "store_id", "sku", "category", "brand", "list_amount_minor"];

/// How many bad rows a report spells out; the others are counted.
pub const BAD_ROWS_SHOWN_MAX: usize = 20;

/// One value of a row, as the file format gives it.
#[derive(Clone, Copy, Debug)]
pub enum Cell<'a> {
    Missing,
    Int(i128),
    Text(&'a str),
    /// Milliseconds since 1970-01-01T00:00:00Z.
    AtMs(i64),
    /// A value that no column takes; says what it is.
    Unusable(&'static str),
}

/// The values of a row in the order of [`COLUMNS`].
pub type Cells<'a> = [Cell<'a>; COLUMNS.len()];

/// A string of the history, kept once in a [`Pool`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Symbol(NonZeroU32);

/// Strings of one kind, each checked and kept once.
#[derive(Debug)]
pub struct Pool {
    check: fn(&str) -> Result<(), String>,
    symbols: HashMap<Arc<str>, Symbol>,
    texts: Vec<Arc<str>>,
}

impl Pool {
    fn new(check: fn(&str) -> Result<(), String>) -> Pool {
        Pool { check, symbols: HashMap::new(), texts: Vec::new() }
    }

    fn intern(&mut self, raw: &str) -> Result<Symbol, String> {
        if let Some(symbol) = self.symbols.get(raw) {
            return Ok(*symbol);
        }
        (self.check)(raw)?;
        let text: Arc<str> = raw.into();
        self.texts.push(text.clone());
        let number = u32::try_from(self.texts.len()).ok().and_then(NonZeroU32::new);
        let symbol = Symbol(number.ok_or("is one string too many for one history")?);
        self.symbols.insert(text, symbol);
        Ok(symbol)
    }

    /// The string behind a symbol of this pool; empty for a symbol of another.
    pub fn text(&self, symbol: Symbol) -> &str {
        let index = symbol.0.get() as usize - 1;
        self.texts.get(index).map_or("", |text| text)
    }

    pub fn len(&self) -> usize {
        self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// All strings, in the order in which they first came.
    pub fn iter(&self) -> impl Iterator<Item = (Symbol, &str)> {
        self.texts.iter().zip(1..).filter_map(|(text, n)| NonZeroU32::new(n).map(|n| (Symbol(n), &**text)))
    }
}

/// One line, small: a history holds millions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LineRow {
    pub line_id: Symbol,
    pub sku: Option<Symbol>,
    pub category: Option<Symbol>,
    pub brand: Option<Symbol>,
    pub quantity: i64,
    pub amount_minor: i64,
    pub list_amount_minor: Option<i64>,
}

/// One order: what its rows agree on, and its lines in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderRows {
    pub order_id: Arc<str>,
    pub member: Symbol,
    pub currency: Currency,
    pub channel: Option<Symbol>,
    pub store: Option<Symbol>,
    /// The earliest instant of its rows.
    pub occurred_at: Instant,
    pub lines: Vec<LineRow>,
}

/// All orders of a file, in the order in which they first appear.
#[derive(Debug)]
pub struct History {
    pub orders: Vec<OrderRows>,
    pub members: Pool,
    pub line_ids: Pool,
    pub skus: Pool,
    /// Categories, brands, channels and stores.
    pub labels: Pool,
    /// Rows read, bad ones included.
    pub rows: u64,
    pub bad: BadRows,
    /// Columns of the file that are no part of the input.
    pub ignored_columns: Vec<String>,
}

/// Where a row stands in its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowAt {
    /// From 1; the header of a CSV file does not count.
    pub row: u64,
    /// Line of a text file, from 1.
    pub line: Option<u64>,
}

impl fmt::Display for RowAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "row {} (line {line})", self.row),
            None => write!(f, "row {}", self.row),
        }
    }
}

/// Rows that cannot be used, and why.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BadRows {
    pub count: u64,
    /// The first [`BAD_ROWS_SHOWN_MAX`].
    pub first: Vec<(RowAt, String)>,
}

impl BadRows {
    fn add(&mut self, at: RowAt, reason: String) {
        self.count += 1;
        if self.first.len() < BAD_ROWS_SHOWN_MAX {
            self.first.push((at, reason));
        }
    }
}

/// Why a file could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read: {0}")]
    Io(#[from] io::Error),
    #[error("column `{0}` is missing; needed are {needed}", needed = needed())]
    ColumnMissing(&'static str),
    #[error("column `{0}` appears twice")]
    ColumnTwice(String),
    #[error("column `{column}` holds {found}; {wanted}")]
    ColumnType { column: &'static str, found: String, wanted: &'static str },
    #[error("not a readable CSV file: {0}")]
    Csv(#[from] csv::Error),
    #[error("not a readable Parquet file: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
}

fn needed() -> String {
    let required: Vec<&str> = COLUMNS.into_iter().filter(|c| !OPTIONAL.contains(c)).collect();
    format!("{} (optional: {})", required.join(", "), OPTIONAL.join(", "))
}

/// Reads a Parquet file (known by its first four bytes, else by `.parquet`) or a CSV file. Every row is checked; bad
/// ones are left out and reported in [`History::bad`].
pub fn read(path: &Path) -> Result<History, ReadError> {
    let mut file = File::open(path)?;
    let mut magic = Vec::with_capacity(4);
    file.by_ref().take(4).read_to_end(&mut magic)?;
    let file = File::open(path)?;
    if magic == b"PAR1" || path.extension().is_some_and(|e| e.eq_ignore_ascii_case("parquet")) {
        return from_parquet::read(file);
    }
    from_csv::read(file)
}

/// Where each column of the input stands among the columns of a file. Required columns that are missing, and
/// columns named twice, are errors.
pub fn positions(names: &[String]) -> Result<([Option<usize>; COLUMNS.len()], Vec<String>), ReadError> {
    let mut found = [None; COLUMNS.len()];
    let mut ignored = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let slot = COLUMNS.iter().zip(found.iter_mut()).find(|(column, _)| **column == name.as_str());
        match slot {
            None => ignored.push(name.clone()),
            Some((_, Some(_))) => return Err(ReadError::ColumnTwice(name.clone())),
            Some((_, empty)) => *empty = Some(at),
        }
    }
    for (column, position) in COLUMNS.into_iter().zip(&found) {
        if position.is_none() && !OPTIONAL.contains(&column) {
            return Err(ReadError::ColumnMissing(column));
        }
    }
    Ok((found, ignored))
}

/// Collects checked rows into orders.
#[derive(Debug)]
pub struct Builder {
    history: History,
    by_order: HashMap<Arc<str>, usize>,
    scratch: String,
}

impl Builder {
    pub fn new(ignored_columns: Vec<String>) -> Builder {
        let history = History {
            orders: Vec::new(),
            members: Pool::new(|raw| id_fault(MemberId::parse(raw))),
            line_ids: Pool::new(|raw| id_fault(LineId::parse(raw))),
            skus: Pool::new(|raw| id_fault(Sku::parse(raw))),
            labels: Pool::new(|raw| id_fault(Label::parse(raw))),
            rows: 0,
            bad: BadRows::default(),
            ignored_columns,
        };
        Builder { history, by_order: HashMap::new(), scratch: String::new() }
    }

    /// Checks one row and adds its line to its order, or notes every reason why not.
    pub fn push(&mut self, at: RowAt, cells: &Cells<'_>) {
        self.history.rows += 1;
        if let Err(reason) = self.accept(cells) {
            self.history.bad.add(at, reason);
        }
    }

    /// Notes a row that could not even be split into values.
    pub fn push_unreadable(&mut self, at: RowAt, reason: String) {
        self.history.rows += 1;
        self.history.bad.add(at, reason);
    }

    pub fn finish(self) -> History {
        self.history
    }

    fn accept(&mut self, cells: &Cells<'_>) -> Result<(), String> {
        let [order_id, member, at, currency, channel, store, line_id, sku, category, brand, quantity, amount, list] =
            *cells;
        let mut faults = Faults::default();
        let scratch = &mut self.scratch;
        let history = &mut self.history;
        let member = faults.required("member_id", text(member, scratch).map(|t| t.map(|t| history.members.intern(t))));
        let line_id = faults.required("line_id", text(line_id, scratch).map(|t| t.map(|t| history.line_ids.intern(t))));
        let sku = faults.optional("sku", text(sku, scratch).map(|t| t.map(|t| history.skus.intern(t))));
        let labels = &mut history.labels;
        let mut label =
            |column, cell| faults.optional(column, text(cell, scratch).map(|t| t.map(|t| labels.intern(t))));
        let channel = label("channel", channel);
        let store = label("store_id", store);
        let category = label("category", category);
        let brand = label("brand", brand);
        let occurred_at = faults.required("occurred_at", instant(at));
        let currency = faults.required("currency_code", text(currency, scratch).map(|t| t.map(currency_of)));
        let quantity = faults.required("quantity", number(quantity, Order::QUANTITY_MAX));
        let amount_minor = faults.required("amount_minor", number(amount, Order::AMOUNT_MINOR_MAX));
        let list_amount_minor = faults.optional("list_amount_minor", number(list, Order::AMOUNT_MINOR_MAX));
        let order_id = faults
            .required("order_id", text(order_id, scratch).map(|t| t.map(|t| id_fault(OrderId::parse(t)).map(|()| t))));
        faults.none()?;
        let (Some(order_id), Some(member), Some(occurred_at), Some(currency)) =
            (order_id, member, occurred_at, currency)
        else {
            return Err("is incomplete".to_owned());
        };
        let (Some(line_id), Some(quantity), Some(amount_minor)) = (line_id, quantity, amount_minor) else {
            return Err("is incomplete".to_owned());
        };
        let line = LineRow { line_id, sku, category, brand, quantity, amount_minor, list_amount_minor };
        let known = self.by_order.get(order_id).and_then(|index| history.orders.get_mut(*index));
        let Some(order) = known else {
            let order_id: Arc<str> = order_id.into();
            self.by_order.insert(order_id.clone(), history.orders.len());
            let lines = vec![line];
            history.orders.push(OrderRows { order_id, member, currency, channel, store, occurred_at, lines });
            return Ok(());
        };
        let mut faults = Faults::default();
        let agree = [
            ("member_id", order.member == member),
            ("currency_code", order.currency == currency),
            ("channel", order.channel == channel),
            ("store_id", order.store == store),
        ];
        for (column, same) in agree {
            if !same {
                faults.add(column, "differs from earlier rows of the order");
            }
        }
        if order.lines.iter().any(|other| other.line_id == line_id) {
            faults.add("line_id", "was used before in the order");
        }
        if Order::LINES_MAX <= order.lines.len() {
            faults.add("order_id", "has more than 500 lines");
        }
        faults.none()?;
        order.occurred_at = order.occurred_at.min(occurred_at);
        order.lines.push(line);
        Ok(())
    }
}

/// What is wrong with one row.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn add(&mut self, column: &str, reason: impl fmt::Display) {
        self.0.push(format!("`{column}` {reason}"));
    }

    /// `outer`: whether the cell is of a usable type; `Ok(None)`: it is empty; inner: whether its value is good.
    fn optional<T>(&mut self, column: &str, cell: Result<Option<Result<T, String>>, String>) -> Option<T> {
        match cell {
            Ok(None) => None,
            Ok(Some(Ok(value))) => Some(value),
            Ok(Some(Err(reason))) | Err(reason) => {
                self.add(column, reason);
                None
            }
        }
    }

    fn required<T>(&mut self, column: &str, cell: Result<Option<Result<T, String>>, String>) -> Option<T> {
        if matches!(cell, Ok(None)) {
            self.add(column, "is missing");
            return None;
        }
        self.optional(column, cell)
    }

    fn none(&self) -> Result<(), String> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0.join("; ")) }
    }
}

/// A string; whole numbers count as their digits. `None` when empty.
fn text<'a>(cell: Cell<'a>, scratch: &'a mut String) -> Result<Option<&'a str>, String> {
    match cell {
        Cell::Missing | Cell::Text("") => Ok(None),
        Cell::Text(text) => Ok(Some(text)),
        Cell::Int(number) => {
            use std::fmt::Write as _;
            scratch.clear();
            let _ = write!(scratch, "{number}"); // writing to a string cannot fail
            Ok(Some(scratch))
        }
        Cell::AtMs(_) => Err("is a timestamp where a text or whole number is needed".to_owned()),
        Cell::Unusable(what) => Err(format!("is {what}")),
    }
}

fn number(cell: Cell<'_>, max: i64) -> Result<Option<Result<i64, String>>, String> {
    let value = match cell {
        Cell::Missing | Cell::Text("") => return Ok(None),
        Cell::Int(number) => number,
        Cell::Text(text) => match text.parse::<i128>() {
            Ok(number) => number,
            Err(_) => return Err(format!("is {}, not a whole number", quoted(text))),
        },
        Cell::AtMs(_) => return Err("is a timestamp where a whole number is needed".to_owned()),
        Cell::Unusable(what) => return Err(format!("is {what}")),
    };
    if value < 0 {
        return Err(format!("is {value}; it must not be negative"));
    }
    match i64::try_from(value) {
        Ok(number) if number <= max => Ok(Some(Ok(number))),
        _ => Err(format!("is {value}, more than {max}")),
    }
}

fn instant(cell: Cell<'_>) -> Result<Option<Result<Instant, String>>, String> {
    let at = match cell {
        Cell::Missing | Cell::Text("") => return Ok(None),
        Cell::AtMs(ms) => Instant(ms),
        Cell::Text(text) => match text.parse::<jiff::Timestamp>() {
            Ok(timestamp) => Instant(timestamp.as_millisecond()),
            Err(_) => {
                let text = quoted(text);
                return Err(format!("is {text}, not RFC 3339 with a zone, such as 2026-05-01T09:30:00Z"));
            }
        },
        Cell::Int(_) => return Err("is a number where a timestamp is needed".to_owned()),
        Cell::Unusable(what) => return Err(format!("is {what}")),
    };
    if !at.in_bounds() {
        return Err("is not between the years 2000 and 9000".to_owned());
    }
    Ok(Some(Ok(at)))
}

fn currency_of(raw: &str) -> Result<Currency, String> {
    Currency::parse(raw).ok_or_else(|| format!("is {}, not an ISO 4217 code in upper case", quoted(raw)))
}

fn id_fault<T>(parsed: Result<T, IdError>) -> Result<(), String> {
    parsed.map(|_| ()).map_err(|error| error.to_string())
}

/// A value from the file, short enough for a report.
fn quoted(raw: &str) -> String {
    if raw.chars().count() <= 40 {
        return format!("{raw:?}");
    }
    let head: String = raw.chars().take(40).collect();
    format!("{head:?}...")
}
