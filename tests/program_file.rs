//! The program file, as its owners meet it: what compiles, what is refused and where, and that the schema and the
//! reference say the same as the code.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant as StdInstant};

use guerdon::cli::check::{CheckArgs, EXIT_FAULTS, EXIT_FINE, EXIT_NO_INPUT, EXIT_WARNINGS, Format, check_command};
use guerdon::cli::schema::{SchemaArgs, schema_command};
use guerdon::domain::id::UnitId;
use guerdon::domain::money::Rounding;
use guerdon::domain::order::Currency;
use guerdon::domain::program::{
    AttributeAt, Kind, MultiplierPolicy, PerCurrency, Program, RewardKind, RoundPer, SettlesAs, Shortfall, SpendOf,
    Then, Trigger,
};
use guerdon::domain::time::{Instant, LocalWindow, Period, RoundUpTo, WindowZone};
use guerdon::program::{self, Fault, Faults};
use proptest::prelude::*;
use serde_json::Value as Json;

const MARLOW: &str = include_str!("../examples/programs/marlow-bakery.yaml");
const GROCER: &str = include_str!("../examples/programs/grocer.yaml");

/// Small, complete, and broken below in many ways.
const BASE: &str = "\
guerdon: 1
program: corner-shop
title: Corner Shop
time_zone: Europe/London
currencies: [GBP, JPY]
units:
  points: {expires_after: 12 months}
stores:
  mill-lane: {}
