//! The program file, declared: every section with its fields, and how each becomes what decisions read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::fault::{Pos, quoted};
use super::read::{
    At, Build, ByName, Distinct, FieldInfo, Identified, Items, Presence, Reader, Section, SectionInfo, Step, Value,
    choice, section, section_value,
};
use super::tree::Node;
use super::value::{
    AttributeAtWord, Clock, CurrencyCode, DAY_S, DayWord, Factor, Flag, KindWord, LabelText, Length, LengthOrNone,
    Moment, Money, MultiplierWord, Name, RoundPerWord, RoundUpToWord, RoundingWord, SettlesAsWord, Share,
    ShortfallWord, SkuText, SpendOfWord, Stopwatch, StoreName, Title, TriggerWord, UnitName, Units, Whole,
    WindowZoneWord, ZoneName, stopwatch_text,
};
use super::{CAMPAIGNS_MAX, CURRENCIES_MAX, HOURS_MAX, REWARDS_MAX, RULES_MAX, SELECTED_MAX, STORES_MAX, UNITS_MAX};
use crate::domain::id::{CampaignId, Label, ProgramId, RewardId, RuleId, UnitId};
use crate::domain::order::Currency;
use crate::domain::program::{
    Bonus, Campaign, Conditions, Earn, EarningTerms, Kind, LifeTerms, LineMatch, Multiply, PaymentTerms, PerCurrency,
    Program, ProgramVersion, ReservationTerms, ReturnTerms, Reward, RewardKind, RoundPer, Rule, RuleIndex, Selector,
    SideReward, SpendMin, SpendOf, StoreTerms, Then, Trigger, UnitTerms,
};
use crate::domain::time::{Instant, LocalWindow};

const SECOND_MS: i64 = crate::domain::time::SECOND_MS;

section! {
    /// The whole file.
    FileSection = "program" {
        /// The version of this file format.
        guerdon: Whole<1, 1>, Required;
        /// The id of the program.
        program: Name<ProgramId>, Required;
        /// What people call the program.
        title: Title, Required;
        /// The zone of the program's calendar: periods, expiry, and local times without a zone of their own.
        time_zone: ZoneName, Required;
        /// The currencies that orders may come in. Every amount below states each of them. An order in another
        /// currency earns and redeems nothing.
        currencies: Distinct<CurrencyCode, 1, CURRENCIES_MAX>, Required;
        /// What is counted. The first is the default wherever a unit may be named.
        units: UnitList, Without("one unit, `points`, spendable at once and for ever");
        /// The stores that orders may name. An order from a store that is not listed counts by the zone that it
        /// carries, else by the program's.
        stores: ByName<LabelText, StoreSection, 0, STORES_MAX>, Default("{}");
        /// What amount of a line earns.
        earning: EarningSection, Default("{}");
        /// What is granted, and for what. In this order: of two equal multipliers, the earlier counts.
        rules: Identified<RuleSection, RULES_MAX>, Default("[]");
        /// Which units are means of payment, by unit.
        pay_with: ByName<UnitName, PaymentSection, 0, UNITS_MAX>, Default("{}");
        /// What is on offer at checkout.
        rewards: Identified<RewardSection, REWARDS_MAX>, Default("[]");
        /// Campaigns in which members bring friends.
        referrals: Identified<CampaignSection, CAMPAIGNS_MAX>, Default("[]");
        /// How long a checkout may hold units.
        reservations: ReservationSection, Default("{}");
        /// What happens when goods come back.
        returns: ReturnSection, Default("{}");
        /// How far in the past a command may have happened.
        back_dating_max: Stopwatch<0, { 366 * DAY_S }>, Default("30 days");
    }
}

/// A program that lacks nothing but the name of its version.
pub(super) struct Compiled {
    pub(super) program: Program,
    /// Where each rule begins.
    pub(super) rules_at: Vec<Pos>,
}

