//! The scalars of a program file: what each looks like, its bounds, and how it becomes an integer or an id.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::fault::quoted;
use super::tree::{Content, Node, Resolved};
use crate::domain::id::{
    BoardId, CampaignId, CardId, CounterId, DrawId, GoalId, GroupId, IdError, Label, LadderId, LevelId, PriceId,
    ProgramId, RewardId, RuleId, Sku, UnitId,
};
use crate::domain::money::Rounding;
use crate::domain::order::{Currency, Order};
use crate::domain::program::{
    AttributeAt, CapOf, CounterWindow, Kind, MultiplierPolicy, PerCurrency, Repeat, RoundPer, SettlesAs, Shortfall,
    SpendOf, Trigger, Undo, Upgrade,
};
use crate::domain::referral::code::Pattern;
use crate::domain::time::{CalendarPeriod, Instant, Period, RoundUpTo, WindowZone};
use crate::program::form::CountsOf;
use crate::program::read::{Reader, Step, Value, declared, words};

/// The most that any amount of money (minor units) or units in a program may be; the same bound that orders have.
pub(super) const AMOUNT_MAX: i64 = Order::AMOUNT_MINOR_MAX;

/// `true` or `false`.
pub(super) struct Flag;

impl Value for Flag {
    type Out = bool;

    fn read(node: &Node, r: &mut Reader) -> Option<bool> {
        let expected = "`true` or `false`";
        match (node.text(), node.resolved()) {
            (Some("true"), Some(Resolved::Flag)) => Some(true),
            (Some("false"), Some(Resolved::Flag)) => Some(false),
            (Some(text), _) => {
                let meant = match text.to_lowercase().as_str() {
                    "yes" | "on" | "y" | "true" => Some("write true"),
                    "no" | "off" | "n" | "false" => Some("write false"),
                    _ => None,
                };
                r.wrong(node, expected, meant);
                None
            }
            _ => {
                r.wrong(node, expected, None);
                None
            }
        }
    }

    fn phrase() -> String {
        "`true` or `false`".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "boolean" })
    }
}

/// A whole number from `MIN` to `MAX`.
pub(super) struct Whole<const MIN: i64, const MAX: i64>;

/// A number of units.
pub(super) type Units = Whole<1, AMOUNT_MAX>;

impl<const MIN: i64, const MAX: i64> Value for Whole<MIN, MAX> {
    type Out = i64;

    fn read(node: &Node, r: &mut Reader) -> Option<i64> {
        let text = r.scalar(node, "a whole number")?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let padded = 1 < digits.len() && digits.starts_with('0');
        if !number || padded || node.resolved() != Some(Resolved::Number) {
            let bare: String = text.chars().filter(|c| !matches!(c, '_' | ',' | ' ' | '\'')).collect();
            let helps = bare != text && bare.bytes().all(|b| b.is_ascii_digit());
            let unquoted = number && !padded && node.resolved() == Some(Resolved::Text);
            let hint = match (helps, unquoted) {
                (true, _) => Some(format!("write {bare}")),
                (_, true) => Some("remove the quotes".to_owned()),
                _ => None,
            };
            r.wrong(node, "a whole number", hint.as_deref());
            return None;
        }
        match text.parse::<i64>() {
            Ok(value) if MIN <= value && value <= MAX => Some(value),
            _ => {
                r.fault(node.pos, format!("{} is not between {MIN} and {MAX}", quoted(text)), None);
                None
            }
        }
    }

    fn phrase() -> String {
        match MIN == MAX {
            true => format!("`{MIN}`"),
            false => format!("a whole number from {MIN} to {MAX}"),
        }
    }

    fn schema() -> Json {
        json!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// Why a text is not a decimal number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoDecimal {
    Shape,
    Negative,
    /// More decimals than the place has room for.
    Places(usize),
    TooLong,
}

/// `text` times ten to the power of `places`, exactly.
pub(super) fn scaled(text: &str, places: usize) -> Result<i64, NoDecimal> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(NoDecimal::Shape),
        None => (text, ""),
    };
    let (negative, whole) = whole.strip_prefix('-').map_or((false, whole), |rest| (true, rest));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let padded = 1 < whole.len() && whole.starts_with('0');
    if whole.is_empty() || !digits(whole) || !digits(fraction) || padded {
        return Err(NoDecimal::Shape);
    }
    if negative {
        return Err(NoDecimal::Negative);
    }
    if places < fraction.len() {
        return Err(NoDecimal::Places(fraction.len()));
    }
    let zeros = "0".repeat(places - fraction.len());
    format!("{whole}{fraction}{zeros}").parse().map_err(|_| NoDecimal::TooLong)
}

/// `minor` as people write it.
pub(super) fn major(minor: i64, places: usize) -> String {
    let padded = format!("{minor:0width$}", width = places + 1);
    match padded.split_at_checked(padded.len() - places) {
        Some((whole, fraction)) if !fraction.is_empty() => format!("{whole}.{fraction}"),
        _ => padded,
    }
}

/// A factor above one with at most three decimals, in thousandths.
pub(super) struct Factor;

const FACTOR_PERMILLE_MAX: i64 = 100_000;

impl Value for Factor {
    type Out = i64;

