//! Order histories in Parquet, uncompressed or with Snappy: flat columns of whole numbers, strings and timestamps.

use std::fs::File;

use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::record::reader::RowIter;
use parquet::schema::types::{ColumnDescriptor, Type};

use super::orders::{Builder, COLUMNS, Cell, History, ReadError, RowAt, positions};

const WANTED: &str = "a column of whole numbers or strings is needed";
const WANTED_AT: &str = "a TIMESTAMP column or strings in RFC 3339 are needed";

/// What the long integers of a column count.
#[derive(Clone, Copy)]
enum Long {
    Number,
    Nanoseconds,
}

/// Reads all rows. Timestamps without a zone are taken as UTC.
pub(super) fn read(file: File) -> Result<History, ReadError> {
    let reader = SerializedFileReader::new(file)?;
    let schema = reader.metadata().file_metadata().schema_descr();
    let names: Vec<String> = schema.root_schema().get_fields().iter().map(|field| field.name().to_owned()).collect();
    let (found, ignored) = positions(&names)?;

    // Only the columns of the input are read: they come in the order of the file.
    let mut fields = Vec::new();
    let mut slots: Vec<(usize, Long)> = Vec::new();
    for (at, field) in schema.root_schema().get_fields().iter().enumerate() {
        let Some((slot, column)) = found
            .iter()
            .zip(COLUMNS)
            .enumerate()
            .find_map(|(slot, (position, column))| (*position == Some(at)).then_some((slot, column)))
        else {
            continue;
        };
        let wanted = if column == "occurred_at" { WANTED_AT } else { WANTED };
        let wrong = |found: String| ReadError::ColumnType { column, found, wanted };
        let leaf = schema.columns().iter().find(|leaf| leaf.path().parts() == [column]);
        let leaf = leaf.ok_or_else(|| wrong("nested values".to_owned()))?;
        slots.push((slot, usable(leaf).map_err(wrong)?));
        fields.push(field.clone());
    }
    let projection = Type::group_type_builder(schema.root_schema().name()).with_fields(fields).build()?;

    let mut builder = Builder::new(ignored);
    for (number, row) in (1..).zip(RowIter::from_file(Some(projection), &reader)?) {
        let row = row?;
        let mut cells = [Cell::Missing; COLUMNS.len()];
        for ((_, field), (slot, long)) in row.get_column_iter().zip(&slots) {
            if let Some(cell) = cells.get_mut(*slot) {
                *cell = cell_of(field, *long);
            }
        }
        builder.push(RowAt { row: number, line: None }, &cells);
    }
    Ok(builder.finish())
}

/// Whether the row reader and the input both know what to do with a column; else what it holds.
fn usable(leaf: &ColumnDescriptor) -> Result<Long, String> {
    if 0 < leaf.max_rep_level() {
        return Err("repeated values".to_owned());
    }
    let converted = leaf.converted_type();
    match (leaf.physical_type(), leaf.logical_type_ref()) {
        (Physical::INT64, Some(LogicalType::Timestamp(of))) if of.unit == TimeUnit::NANOS => Ok(Long::Nanoseconds),
        (Physical::INT32, _) if integer(converted) => Ok(Long::Number),
        (Physical::INT64, _) if integer(converted) || timestamp(converted) => Ok(Long::Number),
        (Physical::BYTE_ARRAY, _) if matches!(converted, ConvertedType::UTF8 | ConvertedType::NONE) => Ok(Long::Number),
        (Physical::INT96, _) => Ok(Long::Number),
        (physical, _) if converted == ConvertedType::NONE => Err(physical.to_string()),
        (physical, _) => Err(format!("{physical} ({converted})")),
    }
}

fn integer(converted: ConvertedType) -> bool {
    matches!(
        converted,
        ConvertedType::NONE
            | ConvertedType::INT_8
            | ConvertedType::INT_16
            | ConvertedType::INT_32
            | ConvertedType::INT_64
            | ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
    )
}

fn timestamp(converted: ConvertedType) -> bool {
    matches!(converted, ConvertedType::TIMESTAMP_MILLIS | ConvertedType::TIMESTAMP_MICROS)
}

fn cell_of(field: &Field, long: Long) -> Cell<'_> {
    match field {
        Field::Null => Cell::Missing,
        Field::Byte(n) => Cell::Int(i128::from(*n)),
        Field::Short(n) => Cell::Int(i128::from(*n)),
        Field::Int(n) => Cell::Int(i128::from(*n)),
        Field::Long(n) => match long {
            Long::Number => Cell::Int(i128::from(*n)),
            Long::Nanoseconds => Cell::AtMs(n.div_euclid(1_000_000)),
        },
        Field::UByte(n) => Cell::Int(i128::from(*n)),
        Field::UShort(n) => Cell::Int(i128::from(*n)),
        Field::UInt(n) => Cell::Int(i128::from(*n)),
        Field::ULong(n) => Cell::Int(i128::from(*n)),
        Field::TimestampMillis(ms) => Cell::AtMs(*ms),
        Field::TimestampMicros(us) => Cell::AtMs(us.div_euclid(1_000)),
        Field::Str(text) => Cell::Text(text),
        Field::Bytes(bytes) => std::str::from_utf8(bytes.data()).map_or(Cell::Unusable("not UTF-8"), Cell::Text),
        _ => Cell::Unusable("of a type that is not supported"),
    }
}