impl Build for FileSection {
    type Out = Compiled;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Compiled> {
        let (rules_at, rules): (Vec<Pos>, Vec<Rule>) = self.rules?.value.into_iter().unzip();
        check_rates(&rules, &rules_at, r);
        let zone = self.time_zone?.value;
        let stores = self.stores?.value.into_iter().map(|(store, own)| {
            let zone = own.unwrap_or_else(|| zone.clone());
            (store, StoreTerms { zone })
        });
        let stores: BTreeMap<Label, StoreTerms> = stores.collect();
        let points = || vec![UnitTerms { unit: UnitId::points(), life: LifeTerms::default() }];
        let payments = self.pay_with?.value.into_iter().map(|(unit, terms)| PaymentTerms { unit, ..terms });
        self.guerdon?;
        let program = Program {
            id: self.program?.value,
            version: ProgramVersion("".into()),
            title: self.title?.value,
            zone,
            currencies: self.currencies?.value,
            units: self.units.map_or_else(points, |units| units.value),
            stores,
            earning: self.earning?.value,
            index: RuleIndex::of(&rules),
            rules,
            payments: payments.collect(),
            rewards: without_places(self.rewards?.value),
            campaigns: without_places(self.referrals?.value),
            reservations: self.reservations?.value,
            returns: self.returns?.value,
            back_dating_ms_max: self.back_dating_max?.value * SECOND_MS,
        };
        Some(Compiled { program, rules_at })
    }
}

/// The largest common denominator of the rates of one unit in one currency. With it, the sum over all rules and the
/// largest order stays inside 128 bits, so that deciding cannot fail for it.
const RATES_COMMON_MAX: i64 = 1_000_000_000_000;

/// Fractions that are rounded together have a common denominator: the least common multiple of what `per` says.
fn check_rates(rules: &[Rule], rules_at: &[Pos], r: &mut Reader) {
    let mut common: BTreeMap<(&UnitId, Currency), i64> = BTreeMap::new();
    for (index, (rule, pos)) in rules.iter().zip(rules_at).enumerate() {
        let Then::Earn(earn) = &rule.then else { continue };
        if earn.round_per == RoundPer::Line {
            continue; // whole numbers
        }
        for (currency, per) in &earn.per.0 {
            let known = common.entry((&earn.unit, *currency)).or_insert(1);
            match least_common_multiple(*known, *per).filter(|multiple| *multiple <= RATES_COMMON_MAX) {
                Some(multiple) => *known = multiple,
                None => {
                    let message = format!("in {currency}, `per` has no small common multiple with the rules before");
                    let hint = "choose amounts of which one divides the other, or `round_per: line`";
                    let rules = Step::Key(Cow::Borrowed("rules"));
                    r.within(rules, |r| r.within(Step::Index(index), |r| r.fault(*pos, message, Some(hint))));
                }
            }
        }
    }
}

/// Of two positive numbers.
fn least_common_multiple(a: i64, b: i64) -> Option<i64> {
    let (mut divisor, mut rest) = (a, b);
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).checked_mul(b)
}

fn without_places<T>(items: Vec<(Pos, T)>) -> Vec<T> {
    items.into_iter().map(|(_, item)| item).collect()
}

/// The units by name, in the order of the file. Rules are read later and fall back to these terms.
pub(super) struct UnitList;

type UnitsByName = ByName<Name<UnitId>, UnitSection, 1, UNITS_MAX>;

impl Value for UnitList {
    type Out = Vec<UnitTerms>;

    fn read(node: &Node, r: &mut Reader) -> Option<Vec<UnitTerms>> {
        let units = UnitsByName::read(node, r)?;
        let units = units.into_iter().map(|(unit, life)| UnitTerms { unit, life }).collect::<Vec<_>>();
        r.names.lives = units.iter().map(|terms| (terms.unit.clone(), terms.life)).collect();
        Some(units)
    }

    fn phrase() -> String {
        UnitsByName::phrase()
    }

    fn schema() -> Json {
        UnitsByName::schema()
    }

    fn sections(into: &mut Vec<SectionInfo>) {
        UnitsByName::sections(into);
    }
}