    fn read(node: &Node, r: &mut Reader) -> Option<i64> {
        let expected = "a number such as 2 or 2.5";
        let text = r.scalar(node, expected)?;
        if node.resolved() != Some(Resolved::Number) {
            r.wrong(node, expected, None);
            return None;
        }
        match scaled(text, 3) {
            Ok(permille) if 1_000 < permille && permille <= FACTOR_PERMILLE_MAX => return Some(permille),
            Ok(permille) if permille <= 1_000 => {
                let hint = "2 doubles; a rule cannot lower what others give";
                r.fault(node.pos, format!("the factor {} is not more than 1", quoted(text)), Some(hint));
            }
            Ok(_) | Err(NoDecimal::TooLong) => {
                r.fault(node.pos, format!("the factor {} is more than 100", quoted(text)), None);
            }
            Err(NoDecimal::Negative) => {
                r.fault(node.pos, format!("the factor {} is not more than 1", quoted(text)), None);
            }
            Err(NoDecimal::Places(places)) => {
                r.fault(node.pos, format!("{} has {places} decimals, at most 3 are allowed", quoted(text)), None);
            }
            Err(NoDecimal::Shape) => r.wrong(node, expected, None),
        }
        None
    }

    fn phrase() -> String {
        "a number above 1 and at most 100 with up to three decimals, such as `2` or `2.5`".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "number", "exclusiveMinimum": 1, "maximum": 100 })
    }
}

/// A number above zero with at most two decimals, in hundredths.
pub(super) struct Hundredths;

const HUNDREDTHS_MAX: i64 = 10_000_000;

impl Value for Hundredths {
    type Out = i64;

    fn read(node: &Node, r: &mut Reader) -> Option<i64> {
        let expected = "a number such as 2 or 0.5";
        let text = r.scalar(node, expected)?;
        if node.resolved() != Some(Resolved::Number) {
            r.wrong(node, expected, None);
            return None;
        }
        match scaled(text, 2) {
            Ok(hundredths) if 0 < hundredths && hundredths <= HUNDREDTHS_MAX => return Some(hundredths),
            Ok(0) | Err(NoDecimal::Negative) => r.fault(node.pos, format!("{} is not above 0", quoted(text)), None),
            Ok(_) | Err(NoDecimal::TooLong) => {
                r.fault(node.pos, format!("{} is more than 100000", quoted(text)), None);
            }
            Err(NoDecimal::Places(places)) => {
                r.fault(node.pos, format!("{} has {places} decimals, at most 2 are allowed", quoted(text)), None);
            }
            Err(NoDecimal::Shape) => r.wrong(node, expected, None),
        }
        None
    }

    fn phrase() -> String {
        "a number above 0 and at most 100000 with up to two decimals, such as `2` or `0.5`".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "number", "exclusiveMinimum": 0, "maximum": 100_000 })
    }
}

/// A percentage above zero and at most 100 with two decimals, in basis points.
pub(super) struct Share;

impl Value for Share {
    type Out = i64;

    fn read(node: &Node, r: &mut Reader) -> Option<i64> {
        let expected = "a percentage such as 50%";
        let text = r.scalar(node, expected)?;
        let Some(number) = text.strip_suffix('%') else {
            let bare = scaled(text, 2).is_ok();
            let hint = format!("write {text}%");
            r.wrong(node, expected, bare.then_some(hint.as_str()));
            return None;
        };
        match scaled(number.trim_end(), 2) {
            Ok(bps) if 0 < bps && bps <= 10_000 => return Some(bps),
            Ok(0) => r.fault(node.pos, format!("{} is nothing", quoted(text)), Some("leave the whole section out")),
            Ok(_) | Err(NoDecimal::TooLong) => {
                r.fault(node.pos, format!("{} is more than 100%", quoted(text)), None);
            }
            Err(NoDecimal::Negative) => r.fault(node.pos, format!("{} is less than 0%", quoted(text)), None),
            Err(NoDecimal::Places(places)) => {
                r.fault(node.pos, format!("{} has {places} decimals, at most 2 are allowed", quoted(text)), None);
            }
            Err(NoDecimal::Shape) => r.wrong(node, expected, None),
        }
        None
    }

    fn phrase() -> String {
        "a percentage above 0% and at most 100% with up to two decimals, such as `50%`".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,2})?%$" })
    }
}

/// The currency, unless it has no minor unit: gold, or the code for no currency.
pub(super) fn currency_of_life(code: &str) -> Option<Currency> {
    iso_currency::Currency::from_code(code)?.exponent()?;
    Currency::parse(code)
}

/// An ISO 4217 code that has a minor unit.
pub(super) struct CurrencyCode;

impl Value for CurrencyCode {
    type Out = Currency;

    fn read(node: &Node, r: &mut Reader) -> Option<Currency> {
        let expected = "a currency code such as EUR";
        let text = r.scalar(node, expected)?;
        match (currency_of_life(text), Currency::parse(text)) {
            (Some(currency), _) => return Some(currency),
            (None, Some(_)) => r.fault(node.pos, format!("{} is no money of daily life", quoted(text)), None),
            (None, None) => {
                let upper = text.to_uppercase();
                let hint = Currency::parse(&upper).map(|code| format!("did you mean `{code}`?"));
                let message = format!("{} is no ISO 4217 currency code", quoted(text));
                r.fault(node.pos, message, hint.as_deref());
            }
        }
        None
    }

    fn phrase() -> String {
        "an ISO 4217 currency code such as `EUR`".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[A-Z]{3}$" })
    }
}

/// One of the program's currencies.
pub(super) struct OwnCurrency;

impl Value for OwnCurrency {
    type Out = Currency;

    fn read(node: &Node, r: &mut Reader) -> Option<Currency> {
        let currency = CurrencyCode::read(node, r)?;
        Money::listed(currency, node, r).then_some(currency)
    }

