//! The fields of spans, as JSON.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormattedFields;
use tracing_subscriber::fmt::format::{FormatFields, Writer};

/// Writes fields as an object, and adds later ones at its end. What `tracing-subscriber` has of this reads the object again
/// for each field that is added, and most calls add three and log nothing: that was a tenth of what a call costs.
pub(super) struct AsJson;

impl<'writer> FormatFields<'writer> for AsJson {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut text = String::from("{");
        write_fields(&mut text, &fields)?;
        text.push('}');
        writer.write_str(&text)
    }

    fn add_fields(&self, current: &'writer mut FormattedFields<Self>, fields: &Record<'_>) -> fmt::Result {
        let text = &mut current.fields;
        if text.pop().is_none() {
            text.push('{');
        }
        write_fields(text, fields)?;
        text.push('}');
        Ok(())
    }
}

fn write_fields(text: &mut String, fields: &impl RecordFields) -> fmt::Result {
    let mut members = Members { text, done: Ok(()) };
    fields.record(&mut members);
    members.done
}

/// Adds members to an object that is not closed yet.
struct Members<'a> {
    text: &'a mut String,
    done: fmt::Result,
}

impl Members<'_> {
    fn add(&mut self, field: &Field, value: impl serde::Serialize) {
        if !self.text.ends_with('{') {
            self.text.push(',');
        }
        let written = match (serde_json::to_string(field.name()), serde_json::to_string(&value)) {
            (Ok(name), Ok(value)) => write!(self.text, "{name}:{value}"),
            (Err(_), _) | (_, Err(_)) => Err(fmt::Error),
        };
        self.done = self.done.and(written);
    }
}

impl Visit for Members<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("the lines").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_has_the_fields_of_its_spans_whenever_they_were_told() {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).fmt_fields(AsJson);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let outer = tracing::info_span!("empty", later = tracing::field::Empty);
            let _in_outer = outer.enter();
            let call = tracing::info_span!("call", method = "a\"b", code = tracing::field::Empty, of = ?Some(1));
            let _in_call = call.enter();
            call.record("code", 7);
            outer.record("later", "line\nbreak");
            tracing::info!(told = true, "done");
        });
        let line = String::from_utf8(lines.0.lock().expect("the lines").clone()).expect("UTF-8");
        let line: serde_json::Value = serde_json::from_str(&line).expect("one line of JSON");
        let expected = serde_json::json!([
            {"name": "empty", "later": "line\nbreak"},
            {"name": "call", "method": "a\"b", "of": "Some(1)", "code": 7},
        ]);
        assert_eq!((&line["spans"], &line["told"]), (&expected, &serde_json::json!(true)), "{line}");
    }
}
