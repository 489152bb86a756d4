//! The program file, declared: every section with its fields, and how each becomes what decisions read.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::fault::{Pos, quoted};
use super::read::{
    At, Build, ByName, Distinct, FieldInfo, Identified, Items, Presence, Reader, Section, SectionInfo, Step, Value,
    choice, section, section_value, words,
};
use super::tree::{Content, Node};
use super::value::{
    AttributeAtWord, CalendarPeriodWord, Clock, CounterName, CountsWord, CurrencyCode, DAY_S, DayWord, Factor, Flag,
    Hundredths, KindWord, LabelText, Length, LengthOrNone, Moment, Money, MultiplierWord, Name, RoundPerWord,
    RoundUpToWord, RoundingWord, SettlesAsWord, Share, ShortfallWord, SkuText, SpendOfWord, Stopwatch, StoreName,
    Title, TriggerWord, UnitName, Units, Whole, WindowText, WindowZoneWord, ZoneName, stopwatch_text,
};
use super::{
    ATTRIBUTES_MAX, BOARDS_MAX, CAMPAIGNS_MAX, COUNTERS_MAX, CURRENCIES_MAX, DRAWS_MAX, EVENTS_MAX, HOURS_MAX,
    REWARDS_MAX, RULES_MAX, SELECTED_MAX, STAMP_CARDS_MAX, STORES_MAX, UNITS_MAX,
};
use crate::domain::id::{CampaignId, CardId, CounterId, Label, ProgramId, RewardId, RuleId, UnitId};
use crate::domain::order::{Currency, OrderKind};
use crate::domain::program::{
    Activity, AwaitTerms, Bonus, Campaign, Conditions, CounterCondition, CounterTerms, CounterWindow, Counts,
    DebtTerms, Earn, EarningTerms, GuestTerms, IdleTerms, Kind, LifeTerms, LineMatch, MonthDay, Multiply, OnLapsed,
    OrderNumber, Overdraw, PaymentTerms, PayoutTerms, PerCurrency, Program, ProgramVersion, QuoteTerms,
    ReservationTerms, ReturnTerms, Reward, RewardKind, RoundPer, Rule, RuleIndex, Selector, SideReward, SpendMin,
    SpendOf, StoreTerms, Then, Trigger, UnitTerms,
};
use crate::domain::time::{Instant, LocalWindow, Period};

use adjustment::AdjustmentsSection;
use award::{ForEachWord, StampCardSection, StampsSection, TagSection, VoucherSection, VouchersSection};
use board::BoardSection;
use combine::{
    BaseRulesWord, CombineSection, DateText, DaysSection, GroupSection, LimitSection, RateSection, RuleCampaignName,
    RuleCampaignSection, UnitLimitsSection,
};
use counter::{CountSection, CounterSection, OrderNumberSection};
use draw::{DrawSection, DrawTicketSection};
use event::{EventName, EventSection};
use lines::{LinesSection, MatchSection};
use occasion::OccasionSection;
use offer::{PaymentSection, RewardSection};
use people::{AccountsSection, AttributeTypeWord, TransferSection};
use place::{EarningSection, StoreSection};
use price::MemberPriceSection;
use redemption::RedemptionSection;
use referral::CampaignSection;
use rule::{HoursSection, RuleSection, check_span};
use terms::{GuestSection, QuoteSection, ReservationSection, ReturnSection};
use touch::TouchesSection;
use unit::{LifeSection, UnitList, life_of, unit_of};
use value::{ValueAskedSection, ValueSection};
use words::{ActivityWord, MonthDayText, OnLapsedWord, OrderKindWord, OverdrawUnrefusedWord, OverdrawWord};

pub(super) use counter::CountsOf;
pub(super) use lines::names_nothing;
pub(super) use people::attribute_type;

mod adjustment;
mod award;
mod board;
mod combine;
mod counter;
mod draw;
mod event;
mod fraud;
mod gives;
mod lines;
mod member;
mod occasion;
mod offer;
mod people;
mod place;
mod price;
mod recipient;
mod redemption;
mod referral;
mod rule;
mod terms;
mod threshold;
mod tier;
mod touch;
mod unit;
mod value;
mod words;

const SECOND_MS: i64 = crate::domain::time::SECOND_MS;