rules:
  - id: base
    kind: transactional
    on: order
    then: {earn: {units: 1, per: {GBP: 1.00, JPY: 100}}}
  - id: tea-time
    kind: behavioural
    on: order
    when:
      starts_at: 2026-05-01T00:00
      ends_at: 2026-06-01T00:00
      hours: [{days: [mon, tue], from: \"15:00\", until: \"17:00\"}]
      stores: [mill-lane]
      spend_at_least: {GBP: 5, JPY: 500}
    lines: {categories: [tea]}
    then: {multiply: {by: 2.5}}
  - id: welcome
    kind: emotional
    on: enrolment
    then: {bonus: {units: 100}}
pay_with:
  points: {units: 100, worth: {GBP: 1.00, JPY: 150}, step: 50, units_min: 100, share_max: 50%}
rewards:
  - id: one-off
    title: One off
    gives: {amount_off: {GBP: 1.00, JPY: 150}}
    price: {units: 100}
referrals:
  - id: friends
    title: Friends
    spend_at_least: {GBP: 10.00, JPY: 1500}
    advocate: {units: 50}
reservations: {ttl_default: 15 minutes, ttl_max: 2 hours}
returns: {shortfall: debt, lapsed_grace: 30 days}
back_dating_max: 30 days
";

/// Where a broken text below is at fault.
const MARK: char = '▸';

/// The text without its mark, and line and column of the mark.
fn unmarked(text: &str) -> (String, u32, u32) {
    let at = text.find(MARK).unwrap_or_else(|| panic!("no mark in {text}"));
    let before = &text[..at];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (text.replace(MARK, ""), line as u32, column as u32)
}

fn faults_of(text: &str) -> Vec<Fault> {
    match program::compile(text) {
        Ok(_) => panic!("it compiles:\n{text}"),
        Err(faults) => faults.list,
    }
}

fn unit(name: &str) -> UnitId {
    UnitId::parse(name).expect("a unit")
}

fn money(amounts: &[(&str, i64)]) -> PerCurrency {
    PerCurrency(amounts.iter().map(|(code, minor)| (Currency::parse(code).expect("a currency"), *minor)).collect())
}

fn at(text: &str) -> Instant {
    Instant(text.parse::<jiff::Timestamp>().expect("a timestamp").as_millisecond())
}

#[test]
fn the_example_programs_compile_without_warnings() {
    for (name, text) in [("marlow-bakery", MARLOW), ("grocer", GROCER), ("corner-shop", BASE)] {
        let checked = program::check(text).unwrap_or_else(|faults| panic!("{}", faults.of_file(name)));
        assert_eq!(checked.program.id.as_str(), name);
        assert!(checked.warnings.list.is_empty(), "{}", checked.warnings.of_file(name));
    }
}

#[test]
fn the_grocer_says_what_its_file_says() {
    let grocer = program::compile(GROCER).expect("it compiles");
    let life = &grocer.unit(&unit("points")).expect("points").life;
    assert_eq!(life.expires_after, Some(Period::Months(3)));
    assert_eq!(life.expiry_rounded_to, RoundUpTo::EndOfMonth);
    assert_eq!(life.activates_after, None);
    assert_eq!(grocer.zone.iana_name(), Some("America/New_York"));
    assert_eq!(grocer.earning.excluded.categories[0].as_str(), "COUPON/MISC ITEMS");

    let [base, weekend, big] = grocer.rules.as_slice() else { panic!("three rules") };
    let Then::Earn(earn) = &base.then else { panic!("base earns") };
    assert_eq!((earn.units, &earn.per), (1, &money(&[("USD", 100)])));
    assert_eq!((earn.rounding, earn.round_per), (Rounding::Floor, RoundPer::Order));
    let Then::Multiply(double) = &weekend.then else { panic!("weekends multiply") };
    assert_eq!(double.factor_permille, 2_000);
    let weekends = LocalWindow { days: 0b110_0000, from_minute: 0, until_minute: 1_440, zone: WindowZone::Program };
    assert_eq!(weekend.conditions.windows, [weekends]);
    let categories: Vec<&str> = weekend.conditions.lines.include.categories.iter().map(|c| c.as_str()).collect();
    assert_eq!(categories, ["SOFT DRINKS", "FLUID MILK PRODUCTS"]);
    let Then::Bonus(bonus) = &big.then else { panic!("a big basket gets a bonus") };
    assert_eq!(bonus.units, 50);
    assert_eq!(big.conditions.spend_min.as_ref().map(|min| &min.amount), Some(&money(&[("USD", 10_000)])));

    let pay = &grocer.payments[0];
    assert_eq!((pay.units, &pay.worth, pay.step, pay.units_min), (100, &money(&[("USD", 100)]), 100, 200));
    assert_eq!(pay.share_bps_max, 5_000);
}

#[test]
fn the_bakery_says_what_its_file_says() {
    let marlow = program::compile(MARLOW).expect("it compiles");
    assert_eq!(marlow.title, "Marlow's Bakery Club");
    assert_eq!(marlow.stores.len(), 2);
    assert_eq!(marlow.stores.values().filter(|store| store.zone.iana_name() == Some("Europe/Paris")).count(), 1);
    assert_eq!(marlow.units.iter().map(|terms| terms.unit.as_str()).collect::<Vec<_>>(), ["points", "crumbs"]);
    assert_eq!(marlow.earning.multipliers, MultiplierPolicy::Highest);

    let [base, crumbs, early, night, christmas, welcome] = marlow.rules.as_slice() else { panic!("six rules") };
    assert!(matches!(&base.then, Then::Earn(earn) if earn.unit == unit("points") && earn.life.is_none()));
    let Then::Earn(crumbs) = &crumbs.then else { panic!("crumbs are earned") };
    assert_eq!((crumbs.units, crumbs.rounding, crumbs.round_per), (3, Rounding::HalfUp, RoundPer::Line));
    assert_eq!(crumbs.per, money(&[("GBP", 250), ("EUR", 300)]));
    let life = crumbs.life.as_ref().expect("terms of their own");
    assert_eq!((life.expires_after, life.expiry_rounded_to), (Some(Period::Months(6)), RoundUpTo::EndOfDay));

    assert_eq!(early.kind, Kind::Behavioural);
    assert_eq!(early.conditions.windows.len(), 2);
    assert_eq!(early.conditions.spend_min.as_ref().map(|min| min.of), Some(SpendOf::Matching));
    assert_eq!(early.conditions.lines.exclude.skus[0].as_str(), "CROISSANT-PLAIN");
    assert!(matches!(&early.then, Then::Multiply(multiply) if multiply.factor_permille == 2_500));
    let night_window =
        LocalWindow { days: 0b011_0000, from_minute: 1_320, until_minute: 120, zone: WindowZone::Program };
    assert_eq!(night.conditions.windows, [night_window]);
    assert_eq!(christmas.conditions.starts_at, Some(at("2026-12-01T00:00:00Z")));
    assert_eq!(welcome.on, Trigger::Enrolment);
    let Then::Bonus(bonus) = &welcome.then else { panic!("a welcome bonus") };
    assert_eq!(bonus.life.as_ref().expect("terms of their own").activates_after, None);

    let pay = &marlow.payments[0];
    assert_eq!((pay.units, &pay.worth, pay.step), (200, &money(&[("GBP", 100), ("EUR", 120)]), 100));
    assert_eq!(pay.settles_as, SettlesAs::Discount);
    let reward = &marlow.rewards[0];
    assert_eq!(reward.kind, RewardKind::AmountOff(money(&[("GBP", 300), ("EUR", 350)])));
    assert_eq!(reward.price, Some((unit("points"), 500)));
    let campaign = &marlow.campaigns[0];
    assert_eq!((campaign.attribute_at, campaign.claw_back), (AttributeAt::Both, true));
    assert_eq!(campaign.qualify_within, Some(Period::Days(60)));
    // What the friend's terms do not state stays as the unit has it.
    let friend = campaign.friend.as_ref().and_then(|side| side.life.clone()).expect("terms of their own");
    assert_eq!((friend.activates_after, friend.expires_after), (None, Some(Period::Months(12))));
    assert_eq!((marlow.reservations.ttl_s_default, marlow.reservations.ttl_s_max), (900, 7_200));
    assert_eq!((marlow.returns.shortfall, marlow.returns.lapsed_grace), (Shortfall::Debt, Some(Period::Days(30))));
    assert_eq!(marlow.back_dating_ms_max, 30 * 24 * 60 * 60 * 1_000);
}

#[test]
fn what_is_not_stated_is_as_the_reference_says() {
    let text = "guerdon: 1\nprogram: bare\ntitle: Bare\ntime_zone: Asia/Tokyo\ncurrencies: [JPY]\n";
    let bare: Program = program::compile(text).expect("it compiles");
    assert_eq!(bare.units.len(), 1);
    assert_eq!(bare.units[0].unit, UnitId::points());
    assert_eq!(bare.units[0].life, Default::default());
    let earning = &bare.earning;
    assert!(earning.after_discounts && earning.tax_included && earning.paid_with_units_earns);
    assert!(!earning.shipping_earns && !earning.fees_earn);
    assert_eq!(earning.excluded, Default::default());
    assert!(bare.rules.is_empty() && bare.payments.is_empty() && bare.rewards.is_empty() && bare.campaigns.is_empty());
    assert_eq!((bare.reservations.ttl_s_default, bare.reservations.ttl_s_max), (900, 7_200));
    assert_eq!((bare.returns.shortfall, bare.returns.lapsed_grace), (Shortfall::Debt, Some(Period::Days(30))));
    assert_eq!(bare.back_dating_ms_max, 30 * 24 * 60 * 60 * 1_000);
    // The first 16 hex digits of the SHA-256 of the text (`sha256sum`).
    assert_eq!(&*bare.version.0, "069131510bc72abb");
}

#[test]
fn every_breakage_is_reported_where_it_is() {
    // what is replaced, by what (the mark shows where the fault is), part of the message
    #[rustfmt::skip]
    let rows = [
        // Not YAML, or more than a program file needs of it.
        ("title: Corner Shop", "title: \"Corner Shop\n▸time_zone: UTC", "this is not YAML"),
        ("[mon, tue]", "▸[mon, tue}", "this is not YAML"),
        ("title: Corner Shop", "title: Corner Shop\n▸title: Again", "`title` is stated twice"),
        ("{units: 100}}\npay", "{units: 100, ▸units: 5}}\npay", "`units` is stated twice"),
        ("title: Corner Shop", "title: ▸&name Corner Shop", "anchors are not part"),
        ("title: Corner Shop", "title: ▸*name", "aliases are not part"),
        ("title: Corner Shop", "title: ▸!!str Corner Shop", "tags are not part"),
        ("back_dating_max: 30 days\n", "back_dating_max: 30 days\n▸---\nsecond: 1\n", "holds one document"),
        ("title: Corner Shop", "title: Corner Shop\n▸[a]: b", "a field name must be a word"),
        // Fields.
        ("title: Corner Shop\n", "title: Corner Shop\n▸tittle: Shop\n", "the file has no field `tittle`"),
        ("guerdon: 1\nprogram: corner-shop\n", "▸guerdon: 1\n", "`program` is missing"),
        ("{units: 1, per: {GBP: 1.00, JPY: 100}}", "▸{units: 1}", "`per` is missing"),
        ("{units: 1, per:", "{units: 1, ▸perr: 1, per:", "`earn` has no field `perr`"),
        ("    kind: emotional\n", "    kind: emotional\n    ▸points: 3\n", "`rule` has no field `points`"),
        ("guerdon: 1", "guerdon: ▸2", "this server knows version 1 of the file format, not version 2"),
        // Wrong types.
        ("title: Corner Shop", "title: ▸[a, b]", "expected a text, found a list"),
        ("title: Corner Shop", "title▸:", "expected a text, found nothing"),
        ("title: Corner Shop", "title: ▸2026", "expected a text, found `2026`"),
        ("title: Corner Shop", "title: ▸\"  \"", "the text is empty"),
        ("currencies: [GBP, JPY]", "currencies: ▸GBP", "expected a list, found `GBP`"),
        ("currencies: [GBP, JPY]", "currencies: ▸[]", "has 0 entries, at least 1"),
        ("then: {bonus: {units: 100}}", "then: ▸bonus", "expected a mapping with the fields of `then`"),
        ("then: {bonus: {units: 100}}", "then: ▸{}", "expected `earn`, `multiply`, `bonus`"),
        ("then: {bonus: {units: 100}}", "then: {bonus: {units: 1}, ▸earn: {units: 1, per: {GBP: 1, JPY: 1}}}", "exclude each other"),
        ("{units: 100}}\npay", "{units: ▸\"100\"}}\npay", "expected a whole number, found the text `100`"),
        ("{units: 100}}\npay", "{units: ▸1_000}}\npay", "expected a whole number, found `1_000`"),
        ("{units: 100}}\npay", "{units: ▸1.5}}\npay", "expected a whole number, found `1.5`"),
        ("{units: 100}}\npay", "{units: ▸1e3}}\npay", "expected a whole number, found `1e3`"),
        ("{units: 100}}\npay", "{units: ▸0}}\npay", "`0` is not between 1 and 1000000000000"),
        ("{units: 100}}\npay", "{units: ▸-5}}\npay", "`-5` is not between"),
        ("{units: 100}}\npay", "{units: ▸1000000000001}}\npay", "is not between"),
        ("{units: 100}}\npay", "{units: ▸99999999999999999999}}\npay", "is not between"),
        ("advocate: {units: 50}", "advocate: {units: 50}\n    claw_back: ▸yes", "expected `true` or `false`, found `yes`"),
        ("kind: emotional", "kind: ▸emotonal", "found `emotonal`"),
        ("on: enrolment", "on: ▸true", "expected `order`, `enrolment`"),
        // Ids and names.
        ("id: welcome", "id: ▸wel come", "may not have ` ` there"),
        ("id: welcome", "id: ▸-welcome", "may not have `-` there"),
        ("id: welcome", "id: ▸a:b", "may not have `:` there"),
        ("id: welcome", "id: ▸7", "expected a name, found `7`"),
        ("id: welcome", "id: ▸x123456789x123456789x123456789x123456789x123456789", "at most 48 are allowed"),
        ("id: welcome", "id: ▸base", "`base` is stated twice"),
        ("advocate: {units: 50}", "advocate: {units: 50}\n  - id: ▸friends\n    title: More\n    friend: {units: 1}", "`friends` is stated twice"),
        ("[tea]", "[tea, ▸tea]", "`tea` is stated twice"),
        ("[tea]", "[▸\" tea\"]", "the label has ' ' at byte 0"),
        ("{bonus: {units: 100}}", "{bonus: {units: 100, unit: ▸pointz}}", "`pointz` is no unit of this program"),
        ("pay_with:\n  points:", "pay_with:\n  ▸coins:", "`coins` is no unit of this program"),
        ("stores: [mill-lane]", "stores: [▸mill-lanes]", "`mill-lanes` is no store of this program"),
        ("time_zone: Europe/London", "time_zone: ▸Europe/Londn", "`Europe/Londn` is no time zone"),
        ("[GBP, JPY]", "[GBP, JPY, ▸GBP]", "`GBP` is stated twice"),
        ("[GBP, JPY]", "[GBP, JPY, ▸gbp]", "`gbp` is no ISO 4217 currency code"),
        ("[GBP, JPY]", "[GBP, JPY, ▸XAU]", "`XAU` is no money of daily life"),
        // Money.
        ("{GBP: 1.00, JPY: 100}", "▸{GBP: 1.00}", "has no amount in JPY"),
        ("{GBP: 1.00, JPY: 100}", "{GBP: 1.00, JPY: 100, ▸USD: 1}", "USD is not among the program's `currencies`"),
        ("{GBP: 1.00, JPY: 100}", "{GBP: ▸1.005, JPY: 100}", "`1.005` has 3 decimals, GBP has 2"),
        ("{GBP: 1.00, JPY: 100}", "{GBP: 1.00, JPY: ▸100.0}", "`100.0` has 1 decimals, JPY has 0"),
        ("{GBP: 1.00, JPY: 100}", "{GBP: ▸0.00, JPY: 100}", "the amount must be more than 0"),
        ("{GBP: 1.00, JPY: 100}", "{GBP: ▸-1, JPY: 100}", "the amount must be more than 0"),
        ("{GBP: 1.00, JPY: 100}", "{GBP: ▸\"1,000\", JPY: 100}", "expected an amount such as 20, found `1,000`"),
        ("{GBP: 1.00, JPY: 100}", "{GBP: ▸10000000000.01, JPY: 100}", "is more than 10000000000.00 GBP"),
        ("{GBP: 1.00, JPY: 100}", "▸1.00", "expected amounts by currency"),
        ("{GBP: 1.00, JPY: 100}", "▸GBP 1.00", "has no amount in JPY"),
        ("{units: 1, per: {GBP: 1.00, JPY: 100}}", "{units: ▸101, per: {GBP: 0.01, JPY: 100}}", "gives more than 100 units for a minor unit of GBP"),
        // Factors and shares.
        ("by: 2.5", "by: ▸1", "the factor `1` is not more than 1"),
        ("by: 2.5", "by: ▸0.5", "the factor `0.5` is not more than 1"),
        ("by: 2.5", "by: ▸2.5001", "`2.5001` has 4 decimals"),
        ("by: 2.5", "by: ▸101", "the factor `101` is more than 100"),
        ("by: 2.5", "by: ▸double", "expected a number such as 2 or 2.5"),
        ("share_max: 50%", "share_max: ▸120%", "`120%` is more than 100%"),
        ("share_max: 50%", "share_max: ▸0%", "`0%` is nothing"),
        ("share_max: 50%", "share_max: ▸50", "expected a percentage such as 50%, found `50`"),
        ("share_max: 50%", "share_max: ▸33.333%", "`33.333%` has 3 decimals"),
        // Times.
        ("12 months", "▸12", "expected a length of time such as 14 days, found `12`"),
        ("12 months", "▸12 moons", "expected a length of time such as 14 days, found `12 moons`"),
        ("12 months", "▸0 days", "`0 days` is no time at all"),
        ("12 months", "▸9999 years", "is more than a hundred years"),
        ("{expires_after: 12 months}", "{expiry_rounded_to: ▸end_of_month}", "there is no expiry to round"),
        ("starts_at: 2026-05-01T00:00", "starts_at: ▸2026-05-01", "expected a point in time"),
        ("starts_at: 2026-05-01T00:00", "starts_at: ▸2026-02-30T00:00", "is no date and time of the calendar"),
        ("starts_at: 2026-05-01T00:00", "starts_at: ▸2026-03-29T01:30", "not exactly once"),
        ("starts_at: 2026-05-01T00:00", "starts_at: ▸1999-05-01T00:00", "before the year 2000"),
        ("ends_at: 2026-06-01T00:00", "ends_at: ▸2026-05-01T00:00", "ends before it starts"),
        ("\"15:00\"", "▸\"9:00\"", "expected a time of day"),
        ("\"15:00\"", "▸\"25:00\"", "`25:00` is not a time of day from 00:00 to 23:59"),
        ("\"15:00\"", "▸\"15:60\"", "`15:60` is not a time of day"),
        ("\"17:00\"", "▸\"00:00\"", "`00:00` is not a time of day from 00:01 to 24:00"),
        ("\"17:00\"", "▸\"15:00\"", "the hours end as they begin"),
        ("[mon, tue]", "[mon, ▸tues]", "found `tues`"),
        ("[mon, tue]", "[mon, ▸mon]", "`mon` is stated twice"),
        ("[mon, tue]", "▸[]", "has 0 entries, at least 1"),
        ("ttl_default: 15 minutes", "ttl_default: ▸3 hours", "is longer than `ttl_max`, 2 hours"),
        ("ttl_max: 2 hours", "ttl_max: ▸31 days", "is longer than 30 days"),
        ("back_dating_max: 30 days", "back_dating_max: ▸2 months", "months and years differ in length"),
        // Values that contradict each other.
        ("step: 50", "step: ▸30", "neither a multiple nor a divisor of 100"),
        ("JPY: 150}, step: 50", "JPY: 151}, step: ▸50", "worth a fraction of a minor unit of JPY"),
        ("units_min: 100", "units_min: ▸120", "120 is no multiple of the step, 50"),
        ("      spend_at_least: {GBP: 5, JPY: 500}\n", "      spend_of: ▸matching\n", "there is no `spend_at_least`"),
        ("{categories: [tea]}", "▸{categories: [tea], exclude: {categories: [tea, cake]}}", "selects no line at all"),
        ("on: enrolment", "on: enrolment\n    lines: ▸{skus: [A1]}", "who enrols has no order, hence no lines"),
        ("on: enrolment", "to: recipient\n    on: ▸enrolment", "only an `order` or an `event` names a recipient"),
        ("  - id: tea-time", "  - id: odd\n    kind: social\n    on: order\n    to: ▸recipient\n    then: {multiply: {by: 2}}\n  - id: tea-time", "goes where the base goes"),
        ("  - id: tea-time", "  - id: odd\n    kind: social\n    on: order\n    to: ▸recipient\n    then: {tag: {add: [x]}}\n  - id: tea-time", "only units can be granted to somebody else"),
        ("  - id: tea-time", "  - id: odd\n    kind: social\n    on: order\n    to: recipient\n    then: ▸{bonus: {units: 1, life: {activates_on_event: sent}}}\n  - id: tea-time", "of which the recipient's account never hears"),
        ("on: enrolment", "on: enrolment\n    when: ▸{stores: [mill-lane]}", "who enrols has no order"),
        ("on: enrolment", "on: enrolment\n    when: ▸{hours: [{from: \"09:00\", until: \"10:00\", zone: program}]}", "who enrols has no order"),
        ("  - id: tea-time", "  - ▸id: odd\n    kind: social\n    on: order\n    then: {earn: {units: 1, per: {GBP: 999999999.67, JPY: 999983}}}\n  - id: tea-time", "in GBP, `per` has no small common multiple"),
        ("then: {bonus: {units: 100}}", "then: ▸{multiply: {by: 2}}", "there is nothing to `earn` or to `multiply`"),
        ("{bonus: {units: 100}}", "{bonus: {units: 100, life: ▸{}}}", "states nothing of its own"),
    ];
    assert!(40 <= rows.len());
    let mut wrong = Vec::new();
    for (from, to, expected) in rows {
        assert_eq!(BASE.matches(from).count(), 1, "{from:?} must name one place");
        let (text, line, column) = unmarked(&BASE.replace(from, to));
        let Err(faults) = program::compile(&text) else {
            wrong.push(format!("{to:?} compiles"));
            continue;
        };
        // One breakage, one fault, where the mark is.
        let [fault] = faults.list.as_slice() else {
            wrong.push(format!("{to:?} gives\n{faults}"));
            continue;
        };
        if (fault.line, fault.column) != (line, column) || !fault.message.contains(expected) {
            wrong.push(format!("{to:?}: expected {expected:?} at {line}:{column}, found\n{faults}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_campaign_that_gives_nothing_is_refused() {
    let text = BASE.replace("    advocate: {units: 50}\n", "").replace("  - id: friends", "  - ▸id: friends");
    let (text, line, column) = unmarked(&text);
    let faults = faults_of(&text);
    assert_eq!(faults.len(), 1, "{faults:#?}");
    assert_eq!((faults[0].line, faults[0].column), (line, column));
    assert_eq!(faults[0].message, "nobody gets anything in `friends`");
}

#[test]
fn ten_breakages_are_reported_in_one_go() {
    let breakages = [
        ("guerdon: 1", "guerdon: 2", "guerdon"),
        ("title: Corner Shop\n", "", "title"),
        ("[GBP, JPY]", "[GBP, JPY, GBP]", "currencies[2]"),
        ("12 months", "12 moons", "units.points.expires_after"),
        ("{GBP: 1.00, JPY: 100}}}", "{GBP: 1.005, JPY: 100}}}", "rules[0].then.earn.per.GBP"),
        ("ends_at: 2026-06-01T00:00", "ends_at: 2026-04-01T00:00", "rules[1].when.ends_at"),
        ("by: 2.5", "bye: 2.5, by: 1", "rules[1].then.multiply.bye"),
        ("id: welcome", "id: base", "rules[2].id"),
        ("share_max: 50%", "share_max: 500%", "pay_with.points.share_max"),
        ("price: {units: 100}", "price: {units: 100, unit: coins}", "rewards[0].price.unit"),
    ];
    let mut text = BASE.to_owned();
    for (from, to, _) in breakages {
        assert_eq!(text.matches(from).count(), 1, "{from:?} must name one place");
        text = text.replace(from, to);
    }
    let faults = faults_of(&text);
    for (_, to, path) in breakages {
        assert!(faults.iter().any(|fault| fault.path == path), "{to:?} at {path} is not among {faults:#?}");
    }
    assert_eq!(faults.len(), 11, "the ten, and the factor that `by: 1` is: {faults:#?}");
    assert!(faults.windows(2).all(|pair| (pair[0].line, pair[0].column) <= (pair[1].line, pair[1].column)));
}

#[test]
fn a_fault_is_printed_as_compilers_do() {
    let text = BASE.replace("{units: 1, per:", "{units: 1, perr: 1, per:");
    let faults = program::compile(&text).expect_err("a fault");
    let expected = "\
shop.yaml:14:29: `earn` has no field `perr`
   |
14 |     then: {earn: {units: 1, perr: 1, per: {GBP: 1.00, JPY: 100}}}
   |                             ^
   = at rules[0].then.earn.perr
   = hint: did you mean `per`?
";
    assert_eq!(faults.of_file("shop.yaml").to_string(), expected);
}

#[test]
fn what_is_too_large_is_refused() {
    let long = format!("{BASE}# {}\n", "x".repeat(program::TEXT_LEN_MAX));
    let faults = program::compile(&long).expect_err("too long");
    assert!(faults.list[0].message.contains("at most 1048576 are allowed"), "{faults}");

    let rule = |n: usize| format!("- {{id: r{n}, kind: social, on: order, then: {{bonus: {{units: 1}}}}}}\n");
    let with_rules = |count: usize| {
        let rules: String = (0..count).map(rule).collect();
        format!("guerdon: 1\nprogram: p\ntitle: P\ntime_zone: UTC\ncurrencies: [GBP]\nrules:\n{rules}")
    };
    let most = program::compile(&with_rules(program::RULES_MAX)).expect("as many rules as allowed");
    assert_eq!(most.rules.len(), program::RULES_MAX);
    let faults = program::compile(&with_rules(program::RULES_MAX + 1)).expect_err("one rule too many");
    assert_eq!(faults.list[0].message, "has 10001 entries, at most 10000 are allowed");
    assert_eq!((faults.list[0].line, faults.list[0].column, faults.list.len()), (7, 3, 1), "where the list begins");
}

#[test]
fn texts_made_to_hurt_are_refused_in_bounded_time_with_a_bounded_list() {
    let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c, *nobody]\n".to_owned();
    let deep = "[".repeat(500_000);
    let deep_blocks = (0..1_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>();
    let repeated_keys = "k: 1\n".repeat(200_000);
    let unknown_keys = (0..100_000).map(|n| format!("k{n}: 1\n")).collect::<String>();
    let long_key = format!("{}: 1\n", "k".repeat(900_000));
    let long_line = format!("guerdon: {}\n", "9".repeat(900_000));
    let bad_rules = format!("{BASE}more: [{}]\n", "{a: [}, ".repeat(1_000));
    let texts = [laughs, deep, deep_blocks, repeated_keys, unknown_keys, long_key, long_line, bad_rules];
    for text in texts {
        let begun = StdInstant::now();
        let faults = program::compile(&text).expect_err("a fault");
        let head: String = text.chars().take(40).collect();
        assert!(begun.elapsed() < Duration::from_secs(20), "{head:?} took {:?}", begun.elapsed());
        assert!(!faults.list.is_empty() && faults.list.len() <= Faults::LISTED_MAX, "{head:?}");
        assert!(faults.to_string().len() < 100_000, "{head:?}");
    }
    let laughs = program::compile("a: &a [x]\nb: [*a, *nobody]\n").expect_err("anchors");
    let places: Vec<_> = laughs.list.iter().filter(|f| f.message.contains("part of this format")).collect();
    let places: Vec<_> = places.iter().map(|fault| (fault.line, fault.column)).collect();
    assert_eq!(places, [(1, 4), (2, 5), (2, 9)]);
}

#[test]
fn words_stay_words_and_numbers_stay_as_written() {
    let text =
        BASE.replace("{categories: [tea]}", "{categories: [NO, on, 007, 1.10], skus: [0012, NULL-1], brands: [y]}");
    let program = program::compile(&text).expect("it compiles");
    let include = &program.rules[1].conditions.lines.include;
    assert_eq!(include.categories.iter().map(|label| label.as_str()).collect::<Vec<_>>(), ["NO", "on", "007", "1.10"]);
    assert_eq!(include.skus.iter().map(|sku| sku.as_str()).collect::<Vec<_>>(), ["0012", "NULL-1"]);
}

#[test]
fn what_is_allowed_but_surely_not_meant_is_a_warning() {
    for (from, to, expected) in [
        ("stores:\n  mill", "earning: {exclude: {categories: [tea]}}\nstores:\n  mill", "`tea-time` never applies"),
        ("by: 2.5", "by: 2.5, unit: coins", "no rule earns coins"),
        (
            "{multiply: {by: 2.5}}",
            "{earn: {units: 1, per: {GBP: 2, JPY: 200}, rounding: ceil}}",
            "states another rounding",
        ),
        (
            "until: \"17:00\"}]",
            "until: \"17:00\"}, {from: \"16:59\", until: \"18:00\"}]",
            "hours 2 of rule `tea-time` overlap hours 1",
        ),
    ] {
        let text = BASE.replace(from, to).replace("  points: {expires", "  coins: {}\n  points: {expires");
        let text = if to.contains("coins") { text } else { text.replace("  coins: {}\n", "") };
        let text = text.replace("{units: 1, per:", "{units: 1, unit: points, per:");
        let checked = program::check(&text).unwrap_or_else(|faults| panic!("{faults}"));
        let [warning] = checked.warnings.list.as_slice() else { panic!("{to:?}: {}", checked.warnings) };
        assert!(warning.message.contains(expected), "{to:?}: {}", warning.message);
        assert_eq!(warning.path, "rules[1]");
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/programs").join(name)
}

fn check_file(path: &Path, format: Format) -> (i32, String) {
    let mut out = Vec::new();
    let args = CheckArgs { files: vec![path.to_owned()], format, deny_warnings: false };
    let code = check_command(&args, &mut out);
    (code, String::from_utf8(out).expect("UTF-8"))
}

#[test]
fn check_speaks_words_and_json_and_exits_by_what_it_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.yaml");
    std::fs::write(&broken, BASE.replace("by: 2.5", "by: 1")).expect("written");

    let (code, words) = check_file(&example("grocer.yaml"), Format::Words);
    assert_eq!(code, EXIT_FINE);
    assert!(words.ends_with("1 unit, 3 rules, 0 rewards, 0 referral campaigns, 0 warnings.\n"), "{words}");
    let (code, json) = check_file(&example("grocer.yaml"), Format::Json);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["ok"], &json["program"]), (EXIT_FINE, &true.into(), &"grocer".into()));

    let (code, words) = check_file(&broken, Format::Words);
    assert_eq!(code, EXIT_FAULTS);
    assert!(words.contains("broken.yaml:25:27: the factor `1` is not more than 1"), "{words}");
    assert!(words.ends_with("1 fault.\n"), "{words}");
    let (code, json) = check_file(&broken, Format::Json);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((code, &json["ok"]), (EXIT_FAULTS, &false.into()));
    let fault = &json["faults"][0];
    assert_eq!((&fault["line"], &fault["column"]), (&25.into(), &27.into()));
    assert_eq!(fault["path"], "rules[1].then.multiply.by");
    assert_eq!(fault["severity"], "fault");
    assert!(fault["message"].is_string() && fault["hint"].is_string(), "{fault}");

    std::fs::write(&broken, b"guerdon: \xff\n").expect("written");
    let (code, words) = check_file(&broken, Format::Words);
    assert_eq!(code, EXIT_FAULTS);
    assert!(words.contains("not UTF-8: byte 9"), "{words}");
    let (code, _) = check_file(&folder.path().join("missing.yaml"), Format::Words);
    assert_eq!(code, EXIT_NO_INPUT);
}

#[test]
fn e7_program_as_code_check_takes_several_files_and_exits_by_the_worst() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let fine = file("fine.yaml", BASE);
    let suspicious = file("suspicious.yaml", &BASE.replace("ends_at: 2026-06-01T00:00", "expression: \"1 > 2\""));
    let broken = file("broken.yaml", &BASE.replace("by: 2.5", "by: 1"));
    let missing = folder.path().join("missing.yaml");
    for (files, deny_warnings, expected) in [
        (vec![&fine, &fine], true, EXIT_FINE),
        (vec![&fine, &suspicious], false, EXIT_FINE),
        (vec![&suspicious, &fine], true, EXIT_WARNINGS),
        (vec![&broken, &suspicious], true, EXIT_FAULTS),
        (vec![&missing, &broken, &fine], true, EXIT_NO_INPUT),
    ] {
        for format in [Format::Words, Format::Json] {
            let files: Vec<PathBuf> = files.iter().map(|path| path.to_path_buf()).collect();
            let mut out = Vec::new();
            let code = check_command(&CheckArgs { files: files.clone(), format, deny_warnings }, &mut out);
            let out = String::from_utf8(out).expect("UTF-8");
            assert_eq!(code, expected, "{files:?}\n{out}");
            if format == Format::Json {
                let lines: Vec<serde_json::Value> =
                    out.lines().map(|line| serde_json::from_str(line).expect("JSON on one line")).collect();
                let told: Vec<String> =
                    lines.iter().map(|line| line["file"].as_str().expect("a file").into()).collect();
                assert_eq!(told, files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>());
                for warning in lines.iter().flat_map(|line| line["warnings"].as_array().into_iter().flatten()) {
                    assert_eq!(warning["severity"], "warning");
                }
            }
        }
    }
}

/// Compares a generated text with the file that carries it; leaves the right one to be copied.
fn in_step(file: &str, stands: &str, generated: &str) {
    if stands == generated {
        return;
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(file), generated).expect("written");
        return;
    }
    let name = Path::new(file).file_name().expect("a file name");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&copy, generated).expect("written");
    panic!("{file} is not in step with the code: `UPDATE=1 cargo test in_step`, or cp {} {file}", copy.display());
}

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_default()
}

