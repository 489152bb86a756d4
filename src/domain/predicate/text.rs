//! Conditions in words, as their author writes them and as an explanation shows them.

use std::fmt;

use super::{Arithmetic, Field, Predicate, Relation, Seen, Sight, Text, TextRelation, Whole};

impl fmt::Display for Field {
    /// As an expression names it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = match self {
            Field::OrderTotal => "order.total",
            Field::OrderEarning => "order.earning",
            Field::OrderQuantity => "order.quantity",
            Field::OrderLineCount => "order.line_count",
            Field::OrderChannel => "order.channel",
            Field::OrderStore => "order.store",
            Field::OrderCurrency => "order.currency",
            Field::OrderKind => "order.kind",
            Field::OrderCoupons => "order.coupons",
            Field::OrderPaymentMethods => "order.payment_methods",
            Field::OrderCategories => "order.categories",
            Field::OrderSkus => "order.skus",
            Field::OrderBrands => "order.brands",
            Field::OrderSellers => "order.sellers",
            Field::TimeHour => "time.hour",
            Field::TimeMinute => "time.minute",
            Field::TimeWeekday => "time.weekday",
            Field::TimeDay => "time.day",
            Field::TimeMonth => "time.month",
            Field::TimeYear => "time.year",
            Field::MemberTags => "member.tags",
            Field::MemberSegments => "member.segments",
            Field::MemberOrders => "member.orders",
            Field::MemberDaysSinceJoined => "member.days_since_joined",
            Field::MemberAttribute(name) => return named(f, "member.attr", name.as_str()),
            Field::Counter(id) => return named(f, "counter", id.as_str()),
            Field::Balance(unit) => return named(f, "balance", unit.as_str()),
            Field::ValueRecency => "member.value.recency_days",
            Field::ValueFrequency => "member.value.frequency",
            Field::ValueMonetary => "member.value.monetary",
            Field::ValueScoreR => "member.value.r",
            Field::ValueScoreF => "member.value.f",
            Field::ValueScoreM => "member.value.m",
            Field::ValueAffinity(category) => return named(f, "member.value.affinity", category.as_str()),
            Field::ValueMix(kind) => return named(f, "member.value.mix", kind.name()),
            Field::EventType => "event.type",
            Field::EventValue => "event.value",
            Field::EventAttribute(name) => return named(f, "event.attr", name.as_str()),
            Field::Tier(ladder) => return named(f, "tier", ladder.as_str()),
            Field::Goal(goal) => return named(f, "goal", goal.as_str()),
            Field::Stamps(card) => return named(f, "stamps", card.as_str()),
            Field::Vouchers(reward) => return named(f, "vouchers", reward.as_str()),
        };
        f.write_str(plain)
    }
}

/// `group.name` where that is a name of the language, else `group['name']`.
fn named(f: &mut fmt::Formatter<'_>, group: &str, name: &str) -> fmt::Result {
    let word =
        name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit());
    match word {
        true => write!(f, "{group}.{name}"),
        false => write!(f, "{group}[{}]", Quoted(name)),
    }
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        for c in self.0.chars() {
            match c {
                '\'' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => f.write_str(" ")?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("'")
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Predicate::Constant(constant) => write!(f, "{constant}"),
            Predicate::All(parts) => joined(f, parts, " && "),
            Predicate::Any(parts) => joined(f, parts, " || "),
            Predicate::Flag { field, wanted } => write!(f, "{}{field}", not(*wanted)),
            Predicate::Has { field, wanted } => write!(f, "{}has({field})", not(*wanted)),
            Predicate::Compare { left, how, right } => write!(f, "{left} {how} {right}"),
            Predicate::OneOf { value, of, wanted: true } => write!(f, "{value} in {}", Numbers(of)),
            Predicate::OneOf { value, of, wanted: false } => write!(f, "!({value} in {})", Numbers(of)),
            Predicate::Text { left, how: TextRelation::Equals, right, wanted } => {
                write!(f, "{left} {} {right}", if *wanted { "==" } else { "!=" })
            }
            Predicate::Text { left, how, right, wanted } => {
                write!(f, "{}{left}.{}({right})", not(*wanted), how.name())
            }
            Predicate::TextOneOf { value, of, wanted: true } => write!(f, "{value} in {}", Listed(of)),
            Predicate::TextOneOf { value, of, wanted: false } => write!(f, "!({value} in {})", Listed(of)),
            Predicate::Lists { list, value, wanted: true } => write!(f, "{value} in {list}"),
            Predicate::Lists { list, value, wanted: false } => write!(f, "!({value} in {list})"),
            Predicate::ListsOneOf { list, of, wanted } => {
                let words = if *wanted { "has one of" } else { "has none of" };
                write!(f, "{list} {words} {}", Listed(of))
            }
        }
    }
}

fn not(wanted: bool) -> &'static str {
    if wanted { "" } else { "!" }
}

fn joined(f: &mut fmt::Formatter<'_>, parts: &[Predicate], word: &str) -> fmt::Result {
    for (number, part) in parts.iter().enumerate() {
        if 0 < number {
            f.write_str(word)?;
        }
        match part {
            Predicate::All(_) | Predicate::Any(_) => write!(f, "({part})")?,
            leaf => write!(f, "{leaf}")?,
        }
    }
    Ok(())
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whole::Constant(constant) => write!(f, "{constant}"),
            Whole::Field(field) => write!(f, "{field}"),
            Whole::Size(field) => write!(f, "size({field})"),
            Whole::Negative(inner) => write!(f, "-({inner})"),
            Whole::Of(sides) => {
                let (left, how, right) = &**sides;
                write!(f, "{} {how} {}", Bracketed(left), Bracketed(right))
            }
        }
    }
}

