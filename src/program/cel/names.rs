//! What an expression may name.

use super::super::read::Names;
use crate::domain::id::{CardId, CounterId, GoalId, Label, LadderId, RewardId, UnitId};
use crate::domain::predicate::Field;
use crate::domain::program::{AttributeType, Kind};

/// What can be done with a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Type {
    Whole,
    Flag,
    Text,
    Texts,
}

impl Type {
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Type::Whole => "a whole number",
            Type::Flag => "true or false",
            Type::Text => "a text",
            Type::Texts => "a list of texts",
        }
    }
}

pub(super) struct Known {
    pub(super) path: &'static str,
    pub(super) field: Field,
    pub(super) kind: Type,
    /// For the reference.
    pub(super) meaning: &'static str,
}

/// The names that every program has.
pub(super) fn known() -> Vec<Known> {
    use Field::*;
    use Type::{Text, Texts, Whole};
    let rows: Vec<(&str, Field, Type, &str)> = vec![
        (
            "order.total",
            OrderTotal,
            Whole,
            "what all lines cost before anything that this program takes off, in minor units of the order's currency: `order.total >= 5000` is 50.00 in GBP and 5000 in JPY",
        ),
        ("order.earning", OrderEarning, Whole, "what of the order earns, in minor units of its currency"),
        ("order.quantity", OrderQuantity, Whole, "items over all lines"),
        ("order.line_count", OrderLineCount, Whole, "lines"),
        ("order.channel", OrderChannel, Text, "the sales channel, when the order names one"),
        ("order.store", OrderStore, Text, "the store, when the order names one; compared with declared stores only"),
        ("order.currency", OrderCurrency, Text, "the currency, one of the program's"),
        (
            "order.kind",
            OrderKind,
            Text,
            "`'ordinary'`, `'first'`, `'renewal'`, `'trial'` or `'replacement'`; which kinds earn at all, `earning.order_kinds` says",
        ),
        ("order.coupons", OrderCoupons, Texts, "the coupons of others that the order names"),
        ("order.payment_methods", OrderPaymentMethods, Texts, "how the shopper pays, as order and tenders name it"),
        (
            "order.categories",
            OrderCategories,
            Texts,
            "the categories of each line; one that two lines carry is there twice",
        ),
        ("order.skus", OrderSkus, Texts, "the SKU of each line"),
        ("order.brands", OrderBrands, Texts, "the brand of each line"),
        ("order.sellers", OrderSellers, Texts, "the seller of each line that names one"),
        (
            "time.hour",
            TimeHour,
            Whole,
            "0 to 23, by the clock of the order's store, else of the zone that the order carries, else of the program",
        ),
        ("time.minute", TimeMinute, Whole, "0 to 59"),
        ("time.weekday", TimeWeekday, Text, "`'mon'`, `'tue'`, `'wed'`, `'thu'`, `'fri'`, `'sat'` or `'sun'`"),
        ("time.day", TimeDay, Whole, "of the month, from 1"),
        ("time.month", TimeMonth, Whole, "1 is January"),
        ("time.year", TimeYear, Whole, "such as 2026"),
        ("member.tags", MemberTags, Texts, "the tags of who acts"),
        ("member.segments", MemberSegments, Texts, "the segments that who acts is in"),
        ("member.orders", MemberOrders, Whole, "orders before this one; those that came back whole do not count"),
        (
            "member.value.recency_days",
            ValueRecency,
            Whole,
            "whole days since the last order before this one; missing when there is none, as all of `member.value` is without a section `value`",
        ),
        (
            "member.value.frequency",
            ValueFrequency,
            Whole,
            "orders before this one, decayed; in hundredths: 250 is two and a half",
        ),
        (
            "member.value.monetary",
            ValueMonetary,
            Whole,
            "what earned, decayed; in minor units of the program's first currency",
        ),
        ("member.value.r", ValueScoreR, Whole, "the score of recency, 1 to 5; 0 before the first order"),
        ("member.value.f", ValueScoreF, Whole, "the score of frequency"),
        ("member.value.m", ValueScoreM, Whole, "the score of money spent"),
        ("member.days_since_joined", MemberDaysSinceJoined, Whole, "days of 24 hours since enrolment"),
        ("event.type", EventType, Text, "on `event`: the type of the event, one that `events` declares"),
        (
            "event.value",
            EventValue,
            Whole,
            "on `event`: the value that the event carries; missing when it carries none",
        ),
    ];
    rows.into_iter().map(|(path, field, kind, meaning)| Known { path, field, kind, meaning }).collect()
}

