//! Campaigns in which members bring friends.

use jiff::tz::TimeZone;

use super::{LifeTerms, MonthDay, PerCurrency};
use crate::domain::id::{CampaignId, Label, UnitId};
use crate::domain::referral::code::Pattern;
use crate::domain::referral::credit::CreditModel;
use crate::domain::referral::fraud::Action;
use crate::domain::referral::signal::SignalKind;
use crate::domain::referral::touch::{Touch, TouchKind};
use crate::domain::time::{CalendarPeriod, Day, Instant, Period};

/// A referral campaign: what it takes, and what each side gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Campaign {
    pub id: CampaignId,
    pub title: String,
    pub starts_at: Option<Instant>,
    pub ends_at: Option<Instant>,
    pub codes: CodeTerms,
    /// Where a friend may name the code.
    pub attribute_at: AttributeAt,
    /// Who has ordered before is new again, when that is at least so long ago; `None`: never.
    pub new_after: Option<Period>,
    pub qualify: Qualify,
    /// An order that counts earns on at least this much; for [`Qualify::Spend`], all orders together. Equal is reached.
    pub spend_min: PerCurrency,
    /// From attribution to what qualifies; `None`: no limit.
    pub qualify_within: Option<Period>,
    pub advocate: Option<SideReward>,
    pub friend: Option<SideReward>,
    /// What the advocate gets of the friend's orders, from the one that qualifies on.
    pub commission: Option<Commission>,
    /// By the number of the friend, ascending.
    pub milestones: Vec<Milestone>,
    /// What of the advocate's reward their own advocate gets, that one's, and so on; in basis points, falling.
    pub generations: Vec<i64>,
    /// From what earns a reward until it may be spent, rounded up to the next midnight; `None`: at once.
    pub hold: Option<Period>,
    /// What one advocate may get.
    pub caps: Vec<Cap>,
    /// Units of all rewards of the campaign together; `None`: no limit.
    pub budget: Option<i64>,
    /// Only partners have its codes. What it brings them accrues where the friend is, and reaches them once a day.
    pub for_partners: bool,
    /// A return that takes the qualifying order below the minimum takes both rewards back (default).
    pub claw_back: bool,
    /// For how long touches count; the first that takes a touch is its own.
    pub windows: Vec<TouchWindow>,
    pub credit: CreditTerms,
    pub fraud: FraudTerms,
}

/// For how long touches of these kinds and channels count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TouchWindow {
    /// Empty: all but shares, which bring nobody.
    pub kinds: Vec<TouchKind>,
    /// Empty: any, and none.
    pub channels: Vec<Label>,
    /// From the touch until before when the friend must sign up.
    pub sign_up_within: Period,
    /// From sign-up, or from a touch that came after it, until before what qualifies; `None`: as the campaign says.
    pub purchase_within: Option<Period>,
}

impl TouchWindow {
    fn takes(&self, touch: &Touch) -> bool {
        let kind = touch.kind != TouchKind::Share && (self.kinds.is_empty() || self.kinds.contains(&touch.kind));
        let channel = |own: &Label| self.channels.contains(own);
        kind && (self.channels.is_empty() || touch.channel.as_ref().is_some_and(channel))
    }
}

/// What makes a referral suspicious, and what follows; `None`: it is not looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FraudTerms {
    pub email: Option<Action>,
    pub mailbox: Option<Action>,
    pub phone: Option<Action>,
    pub device: Option<Action>,
    pub payment_instrument: Option<Action>,
    pub address: Option<Action>,
    pub ip_with_user_agent: Option<Action>,
    pub ring: Option<Action>,
    /// How far up a ring is looked for.
    pub ring_hops: usize,
    pub disposable_email: Option<Action>,
    /// In lower case.
    pub disposable_domains: Vec<String>,
    pub leaked_code: Option<Action>,
    /// In lower case.
    pub leak_domains: Vec<String>,
    pub velocity: Option<Velocity>,
    /// From when it would have been paid.
    pub review_within: Period,
    /// Whether what nobody has decided by then is rejected; otherwise it stays open.
    pub lapses: bool,
}

/// How many friends an advocate may bring in some days.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Velocity {
    pub most: i64,
    /// Today included.
    pub days: i32,
    pub action: Action,
}

impl FraudTerms {
    /// So many are looked at above a friend.
    pub const HOPS_MAX: usize = 8;

    /// What follows when friend and advocate have this in common.
    pub fn of(&self, kind: SignalKind) -> Option<Action> {
        match kind {
            SignalKind::Email => self.email,
            SignalKind::Mailbox => self.mailbox,
            SignalKind::Phone => self.phone,
            SignalKind::Device => self.device,
            SignalKind::PaymentInstrument => self.payment_instrument,
            SignalKind::Address => self.address,
            SignalKind::IpWithUserAgent => self.ip_with_user_agent,
        }
    }

    /// Whether it takes a look at the advocates.
    pub fn looks_up(&self) -> bool {
        self.ring.is_some() || self.velocity.is_some() || SignalKind::ALL.iter().any(|kind| self.of(*kind).is_some())
    }