section! {
    /// How units of one kind live.
    UnitSection = "unit" {
        /// When granted units become spendable, from the instant that earned them; `none`: at once.
        activates_after: LengthOrNone, Default("none");
        /// When they cease to be, from activation; `none`: never.
        expires_after: LengthOrNone, Default("none");
        /// To which boundary of the program's calendar an expiry is moved, always forward.
        expiry_rounded_to: RoundUpToWord, Default("exact");
    }
}

impl Build for UnitSection {
    type Out = LifeTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<LifeTerms> {
        let expires_after = self.expires_after?.value;
        let rounded = self.expiry_rounded_to?;
        if expires_after.is_none() && rounded.value != crate::domain::time::RoundUpTo::Exact {
            let hint = "state `expires_after`, or leave this out";
            r.fault_at(&rounded, "there is no expiry to round", Some(hint));
            return None;
        }
        let activates_after = self.activates_after?.value;
        Some(LifeTerms { activates_after, expires_after, expiry_rounded_to: rounded.value })
    }
}

section! {
    /// Where these terms differ from those of the unit. What is not stated stays as the unit has it.
    LifeSection = "life" {
        /// When granted units become spendable, from the instant that earned them; `none`: at once.
        activates_after: LengthOrNone, Without("as the unit");
        /// When they cease to be, from activation; `none`: never.
        expires_after: LengthOrNone, Without("as the unit");
        /// To which boundary of the program's calendar an expiry is moved, always forward.
        expiry_rounded_to: RoundUpToWord, Without("as the unit");
    }
}

impl Build for LifeSection {
    type Out = LifeSection;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<LifeSection> {
        if self.activates_after.is_none() && self.expires_after.is_none() && self.expiry_rounded_to.is_none() {
            r.fault(pos, "states nothing of its own", Some("leave it out"));
            return None;
        }
        Some(self)
    }
}

/// The unit's terms with what a rule states of its own.
fn life_of(unit: &UnitId, stated: Option<At<LifeSection>>, r: &Reader) -> Option<LifeTerms> {
    let stated = stated?.value;
    let base = r.names.lives.get(unit).copied().unwrap_or_default();
    Some(LifeTerms {
        activates_after: stated.activates_after.map_or(base.activates_after, |at| at.value),
        expires_after: stated.expires_after.map_or(base.expires_after, |at| at.value),
        expiry_rounded_to: stated.expiry_rounded_to.map_or(base.expiry_rounded_to, |at| at.value),
    })
}

/// The unit stated, else the program's first.
fn unit_of(stated: Option<At<UnitId>>, r: &Reader) -> Option<UnitId> {
    stated.map(|at| at.value).or_else(|| r.names.units.first().cloned())
}

section! {
    /// A place that sells.
    StoreSection = "store" {
        /// The clock on its wall.
        time_zone: ZoneName, Without("the program's");
    }
}

impl Build for StoreSection {
    type Out = Option<jiff::tz::TimeZone>;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Option<jiff::tz::TimeZone>> {
        Some(self.time_zone.map(|at| at.value))
    }
}

section! {
    /// What amount of a line earns. Goods always earn, gift cards never do: they earn when they are spent.
    EarningSection = "earning" {
        /// Whether discounts that this program grants on the order lower what earns.
        after_discounts: Flag, Default("true");
        /// Whether tax earns too. A reduced line's tax is reduced alike.
        tax_included: Flag, Default("true");
        /// Whether lines of kind shipping earn.
        shipping_earns: Flag, Default("false");
        /// Whether lines of kind fee earn.
        fees_earn: Flag, Default("false");
        /// Whether the part of an order that is paid with units earns.
        paid_with_units_earns: Flag, Default("true");
        /// What happens when several multipliers match a line.
        multipliers: MultiplierWord, Default("highest");
        /// Lines that earn nothing under any rule.
        exclude: MatchSection, Default("{}");
    }
}