/// Names with a part that the program chooses: how they are written, their type, and what they mean.
pub(super) const CHOSEN: &[(&str, &str, &str)] = &[
    ("member.attr.<name>", "as `attributes` declares it", "what is known of who acts; missing when nothing is"),
    ("counter.<id>", "a whole number", "what the counter says, with what happens now counted in"),
    (
        "member.value.affinity.<category>",
        "a whole number",
        "how much of what was spent, decayed, was spent on lines of the category; in thousandths: `member.value.affinity['coffee'] >= 300`",
    ),
    (
        "member.value.mix.<kind>",
        "a whole number",
        "how much of what was granted, decayed, was granted by rules of the kind (`transactional`, `social`, `emotional`, `behavioural`, `advocacy`); in thousandths",
    ),
    ("balance.<unit>", "a whole number", "units that can be spent, before what happens now"),
    (
        "event.attr.<name>",
        "as the event's `attributes` declare it",
        "what the event carries besides; missing when it carries nothing",
    ),
    ("tier.<ladder>", "a text", "the id of the level that who acts has, before what happens now; missing without one"),
    ("goal.<id>", "a whole number", "how often the goal was reached, before what happens now"),
    ("stamps.<card>", "a whole number", "stamps on the open card, those for free included, before what happens now"),
    ("vouchers.<reward>", "a whole number", "vouchers for the reward that can be used, or are held for an order"),
];

/// Why a path names nothing: which of its segments, and what could stand there.
pub(super) struct Unknown {
    pub(super) segment: usize,
    pub(super) known: Vec<String>,
    /// What is missing instead of misspelt.
    pub(super) message: Option<String>,
}

/// What the segments of a path name.
pub(super) fn resolve(path: &[&str], names: &Names) -> Result<(Field, Type), Unknown> {
    let known = known();
    let joined = path.join(".");
    if let ["member", "value", rest @ ..] = path {
        lacking(rest, names)?;
    }
    if let Some(found) = known.iter().find(|known| known.path == joined) {
        return Ok((found.field.clone(), found.kind));
    }
    let texts = |labels: &mut dyn Iterator<Item = &str>| labels.map(str::to_owned).collect::<Vec<_>>();
    match path {
        ["member", "attr", name] => {
            let found = names.attributes.iter().find(|(label, _)| label.as_str() == *name);
            let found = found.map(|(label, kind)| (Field::MemberAttribute(label.clone()), type_of(*kind)));
            found.ok_or_else(|| {
                let known = texts(&mut names.attributes.keys().map(Label::as_str));
                Unknown { segment: 2, known, message: Some(format!("`attributes` declares no `{name}`")) }
            })
        }
        ["member", "value", "affinity", name] => {
            let category = Label::parse(name).map_err(|_| Unknown {
                segment: 3,
                known: Vec::new(),
                message: Some(format!("`{name}` can be no category")),
            })?;
            Ok((Field::ValueAffinity(category), Type::Whole))
        }
        ["member", "value", "mix", name] => match Kind::ALL.into_iter().find(|kind| kind.name() == *name) {
            Some(kind) => Ok((Field::ValueMix(kind), Type::Whole)),
            None => {
                let known = texts(&mut Kind::ALL.into_iter().map(Kind::name));
                Err(Unknown { segment: 3, known, message: Some(format!("`{name}` is no kind of loyalty")) })
            }
        },
        ["event", "attr", name] => event_attribute(name, names),
        ["balance", name] => match names.units.iter().find(|unit| unit.as_str() == *name) {
            Some(unit) => Ok((Field::Balance(unit.clone()), Type::Whole)),
            None => {
                let known = texts(&mut names.units.iter().map(UnitId::as_str));
                Err(Unknown { segment: 1, known, message: Some(format!("`{name}` is no unit of this program")) })
            }
        },
        [group, name] => match DECLARED.iter().find(|declared| declared.group == *group) {
            Some(Declared { section, what, field, kind, .. }) => {
                let declared = names.declared(section);
                let field = field(name).filter(|_| declared.contains(name));
                field.map(|field| (field, *kind)).ok_or_else(|| {
                    let known = texts(&mut declared.into_iter());
                    Unknown { segment: 1, known, message: Some(format!("the program declares no {what} `{name}`")) }
                })
            }
            None => Err(unknown(path, &known)),
        },
        _ => Err(unknown(path, &known)),
    }
}

/// Whether the program keeps what a name of the value profile asks for.
fn lacking(rest: &[&str], names: &Names) -> Result<(), Unknown> {
    let missing =
        |segment: usize, message: &str| Err(Unknown { segment, known: Vec::new(), message: Some(message.to_owned()) });
    if !names.has("value") {
        return missing(1, "the program keeps no value profile: it has no section `value`");
    }
    if matches!(rest, ["r" | "f" | "m"]) && !names.declared("value").contains(&"scores") {
        return missing(2, "the program states no `value: {scores: ...}`");
    }
    Ok(())
}