section! {
    /// The whole file.
    FileSection = "program" {
        /// The version of this file format.
        guerdon: words::FormatVersion, Required;
        /// The id of the program.
        program: Name<ProgramId>, Required;
        /// What people call the program.
        title: Title, Required;
        /// The zone of the program's calendar: periods, expiry, and local times without a zone of their own.
        time_zone: ZoneName, Required;
        /// The currencies that orders may come in. Every amount below states each of them. An order in another
        /// currency earns and redeems nothing, unless `rates` says what it is worth.
        currencies: Distinct<CurrencyCode, 1, CURRENCIES_MAX>, Required;
        /// What is counted. The first is the default wherever a unit may be named.
        units: UnitList, Without("one unit, `points`, spendable at once and for ever");
        /// The stores that orders may name. An order from a store that is not listed counts by the zone that it
        /// carries, else by the program's.
        stores: ByName<LabelText, StoreSection, 0, STORES_MAX>, Default("{}");
        /// What amount of a line earns.
        earning: EarningSection, Default("{}");
        /// What is counted for each account, by name: rules and tiers ask for it. Orders in a currency other than the
        /// program's first add to a counter of `spend` by its rate, or nothing where `rates` has none.
        counters: ByName<Name<CounterId>, CounterSection, 0, COUNTERS_MAX>, Default("{}");
        /// How rules of a group go together, by name.
        groups: ByName<Name<crate::domain::id::GroupId>, GroupSection, 0, { super::GROUPS_MAX }>, Default("{}");
        /// Rules under one schedule and shared bounds.
        campaigns: Identified<RuleCampaignSection, CAMPAIGNS_MAX>, Default("[]");
        /// What bounds all rules that give a unit, by unit.
        unit_limits: ByName<UnitName, UnitLimitsSection, 0, UNITS_MAX>, Default("{}");
        /// Days on which no rule for orders applies, by the clock on the wall of the order's store, else of the program.
        closed_on: Distinct<DateText, 0, { super::DATES_MAX }>, Default("[]");
        /// What other currencies are worth in the first. An order in a currency that is not listed above earns as if it
        /// came in the first; it redeems nothing. One that is listed earns by its own amounts, and its rate serves sums over
        /// orders alone, such as counters of `spend`.
        rates: Items<RateSection, 0, { super::RATES_MAX }>, Default("[]");
        /// What is granted, and for what. In this order: of two equal multipliers, the earlier counts.
        rules: Identified<RuleSection, RULES_MAX>, Default("[]");
        /// Which units are means of payment, by unit.
        pay_with: ByName<UnitName, PaymentSection, 0, UNITS_MAX>, Default("{}");
        /// What is on offer.
        rewards: Identified<RewardSection, REWARDS_MAX>, Default("[]");
        /// Campaigns in which members bring friends.
        referrals: Identified<CampaignSection, CAMPAIGNS_MAX>, Default("[]");
        /// Which touches of codes are kept, of all that are recorded.
        touches: TouchesSection, Default("{}");
        /// Whether figures of referrals are kept, month by month: what was shared and touched, who came and by which way, what they
        /// cost, what they buy. See ReferralService.GetStats. They begin when this is set, and cost the relay one more thing to do
        /// for an order or a touch.
        referral_figures: Flag, Default("false");
        /// How long a checkout may hold units.
        reservations: ReservationSection, Default("{}");
        /// Whether what a Quote says is honoured.
        quotes: QuoteSection, Default("{}");
        /// What happens when goods come back.
        returns: ReturnSection, Default("{}");
        /// How far in the past a command may have happened.
        back_dating_max: Stopwatch<0, { 366 * DAY_S }>, Default("30 days");
        /// What may be known of members besides, by name, and what values it has. A value is set with Enroll or
        /// UpdateMember; one of another type, or of an attribute that is not listed, is refused.
        attributes: ByName<LabelText, AttributeTypeWord, 0, ATTRIBUTES_MAX>, Default("{}");
        /// What becomes of the orders of guests.
        guests: GuestSection, Default("{}");
        /// Types of events that members may report, by name.
        events: ByName<LabelText, EventSection, 0, EVENTS_MAX>, Default("{}");
        /// What may be credited and debited by hand.
        adjustments: AdjustmentsSection, Default("{}");
        /// Cards that collect stamps. Rules give the stamps.
        stamp_cards: Identified<StampCardSection, STAMP_CARDS_MAX>, Default("[]");
        /// How the vouchers live that full cards and rules hand out.
        vouchers: VouchersSection, Default("{}");
        /// Of how many orders of members in a thousand the trace is kept, as it was when they were committed. That of any
        /// other is worked out again from the ledger when somebody asks.
        explain_sample_per_mille: Whole<0, 1_000>, Default("0");
        /// Prize draws. Rules give the tickets.
        draws: Identified<DrawSection, DRAWS_MAX>, Default("[]");
        /// Ladders of status, by name.
        tiers: tier::LadderList, Default("{}");
        /// What can be achieved.
        goals: tier::GoalList, Default("[]");
        /// Households and companies, and how members are merged.
        accounts: AccountsSection, Default("{}");
        /// How members may give units to each other, by unit. What is not listed cannot be given.
        transfers: ByName<UnitName, TransferSection, 0, UNITS_MAX>, Default("{}");
        /// The value profile of members.
        value: ValueSection, Without("none is kept");
        /// Leaderboards.
        leaderboards: Identified<BoardSection, BOARDS_MAX>, Default("[]");
        /// How rewards go together on an order, and what keeps discounts from going too deep.
        redemption: RedemptionSection, Default("{}");
        /// What lines cost members.
        member_prices: Identified<MemberPriceSection, REWARDS_MAX>, Default("[]");
    }
}