impl Build for EarningSection {
    type Out = EarningTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<EarningTerms> {
        Some(EarningTerms {
            after_discounts: self.after_discounts?.value,
            tax_included: self.tax_included?.value,
            shipping_earns: self.shipping_earns?.value,
            fees_earn: self.fees_earn?.value,
            paid_with_units_earns: self.paid_with_units_earns?.value,
            excluded: self.exclude?.value,
            multipliers: self.multipliers?.value,
        })
    }
}

section! {
    /// Lines to leave out: a line is out when any of the lists names it.
    MatchSection = "exclude" {
        /// Categories; a line may carry several, one is enough.
        categories: Distinct<LabelText, 0, SELECTED_MAX>, Default("[]");
        /// Stock keeping units.
        skus: Distinct<SkuText, 0, SELECTED_MAX>, Default("[]");
        /// Brands.
        brands: Distinct<LabelText, 0, SELECTED_MAX>, Default("[]");
    }
}

impl Build for MatchSection {
    type Out = LineMatch;

    fn build(self, _: Pos, _: &mut Reader) -> Option<LineMatch> {
        Some(LineMatch { categories: self.categories?.value, skus: self.skus?.value, brands: self.brands?.value })
    }
}

section! {
    /// Which lines are meant: those that every stated list names and `exclude` does not.
    LinesSection = "lines" {
        /// Lines of any of these categories; a line may carry several, one is enough.
        categories: Distinct<LabelText, 1, SELECTED_MAX>, Without("of any category");
        /// Lines with any of these stock keeping units.
        skus: Distinct<SkuText, 1, SELECTED_MAX>, Without("with any or no SKU");
        /// Lines of any of these brands.
        brands: Distinct<LabelText, 1, SELECTED_MAX>, Without("of any or no brand");
        /// Lines to leave out.
        exclude: MatchSection, Default("{}");
    }
}

impl Build for LinesSection {
    type Out = Selector;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Selector> {
        let include = LineMatch {
            categories: self.categories.map(|at| at.value).unwrap_or_default(),
            skus: self.skus.map(|at| at.value).unwrap_or_default(),
            brands: self.brands.map(|at| at.value).unwrap_or_default(),
        };
        let exclude = self.exclude?.value;
        if names_nothing(&include, &exclude) {
            let hint = "`exclude` leaves out all that is selected; remove one of the two";
            r.fault(pos, "selects no line at all", Some(hint));
            return None;
        }
        Some(Selector { include, exclude })
    }
}

/// Whether the exclusion takes out everything that can match.
pub(super) fn names_nothing(include: &LineMatch, exclude: &LineMatch) -> bool {
    fn swallowed<T: PartialEq>(include: &[T], exclude: &[T]) -> bool {
        !include.is_empty() && include.iter().all(|item| exclude.contains(item))
    }
    swallowed(&include.categories, &exclude.categories)
        || swallowed(&include.skus, &exclude.skus)
        || swallowed(&include.brands, &exclude.brands)
}

section! {
    /// One rule: on what it acts, when it applies, and what follows.
    RuleSection = "rule" {
        /// Names the rule in the ledger, in reports and in explanations.
        id: Name<RuleId>, Required;
        /// Which kind of loyalty it serves; reports are by kind.
        kind: KindWord, Required;
        /// What it acts on.
        on: TriggerWord, Required;
        /// What must hold; everything stated must. On `enrolment` only `starts_at` and `ends_at` can be stated.
        when: WhenSection, Default("{}");
        /// The lines it acts on. On `order`, the rule applies only when one of them earns on more than nothing.
        lines: LinesSection, Default("{}");
        /// What follows. On `enrolment`, only a `bonus`.
        then: ThenChoice, Required;
    }
}