    fn phrase() -> String {
        "one of the program's `currencies`".to_owned()
    }

    fn schema() -> Json {
        CurrencyCode::schema()
    }
}

/// An amount above zero for every currency of the program, written in major units.
pub(super) struct Money;

impl Money {
    const EXPECTED: &str = "amounts by currency such as {GBP: 20.00} or GBP 20.00";

    fn amount(currency: Currency, text: &str, node: &Node, r: &mut Reader) -> Option<i64> {
        let places = currency.exponent() as usize;
        match scaled(text, places) {
            Ok(minor) if 0 < minor && minor <= AMOUNT_MAX => return Some(minor),
            Ok(0) => r.fault(node.pos, "the amount must be more than 0", None),
            Ok(_) | Err(NoDecimal::TooLong) => {
                let most = major(AMOUNT_MAX, places);
                r.fault(node.pos, format!("{} is more than {most} {currency}", quoted(text)), None);
            }
            Err(NoDecimal::Negative) => r.fault(node.pos, "the amount must be more than 0", None),
            Err(NoDecimal::Places(found)) => {
                let message = format!("{} has {found} decimals, {currency} has {places}", quoted(text));
                r.fault(node.pos, message, Some("amounts are in major units: 20.00 is twenty"));
            }
            Err(NoDecimal::Shape) => {
                let bare: String = text.chars().filter(|c| !matches!(c, '_' | ',' | ' ' | '\'')).collect();
                let hint = (bare != text && scaled(&bare, places).is_ok()).then(|| format!("write {bare}"));
                r.fault(node.pos, format!("expected an amount such as 20, found {}", quoted(text)), hint.as_deref());
            }
        }
        None
    }

    fn listed(currency: Currency, node: &Node, r: &mut Reader) -> bool {
        let listed = r.names.currencies.as_ref().is_none_or(|listed| listed.contains(&currency));
        if !listed {
            let hint = "add it to the program's `currencies`, or remove it here";
            r.fault(node.pos, format!("{currency} is not among the program's `currencies`"), Some(hint));
        }
        listed
    }

    /// One pair; the outer `None` says that the currency itself is unreadable.
    fn pair(code: &Node, amount: &Node, r: &mut Reader) -> Option<(Currency, Option<i64>)> {
        let currency = CurrencyCode::read(code, r)?;
        let listed = Money::listed(currency, code, r);
        let text = r.scalar(amount, "an amount such as 20");
        let minor = text.and_then(|text| Money::amount(currency, text, amount, r));
        Some((currency, minor.filter(|_| listed)))
    }
}

impl Value for Money {
    type Out = PerCurrency;

    fn read(node: &Node, r: &mut Reader) -> Option<PerCurrency> {
        let pairs = match &node.content {
            Content::Map(entries) => {
                let pairs = entries.iter().map(|entry| {
                    let code = Content::Scalar { text: entry.key.clone(), plain: false };
                    let code = Node { pos: entry.key_pos, content: code };
                    let step = Step::Key(entry.key.clone().into());
                    r.within(step, |r| Money::pair(&code, &entry.value, r))
                });
                pairs.collect::<Vec<_>>()
            }
            Content::Scalar { text, .. } if text.contains(' ') => {
                let (code, amount) = text.split_once(' ')?;
                let part = |text: &str| {
                    let content = Content::Scalar { text: text.trim().to_owned(), plain: false };
                    Node { pos: node.pos, content }
                };
                vec![Money::pair(&part(code), &part(amount), r)]
            }
            _ => {
                let hint = "name the currency: an amount without one means nothing";
                let number = node.resolved() == Some(Resolved::Number);
                r.wrong(node, Money::EXPECTED, number.then_some(hint));
                return None;
            }
        };
        let stated: Option<Vec<(Currency, Option<i64>)>> = pairs.into_iter().collect();
        let stated = stated?; // with an unreadable code, which one is missing is a guess
        let missing = r.names.currencies.iter().flatten().filter(|currency| stated.iter().all(|(c, _)| c != *currency));
        let missing: Vec<&str> = missing.map(Currency::as_str).collect();
        if !missing.is_empty() {
            let message = format!("has no amount in {}, which `currencies` lists", missing.join(", "));
            r.fault(node.pos, message, None);
            return None;
        }
        let amounts = stated.into_iter().map(|(currency, minor)| Some((currency, minor?)));
        amounts.collect::<Option<BTreeMap<_, _>>>().map(PerCurrency)
    }

    fn phrase() -> String {
        "an amount above 0 in each of the program's currencies, in major units: `{GBP: 20.00, EUR: 23.00}`, or \
         `GBP 20.00` when there is but one"
            .to_owned()
    }

    fn schema() -> Json {
        let amount = json!({ "anyOf": [
            { "type": "number", "exclusiveMinimum": 0 },
            { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$" },
        ] });
        json!({ "anyOf": [
            { "type": "string", "pattern": "^[A-Z]{3} +[0-9]+(\\.[0-9]+)?$" },
            {
                "type": "object",
                "propertyNames": CurrencyCode::schema(),
                "additionalProperties": amount,
                "minProperties": 1,
            },
        ] })
    }
}

/// Text for people: 1 to 100 characters on one line.
pub(super) struct Title;

impl Value for Title {
    type Out = String;