/// Names by what a section of the file declares.
struct Declared {
    group: &'static str,
    section: &'static str,
    what: &'static str,
    field: fn(&str) -> Option<Field>,
    kind: Type,
}

#[rustfmt::skip]
const DECLARED: &[Declared] = &[
    Declared { group: "counter", section: "counters", what: "counter", kind: Type::Whole, field: |name| CounterId::parse(name).ok().map(Field::Counter) },
    Declared { group: "tier", section: "tiers", what: "ladder", kind: Type::Text, field: |name| LadderId::parse(name).ok().map(Field::Tier) },
    Declared { group: "goal", section: "goals", what: "goal", kind: Type::Whole, field: |name| GoalId::parse(name).ok().map(Field::Goal) },
    Declared { group: "stamps", section: "stamp_cards", what: "stamp card", kind: Type::Whole, field: |name| CardId::parse(name).ok().map(Field::Stamps) },
    Declared { group: "vouchers", section: "rewards", what: "reward", kind: Type::Whole, field: |name| RewardId::parse(name).ok().map(Field::Vouchers) },
];

/// What can be done with an attribute.
fn type_of(kind: AttributeType) -> Type {
    match kind {
        AttributeType::Int => Type::Whole,
        AttributeType::Bool => Type::Flag,
        AttributeType::Text => Type::Text,
    }
}

/// An attribute of events, which must be of one type wherever it is declared: who asks does not say of which event.
fn event_attribute(name: &str, names: &Names) -> Result<(Field, Type), Unknown> {
    let declared = names.event_attributes.iter().find(|(label, _)| label.as_str() == name);
    let Some((label, kinds)) = declared else {
        let known = names.event_attributes.keys().map(Label::to_string).collect();
        let message = format!("no event type declares an attribute `{name}`");
        return Err(Unknown { segment: 2, known, message: Some(message) });
    };
    match kinds.as_slice() {
        [(_, kind)] => Ok((Field::EventAttribute(label.clone()), type_of(*kind))),
        [(one, _), (other, _), ..] => {
            let message = format!("`{name}` is of one type for event `{one}` and of another for `{other}`");
            Err(Unknown { segment: 2, known: Vec::new(), message: Some(message) })
        }
        [] => Err(Unknown { segment: 2, known: Vec::new(), message: None }),
    }
}

/// The first segment that leads nowhere, and what could follow what is before it.
fn unknown(path: &[&str], known: &[Known]) -> Unknown {
    let all: Vec<&str> = known.iter().map(|k| k.path).chain(CHOSEN.iter().map(|(path, ..)| *path)).collect();
    let leads = |len: usize| {
        let prefix = path.get(..len).unwrap_or_default().join(".");
        all.iter().any(|name| *name == prefix || name.strip_prefix(&*prefix).is_some_and(|rest| rest.starts_with('.')))
    };
    let segment = (1..=path.len()).find(|len| !leads(*len)).map_or(path.len(), |len| len - 1);
    let before = path.get(..segment).unwrap_or_default().join(".");
    let next = all.iter().filter_map(|name| match segment {
        0 => name.split('.').next(),
        _ => name.strip_prefix(&*before)?.strip_prefix('.')?.split('.').next(),
    });
    let mut known: Vec<String> = next.map(str::to_owned).collect();
    known.dedup();
    Unknown { segment, known, message: None }
}

/// The words that a text field can be, when they are known.
pub(super) fn words(field: &Field, names: &Names) -> Option<(Vec<String>, &'static str)> {
    let fixed = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match field {
        Field::TimeWeekday => {
            Some((fixed(&["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), "is no day of the week"))
        }
        Field::OrderKind => {
            let kinds = crate::domain::order::OrderKind::ALL.map(|kind| kind.name());
            Some((fixed(&kinds), "is no kind of order"))
        }
        Field::OrderCurrency => {
            let currencies = names.currencies.as_ref()?;
            Some((
                currencies.iter().map(|c| c.as_str().to_owned()).collect(),
                "is not among the program's `currencies`",
            ))
        }
        Field::OrderStore => {
            let stores = names.stores.iter().map(|store| store.as_str().to_owned()).collect();
            Some((stores, "is no store of this program"))
        }
        Field::EventType => {
            let events = names.declared("events").into_iter().map(str::to_owned).collect();
            Some((events, "is no event type of this program"))
        }
        Field::Tier(ladder) => Some((names.levels.get(ladder.as_str())?.clone(), "is no level of this ladder")),
        _ => None,
    }
}