impl Build for RuleSection {
    type Out = Rule;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Rule> {
        if let (Some(on), Some(when)) = (&self.on, &self.when)
            && on.value == Trigger::Enrolment
        {
            let Conditions { starts_at, ends_at, .. } = when.value;
            if when.value != (Conditions { starts_at, ends_at, ..Conditions::default() }) {
                let message = "who enrols has no order: only `starts_at` and `ends_at` can hold";
                r.fault_at(when, message, Some("remove the other conditions"));
            }
        }
        if let (Some(on), Some(lines)) = (&self.on, &self.lines)
            && on.value == Trigger::Enrolment
            && lines.value != Selector::default()
        {
            r.fault_at(lines, "who enrols has no order, hence no lines", Some("remove `lines`"));
        }
        if let (Some(on), Some(then)) = (&self.on, &self.then)
            && on.value == Trigger::Enrolment
            && !matches!(then.value, Then::Bonus(_))
        {
            r.fault_at(then, "who enrols has spent nothing yet: only a `bonus` can follow", None);
        }
        let (id, kind, on): (RuleId, Kind, Trigger) = (self.id?.value, self.kind?.value, self.on?.value);
        let conditions = Conditions { lines: self.lines?.value, ..self.when?.value };
        Some(Rule { id, kind, on, conditions, then: self.then?.value })
    }
}

section! {
    /// What must hold before a rule applies. Everything stated must hold.
    WhenSection = "when" {
        /// From this instant on.
        starts_at: Moment, Without("since ever");
        /// Until before this instant.
        ends_at: Moment, Without("for ever");
        /// Inside at least one of these recurring hours.
        hours: Items<HoursSection, 1, HOURS_MAX>, Without("at any hour");
        /// In one of these sales channels.
        channels: Distinct<LabelText, 1, SELECTED_MAX>, Without("in any channel");
        /// In one of these stores.
        stores: Distinct<StoreName, 1, SELECTED_MAX>, Without("in any store or none");
        /// With at least this amount that earns; equal is enough.
        spend_at_least: Money, Without("with any amount");
        /// Over which lines `spend_at_least` sums.
        spend_of: SpendOfWord, Without("`order`");
    }
}

impl Build for WhenSection {
    type Out = Conditions;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Conditions> {
        check_span(self.starts_at.as_ref(), self.ends_at.as_ref(), r);
        if let (None, Some(of)) = (&self.spend_at_least, &self.spend_of) {
            r.fault_at(of, "there is no `spend_at_least` that it could be about", Some("remove it"));
        }
        let of = self.spend_of.map_or(SpendOf::default(), |at| at.value);
        Some(Conditions {
            starts_at: self.starts_at.map(|at| at.value),
            ends_at: self.ends_at.map(|at| at.value),
            windows: self.hours.map(|at| at.value).unwrap_or_default(),
            channels: self.channels.map(|at| at.value).unwrap_or_default(),
            stores: self.stores.map(|at| at.value).unwrap_or_default(),
            spend_min: self.spend_at_least.map(|at| SpendMin { amount: at.value, of }),
            lines: Selector::default(),
        })
    }
}

fn check_span(starts_at: Option<&At<Instant>>, ends_at: Option<&At<Instant>>, r: &mut Reader) {
    if let (Some(starts_at), Some(ends_at)) = (starts_at, ends_at)
        && ends_at.value <= starts_at.value
    {
        r.fault_at(ends_at, "ends before it starts", Some("`ends_at` must be later than `starts_at`"));
    }
}

section! {
    /// Recurring hours of local time. Until before `from`: past midnight, and belonging to the day they began on.
    HoursSection = "hours" {
        /// The days on which the hours begin.
        days: Distinct<DayWord, 1, 7>, Without("every day");
        /// The first minute inside.
        from: Clock<0, 1_439>, Required;
        /// The first minute outside.
        until: Clock<1, 1_440>, Required;
        /// Whose clock on the wall.
        zone: WindowZoneWord, Default("store");
    }
}

impl Build for HoursSection {
    type Out = LocalWindow;