    fn read(node: &Node, r: &mut Reader) -> Option<String> {
        const LEN_MAX: usize = 100;
        let text = text_of(node, "a text", r)?;
        let len = text.chars().count();
        if text.trim().is_empty() {
            r.fault(node.pos, "the text is empty", None);
            return None;
        }
        if LEN_MAX < len {
            r.fault(node.pos, format!("the text has {len} characters, at most {LEN_MAX} are allowed"), None);
            return None;
        }
        if text.chars().any(char::is_control) {
            r.fault(node.pos, "the text must be one line without control characters", None);
            return None;
        }
        Some(text.to_owned())
    }

    fn phrase() -> String {
        "a text of 1 to 100 characters".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1, "maxLength": 100 })
    }
}

/// The text of a scalar that every YAML reader takes for text.
fn text_of<'n>(node: &'n Node, expected: &str, r: &mut Reader) -> Option<&'n str> {
    let text = r.scalar(node, expected)?;
    if node.resolved() == Some(Resolved::Text) {
        return Some(text);
    }
    let hint = format!("put it in quotes: \"{text}\"");
    r.wrong(node, expected, Some(&hint));
    None
}

/// An id that the program gives to something of its own.
pub(super) trait OwnId: Sized {
    const LEN_MAX: usize;
    fn parse(raw: &str) -> Result<Self, IdError>;
}

macro_rules! own_ids {
    ($($id:ident)+) => {$(
        impl OwnId for $id {
            const LEN_MAX: usize = $id::LEN_MAX;

            fn parse(raw: &str) -> Result<$id, IdError> {
                $id::parse(raw)
            }
        }
    )+};
}

own_ids!(BoardId CampaignId CardId CounterId DrawId GoalId GroupId LadderId LevelId PriceId ProgramId RewardId RuleId UnitId);

/// A name that the program file gives: letters, digits, `.`, `_` and `-`, beginning with a letter or digit. Narrower
/// than ids from outside, for these are joined into other ids and shown in reports.
pub(super) struct Name<T>(PhantomData<T>);

impl<T: OwnId> Value for Name<T> {
    type Out = T;

    fn read(node: &Node, r: &mut Reader) -> Option<T> {
        let text = text_of(node, "a name", r)?;
        let odd = text.char_indices().find(|(at, c)| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' => false,
            '.' | '_' | '-' => *at == 0,
            _ => true,
        });
        if let Some((_, odd)) = odd {
            let hint = "names are letters, digits, `.`, `_` and `-`, and begin with a letter or digit";
            let shown = quoted(&odd.to_string());
            r.fault(node.pos, format!("the name {} may not have {shown} there", quoted(text)), Some(hint));
            return None;
        }
        match T::parse(text) {
            Ok(id) => Some(id),
            Err(error) => {
                r.fault(node.pos, format!("the name {error}"), None);
                None
            }
        }
    }

    fn phrase() -> String {
        format!("a name of up to {} letters, digits, `.`, `_` or `-`", T::LEN_MAX)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$", "maxLength": T::LEN_MAX })
    }
}

/// The text of a label or SKU: numbers count as written, so `007` stays as it is.
fn as_written<'n>(node: &'n Node, expected: &str, r: &mut Reader) -> Option<&'n str> {
    match node.resolved() {
        Some(Resolved::Number) => node.text(),
        _ => text_of(node, expected, r),
    }
}

/// A category, brand, channel or store as orders name it.
pub(super) struct LabelText;

impl Value for LabelText {
    type Out = Label;

    fn read(node: &Node, r: &mut Reader) -> Option<Label> {
        let text = as_written(node, "a label", r)?;
        match Label::parse(text) {
            Ok(label) => Some(label),
            Err(error) => {
                r.fault(node.pos, format!("the label {error}"), None);
                None
            }
        }
    }

    fn phrase() -> String {
        format!("a label of up to {} bytes, exactly as orders carry it", Label::LEN_MAX)
    }

    fn schema() -> Json {
        json!({ "type": ["string", "number"], "minLength": 1, "maxLength": Label::LEN_MAX })
    }
}

/// A stock keeping unit as orders name it.
pub(super) struct SkuText;

impl Value for SkuText {
    type Out = Sku;

    fn read(node: &Node, r: &mut Reader) -> Option<Sku> {
        let text = as_written(node, "a SKU", r)?;
        match Sku::parse(text) {
            Ok(sku) => Some(sku),
            Err(error) => {
                r.fault(node.pos, format!("the SKU {error}"), None);
                None
            }
        }
    }

    fn phrase() -> String {
        format!("a SKU of up to {} bytes, exactly as orders carry it", Sku::LEN_MAX)
    }

    fn schema() -> Json {
        json!({ "type": ["string", "number"], "minLength": 1, "maxLength": Sku::LEN_MAX })
    }
}

/// A unit that the program declares.
pub(super) struct UnitName;

impl Value for UnitName {
    type Out = UnitId;

    fn read(node: &Node, r: &mut Reader) -> Option<UnitId> {
        let unit = Name::<UnitId>::read(node, r)?;
        if r.names.units.contains(&unit) {
            return Some(unit);
        }
        let known: Vec<&str> = r.names.units.iter().map(UnitId::as_str).collect();
        let hint = r.suggestion(unit.as_str(), &known);
        r.fault(node.pos, format!("{} is no unit of this program", quoted(unit.as_str())), hint.as_deref());
        None
    }

    fn phrase() -> String {
        "the name of a unit that `units` declares".to_owned()
    }

    fn schema() -> Json {
        Name::<UnitId>::schema()
    }
}