#[test]
fn the_schema_file_is_in_step_with_the_code() {
    let mut generated = Vec::new();
    schema_command(&SchemaArgs { cases: false }, &mut generated).expect("printed");
    let generated = String::from_utf8(generated).expect("UTF-8");
    in_step("config/program.schema.json", &file("config/program.schema.json"), &generated);
}

#[test]
fn the_schema_of_cases_is_in_step_with_the_contract() {
    let mut generated = Vec::new();
    schema_command(&SchemaArgs { cases: true }, &mut generated).expect("printed");
    let generated = String::from_utf8(generated).expect("UTF-8");
    in_step("config/cases.schema.json", &file("config/cases.schema.json"), &generated);
}

#[test]
fn the_schema_of_cases_takes_the_examples_and_refuses_what_the_reader_refuses() {
    let mut schema = Vec::new();
    schema_command(&SchemaArgs { cases: true }, &mut schema).expect("printed");
    let schema: Json = serde_json::from_slice(&schema).expect("JSON");
    let as_json = |text: &str| serde_saphyr::from_str::<Json>(text).expect("YAML");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/programs");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.to_string_lossy().ends_with(".cases.yaml") {
            let text = std::fs::read_to_string(&path).expect("a text");
            assert_eq!(conforms(&schema, &schema, &as_json(&text)), Ok(()), "{}", path.display());
            read += 1;
        }
    }
    assert!(8 <= read, "{read}");
    let case = "at: 2026-05-04T10:00\nmember: mia\ncases:\n  - name: x\n    steps:\n      - order: {lines: [{amount: EUR 5}]}\n        expect: {earned: {points: 5}, status: committed}\n";
    assert_eq!(conforms(&schema, &schema, &as_json(case)), Ok(()));
    for (from, to) in [
        ("member: mia", "membre: mia"),
        ("order:", "ordre:"),
        ("lines:", "linse:"),
        ("amount: EUR 5", "ammount: EUR 5"),
        ("earned:", "earnt:"),
        ("points: 5", "points: five"),
        ("status: committed", "status: comitted"),
        ("expect:", "wait: 5 days\n        enroll: leo\n        expect:"),
        ("name: x", "name: 5"),
        ("cases:", "cases: []\nmore:"),
    ] {
        let text = case.replacen(from, to, 1);
        assert!(conforms(&schema, &schema, &as_json(&text)).is_err(), "{to:?} is taken");
    }
}

