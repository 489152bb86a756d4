//! Order histories in CSV: a header names the columns, in any order.

use std::io::Read;

use csv::{ByteRecord, ReaderBuilder, Trim};

use super::orders::{Builder, COLUMNS, Cell, History, ReadError, RowAt, positions};

/// Reads all rows. Rows that are no UTF-8, or have more or fewer values than the header, are bad rows.
pub(super) fn read(input: impl Read) -> Result<History, ReadError> {
    let mut reader = ReaderBuilder::new().flexible(true).trim(Trim::All).from_reader(input);
    let names: Vec<String> =
        reader.headers()?.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
    let (positions, ignored) = positions(&names)?;
    let mut builder = Builder::new(ignored);
    let mut record = ByteRecord::new();
    let mut row = 0;
    while reader.read_byte_record(&mut record)? {
        row += 1;
        let at = RowAt { row, line: record.position().map(csv::Position::line) };
        if record.len() != names.len() {
            let (found, wanted) = (record.len(), names.len());
            builder.push_unreadable(at, format!("has {found} values where the header has {wanted}"));
            continue;
        }
        let mut cells = [Cell::Missing; COLUMNS.len()];
        for (cell, position) in cells.iter_mut().zip(&positions) {
            let Some(raw) = position.and_then(|p| record.get(p)) else { continue };
            *cell = std::str::from_utf8(raw).map_or(Cell::Unusable("not UTF-8"), Cell::Text);
        }
        builder.push(at, &cells);
    }
    Ok(builder.finish())
}