/// A store that the program declares.
pub(super) struct StoreName;

impl Value for StoreName {
    type Out = Label;

    fn read(node: &Node, r: &mut Reader) -> Option<Label> {
        let store = LabelText::read(node, r)?;
        if r.names.stores.contains(&store) {
            return Some(store);
        }
        let known: Vec<&str> = r.names.stores.iter().map(Label::as_str).collect();
        let hint = r.suggestion(store.as_str(), &known);
        let hint = hint.unwrap_or_else(|| "declare it under `stores`".to_owned());
        r.fault(node.pos, format!("{} is no store of this program", quoted(store.as_str())), Some(&hint));
        None
    }

    fn phrase() -> String {
        "the name of a store that `stores` declares".to_owned()
    }

    fn schema() -> Json {
        LabelText::schema()
    }
}

/// A zone of the IANA time zone database.
pub(super) struct ZoneName;

impl Value for ZoneName {
    type Out = TimeZone;

    fn read(node: &Node, r: &mut Reader) -> Option<TimeZone> {
        let text = text_of(node, "a time zone such as Europe/London", r)?;
        match TimeZone::get(text) {
            Ok(zone) if zone.iana_name().is_some() => return Some(zone),
            _ => {}
        }
        let known: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
        let hint = r.nearest(text, known.iter().map(String::as_str));
        let hint = hint.as_deref().unwrap_or("names are those of the IANA time zone database: Europe/London");
        r.fault(node.pos, format!("{} is no time zone", quoted(text)), Some(hint));
        None
    }

    fn phrase() -> String {
        "a name of the IANA time zone database such as `Europe/London`".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1 })
    }
}

/// `14 days` as number and period.
fn period(node: &Node, r: &mut Reader) -> Option<Period> {
    const EXPECTED: &str = "a length of time such as 14 days";
    const WORDS: &[&str] = &["seconds", "minutes", "hours", "days", "weeks", "months", "years"];
    let text = r.scalar(node, EXPECTED)?;
    let Some((number, word)) = text.split_once(' ') else {
        r.wrong(node, EXPECTED, None);
        return None;
    };
    let word = word.trim();
    let plural = if word.ends_with('s') { word.to_owned() } else { format!("{word}s") };
    let century = match plural.as_str() {
        "seconds" => 3_155_760_000,
        "minutes" => 52_596_000,
        "hours" => 876_600,
        "days" => 36_525,
        "weeks" => 5_217,
        "months" => 1_200,
        "years" => 100,
        _ => {
            let hint = r.suggestion(&plural, WORDS);
            r.wrong(node, EXPECTED, hint.as_deref());
            return None;
        }
    };
    let digits = number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
    let count = match number.parse::<u32>() {
        Ok(count) if digits && count <= century => count,
        _ if number == "0" => {
            r.fault(node.pos, format!("{} is no time at all", quoted(text)), Some("write none where that is allowed"));
            return None;
        }
        _ if digits && !number.is_empty() => {
            r.fault(node.pos, format!("{} is more than a hundred years", quoted(text)), None);
            return None;
        }
        _ => {
            r.wrong(node, EXPECTED, Some("begin with a whole number"));
            return None;
        }
    };
    Some(match plural.as_str() {
        "seconds" => Period::Seconds(count),
        "minutes" => Period::Minutes(count),
        "hours" => Period::Hours(count),
        "days" => Period::Days(count),
        "weeks" => Period::Weeks(count),
        "months" => Period::Months(count),
        _ => Period::Years(count),
    })
}

const PERIOD_PATTERN: &str = "[1-9][0-9]* +(second|minute|hour|day|week|month|year)s?";

/// A length of time by the calendar.
pub(super) struct Length;

impl Value for Length {
    type Out = Period;

    fn read(node: &Node, r: &mut Reader) -> Option<Period> {
        period(node, r)
    }

    fn phrase() -> String {
        "a length of time such as `14 days`, `12 months` or `1 year`".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": format!("^{PERIOD_PATTERN}$") })
    }
}

/// A length of time by the calendar, or `none`.
pub(super) struct LengthOrNone;

impl Value for LengthOrNone {
    type Out = Option<Period>;

    fn read(node: &Node, r: &mut Reader) -> Option<Option<Period>> {
        match node.text() {
            Some("none") => Some(None),
            _ => period(node, r).map(Some),
        }
    }

    fn phrase() -> String {
        format!("{}, or `none`", Length::phrase())
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": format!("^(none|{PERIOD_PATTERN})$") })
    }
}

/// Seconds by the stopwatch from `MIN_S` to `MAX_S`: a day is 24 hours. With `MIN_S` 0, `none` is allowed.
pub(super) struct Stopwatch<const MIN_S: i64, const MAX_S: i64>;

pub(super) const DAY_S: i64 = 24 * 60 * 60;

impl<const MIN_S: i64, const MAX_S: i64> Value for Stopwatch<MIN_S, MAX_S> {
    type Out = i64;

    fn read(node: &Node, r: &mut Reader) -> Option<i64> {
        if MIN_S == 0 && node.text() == Some("none") {
            return Some(0);
        }
        let seconds = match period(node, r)? {
            Period::Seconds(n) => i64::from(n),
            Period::Minutes(n) => i64::from(n) * 60,
            Period::Hours(n) => i64::from(n) * 60 * 60,
            Period::Days(n) => i64::from(n) * DAY_S,
            Period::Weeks(n) => i64::from(n) * 7 * DAY_S,
            Period::Months(_) | Period::Years(_) => {
                r.fault(node.pos, "months and years differ in length", Some("use days, hours, minutes or seconds"));
                return None;
            }
        };
        if MAX_S < seconds {
            r.fault(node.pos, format!("is longer than {}", stopwatch_text(MAX_S)), None);
            return None;
        }
        if seconds < MIN_S {
            r.fault(node.pos, format!("is shorter than {}", stopwatch_text(MIN_S)), None);
            return None;
        }
        Some(seconds)
    }

