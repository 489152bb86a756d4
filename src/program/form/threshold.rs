//! Thresholds on counters: whole numbers, or money where spend is counted.

use super::*;
use crate::program::document::{minor_of, money_text};
use crate::program::value::AMOUNT_MAX;

/// What is asked of a counter, as it is written.
#[derive(Clone, Copy)]
pub(in crate::program) struct Mark {
    pub(super) number: i64,
    /// `None`: written as a number alone.
    currency: Option<Currency>,
}

/// A whole number from `MIN`, or an amount of money.
pub(in crate::program) struct MarkText<const MIN: i64>;

impl<const MIN: i64> Value for MarkText<MIN> {
    type Out = Mark;

    fn read(node: &Node, r: &mut Reader) -> Option<Mark> {
        let text = node.text().unwrap_or_default();
        let first = r.names.currencies.as_ref().and_then(|listed| listed.first()).copied();
        if let Some((code, amount)) = text.split_once(' ') {
            let code = Node { pos: node.pos, content: Content::Scalar { text: code.to_owned(), plain: false } };
            let currency = CurrencyCode::read(&code, r)?;
            return match minor_of(amount.trim(), currency) {
                Ok(number) if MIN <= number && number <= AMOUNT_MAX => Some(Mark { number, currency: Some(currency) }),
                Ok(_) => {
                    let (least, most) = (money_text(currency, MIN), money_text(currency, AMOUNT_MAX));
                    r.fault(node.pos, format!("{} is not between {least} and {most}", quoted(text)), None);
                    None
                }
                Err(why) => {
                    r.fault(node.pos, why, Some("amounts are in major units: 20.00 is twenty"));
                    None
                }
            };
        }
        if let Some(currency) = first.filter(|currency| text.contains('.') && minor_of(text, *currency).is_ok()) {
            let hint = format!("of spend, write {currency} {text}");
            r.wrong(node, "a whole number, or an amount with its currency", Some(&hint));
            return None;
        }
        let number = Whole::<MIN, AMOUNT_MAX>::read(node, r)?;
        Some(Mark { number, currency: None })
    }

    fn phrase() -> String {
        format!(
            "a whole number from {MIN} to {AMOUNT_MAX}; for a counter of `spend` an amount in the program's first currency, \
             such as `GBP 200.00`"
        )
    }

    fn schema() -> Json {
        serde_json::json!({ "anyOf": [
            Whole::<MIN, AMOUNT_MAX>::schema(),
            { "type": "string", "pattern": "^[A-Z]{3} +[0-9]+(\\.[0-9]+)?$" },
        ] })
    }
}

/// The number that a counter is held against. Money is only for what counts money, and says its currency.
pub(super) fn number_of(at: &At<Mark>, counter: &CounterId, r: &mut Reader) -> i64 {
    let first = r.names.currencies.as_ref().and_then(|listed| listed.first()).copied();
    let sums_spend = r.names.spend.contains(counter.as_str());
    match (at.value.currency, first) {
        (Some(_), _) if !sums_spend => {
            r.fault_at(at, format!("`{counter}` counts no money"), Some("write a whole number"));
        }
        (Some(stated), Some(first)) if stated != first => {
            let message = format!("`{counter}` sums up in {first}, the first of the program's `currencies`");
            r.fault_at(at, message, Some("state the amount in that currency"));
        }
        (None, Some(first)) if sums_spend && at.value.number != 0 => {
            let number = at.value.number;
            let amount = money_text(first, number);
            let hint = format!("write {amount}, or {first} {number} if that is meant");
            r.warn_at(at, format!("{number} is taken for minor units of {first}: {amount}"), Some(&hint));
        }
        _ => {}
    }
    at.value.number
}
