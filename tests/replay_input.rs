//! What `guerdon replay` reads: CSV and Parquet give the same orders, and every bad row is named.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guerdon::cli::replay::orders::{BAD_ROWS_SHOWN_MAX, History, ReadError, read};
use guerdon::cli::replay::plan;
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

const HEADER: &str = "order_id,member_id,occurred_at,currency_code,channel,store_id,line_id,sku,category,brand,\
                      quantity,amount_minor,list_amount_minor";

fn write(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(name);
    fs::write(&path, bytes).expect("a file");
    (dir, path)
}

fn csv(rows: &[&str]) -> History {
    let text = format!("{HEADER}\n{}\n", rows.join("\n"));
    let (_dir, path) = write("orders.csv", text.as_bytes());
    read(&path).expect("a history")
}

fn error(name: &str, bytes: &[u8]) -> String {
    let (_dir, path) = write(name, bytes);
    read(&path).expect_err("no history").to_string()
}

#[test]
fn rows_become_orders() {
    let history = csv(&[
        "o1,m1,2026-05-01T09:30:10Z,USD,web,s1,l1,sku-1,\"FRUIT, FRESH\",Ökohof,2,1250,1300",
        "o2,m2,2026-05-01T12:00:00+02:00,USD,,,l1,,,,1,5,",
        // Not adjacent, and earlier: the order is as old as its earliest row.
        "o1,m1,2026-05-01T09:30:00.250Z,USD,web,s1,l2,,,,0,0,",
    ]);
    assert_eq!((history.rows, history.bad.count, history.orders.len()), (3, 0, 2));
    let first = &history.orders[0];
    assert_eq!((&*first.order_id, history.members.text(first.member)), ("o1", "m1"));
    assert_eq!(first.occurred_at.text(), "2026-05-01T09:30:00.25Z");
    let sent = plan::wire_order(&history, first);
    assert_eq!((sent.channel.as_str(), sent.store_id.as_str(), sent.currency_code.as_str()), ("web", "s1", "USD"));
    assert_eq!(sent.lines[0].categories, ["FRUIT, FRESH"]);
    assert_eq!((sent.lines[0].brand.as_str(), sent.lines[0].sku.as_str()), ("Ökohof", "sku-1"));
    assert_eq!((sent.lines[0].amount_minor, sent.lines[0].list_amount_minor), (1250, Some(1300)));
    assert!(sent.lines[1].categories.is_empty());
    assert_eq!((sent.lines[1].quantity, sent.lines[1].list_amount_minor), (0, None));
    assert_eq!(history.orders[1].occurred_at.text(), "2026-05-01T10:00:00Z");
}

#[test]
fn columns_come_in_any_order_and_optional_ones_may_be_missing() {
    let text = "\u{feff}amount_minor,note,quantity,line_id,currency_code,occurred_at,member_id,order_id\n\
                7,hello,1,l1,EUR,2026-05-01T09:30:10Z,m1,o1\n";
    let (_dir, path) = write("orders.txt", text.as_bytes());
    let history = read(&path).expect("a history");
    assert_eq!(history.ignored_columns, ["note"]);
    assert_eq!(plan::wire_order(&history, &history.orders[0]).lines[0].amount_minor, 7);
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let twice = format!("{HEADER},sku\n");
    for (name, bytes, expected) in [
        ("a.csv", "order_id,member_id\n".as_bytes(), "column `occurred_at` is missing"),
        ("a.csv", twice.as_bytes(), "column `sku` appears twice"),
        ("a.parquet", "order_id\n".as_bytes(), "not a readable Parquet file"),
        ("a.csv", b"PAR1 and then nothing", "not a readable Parquet file"),
    ] {
        let found = error(name, bytes);
        assert!(found.contains(expected), "{name}: {found}");
    }
    assert!(matches!(read(Path::new("/nonexistent/orders.csv")), Err(ReadError::Io(_))));
}