    fn phrase() -> String {
        let none = if MIN_S == 0 { ", or `none`" } else { "" };
        format!("a length of time of at most {}, such as `15 minutes`{none}", stopwatch_text(MAX_S))
    }

    fn schema() -> Json {
        let none = if MIN_S == 0 { "none|" } else { "" };
        let pattern = format!("^({none}[1-9][0-9]* +(second|minute|hour|day|week)s?)$");
        json!({ "type": "string", "pattern": pattern })
    }
}

/// Seconds in the largest unit that divides them.
pub(super) fn stopwatch_text(seconds: i64) -> String {
    let units = [(DAY_S, "day"), (60 * 60, "hour"), (60, "minute")];
    let (count, word) = units
        .iter()
        .find(|(length, _)| seconds % length == 0)
        .map_or((seconds, "second"), |(length, word)| (seconds / length, *word));
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// A point in time, with an offset or by the clock of the program's zone.
pub(super) struct Moment;

impl Value for Moment {
    type Out = Instant;

    fn read(node: &Node, r: &mut Reader) -> Option<Instant> {
        const EXPECTED: &str = "a point in time such as 2026-05-01T00:00 or 2026-05-01T00:00:00Z";
        let text = r.scalar(node, EXPECTED)?;
        let day = shaped(text, "0000-00-00");
        let local = shaped(text, "0000-00-00T00:00") || shaped(text, "0000-00-00T00:00:00");
        let zoned = text.strip_suffix('Z').or_else(|| text.get(..text.len().checked_sub(6)?)).is_some_and(|rest| {
            let offset = text.get(rest.len()..).unwrap_or_default();
            (shaped(rest, "0000-00-00T00:00") || shaped(rest, "0000-00-00T00:00:00"))
                && (offset == "Z" || shaped(offset, "+00:00") || shaped(offset, "-00:00"))
        });
        if !local && !zoned {
            let hint = format!("say which moment of the day: {text}T00:00");
            r.wrong(node, EXPECTED, day.then_some(hint.as_str()));
            return None;
        }
        let timestamp = match zoned {
            true => text.parse::<jiff::Timestamp>().ok(),
            false => {
                let zone = r.names.zone.clone()?; // a missing zone is reported where it is missing
                let Ok(civil) = text.parse::<DateTime>() else {
                    r.fault(node.pos, format!("{} is no date and time of the calendar", quoted(text)), None);
                    return None;
                };
                let Ok(timestamp) = zone.to_ambiguous_timestamp(civil).unambiguous() else {
                    let message = format!("the clock of the program's zone shows {} not exactly once", quoted(text));
                    r.fault(node.pos, message, Some("add the offset that is meant, such as +01:00"));
                    return None;
                };
                Some(timestamp)
            }
        };
        let Some(timestamp) = timestamp else {
            r.fault(node.pos, format!("{} is no date and time of the calendar", quoted(text)), None);
            return None;
        };
        let instant = Instant(timestamp.as_millisecond());
        if !instant.in_bounds() {
            r.fault(node.pos, "is before the year 2000 or after the year 8999", None);
            return None;
        }
        Some(instant)
    }

    fn phrase() -> String {
        "a point in time: `2026-05-01T00:00` by the clock of the program's zone, or with its offset, \
         `2026-05-01T00:00:00Z`"
            .to_owned()
    }

    fn schema() -> Json {
        let pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?$";
        json!({ "type": "string", "pattern": pattern })
    }
}

/// Whether `text` is like `pattern`, in which `0` stands for any digit.
fn shaped(text: &str, pattern: &str) -> bool {
    text.len() == pattern.len()
        && text.bytes().zip(pattern.bytes()).all(|(b, p)| if p == b'0' { b.is_ascii_digit() } else { b == p })
}

/// A time of day from `MIN` to `MAX` in minutes since midnight.
pub(super) struct Clock<const MIN: u16, const MAX: u16>;

impl<const MIN: u16, const MAX: u16> Value for Clock<MIN, MAX> {
    type Out = u16;

    fn read(node: &Node, r: &mut Reader) -> Option<u16> {
        const EXPECTED: &str = "a time of day such as \"06:00\"";
        let text = r.scalar(node, EXPECTED)?;
        if !shaped(text, "00:00") {
            let padded = format!("0{text}");
            let hint = shaped(&padded, "00:00").then(|| format!("write \"{padded}\""));
            r.wrong(node, EXPECTED, hint.as_deref());
            return None;
        }
        let part = |range| text.get(range).and_then(|digits: &str| digits.parse::<u16>().ok());
        let (hour, minute) = (part(0..2)?, part(3..5)?);
        let of_day = hour * 60 + minute;
        if minute < 60 && MIN <= of_day && of_day <= MAX {
            return Some(of_day);
        }
        let hint = match of_day {
            0 => Some("the end of the day is \"24:00\""),
            1_440 => Some("the start of the day is \"00:00\""),
            _ => None,
        };
        let range = format!("{} to {}", clock_text(MIN), clock_text(MAX));
        r.fault(node.pos, format!("{} is not a time of day from {range}", quoted(text)), hint);
        None
    }

    fn phrase() -> String {
        format!("a time of day from `\"{}\"` to `\"{}\"`", clock_text(MIN), clock_text(MAX))
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^([01][0-9]|2[0-4]):[0-5][0-9]$" })
    }
}

fn clock_text(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

words!(RoundingWord -> Rounding {
    "floor" => Rounding::Floor, "down";
    "ceil" => Rounding::Ceil, "up";
    "half_up" => Rounding::HalfUp, "to the nearest, one half up";
    "half_even" => Rounding::HalfEven, "to the nearest, one half to the even neighbour";
});

words!(RoundPerWord -> RoundPer {
    "line" => RoundPer::Line, "each line by itself";
    "rule" => RoundPer::Rule, "the rule's lines together";
    "order" => RoundPer::Order, "all rules of the unit that round per order together, by the rounding of the first";
});

words!(RoundUpToWord -> RoundUpTo {
    "exact" => RoundUpTo::Exact, "not moved";
    "end_of_day" => RoundUpTo::EndOfDay, "as the next day begins";
    "end_of_month" => RoundUpTo::EndOfMonth, "as the next month begins";
    "end_of_quarter" => RoundUpTo::EndOfQuarter, "as the next quarter begins";
    "end_of_year" => RoundUpTo::EndOfYear, "as the next year begins";
});

words!(MultiplierWord -> MultiplierPolicy {
    "highest" => MultiplierPolicy::Highest, "on each line the highest factor alone, the earlier rule when equal";
    "add" => MultiplierPolicy::Add, "each adds its factor less one: double and triple make four times";
});

words!(KindWord -> Kind {
    "transactional" => Kind::Transactional, "for buying";
    "social" => Kind::Social, "for sharing";
    "emotional" => Kind::Emotional, "for belonging: welcome, birthday";
    "behavioural" => Kind::Behavioural, "for what, when or how";
    "advocacy" => Kind::Advocacy, "for bringing others";
});

words!(TriggerWord -> Trigger {
    "order" => Trigger::Order, "an order that is committed";
    "enrolment" => Trigger::Enrolment, "a member who joins";
    "event" => Trigger::Event, "something that a member did outside an order";
    "birthday" => Trigger::Birthday, "a member's birthday";
    "anniversary" => Trigger::Anniversary, "a year, or several, since a member joined";
    "inactivity" => Trigger::Inactivity, "neither an order nor an event for a time";
    "tier" => Trigger::Tier, "a level of status that is reached";
    "goal" => Trigger::Goal, "a goal that is reached";
});

words!(SpendOfWord -> SpendOf {
    "order" => SpendOf::Order, "all lines that earn";
    "matching" => SpendOf::Matching, "the lines that the rule selects";
});

declared!(CounterName -> CounterId, "counters", "counter");
declared!(LadderName -> LadderId, "tiers", "ladder");
declared!(GoalName -> GoalId, "goals", "goal");

words!(UpgradeWord -> Upgrade {
    "at_once" => Upgrade::AtOnce, "with what reaches the threshold";
    "next_period" => Upgrade::NextPeriod, "as the counter's next period begins";
});

words!(UndoWord -> Undo {
    "at_once" => Undo::AtOnce, "the level goes, and what its rules granted";
    "at_period_end" => Undo::PeriodEnd, "it stays as long as it would have";
});

words!(KeepPeriod -> bool {
    "counter" => false, "those of the counter's window";
    "lifetime" => true, "one that never ends: a level is lost to returns alone";
});

words!(RepeatWord -> Repeat {
    "once" => Repeat::Once, "once";
    "per_period" => Repeat::PerPeriod, "once in each period of the counter";
    "every" => Repeat::Every, "with each so many, at most 24 times at once";
});

words!(CalendarPeriodWord -> CalendarPeriod {
    "day" => CalendarPeriod::Day, "days of the program's calendar";
    "week" => CalendarPeriod::Week, "weeks from Monday";
    "month" => CalendarPeriod::Month, "calendar months";
    "quarter" => CalendarPeriod::Quarter, "calendar quarters";
    "year" => CalendarPeriod::Year, "calendar years";
});

words!(CountsWord -> CountsOf {
    "orders" => CountsOf::Orders, "orders; one that comes back whole counts no more";
    "visits" => CountsOf::Visits, "days on which there was an order";
    "items" => CountsOf::Items, "whole items bought";
    "spend" => CountsOf::Spend, "what earns, in minor units of the program's first currency";
    "units" => CountsOf::Units, "units granted, less what is taken back";
    "events" => CountsOf::Events, "events of the types in `events`";
    "event_value" => CountsOf::EventValue, "the sum of what these events carry";
    "friends" => CountsOf::Friends, "friends who qualified";
});

/// Over what time a counter counts, but for streaks.
pub(super) struct WindowText;

const WINDOW_WORDS: [(&str, CounterWindow); 7] = [
    ("lifetime", CounterWindow::Lifetime),
    ("day", CounterWindow::Calendar(CalendarPeriod::Day)),
    ("week", CounterWindow::Calendar(CalendarPeriod::Week)),
    ("month", CounterWindow::Calendar(CalendarPeriod::Month)),
    ("quarter", CounterWindow::Calendar(CalendarPeriod::Quarter)),
    ("year", CounterWindow::Calendar(CalendarPeriod::Year)),
    ("membership_year", CounterWindow::MembershipYear),
];

impl Value for WindowText {
    type Out = CounterWindow;

    fn read(node: &Node, r: &mut Reader) -> Option<CounterWindow> {
        let text = r.scalar(node, "a window, such as `month` or `90 days`")?;
        if let Some((_, window)) = WINDOW_WORDS.iter().find(|(word, _)| *word == text) {
            return Some(*window);
        }
        if !text.starts_with(|c: char| c.is_ascii_digit()) {
            r.unknown_word(node.pos, text, &WINDOW_WORDS.map(|(word, _)| word));
            return None;
        }
        let days = match period(node, r)? {
            Period::Days(days) => Some(days),
            Period::Weeks(weeks) => weeks.checked_mul(7),
            _ => None,
        };
        let days = days.and_then(|days| u16::try_from(days).ok()).filter(|days| *days <= CounterWindow::DAYS_MAX);
        if days.is_none() {
            let hint = format!("write days or weeks, at most {} days, or a calendar window", CounterWindow::DAYS_MAX);
            r.fault(node.pos, format!("{} is no window", quoted(text)), Some(&hint));
        }
        days.map(CounterWindow::Days)
    }

    fn phrase() -> String {
        let words = WINDOW_WORDS.map(|(word, _)| format!("`{word}`")).join(", ");
        format!(
            "{words} (that of the calendar, or the year since the last anniversary of joining), or the last days: `90 days`, today included"
        )
    }

    fn schema() -> Json {
        let words = WINDOW_WORDS.map(|(word, _)| word).join("|");
        json!({ "type": "string", "pattern": format!("^({words}|[1-9][0-9]* +(day|week)s?)$") })
    }
}

words!(WindowZoneWord -> WindowZone {
    "store" => WindowZone::Store, "the order's store, else the zone that the order carries, else the program's";
    "program" => WindowZone::Program, "the program's";
    "member" => WindowZone::Member, "that of who acts, as their profile says, else that of the store";
});

words!(SettlesAsWord -> SettlesAs {
    "discount" => SettlesAs::Discount, "the price falls";
    "tender" => SettlesAs::Tender, "the price stays, units are a means of payment";
});

words!(AttributeAtWord -> AttributeAt {
    "enrolment" => AttributeAt::Enrolment, "when joining";
    "first_order" => AttributeAt::FirstOrder, "with the first order";
    "both" => AttributeAt::Both, "at either";
});

words!(CapOfWord -> CapOf {
    "friends" => CapOf::Friends, "friends for whom there was a reward";
    "units" => CapOf::Units, "units of all that friends bring, commission and shares of generations included; each kind of unit by itself";
});

/// What the codes of a campaign look like.
pub(super) struct PatternText;

impl Value for PatternText {
    type Out = Pattern;

    fn read(node: &Node, r: &mut Reader) -> Option<Pattern> {
        let text = text_of(node, "a pattern such as \"MIA-####-?\"", r)?;
        match Pattern::parse(text) {
            Ok(pattern) => Some(pattern),
            Err(problem) => {
                let hint = "`#` is a chosen character, `?` the check character; letters and digits stand as they are";
                r.fault(node.pos, problem.to_string(), Some(hint));
                None
            }
        }
    }

    fn phrase() -> String {
        "a pattern of 4 to 24 characters: `#` is chosen (at least 4 of them), `?` is the check character, letters and \
         digits stand as they are, separators do not count"
            .to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 4, "maxLength": 48 })
    }
}