    fn build(self, _: Pos, r: &mut Reader) -> Option<LocalWindow> {
        let days = match self.days {
            None => 0b111_1111,
            Some(days) => days.value.iter().fold(0, |bits: u8, day| bits | (1 << day)),
        };
        let (from, until) = (self.from?, self.until?);
        if from.value == until.value {
            let hint = "for whole days write from \"00:00\" until \"24:00\"";
            r.fault_at(&until, "the hours end as they begin", Some(hint));
            return None;
        }
        Some(LocalWindow { days, from_minute: from.value, until_minute: until.value, zone: self.zone?.value })
    }
}

choice! {
    /// What follows when a rule applies: exactly one of these.
    ThenChoice = "then" -> Then {
        /// Units for each so much of what earns.
        earn: EarnSection => Then::Earn;
        /// A multiple of what `earn` rules give on the same lines.
        multiply: MultiplySection => Then::Multiply;
        /// A fixed number of units, once per order or enrolment; no multiplier touches it.
        bonus: BonusSection => Then::Bonus;
    }
}

section! {
    /// `units` for each `per` of the amount that earns. Several such rules add up.
    EarnSection = "earn" {
        /// How many.
        units: Units, Required;
        /// Of what.
        unit: UnitName, Without("the program's first unit");
        /// For each so much. At most 100 units for each minor unit of money.
        per: Money, Required;
        /// Where fractions go.
        rounding: RoundingWord, Default("floor");
        /// What is rounded.
        round_per: RoundPerWord, Default("order");
        /// Terms that differ from the unit's.
        life: LifeSection, Without("as the unit");
    }
}

/// Keeps what the largest order earns inside 64 bits, whatever multiplies it.
const UNITS_PER_MINOR_MAX: i64 = 100;

impl Build for EarnSection {
    type Out = Earn;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Earn> {
        if let (Some(units), Some(per)) = (&self.units, &self.per) {
            let steep = per.value.0.iter().find(|(_, minor)| minor.saturating_mul(UNITS_PER_MINOR_MAX) < units.value);
            if let Some((currency, _)) = steep {
                let message = format!("gives more than {UNITS_PER_MINOR_MAX} units for a minor unit of {currency}");
                r.fault_at(units, message, Some("amounts are in major units: 1.00 is one"));
                return None;
            }
        }
        let unit = unit_of(self.unit, r)?;
        let life = life_of(&unit, self.life, r);
        Some(Earn {
            unit,
            units: self.units?.value,
            per: self.per?.value,
            rounding: self.rounding?.value,
            round_per: self.round_per?.value,
            life,
        })
    }
}

section! {
    /// Adds to what `earn` rules of the unit give on the lines selected, so that the sum is `by` times as much.
    MultiplySection = "multiply" {
        /// Which units.
        unit: UnitName, Without("the program's first unit");
        /// The factor.
        by: Factor, Required;
        /// Where fractions of what is added go.
        rounding: RoundingWord, Default("floor");
    }
}

impl Build for MultiplySection {
    type Out = Multiply;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Multiply> {
        let unit = unit_of(self.unit, r)?;
        Some(Multiply { unit, factor_permille: self.by?.value, rounding: self.rounding?.value })
    }
}

section! {
    /// A fixed number of units.
    BonusSection = "bonus" {
        /// How many.
        units: Units, Required;
        /// Of what.
        unit: UnitName, Without("the program's first unit");
        /// Terms that differ from the unit's.
        life: LifeSection, Without("as the unit");
    }
}

impl Build for BonusSection {
    type Out = Bonus;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Bonus> {
        let unit = unit_of(self.unit, r)?;
        let life = life_of(&unit, self.life, r);
        Some(Bonus { unit, units: self.units?.value, life })
    }
}

section! {
    /// Units as payment: so many are worth so much.
    PaymentSection = "pay with" {
        /// So many units ...
        units: Units, Required;
        /// ... are worth so much.
        worth: Money, Required;
        /// Only multiples of this may be used. A multiple or a divisor of `units`, and worth whole minor units.
        step: Units, Without("the same as `units`");
        /// The fewest that may be used; a multiple of the step.
        units_min: Units, Without("one step");
        /// The largest share of what the selected lines cost that may be paid so.
        share_max: Share, Default("100%");
        /// What may be paid so.
        lines: LinesSection, Default("{}");
        /// How the part paid so is booked.
        settles_as: SettlesAsWord, Default("discount");
    }
}