/// A program that lacks nothing but the name of its version.
pub(super) struct Compiled {
    pub(super) program: Program,
    /// Where each rule begins.
    pub(super) rules_at: Vec<Pos>,
    /// Where each campaign of rules begins, in the order of the file.
    pub(super) campaigns_at: Vec<(CampaignId, usize, Pos)>,
}

impl Build for FileSection {
    type Out = Compiled;

    fn build(self, _: Pos, r: &mut Reader) -> Option<Compiled> {
        let (rules_at, rules): (Vec<Pos>, Vec<Rule>) = self.rules?.value.into_iter().unzip();
        check_rates(&rules, &rules_at, r);
        let groups = combine::groups(self.groups?.value);
        let campaigns = self.campaigns?.value;
        let campaigns_at = campaigns.iter().enumerate().map(|(index, (pos, own))| (own.id.clone(), index, *pos));
        let campaigns_at = campaigns_at.collect();
        let rule_campaigns = combine::rule_campaigns(without_places(campaigns));
        let payments = self.pay_with?.value.into_iter().map(|(unit, terms)| PaymentTerms { unit, ..terms });
        let payments: Vec<PaymentTerms> = payments.collect();
        let unit_limits = combine::unit_limits(self.unit_limits?.value, &payments, r);
        combine::check_rules((&rules, &rules_at), &groups, &rule_campaigns, &unit_limits, r);
        let counters = counter::named(self.counters?.value);
        let ladders = tier::named(self.tiers?.value, &counters, r);
        let goals = self.goals?.value;
        tier::check_goals(&goals, &counters, r);
        let boards = self.leaderboards?.value;
        board::check_boards(&boards, &counters, r);
        let rewards = self.rewards?.value;
        let member_prices = self.member_prices?.value;
        tier::check_uses((&rules, &rules_at), &rewards, &member_prices, &ladders, r);
        let goals = without_places(goals);
        let uncounted = crate::domain::program::uncounted(&rules, &counters, &ladders, &goals);
        let zone = self.time_zone?.value;
        let stores = self.stores?.value.into_iter().map(|(store, own)| {
            let zone = own.unwrap_or_else(|| zone.clone());
            (store, StoreTerms { zone })
        });
        let stores: BTreeMap<Label, StoreTerms> = stores.collect();
        let points = || vec![UnitTerms::simple(UnitId::points())];
        let (quotes, back_dating_max) = (self.quotes?.value, self.back_dating_max?);
        if quotes.honoured_for_s.is_some_and(|honoured_s| back_dating_max.value < honoured_s) {
            let message = "quotes are honoured for longer, as of when they were made";
            r.within(Step::Key(Cow::Borrowed("back_dating_max")), |r| {
                r.fault(back_dating_max.pos, message.to_owned(), Some("state at least `quotes.honoured_for`"));
            });
        }
        self.guerdon?;
        let (adjustments, recovery) = self.adjustments?.value;
        let currencies = self.currencies?.value;
        let program = Program {
            id: self.program?.value,
            version: ProgramVersion("".into()),
            title: self.title?.value,
            zone,
            units: self.units.map_or_else(points, |units| units.value),
            stores,
            earning: self.earning?.value,
            index: RuleIndex::of(&rules, &currencies),
            currencies,
            rules,
            payments,
            rewards: without_places(rewards),
            campaigns: without_places(self.referrals?.value),
            touches: self.touches?.value,
            referral_figures: self.referral_figures?.value,
            reservations: self.reservations?.value,
            quotes,
            returns: self.returns?.value,
            back_dating_ms_max: back_dating_max.value * SECOND_MS,
            counters,
            groups,
            rule_campaigns,
            closed_on: {
                let mut days = self.closed_on?.value;
                days.sort_unstable();
                days
            },
            rates: self.rates?.value,
            unit_limits,
            attributes: self.attributes?.value.into_iter().collect(),
            guests: self.guests?.value,
            adjustments,
            recovery,
            stamp_cards: without_places(self.stamp_cards?.value),
            vouchers: self.vouchers?.value,
            events: self.events?.value.into_iter().collect(),
            explain_sample_permille: self.explain_sample_per_mille?.value,
            draws: without_places(self.draws?.value),
            uncounted,
            ladders,
            goals,
            accounts: self.accounts?.value,
            transfers: self.transfers?.value.into_iter().collect(),
            value: self.value.map(|at| at.value),
            boards: without_places(boards),
            redemption: self.redemption?.value,
            member_prices: without_places(member_prices),
        };
        Some(Compiled { program, rules_at, campaigns_at })
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