#[test]
fn every_bad_row_is_named_with_every_reason() {
    let long = "x".repeat(65);
    let good = "o1,m1,2026-05-01T09:30:10Z,USD,web,s1,l1,,,,1,100,";
    for (row, expected) in [
        (",m1,2026-05-01T09:30:10Z,USD,,,l9,,,,1,1,", "`order_id` is missing"),
        ("o2,,,USD,,,l9,,,,1,1,", "`member_id` is missing; `occurred_at` is missing"),
        ("o2,m1,2026-05-01T09:30:10Z,USD,,,l9,,,,1,-5,", "`amount_minor` is -5; it must not be negative"),
        ("o2,m1,2026-05-01T09:30:10Z,USD,,,l9,,,,-1,5,", "`quantity` is -1; it must not be negative"),
        ("o2,m1,2026-05-01T09:30:10Z,USD,,,l9,,,,1,12.50,", "`amount_minor` is \"12.50\", not a whole number"),
        ("o2,m1,2026-05-01T09:30:10Z,USD,,,l9,,,,1,1,1e3", "`list_amount_minor` is \"1e3\", not a whole number"),
        ("o2,m1,2026-05-01T09:30:10Z,USD,,,l9,,,,1,1000000000001,", "more than 1000000000000"),
        ("o2,m1,2026-05-01T09:30:10Z,usd,,,l9,,,,1,1,", "`currency_code` is \"usd\", not an ISO 4217 code"),
        ("o2,m1,2026-05-01 09:30,USD,,,l9,,,,1,1,", "`occurred_at` is \"2026-05-01 09:30\", not RFC 3339"),
        ("o2,m1,1999-05-01T09:30:10Z,USD,,,l9,,,,1,1,", "`occurred_at` is not between the years 2000 and 9000"),
        ("o 2,m1,2026-05-01T09:30:10Z,USD,,,l9,,,,1,1,", "`order_id` has ' ' at byte 1"),
        ("o2,m1,2026-05-01T09:30:10Z,USD,,,l9,,a|b,,1,1,", "`category` has '|' at byte 1"),
        ("o1,m1,2026-05-01T09:30:10Z,USD,web,s1,l1,,,,1,1,", "`line_id` was used before in the order"),
        ("o1,m2,2026-05-01T09:30:10Z,USD,web,s1,l2,,,,1,1,", "`member_id` differs from earlier rows of the order"),
        (
            "o1,m1,2026-05-01T09:30:10Z,EUR,app,,l2,,,,1,1,",
            "`currency_code` differs from earlier rows of the order; `channel` differs",
        ),
        ("o2,m1", "has 2 values where the header has 13"),
    ] {
        let history = csv(&[good, row]);
        assert_eq!((history.rows, history.bad.count), (2, 1), "{row}");
        let (at, reason) = &history.bad.first[0];
        assert_eq!(at.to_string(), "row 2 (line 3)");
        assert!(reason.contains(expected), "{row}: {reason}");
        assert_eq!((history.orders.len(), history.orders[0].lines.len()), (1, 1), "only the row is left out");
    }
    let row = format!("{long},m1,2026-05-01T09:30:10Z,USD,,,l9,,,,1,1,");
    assert!(csv(&[&row]).bad.first[0].1.contains("`order_id` is 65 bytes long, at most 64 are allowed"));
}

#[test]
fn bytes_that_are_no_text_spoil_their_row_alone() {
    let mut bytes = format!("{HEADER}\n").into_bytes();
    bytes.extend_from_slice(b"o1,m1,2026-05-01T09:30:10Z,USD,,,l1,,\xff\xfe,,1,100,\n");
    bytes.extend_from_slice(b"o1,m1,2026-05-01T09:30:10Z,USD,,,l2,,,,1,100,\n");
    let (_dir, path) = write("orders.csv", &bytes);
    let history = read(&path).expect("a history");
    assert_eq!(history.bad.first[0].1, "`category` is not UTF-8");
    assert_eq!(history.orders[0].lines.len(), 1);
}

#[test]
fn all_bad_rows_count_but_few_are_shown() {
    let rows = vec!["o1,m1,never,USD,,,l1,,,,1,100,"; 100];
    let history = csv(&rows);
    assert_eq!((history.bad.count, history.bad.first.len()), (100, BAD_ROWS_SHOWN_MAX));
}

#[test]
fn an_order_has_at_most_500_lines() {
    let rows: Vec<String> = (0..502).map(|n| format!("o1,m1,2026-05-01T09:30:10Z,USD,,,l{n},,,,1,1,")).collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let history = csv(&rows);
    assert_eq!((history.orders[0].lines.len(), history.bad.count), (500, 2));
    assert_eq!(history.bad.first[0].1, "`order_id` has more than 500 lines");
}

#[test]
fn a_plan_is_by_day_and_member_and_in_order_of_time() {
    let history = csv(&[
        "o3,m1,2026-05-02T00:00:00Z,USD,,,l1,,,,1,1,",
        "o2,m1,2026-05-01T23:59:59.999Z,USD,,,l1,,,,1,1,",
        "o1,m1,2026-05-01T23:59:59.999Z,USD,,,l1,,,,1,1,",
        "o0,m2,2026-05-02T10:00:00Z,USD,,,l1,,,,1,1,",
    ]);
    let days = plan::days(&history);
    let ids = |job: &plan::Job| -> Vec<String> {
        job.orders.iter().map(|index| history.orders[*index].order_id.to_string()).collect()
    };
    assert_eq!(days.len(), 2);
    assert_eq!(days[0].through.text(), "2026-05-02T00:00:00Z");
    assert_eq!((ids(&days[0].jobs[0]), days[0].jobs[0].first), (vec!["o1".to_owned(), "o2".to_owned()], true));
    assert_eq!(days[1].through.text(), "2026-05-03T00:00:00Z");
    let second: Vec<(Vec<String>, bool)> = days[1].jobs.iter().map(|job| (ids(job), job.first)).collect();
    assert_eq!(second, [(vec!["o3".to_owned()], false), (vec!["o0".to_owned()], true)]);
}