impl Build for PaymentSection {
    /// The unit is the key that the section stands under, which [`FileSection`] fills in.
    type Out = PaymentTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<PaymentTerms> {
        let (units, worth) = (self.units, self.worth);
        let units = units?.value;
        if let Some(step) = &self.step {
            check_step(units, step, worth.as_ref().map(|at| &at.value), r)?;
        }
        let step = self.step.map_or(units, |at| at.value);
        if let Some(units_min) = &self.units_min
            && units_min.value % step != 0
        {
            let next = (units_min.value / step + 1) * step;
            let message = format!("{} is no multiple of the step, {step}", units_min.value);
            r.fault_at(units_min, message, Some(&format!("the fewest that can be used then are {next}")));
        }
        Some(PaymentTerms {
            unit: UnitId::points(),
            units,
            worth: worth?.value,
            step,
            units_min: self.units_min.map_or(step, |at| at.value),
            share_bps_max: self.share_max?.value,
            lines: self.lines?.value,
            settles_as: self.settles_as?.value,
        })
    }
}

fn check_step(units: i64, step: &At<i64>, worth: Option<&PerCurrency>, r: &mut Reader) -> Option<()> {
    if step.value % units != 0 && units % step.value != 0 {
        let message = format!("the step {} is neither a multiple nor a divisor of {units}", step.value);
        r.fault_at(step, message, None);
        return None;
    }
    let exact = |minor: i64| i128::from(step.value) * i128::from(minor) % i128::from(units) == 0;
    let broken = worth.and_then(|worth| worth.0.iter().find(|(_, minor)| !exact(**minor)));
    if let Some((currency, _)) = broken {
        let message = format!("a step of {} is worth a fraction of a minor unit of {currency}", step.value);
        r.fault_at(step, message, Some("choose a larger step, or another worth"));
        return None;
    }
    Some(())
}

section! {
    /// Something on offer at checkout.
    RewardSection = "reward" {
        /// Names the reward in orders and in the ledger.
        id: Name<RewardId>, Required;
        /// What people call it.
        title: Title, Required;
        /// What it gives.
        gives: GivesChoice, Required;
        /// What it costs.
        price: PriceSection, Without("free");
        /// The least that the selected lines must cost, before anything that this program takes off; equal is enough.
        spend_at_least: Money, Without("any amount");
        /// The lines it acts on.
        lines: LinesSection, Default("{}");
        /// From this instant on.
        starts_at: Moment, Without("since ever");
        /// Until before this instant.
        ends_at: Moment, Without("for ever");
    }
}

impl Build for RewardSection {
    type Out = Reward;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Reward> {
        check_span(self.starts_at.as_ref(), self.ends_at.as_ref(), r);
        Some(Reward {
            id: self.id?.value,
            title: self.title?.value,
            kind: self.gives?.value,
            price: self.price.map(|at| at.value),
            spend_min: self.spend_at_least.map(|at| at.value),
            lines: self.lines?.value,
            starts_at: self.starts_at.map(|at| at.value),
            ends_at: self.ends_at.map(|at| at.value),
        })
    }
}

choice! {
    /// What a reward gives: exactly one of these.
    GivesChoice = "gives" -> RewardKind {
        /// So much off the selected lines, never more than they cost.
        amount_off: Money => RewardKind::AmountOff;
    }
}

section! {
    /// What a reward costs.
    PriceSection = "price" {
        /// How many.
        units: Units, Required;
        /// Of what.
        unit: UnitName, Without("the program's first unit");
    }
}

impl Build for PriceSection {
    type Out = (UnitId, i64);

    fn build(self, _: Pos, r: &mut Reader) -> Option<(UnitId, i64)> {
        Some((unit_of(self.unit, r)?, self.units?.value))
    }
}