words!(ShortfallWord -> Shortfall {
    "debt" => Shortfall::Debt, "the rest becomes debt, repaid from the next units granted";
    "forgive" => Shortfall::Forgive, "the rest is forgiven";
});

words!(DayWord -> u8 {
    "mon" => 0, "Monday";
    "tue" => 1, "Tuesday";
    "wed" => 2, "Wednesday";
    "thu" => 3, "Thursday";
    "fri" => 4, "Friday";
    "sat" => 5, "Saturday";
    "sun" => 6, "Sunday";
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_become_integers_exactly() {
        for (text, places, expected) in [
            ("20", 2, Ok(2_000)),
            ("20.5", 2, Ok(2_050)),
            ("20.00", 2, Ok(2_000)),
            ("0.01", 2, Ok(1)),
            ("1.234", 3, Ok(1_234)),
            ("500", 0, Ok(500)),
            ("2.5", 3, Ok(2_500)),
            ("0.30000000000000004", 2, Err(NoDecimal::Places(17))),
            ("20.000", 2, Err(NoDecimal::Places(3))),
            ("1.0", 0, Err(NoDecimal::Places(1))),
            ("-1", 2, Err(NoDecimal::Negative)),
            ("", 2, Err(NoDecimal::Shape)),
            (".5", 2, Err(NoDecimal::Shape)),
            ("5.", 2, Err(NoDecimal::Shape)),
            ("1e3", 2, Err(NoDecimal::Shape)),
            ("1,000", 2, Err(NoDecimal::Shape)),
            ("012", 2, Err(NoDecimal::Shape)),
            ("99999999999999999999", 2, Err(NoDecimal::TooLong)),
        ] {
            assert_eq!(scaled(text, places), expected, "{text:?} with {places} places");
        }
    }

    #[test]
    fn minor_units_are_shown_as_people_write_them() {
        for (minor, places, expected) in [(2_000, 2, "20.00"), (1, 2, "0.01"), (500, 0, "500"), (1, 3, "0.001")] {
            assert_eq!(major(minor, places), expected);
        }
    }
}