#[test]
fn the_reference_is_in_step_with_the_code() {
    const BEGIN: &str = "<!-- generated from the code: begin -->\n";
    const END: &str = "<!-- generated from the code: end -->";
    let stands = file("docs/PROGRAM.md");
    let (head, rest) = stands.split_once(BEGIN).expect("the mark where tables begin");
    let (_, tail) = rest.split_once(END).expect("the mark where tables end");
    let generated = format!("{head}{BEGIN}\n{}{END}{tail}", program::reference());
    in_step("docs/PROGRAM.md", &stands, &generated);
}

/// Whether `value` is what `schema` says, for the keywords that our schema uses; patterns are left to editors.
fn conforms(root: &Json, schema: &Json, value: &Json) -> Result<(), String> {
    let number = |limit: &Json| limit.as_f64().expect("a limit");
    let count = |limit: &Json| limit.as_u64().expect("a limit") as usize;
    let wrong = |keyword: &str| Err(format!("{keyword} of {schema} does not hold for {value}"));
    for (keyword, operand) in schema.as_object().expect("a schema") {
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "pattern" => true,
            "$ref" => {
                let pointer = operand.as_str().and_then(|text| text.strip_prefix('#')).expect("a local reference");
                conforms(root, root.pointer(pointer).expect("a definition"), value)?;
                true
            }
            "type" => {
                let names = operand.as_array().cloned().unwrap_or_else(|| vec![operand.clone()]);
                names.iter().any(|name| match name.as_str().expect("a type") {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64(),
                    "number" => value.is_number(),
                    "null" => value.is_null(),
                    other => panic!("type {other} is new"),
                })
            }
            "enum" => operand.as_array().expect("values").contains(value),
            "anyOf" => operand.as_array().expect("schemas").iter().any(|any| conforms(root, any, value).is_ok()),
            "required" => {
                let names = operand.as_array().expect("names");
                names.iter().all(|name| value.get(name.as_str().expect("a name")).is_some())
            }
            "properties" | "additionalProperties" => {
                let known = &schema["properties"];
                for (name, field) in value.as_object().into_iter().flatten() {
                    match (keyword.as_str(), known.get(name)) {
                        ("properties", Some(known)) => conforms(root, known, field)?,
                        ("properties", None) | (_, Some(_)) => {}
                        (_, None) if operand.is_object() => conforms(root, operand, field)?,
                        (_, None) => return Err(format!("{name} is unknown")),
                    }
                }
                true
            }
            "propertyNames" => {
                let mut names = value.as_object().into_iter().flatten();
                names.all(|(name, _)| conforms(root, operand, &Json::String(name.clone())).is_ok())
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    conforms(root, operand, item)?;
                }
                true
            }
            "uniqueItems" => {
                let items = value.as_array().expect("a list");
                items.iter().enumerate().all(|(index, item)| !items[..index].contains(item))
            }
            "minItems" => value.as_array().is_none_or(|items| count(operand) <= items.len()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() <= count(operand)),
            "minProperties" => value.as_object().is_none_or(|fields| count(operand) <= fields.len()),
            "maxProperties" => value.as_object().is_none_or(|fields| fields.len() <= count(operand)),
            "minLength" => value.as_str().is_none_or(|text| count(operand) <= text.chars().count()),
            "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= count(operand)),
            "minimum" => value.as_f64().is_none_or(|value| number(operand) <= value),
            "exclusiveMinimum" => value.as_f64().is_none_or(|value| number(operand) < value),
            "maximum" => value.as_f64().is_none_or(|value| value <= number(operand)),
            other => panic!("keyword {other} is new"),
        };
        if !holds {
            return wrong(keyword);
        }
    }
    Ok(())
}