section! {
    /// A campaign in which members (advocates) bring friends: what it takes, and what each side gets.
    CampaignSection = "referral" {
        /// Names the campaign in codes and in the ledger.
        id: Name<CampaignId>, Required;
        /// What people call it.
        title: Title, Required;
        /// Friends may be attributed from this instant on.
        starts_at: Moment, Without("since ever");
        /// Friends may be attributed until before this instant.
        ends_at: Moment, Without("for ever");
        /// Where a friend may name the code.
        attribute_at: AttributeAtWord, Default("both");
        /// The order that qualifies earns on at least this much; equal is enough.
        spend_at_least: Money, Without("any amount");
        /// From attribution to the order that qualifies.
        qualify_within: Length, Without("no limit");
        /// What the advocate gets.
        advocate: BonusSection, Without("nothing");
        /// What the friend gets.
        friend: BonusSection, Without("nothing");
        /// Whether a return that takes the qualifying order below the minimum takes both rewards back.
        claw_back: Flag, Default("true");
    }
}

impl Build for CampaignSection {
    type Out = Campaign;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Campaign> {
        check_span(self.starts_at.as_ref(), self.ends_at.as_ref(), r);
        let any = || PerCurrency(r.names.currencies.iter().flatten().map(|currency| (*currency, 0)).collect());
        let spend_min = self.spend_at_least.map_or_else(any, |at| at.value);
        let side = |at: At<Bonus>| {
            let Bonus { unit, units, life } = at.value;
            SideReward { unit, units, life }
        };
        let (advocate, friend) = (self.advocate.map(side), self.friend.map(side));
        let id: CampaignId = self.id?.value;
        if advocate.is_none() && friend.is_none() {
            let message = format!("nobody gets anything in {}", quoted(id.as_str()));
            r.fault(pos, message, Some("state `advocate`, `friend` or both"));
            return None;
        }
        Some(Campaign {
            id,
            title: self.title?.value,
            starts_at: self.starts_at.map(|at| at.value),
            ends_at: self.ends_at.map(|at| at.value),
            attribute_at: self.attribute_at?.value,
            spend_min,
            qualify_within: self.qualify_within.map(|at| at.value),
            advocate,
            friend,
            claw_back: self.claw_back?.value,
        })
    }
}

section! {
    /// How long a checkout may hold units before they are free again.
    ReservationSection = "reservations" {
        /// When the caller states nothing.
        ttl_default: Stopwatch<1, { 30 * DAY_S }>, Without("15 minutes, or `ttl_max` when that is shorter");
        /// The longest that a caller may state.
        ttl_max: Stopwatch<1, { 30 * DAY_S }>, Default("2 hours");
    }
}

const TTL_S_DEFAULT: i64 = 15 * 60;

impl Build for ReservationSection {
    type Out = ReservationTerms;

    fn build(self, _: Pos, r: &mut Reader) -> Option<ReservationTerms> {
        let ttl_s_max = self.ttl_max?.value;
        if let Some(ttl_default) = &self.ttl_default
            && ttl_s_max < ttl_default.value
        {
            let message = format!("is longer than `ttl_max`, {}", stopwatch_text(ttl_s_max));
            r.fault_at(ttl_default, message, None);
            return None;
        }
        let ttl_s_default = self.ttl_default.map_or(TTL_S_DEFAULT.min(ttl_s_max), |at| at.value);
        Some(ReservationTerms { ttl_s_default, ttl_s_max })
    }
}

section! {
    /// What happens to units when goods come back.
    ReturnSection = "returns" {
        /// When a return must take back more units than the member has.
        shortfall: ShortfallWord, Default("debt");
        /// How long spent units live from the return when they have expired in the meantime; `none`: they are gone.
        lapsed_grace: LengthOrNone, Default("30 days");
    }
}

impl Build for ReturnSection {
    type Out = ReturnTerms;

    fn build(self, _: Pos, _: &mut Reader) -> Option<ReturnTerms> {
        Some(ReturnTerms { shortfall: self.shortfall?.value, lapsed_grace: self.lapsed_grace?.value })
    }
}