/// One row, with whole numbers as ids and the timestamp in the unit that the schema names.
fn parquet_file(ids: &str, timestamp: &str, at: i64, amount: &str) -> Vec<u8> {
    let message = format!(
        "message orders {{
            REQUIRED {ids};
            OPTIONAL BYTE_ARRAY member_id (UTF8);
            REQUIRED INT64 occurred_at{timestamp};
            REQUIRED BYTE_ARRAY currency_code (UTF8);
            REQUIRED DOUBLE unused;
            OPTIONAL BYTE_ARRAY category (UTF8);
            REQUIRED INT32 line_id;
            REQUIRED INT32 quantity;
            REQUIRED {amount} amount_minor;
        }}"
    );
    let schema = Arc::new(parse_message_type(&message).expect("a schema"));
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, properties).expect("a writer");
    let mut group = writer.next_row_group().expect("a group");
    let text = |raw: &str| ByteArray::from(raw);
    let mut index = 0;
    while let Some(mut column) = group.next_column().expect("a column") {
        let written = match index {
            0 => column.typed::<Int64Type>().write_batch(&[7, 7], None, None),
            1 => column.typed::<ByteArrayType>().write_batch(&[text("m1")], Some(&[1, 0]), None),
            2 => column.typed::<Int64Type>().write_batch(&[at, at], None, None),
            3 => column.typed::<ByteArrayType>().write_batch(&[text("USD"), text("USD")], None, None),
            4 => column.typed::<parquet::data_type::DoubleType>().write_batch(&[0.5, 0.5], None, None),
            5 => column.typed::<ByteArrayType>().write_batch(&[text("SOFT DRINKS")], Some(&[1, 0]), None),
            6 => column.typed::<Int32Type>().write_batch(&[11, 12], None, None),
            7 => column.typed::<Int32Type>().write_batch(&[2, 2], None, None),
            _ if amount == "DOUBLE" => {
                column.typed::<parquet::data_type::DoubleType>().write_batch(&[12.5, 12.5], None, None)
            }
            _ => column.typed::<Int64Type>().write_batch(&[1250, 1250], None, None),
        };
        written.expect("values");
        column.close().expect("a closed column");
        index += 1;
    }
    group.close().expect("a closed group");
    writer.into_inner().expect("bytes")
}

#[test]
fn parquet_gives_the_same_orders_whatever_the_unit_of_its_timestamps() {
    for (timestamp, at) in [
        (" (TIMESTAMP(MILLIS,true))", 1_777_627_810_250),
        (" (TIMESTAMP(MICROS,false))", 1_777_627_810_250_999),
        (" (TIMESTAMP(NANOS,false))", 1_777_627_810_250_999_999),
        (" (TIMESTAMP_MILLIS)", 1_777_627_810_250),
    ] {
        // Known by its content, not by its name.
        let (_dir, path) = write("orders.bin", &parquet_file("INT64 order_id", timestamp, at, "INT64"));
        let history = read(&path).expect("a history");
        assert_eq!(history.rows, 2, "{timestamp}");
        assert_eq!(history.bad.first[0].0.to_string(), "row 2");
        assert_eq!(history.bad.first[0].1, "`member_id` is missing");
        let order = &history.orders[0];
        assert_eq!(order.occurred_at.text(), "2026-05-01T09:30:10.25Z", "{timestamp}");
        let sent = plan::wire_order(&history, order);
        assert_eq!((sent.order_id.as_str(), sent.lines[0].line_id.as_str()), ("7", "11"));
        assert_eq!((sent.lines[0].quantity, sent.lines[0].amount_minor), (2, 1250));
        assert_eq!(sent.lines[0].categories, ["SOFT DRINKS"]);
        assert_eq!(history.ignored_columns, ["unused"]);
    }
}

#[test]
fn a_parquet_column_of_the_wrong_type_is_refused_by_name() {
    let bytes = parquet_file("INT64 order_id", " (TIMESTAMP(MILLIS,true))", 0, "DOUBLE");
    assert_eq!(
        error("a.parquet", &bytes),
        "column `amount_minor` holds DOUBLE; a column of whole numbers or strings is needed"
    );
    let bytes = parquet_file("INT64 order_id (DECIMAL(18,2))", " (TIMESTAMP(MILLIS,true))", 0, "INT64");
    let found = error("a.parquet", &bytes);
    assert!(found.contains("column `order_id` holds INT64 (DECIMAL"), "{found}");
}

#[test]
fn a_number_is_no_timestamp() {
    let bytes = parquet_file("INT64 order_id", "", 1_777_627_810, "INT64");
    let (_dir, path) = write("orders.parquet", &bytes);
    assert!(read(&path).expect("a history").bad.first[0].1.contains("`occurred_at` is a number where a timestamp"));
}