#[test]
fn the_schema_takes_the_examples_and_refuses_what_the_compiler_refuses() {
    let schema: Json = serde_json::from_str(&program::schema()).expect("JSON");
    let as_json = |text: &str| serde_saphyr::from_str::<Json>(text).expect("YAML");
    for text in [MARLOW, GROCER, BASE] {
        assert_eq!(conforms(&schema, &schema, &as_json(text)), Ok(()));
    }
    for (from, to) in [
        ("title: Corner Shop\n", "title: Corner Shop\ntittle: Shop\n"),
        ("title: Corner Shop\n", ""),
        ("guerdon: 1", "guerdon: 2"),
        ("{units: 100}}\npay", "{units: 0}}\npay"),
        ("{units: 100}}\npay", "{units: \"100\"}}\npay"),
        ("kind: emotional", "kind: emotonal"),
        ("by: 2.5", "by: 1"),
        ("[GBP, JPY]", "[]"),
        ("[mon, tue]", "[mon, mon]"),
        ("then: {bonus: {units: 100}}", "then: {}"),
        ("then: {bonus: {units: 100}}", "then: {bonus: {units: 1}, multiply: {by: 2}}"),
        ("title: Corner Shop", "title: 2026"),
    ] {
        let text = BASE.replace(from, to);
        assert!(program::compile(&text).is_err(), "{to:?} compiles");
        assert!(conforms(&schema, &schema, &as_json(&text)).is_err(), "the schema takes {to:?}");
    }
}

