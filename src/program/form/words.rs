//! Words and dates of the sections on the life of units and on guests.

use serde_json::json;

use super::super::read::words;
use super::*;
use crate::domain::program::GrantTo;

words!(OrderKindWord -> OrderKind {
    "ordinary" => OrderKind::Ordinary, "none of the others";
    "first" => OrderKind::First, "the first of a subscription";
    "renewal" => OrderKind::Renewal, "a later one of a subscription";
    "trial" => OrderKind::Trial, "tried before it is bought";
    "replacement" => OrderKind::Replacement, "sent instead of what was bought before";
});

words!(GrantToWord -> GrantTo {
    "account" => GrantTo::Account, "the member's own, or the household or company for which they act";
    "recipient" => GrantTo::Recipient, "the member whom the order or the event names as its recipient; without one the rule does not apply";
});

words!(ActivityWord -> Activity {
    "earn" => Activity::Earn, "units of the same kind are granted";
    "redeem" => Activity::Redeem, "units of the same kind are spent";
    "order" => Activity::Order, "an order is committed, whatever it earns";
    "event" => Activity::Event, "something happens to an order, or a member does something outside orders";
    "adjust" => Activity::Adjust, "units of the same kind are credited or debited by hand";
});

words!(OnLapsedWord -> OnLapsed {
    "cover" => OnLapsed::Cover, "what was reserved is taken from the balance, whole or not at all";
    "refuse" => OnLapsed::Refuse, "it is refused, whatever the balance";
});

words!(OverdrawWord -> Overdraw {
    "refuse" => Overdraw::Refuse, "it is refused, and nothing is taken";
    "clamp" => Overdraw::Clamp, "what there is is taken, the rest is forgiven";
    "allow" => Overdraw::Allow, "the rest is owed, as far as the floor goes";
});

words!(OverdrawUnrefusedWord -> Overdraw {
    "clamp" => Overdraw::Clamp, "what there is is taken, the rest is forgiven";
    "allow" => Overdraw::Allow, "the rest is owed, as far as the floor goes";
});

/// The version of the file format: this server knows one.
pub(in crate::program) struct FormatVersion;

impl Value for FormatVersion {
    type Out = ();

    fn read(node: &Node, r: &mut Reader) -> Option<()> {
        let number = node.text().and_then(|text| text.parse::<i64>().ok()).filter(|number| *number != 1);
        if let Some(number) = number {
            let message = format!("this server knows version 1 of the file format, not version {number}");
            r.fault(node.pos, message, Some("write `guerdon: 1`, or use a server that knows that version"));
            return None;
        }
        Whole::<1, 1>::read(node, r).map(|_| ())
    }

    fn phrase() -> String {
        Whole::<1, 1>::phrase()
    }

    fn schema() -> Json {
        Whole::<1, 1>::schema()
    }
}

/// A day of every year.
pub(in crate::program) struct MonthDayText;

impl Value for MonthDayText {
    type Out = MonthDay;

    fn read(node: &Node, r: &mut Reader) -> Option<MonthDay> {
        const EXPECTED: &str = "a day of the year such as `12-31`";
        let text = r.scalar(node, EXPECTED)?;
        let digits = |part: &str| (part.len() == 2).then(|| part.parse::<u8>().ok()).flatten();
        let parsed = text.split_once('-').and_then(|(month, day)| MonthDay::new(digits(month)?, digits(day)?));
        if parsed.is_none() {
            r.fault(
                node.pos,
                format!("{} is no {}", quoted(text), &EXPECTED[2..]),
                Some("month first, two digits each"),
            );
        }
        parsed
    }

    fn phrase() -> String {
        "a day of the year, month first: `12-31`; `02-29` is the last of February in every year".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$" })
    }
}