    /// How far up to look.
    pub fn hops(&self) -> usize {
        if self.ring.is_some() { self.ring_hops.min(FraudTerms::HOPS_MAX) } else { 1 }
    }
}

/// How credit is shared between touches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreditTerms {
    pub model: CreditModel,
    /// Worked out and told, and nothing more.
    pub shadow: Vec<CreditModel>,
}

/// Which touches are kept, whatever the campaign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TouchTerms {
    /// What machines call themselves, besides those that are known anyway; in lower case.
    pub bots: Vec<String>,
    /// Of one visitor in [`TouchTerms::within_s`].
    pub per_visitor_max: i64,
    /// Of one visitor by one code in that time.
    pub per_code_max: i64,
    pub within_s: i64,
}

/// The codes of a campaign.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CodeTerms {
    pub pattern: Pattern,
    /// Whether advocates may wish for a code.
    pub vanity: bool,
    /// Of one advocate for the campaign.
    pub per_member_max: usize,
    /// Friends whom one code may bring; `None`: any number.
    pub uses_max: Option<i64>,
    /// From when a code is made; `None`: for ever.
    pub valid_for: Option<Period>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AttributeAt {
    Enrolment,
    FirstOrder,
    #[default]
    Both,
}

/// What one side of a referral gets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SideReward {
    pub unit: UnitId,
    pub units: i64,
    pub life: Option<LifeTerms>,
}

/// What makes a friend count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Qualify {
    /// That they came.
    SignUp,
    /// So many orders.
    Orders(i64),
    /// All their orders together.
    Spend,
    /// An event of this type.
    Event(Label),
}

/// A part of each order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commission {
    pub unit: UnitId,
    /// Of what the order earns on, in minor units; one unit each, rounded down.
    pub bps: i64,
    /// `None`: any number.
    pub orders_max: Option<i64>,
    /// From attribution; `None`: for ever.
    pub within: Option<Period>,
    /// Units for one friend in all; `None`: no limit.
    pub units_max: Option<i64>,
    pub life: Option<LifeTerms>,
}

/// From the `from`th friend on the advocate's reward is `times` as much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Milestone {
    pub from: i64,
    pub times: i64,
}

/// A limit of one advocate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cap {
    pub counts: CapOf,
    pub most: i64,
    pub per: CapPer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CapOf {
    /// Friends for whom there was a reward.
    Friends,
    Units,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CapPer {
    /// For as long as the campaign lasts.
    Ever,
    Calendar(CalendarPeriod),
    /// A year from this day on.
    YearFrom(MonthDay),
}

impl Campaign {
    /// By how much the reward for the `number`th friend is multiplied.
    pub fn times(&self, number: i64) -> i64 {
        self.milestones.iter().rev().find(|milestone| milestone.from <= number).map_or(1, |milestone| milestone.times)
    }

    /// For how long a touch counts; `None`: not at all.
    pub fn window(&self, touch: &Touch) -> Option<&TouchWindow> {
        self.windows.iter().find(|window| window.takes(touch))
    }
}

impl CapPer {
    /// The days that lie in the same period as an instant: first, and the one after the last.
    pub fn days(self, at: Instant, zone: &TimeZone) -> (Day, Day) {
        let today = at.zoned(zone).date();
        match self {
            CapPer::Ever => (Day(i32::MIN), Day(i32::MAX)),
            CapPer::Calendar(period) => (Day::of(period.start(today)), Day::of(period.next(today))),
            CapPer::YearFrom(first) => {
                let of = |year: i16| first.date_in(year).unwrap_or(today);
                let this = of(today.year());
                let (from, until) = if this <= today {
                    (this, of(today.year().saturating_add(1)))
                } else {
                    (of(today.year().saturating_sub(1)), this)
                };
                (Day::of(from), Day::of(until))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r12_a_tax_year_begins_on_its_day() {
        let zone = TimeZone::get("Europe/London").expect("a zone");
        let april = CapPer::YearFrom(MonthDay::new(4, 6).expect("a day"));
        let leap = CapPer::YearFrom(MonthDay::new(2, 29).expect("a day"));
        for (per, at, from, until) in [
            (april, "2026-04-05T22:59:59Z", "2025-04-06", "2026-04-06"),
            (april, "2026-04-05T23:00:00Z", "2026-04-06", "2027-04-06"),
            (leap, "2027-02-28T12:00:00Z", "2027-02-28", "2028-02-29"),
            (CapPer::Calendar(CalendarPeriod::Month), "2026-05-31T23:30:00Z", "2026-06-01", "2026-07-01"),
        ] {
            let instant = Instant(at.parse::<jiff::Timestamp>().expect("a timestamp").as_millisecond());
            let day = |text: &str| Day::of(text.parse().expect("a date"));
            assert_eq!(per.days(instant, &zone), (day(from), day(until)), "{at}");
        }
    }
}