/// Puts what a fuzzer likes at a place of one of the examples.
fn mutated() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "",
        " ",
        "\n",
        "\t",
        ":",
        "-",
        "- ",
        "{",
        "}",
        "[",
        "]",
        ",",
        "#",
        "&a",
        "*a",
        "!x",
        "|",
        ">",
        "%",
        "@",
        "\"",
        "'",
        "?",
        "~",
        "---\n",
        "...\n",
        "\u{feff}",
        "\r",
        "\0",
        "é",
        "💷",
        "0",
        "-1",
        "1e9",
        "99999999999999999999",
        "0.001",
        "none",
        "null",
        "true",
        "NO",
        "GBP",
        "<<: ",
        "\\u0000",
    ]);
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..12usize, pieces), 1..6);
    (prop::sample::select(vec![MARLOW, GROCER, BASE]), edits).prop_map(|(text, edits)| {
        let mut chars: Vec<char> = text.chars().collect();
        for (place, removed, piece) in edits {
            let from = place.index(chars.len() + 1);
            let until = (from + removed).min(chars.len());
            chars.splice(from..until, piece.chars());
        }
        chars.into_iter().collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_compiler_panic_or_point_outside(text in mutated()) {
        let begun = StdInstant::now();
        if let Err(faults) = program::compile(&text) {
            prop_assert!(!faults.list.is_empty());
            let lines = text.split(['\n', '\r']).count() as u32;
            prop_assert!(faults.list.iter().all(|fault| 1 <= fault.line && fault.line <= lines && 1 <= fault.column));
            prop_assert!(!faults.to_string().is_empty());
        }
        prop_assert!(begun.elapsed() < Duration::from_secs(5), "took {:?}", begun.elapsed());
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(text in "\\PC{0,200}|[-:{}\\[\\], \n\"'&*!|>%@#a-z0-9]{0,200}") {
        prop_assert!(program::compile(&text).is_err(), "lacks what a program must have");
    }
}

/// A small program with these sections, and a base rate before the rules.
fn small(sections: &str) -> String {
    let head = "guerdon: 1\nprogram: p\ntitle: P\ntime_zone: Europe/London\ncurrencies: [GBP]\n";
    let base = "  - {id: base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}\n";
    format!("{head}{}", sections.replace("rules:\n", &format!("rules:\n{base}")))
}

/// What checking a program says: faults, else warnings; each as `path: message` with its hint.
fn said(text: &str) -> Vec<String> {
    let list = match program::check(text) {
        Ok(checked) => checked.warnings.list,
        Err(faults) => faults.list,
    };
    let one = |fault: Fault| format!("{}: {} [{}]", fault.path, fault.message, fault.hint.unwrap_or_default());
    list.into_iter().map(one).collect()
}

fn rule(more: &str) -> String {
    format!("rules:\n  - {{id: r, kind: behavioural, on: order, {more}}}\n")
}

#[test]
fn what_can_never_do_anything_is_a_warning_and_what_can_is_none() {
    let bonus = "then: {bonus: {units: 10}}";
    let campaign =
        |own: &str| format!("campaigns: [{{id: c, title: C, {own}}}]\n{}", rule(&format!("campaign: c, {bonus}")));
    let ladder = |levels: &str| {
        let rule = "rules:\n  - {id: r, kind: behavioural, on: tier, tiers: {t: [a]}, then: {bonus: {units: 10}}}\n";
        format!("counters: {{n: {{counts: orders}}}}\ntiers: {{t: {{counter: n, levels: [{levels}]}}}}\n{rule}")
    };
    let monday = "hours: [{days: [mon], from: \"08:00\", until: \"10:00\"}]";
    let overnight = "hours: [{days: [mon], from: \"22:00\", until: \"02:00\"}]";
    for (sections, expected) in [
        (ladder("{id: a, title: A, at_least: 0}, {id: b, title: B, at_least: 3}"), "nobody reaches it"),
        (ladder("{id: a, title: A, at_least: 3}"), ""),
        (rule(&format!("{bonus}, limits: [{{units: 9, per: day, on_reach: refuse}}]")), "its own limit refuses more than 9"),
        (rule(&format!("{bonus}, limits: [{{units: 9, per: day}}]")), ""),
        (rule(&format!("{bonus}, limits: [{{units: 10, per: day, on_reach: refuse}}]")), ""),
        (
            format!("unit_limits: {{points: {{limits: [{{units: 9, on_reach: refuse}}]}}}}\n{}", rule(bonus)),
            "the limit of unit `points` refuses more than 9",
        ),
        (
            format!("units: {{points: {{}}, x: {{}}}}\n{}", rule("then: {bonus: {units: 1, unit: x, needs_base: true}}")),
            "no rule earns x as its base",
        ),
        (rule("then: {bonus: {units: 1, needs_base: true}}"), ""),
        (rule(&format!("when: {{{monday}, days: {{recurs: FREQ=WEEKLY;BYDAY=TU}}}}, {bonus}")), "never meet"),
        (rule(&format!("when: {{{overnight}, days: {{recurs: FREQ=WEEKLY;BYDAY=TU}}}}, {bonus}")), ""),
        (rule(&format!("when: {{{monday}, expression: \"time.weekday == 'tue'\"}}, {bonus}")), "never meet"),
        (rule(&format!("when: {{{monday}, expression: \"time.weekday in ['mon', 'tue']\"}}, {bonus}")), ""),
        (
            rule(&format!("when: {{ends_at: 2026-05-01T00:00, days: {{on: [2026-05-03]}}}}, {bonus}")),
            "its days lie outside of `starts_at` and `ends_at`",
        ),
        (rule(&format!("when: {{ends_at: 2026-05-01T00:00, days: {{on: [2026-04-30, 2026-05-03]}}}}, {bonus}")), ""),
        (rule(&format!("when: {{days: {{recurs: FREQ=MONTHLY;BYDAY=6FR}}}}, {bonus}")), "`recurs` matches none"),
        (rule(&format!("when: {{days: {{recurs: FREQ=MONTHLY;BYDAY=5FR}}}}, {bonus}")), ""),
        (
            rule(&format!("when: {{days: {{recurs: FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30}}}}, {bonus}")),
            "`recurs` matches none",
        ),
        (rule(&format!("when: {{days: {{recurs: FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29}}}}, {bonus}")), ""),
        (rule(&format!("combine: {{exclusive: true}}, {bonus}")), "rule `base` before it applies to every order"),
        (rule(&format!("combine: {{exclusive: true, priority: 1}}, {bonus}")), ""),
        (campaign(&format!("{monday}, days: {{recurs: FREQ=WEEKLY;BYDAY=TU}}")), "campaign `c` never runs: its hours and"),
        (
            campaign(&format!("starts_at: 2026-05-06T00:00, ends_at: 2026-05-07T00:00, {monday}")),
            "campaign `c` never runs: its hours lie outside",
        ),
        (
            campaign(&monday.replace("}]", "}, {from: \"09:00\", until: \"11:00\"}]")),
            "hours 2 of campaign `c` overlap hours 1",
        ),
        (campaign(monday), ""),
        // Bug: a multiplier acts on bonuses that are multiplied, too.
        (
            "units: {points: {}, d: {}}\nrules:\n  - {id: b, kind: behavioural, on: order, then: {bonus: {units: 2, unit: d, \
             multiplied: true}}}\n  - {id: m, kind: behavioural, on: order, then: {multiply: {unit: d, by: 2}}}\n"
                .to_owned(),
            "",
        ),
        // Bug: what contradicts itself without an expression was blamed on the expression.
        (rule(&format!("when: {{order_number: {{is: [3], from: 5}}}}, {bonus}")), "its conditions contradict each other"),
        // Bug: a bonus for each fifth order was told as one for every order.
        (
            "pay_with: {points: {units: 1, worth: GBP 1.00}}\nrules:\n  - {id: r, kind: behavioural, on: order, \
                 when: {order_number: {every: 5}}, then: {bonus: {units: 10}}}\n"
                .to_owned(),
            "for every 5 orders, worth more in GBP than these must cost",
        ),
    ] {
        let said = said(&small(&sections));
        match expected {
            "" => assert!(said.is_empty(), "{sections}: {said:?}"),
            expected => assert!(said.iter().any(|one| one.contains(expected)), "{sections}: {said:?}"),
        }
    }
}

#[test]
fn a_fault_inside_of_a_section_brings_no_hint_that_does_harm() {
    // Bug: where the only thing that a section says was faulty, a second fault asked to delete the section.
    let bonus = "then: {bonus: {units: 10}}";
    for sections in [
        rule(&format!("when: {{days: {{not_on: [2026-02-30]}}}}, {bonus}")),
        rule("then: {bonus: {units: 10, life: {expire_after: 1 day}}}"),
        rule(&format!("when: {{spend_at_least: USD 5.00, spend_of: lines}}, {bonus}")),
        rule(&format!("when: {{order_number: {{every: 1}}}}, {bonus}")),
        rule(&format!("when: {{member: {{tagz: [a]}}}}, {bonus}")),
    ] {
        let said = said(&small(&sections));
        assert!(!said.is_empty(), "{sections}");
        for one in said {
            assert!(!one.contains("leave it out") && !one.contains("remove it]"), "{sections}: {one}");
        }
    }
    for section in [
        rule(&format!("when: {{days: {{}}}}, {bonus}")),
        rule(&format!("when: {{spend_of: lines}}, {bonus}")),
        rule(&format!("when: {{order_number: {{}}}}, {bonus}")),
    ] {
        let said = said(&small(&section));
        assert_eq!(said.len(), 1, "{section}: {said:?}");
    }
}

#[test]
fn thresholds_on_spend_are_money() {
    // Bug: `at_least: 200` on a counter of spend was silently 2.00.
    let of = |counts: &str, at_least: &str| {
        let rule = format!("when: {{counters: {{n: {{at_least: {at_least}}}}}}}, then: {{bonus: {{units: 10}}}}");
        format!(
            "counters: {{n: {{counts: {counts}}}}}\n{}goals: [{{id: g, title: G, counter: n, at_least: {at_least}}}]\ntiers:\n  \
             t: {{counter: n, levels: [{{id: a, title: A, at_least: {at_least}, for_life: {{counter: n, at_least: \
             {at_least}}}}}]}}\n",
            self::rule(&rule)
        )
    };
    for (counts, at_least, expected) in [
        ("spend", "GBP 200.00", ""),
        ("orders", "200", ""),
        ("spend", "200", "200 is taken for minor units of GBP: GBP 2.00 [write GBP 2.00, or GBP 200 if that is meant]"),
        (
            "spend",
            "200.00",
            "expected a whole number, or an amount with its currency, found `200.00` [of spend, write GBP 200.00]",
        ),
        ("spend", "GBP 200.005", "`200.005` has 3 decimals, GBP has 2"),
        ("spend", "USD 200.00", "`n` sums up in GBP, the first of the program's `currencies`"),
        ("orders", "GBP 200.00", "`n` counts no money"),
    ] {
        let said = said(&small(&of(counts, at_least)));
        let wanted = if expected.is_empty() { 0 } else { 4 };
        assert_eq!(said.len(), wanted, "{counts} {at_least}: {said:?}");
        assert!(said.iter().all(|one| one.contains(expected)), "{counts} {at_least}: {said:?}");
    }
    let compiled = program::compile(&small(&of("spend", "GBP 200.00")));
    let program = compiled.unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(program.goals[0].at_least, 20_000);
    assert_eq!(program.ladders[0].levels[0].at_least, 20_000);
    assert_eq!(program.ladders[0].levels[0].for_life.as_ref().map(|(_, at_least)| *at_least), Some(20_000));
    assert_eq!(program.rules[1].conditions.counters[0].at_least, Some(20_000));
}

#[test]
fn faults_name_what_they_are_about() {
    for (from, to, expected) in [
        ("guerdon: 1", "guerdon: 2", "guerdon: this server knows version 1 of the file format, not version 2"),
        ("guerdon: 1", "Guerdon: 1", "Guerdon: the file has no field `Guerdon`"),
    ] {
        let said = said(&BASE.replace(from, to));
        assert!(said.iter().any(|one| one.starts_with(expected)), "{said:?}");
    }
    let text = BASE.replace("      hours:", "      expression: \"order.total > 5\"\n      hours:");
    let said = said(&text);
    assert!(
        said.iter().any(|one| one.starts_with("rules[1].when.expression: `order.total` counts minor units")),
        "{said:?}"
    );
}

#[test]
fn c9_what_is_handed_over_takes_no_terms_about_orders() {
    for (terms, field) in [
        ("spend_at_least: GBP 1.00", "spend_at_least"),
        ("group: g", "group"),
        ("alone: true", "alone"),
        ("with_units: false", "with_units"),
    ] {
        let said = said(&small(&format!("rewards: [{{id: mug, title: M, gives: {{handed_over: {{}}}}, {terms}}}]\n")));
        let expected = format!("rewards[0].{field}: it is about orders, and this reward is for none");
        assert!(said.iter().any(|one| one.starts_with(&expected)), "{terms}: {said:?}");
    }
}

#[test]
fn e2_liability_in_money_needs_a_worth() {
    let said = said(&small("unit_limits: {points: {liability_max: GBP 100.00}}\n"));
    let expected = "unit_limits.points.liability_max: nothing says what `points` is worth";
    assert!(said.iter().any(|one| one.starts_with(expected)), "{said:?}");
    let text = small(
        "pay_with: {points: {units: 3, worth: GBP 0.02}}\nunit_limits: {points: {liability_max: GBP 0.99, outstanding_max: 200}}\n",
    );
    let program = program::compile(&text).expect("a program");
    let most = program.limits_of(&unit("points")).and_then(|limits| limits.outstanding_max);
    assert_eq!(most, Some(148), "99 minor units are worth 148.5; less than 200");
}

#[test]
fn e3_brake_has_a_number() {
    let of = |brake: &str| small(&format!("campaigns: [{{id: may, title: M, brake: {{{brake}}}}}]\n"));
    let said = said(&of("forecast: 9000000000000, times: 1000000"));
    assert!(said.iter().any(|one| one.contains("campaigns[0].brake")), "{said:?}");
    let program = program::compile(&of("forecast: 5, times: 1.5")).expect("a program");
    assert_eq!(program.rule_campaigns[0].brake.map(|brake| brake.most), Some(7), "rounded down");
}

#[test]
fn c6_quotes_are_not_honoured_for_longer_than_back_dating_reaches() {
    let said = said(&small("back_dating_max: 5 minutes\nquotes: {honoured_for: 10 minutes}\n"));
    let expected = "back_dating_max: quotes are honoured for longer, as of when they were made";
    assert!(said.iter().any(|one| one.starts_with(expected)), "{said:?}");
}

#[test]
fn r19_a_campaign_for_partners_pays_money_and_does_not_know_friends_one_by_one() {
    let money = "cents: {paid_out: {currency: EUR}}";
    // Of the unit, of the campaign, what is wrong; empty: nothing.
    for (unit, terms, expected) in [
        (money, "commission: {percent: 5%, unit: cents}", ""),
        (money, "advocate: {units: 100, unit: cents}, friend: {units: 5}, hold: 14 days", ""),
        (money, "commission: {percent: 5%}", "referrals[0].partners: `points` is not paid out"),
        ("cents: {}", "commission: {percent: 5%, unit: cents}", "referrals[0].partners: `cents` is not paid out"),
        (
            money,
            "advocate: {units: 1, unit: cents}, milestones: [{from: 2, times: 2}]",
            "referrals[0].milestones: a partner's account does not know",
        ),
        (
            money,
            "commission: {percent: 5%, unit: cents}, generations: [10%]",
            "referrals[0].generations: a partner's account does not know",
        ),
        (
            money,
            "commission: {percent: 5%, unit: cents}, caps: [{counts: units, most: 5, per: month}]",
            "referrals[0].caps: a partner's account does not know",
        ),
        (
            "cents: {paid_out: {currency: USD}}",
            "commission: {percent: 5%, unit: cents}",
            "units.cents.paid_out.currency: USD is not the program's first currency",
        ),
        (
            "cents: {expires_after: 1 year, paid_out: {currency: EUR}}",
            "commission: {percent: 5%, unit: cents}",
            "units.cents.paid_out: money that is paid out neither waits, expires nor is forgiven",
        ),
    ] {
        let text = format!(
            "guerdon: 1\nprogram: p\ntitle: P\ntime_zone: UTC\ncurrencies: [EUR]\nunits: {{points: {{}}, {unit}}}\n\
             referrals: [{{id: a, title: A, partners: true, {terms}}}]\n"
        );
        match program::compile(&text) {
            Ok(_) => assert_eq!(expected, "", "it compiles:\n{text}"),
            Err(_) => {
                let said = said(&text);
                assert!(!expected.is_empty() && said.iter().any(|one| one.starts_with(expected)), "{said:?}\n{text}");
            }
        }
    }
}