struct Bracketed<'a>(&'a Whole);

impl fmt::Display for Bracketed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Whole::Of(_) => write!(f, "({})", self.0),
            whole => write!(f, "{whole}"),
        }
    }
}

impl fmt::Display for Arithmetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Arithmetic::Plus => "+",
            Arithmetic::Minus => "-",
            Arithmetic::Times => "*",
            Arithmetic::Over => "/",
            Arithmetic::Modulo => "%",
        })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Relation::Equal => "==",
            Relation::Different => "!=",
            Relation::Less => "<",
            Relation::AtMost => "<=",
            Relation::More => ">",
            Relation::AtLeast => ">=",
        })
    }
}

impl Relation {
    /// "at least", for "at least 5000".
    fn words(self) -> &'static str {
        match self {
            Relation::Equal => "exactly",
            Relation::Different => "anything but",
            Relation::Less => "less than",
            Relation::AtMost => "at most",
            Relation::More => "more than",
            Relation::AtLeast => "at least",
        }
    }
}

impl TextRelation {
    pub fn name(self) -> &'static str {
        match self {
            TextRelation::Equals => "equals",
            TextRelation::StartsWith => "startsWith",
            TextRelation::EndsWith => "endsWith",
            TextRelation::Contains => "contains",
        }
    }

    fn words(self, wanted: bool) -> &'static str {
        match (self, wanted) {
            (TextRelation::Equals, true) => "",
            (TextRelation::Equals, false) => "anything but ",
            (TextRelation::StartsWith, true) => "begins with ",
            (TextRelation::StartsWith, false) => "does not begin with ",
            (TextRelation::EndsWith, true) => "ends with ",
            (TextRelation::EndsWith, false) => "does not end with ",
            (TextRelation::Contains, true) => "contains ",
            (TextRelation::Contains, false) => "does not contain ",
        }
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Text::Constant(constant) => write!(f, "{}", Quoted(constant)),
            Text::Field(field) => write!(f, "{field}"),
        }
    }
}

struct Listed<'a>(&'a [Box<str>]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed: Vec<String> = self.0.iter().map(|text| Quoted(text).to_string()).collect();
        write!(f, "[{}]", listed.join(", "))
    }
}

struct Numbers<'a>(&'a [i64]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", listed.join(", "))
    }
}

/// What an explanation says where nothing was to be seen.
const NONE: &str = "none";

impl Predicate {
    /// Of a leaf: what it found, and what it asks for.
    pub(super) fn actual_and_required(&self, sight: &dyn Sight) -> (String, String) {
        let whole = |whole: &Whole| whole.value(sight).map_or_else(|| NONE.to_owned(), |value| value.to_string());
        let text = |text: &Text| text.value(sight).unwrap_or(NONE).to_owned();
        match self {
            Predicate::Constant(constant) => (constant.to_string(), "true".to_owned()),
            Predicate::All(_) | Predicate::Any(_) => (self.holds(sight).to_string(), "true".to_owned()),
            Predicate::Flag { field, wanted } => (seen(sight, field), wanted.to_string()),
            Predicate::Has { field, wanted } => {
                (seen(sight, field), if *wanted { "anything" } else { NONE }.to_owned())
            }
            Predicate::Compare { left: Whole::Constant(constant), how, right } => {
                (whole(right), format!("{} {constant}", how.mirrored().words()))
            }
            Predicate::Compare { left, how, right } => (whole(left), format!("{} {}", how.words(), whole(right))),
            Predicate::OneOf { value, of, wanted } => (whole(value), format!("{}{}", one_of(*wanted), Numbers(of))),
            Predicate::Text { left: Text::Constant(constant), how: how @ TextRelation::Equals, right, wanted } => {
                (text(right), format!("{}{constant}", how.words(*wanted)))
            }
            Predicate::Text { left, how, right, wanted } => {
                (text(left), format!("{}{}", how.words(*wanted), text(right)))
            }
            Predicate::TextOneOf { value, of, wanted } => (text(value), format!("{}{}", one_of(*wanted), Listed(of))),
            Predicate::Lists { list, value, wanted } => {
                let value = text(value);
                let required = if *wanted { format!("{value} among them") } else { format!("without {value}") };
                (seen(sight, list), required)
            }
            Predicate::ListsOneOf { list, of, wanted } => {
                (seen(sight, list), format!("{}{}", one_of(*wanted), Listed(of)))
            }
        }
    }
}

fn one_of(wanted: bool) -> &'static str {
    if wanted { "one of " } else { "none of " }
}

/// The value for people; of a list, the first few.
fn seen(sight: &dyn Sight, field: &Field) -> String {
    const SHOWN_MAX: usize = 10;
    match sight.see(field) {
        Seen::Missing => NONE.to_owned(),
        Seen::Whole(value) => value.to_string(),
        Seen::Flag(flag) => flag.to_string(),
        Seen::Text(text) => text.to_owned(),
        Seen::Texts(texts) => {
            let mut shown: Vec<String> = Vec::new();
            let more = texts.any(|text| {
                let full = shown.len() == SHOWN_MAX;
                if !full && !shown.iter().any(|before| before == text) {
                    shown.push(text.to_owned());
                }
                full
            });
            match shown.is_empty() {
                true => NONE.to_owned(),
                false => format!("{}{}", shown.join(", "), if more { ", ..." } else { "" }),
            }
        }
    }
}
