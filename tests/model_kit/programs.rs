//! The programs that the model test drives, each of another kind. What rules grant for orders has a name that begins with
//! `o_`, so that the oracle knows what returns must take back.

/// What a program is, for the oracle.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// Versions of the file, of which restarts choose one.
    pub(crate) versions: &'static [&'static str],
    pub(crate) budgets: &'static [Budget],
    /// Whether units are granted and taken back by answers alone: neither with time nor once a referral is confirmed.
    pub(crate) told: bool,
    /// Whether a return takes what it takes line by line, so that all of it is taken when all is back; where units may be
    /// called off without a call it is not.
    pub(crate) amends: bool,
}

/// A limit over all members, as the program states it, on what rules give.
pub(crate) struct Budget {
    /// Which rules share it.
    pub(crate) rules: &'static [&'static str],
    pub(crate) most: i64,
    pub(crate) per_day: bool,
    /// What is left is given; else all or nothing.
    pub(crate) clamps: bool,
    /// Whether nothing else bounds the rules, so that what it gives is known to the unit.
    pub(crate) alone: bool,
}

/// Simple and strict; a small budget, which the pool serves directly. Once, what an order earns pays for it.
const PLAIN: &[&str] = &[
    "
units: {points: {}}
pay_with: {points: {units: 100, worth: GBP 1.00, step: 1}}
returns: {shortfall: debt, lapsed_grace: none}
campaigns: [{id: may, title: May, limits: [{units: 400, of: program}]}]
rules:
  - {id: o_base, kind: transactional, on: order, then: {earn: {units: 7, per: GBP 1.00, rounding: half_even}}}
  - {id: o_gift, kind: behavioural, on: order, campaign: may, then: {bonus: {units: 23}}}
rewards:
  - {id: off, title: T, gives: {amount_off: GBP 3.33}, price: {units: 50}}
  - {id: part, title: T, gives: {percent_off: {percent: 12.5%}}, price: {units: 35}}
transfers: {points: {fee: {units: 2}}}
",
    "
units: {points: {}}
pay_with: {points: {units: 100, worth: GBP 2.00, step: 1}}
returns: {shortfall: debt, lapsed_grace: none}
redemption: {own_earn: at_once}
earning: {paid_with_units_earns: false}
campaigns: [{id: may, title: May, limits: [{units: 400, of: program}]}]
rules:
  - {id: o_base, kind: transactional, on: order, then: {earn: {units: 3, per: GBP 0.70, rounding: ceil}}}
  - {id: o_gift, kind: behavioural, on: order, campaign: may, then: {bonus: {units: 23}}}
  - {id: o_more, kind: behavioural, on: order, lines: {categories: [tea]}, then: {multiply: {by: 2.5}}}
rewards: [{id: off, title: T, gives: {amount_off: GBP 1.00}, price: {units: 20}}]
transfers: {points: {fee: {units: 2}}}
",
];

/// Everything pending first, short lives, debts forgiven, a zone with summer time.
const PENDING: &[&str] = &["
time_zone: America/New_York
units: {points: {activates_after: 3 days, expires_after: 1 month, expiry_rounded_to: end_of_month}}
earning: {multipliers: add, paid_with_units_earns: false, tax_included: false}
pay_with: {points: {units: 3, worth: GBP 0.01, step: 30, units_min: 60, share_max: 37%, settles_as: tender}}
returns: {shortfall: forgive, lapsed_grace: 5 days}
reservations: {on_lapsed: refuse}
rules:
  - {id: o_base, kind: transactional, on: order, then: {earn: {units: 5, per: GBP 0.33, rounding: ceil, round_per: line}}}
  - {id: o_tea, kind: transactional, on: order, lines: {categories: [tea]}, then: {earn: {units: 3, per: GBP 0.07, rounding: half_up, round_per: rule}}}
  - {id: o_more, kind: behavioural, on: order, lines: {categories: [tea]}, then: {multiply: {by: 1.5, rounding: half_up}}}
  - {id: o_most, kind: behavioural, on: order, then: {multiply: {by: 3}}}
  - {id: o_big, kind: transactional, on: order, when: {spend_at_least: GBP 30.00}, then: {bonus: {units: 55}}}
  - {id: welcome, kind: emotional, on: enrolment, then: {bonus: {units: 500, life: {activates_after: none, expires_after: 10 days}}}}
rewards:
  - {id: off, title: T, gives: {amount_off: GBP 7.77}, price: {units: 120}, spend_at_least: GBP 5.00, lines: {categories: [tea]}}
  - {id: part, title: T, gives: {free_item: {items: 1}}, lines: {categories: [tea]}, price: {units: 70}}
referrals:
  - {id: ref, title: T, spend_at_least: GBP 20.00, qualify_within: 9 days, advocate: {units: 250}, friend: {units: 100, life: {activates_after: none, expires_after: 2 days}}}
"];

/// Never pending, expiring to the instant, with a budget for each day that gives all or nothing.
const SHORT: &[&str] = &["
units: {points: {expires_after: 4 days}}
pay_with: {points: {units: 1, worth: GBP 0.02}}
returns: {shortfall: debt, lapsed_grace: 1 days}
rules:
  - {id: o_base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 0.50}}}
  - {id: o_gift, kind: transactional, on: order, limits: [{units: 90, per: day, on_reach: refuse, of: program}], then: {bonus: {units: 13, life: {expires_after: 1 days}}}}
  - {id: o_few, kind: transactional, on: order, limits: [{times: 40, of: program}], then: {bonus: {units: 2}}}
  - {id: welcome, kind: emotional, on: enrolment, then: {bonus: {units: 90}}}
rewards: [{id: off, title: T, gives: {amount_off: GBP 1.00}}]
referrals: [{id: ref, title: T, friend: {units: 40}, advocate: {units: 30}}]
"];

/// Units of two kinds, status, a goal, stamps with vouchers, gifts to others, a member's own limit.
const STATUS: &[&str] = &[
    "
units: {points: {expires_after: 60 days}, credit: {debt: {floor: 500}}}
pay_with: {points: {units: 1, worth: GBP 0.01}, credit: {units: 1, worth: GBP 0.01, settles_as: tender}}
counters: {bought: {counts: orders}, spent: {counts: spend, window: year}}
stamp_cards: [{id: card, title: Card, goal: 3, reward: off}]
vouchers: {valid_for: 20 days}
goals: [{id: three, title: Three, counter: bought, at_least: 3}]
tiers:
  vip:
    counter: spent
    levels:
      - {id: silver, title: Silver, at_least: 2000, multiply: {points: 1.5}}
      - {id: gold, title: Gold, at_least: 9000, multiply: {points: 2}}
rules:
  - {id: o_base, kind: transactional, on: order, limits: [{units: 120, per: day}], then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: o_back, kind: transactional, on: order, then: {earn: {unit: credit, units: 3, per: GBP 1.00, rounding: half_up, round_per: line}}}
  - {id: stamp, kind: transactional, on: order, lines: {categories: [tea]}, then: {stamps: {card: card, for_each: item}}}
  - {id: met, kind: behavioural, on: goal, goals: [three], then: {bonus: {units: 50}}}
  - {id: risen, kind: emotional, on: tier, tiers: {vip: [silver, gold]}, then: {bonus: {unit: credit, units: 30}}}
  - {id: present, kind: social, on: order, to: recipient, then: {bonus: {units: 11}}}
rewards: [{id: off, title: T, gives: {amount_off: GBP 3.00}}]
transfers: {credit: {}, points: {expiry: reset}}
referrals: [{id: ref, title: T, spend_at_least: GBP 10.00, friend: {units: 40}, advocate: {unit: credit, units: 30}}]
",
    "
units: {points: {expires_after: 90 days}, credit: {debt: {floor: 500}}}
pay_with: {points: {units: 1, worth: GBP 0.01}, credit: {units: 1, worth: GBP 0.01, settles_as: tender}}
counters: {bought: {counts: orders}, spent: {counts: spend, window: year}}
stamp_cards: [{id: card, title: Card, goal: 4, start_stamps: 1, reward: off}]
goals: [{id: three, title: Three, counter: bought, at_least: 4}]
tiers:
  vip:
    counter: spent
    levels: [{id: silver, title: Silver, at_least: 3000}]
rules:
  - {id: o_base, kind: transactional, on: order, then: {earn: {units: 2, per: GBP 1.00}}}
  - {id: stamp, kind: transactional, on: order, lines: {categories: [tea]}, then: {stamps: {card: card}}}
rewards: [{id: off, title: T, gives: {amount_off: GBP 2.00}}]
"];

/// Units that wait for a parcel, what is kept is judged again, and a budget that lies in slices for small
/// awards and is drained by large ones.
const PARCELS: &[&str] = &["
units: {points: {activates_on_event: fulfilled, event_within: 6 days, expires_after: 30 days}}
pay_with: {points: {units: 10, worth: GBP 0.10, step: 10}}
returns: {shortfall: debt, readjudicate: true, frees_limits: false}
campaigns: [{id: may, title: May, limits: [{units: 130, of: program}]}]
rules:
  - {id: o_base, kind: transactional, on: order, then: {earn: {units: 2, per: GBP 1.00, rounding: half_up}}}
  - {id: o_tiny, kind: transactional, on: order, campaign: may, then: {bonus: {units: 2}}}
  - {id: o_gift, kind: transactional, on: order, campaign: may, when: {spend_at_least: GBP 20.00}, then: {bonus: {units: 15}}}
  - {id: o_few, kind: behavioural, on: order, limits: [{times: 3, per: lifetime}], then: {bonus: {units: 40}}}
  - {id: welcome, kind: emotional, on: enrolment, then: {bonus: {units: 300}}}
rewards: [{id: off, title: T, gives: {amount_off: GBP 4.00}, price: {units: 60}}]
"];

/// Bounds upon bounds: of a rule, a group, a campaign and a unit, over members, stores and all.
const BOUNDS: &[&str] = &["
units: {points: {expires_after: 20 days}}
pay_with: {points: {units: 1, worth: GBP 0.01}}
returns: {shortfall: debt}
groups: {promo: {limits: [{units: 700, of: program}]}}
campaigns: [{id: may, title: May, limits: [{units: 300, of: program}, {times: 30, of: program}]}]
unit_limits: {points: {balance_max: 900, limits: [{units: 5000, of: program}]}}
rules:
  - {id: o_base, kind: transactional, on: order, then: {earn: {units: 1, per: GBP 1.00}}}
  - {id: o_gift, kind: behavioural, on: order, combine: {group: promo}, campaign: may, limits: [{units: 60, of: member}], then: {bonus: {units: 17}}}
  - {id: o_more, kind: behavioural, on: order, combine: {group: promo}, limits: [{units: 400, of: program}], then: {bonus: {units: 9, for_each: item, units_max: 40}}}
"];

pub(crate) const SUBJECTS: &[Subject] = &[
    Subject {
        name: "plain",
        versions: PLAIN,
        budgets: &[Budget { rules: &["o_gift"], most: 400, per_day: false, clamps: true, alone: true }],
        told: true,
        amends: true,
    },
    Subject { name: "pending", versions: PENDING, budgets: &[], told: false, amends: true },
    Subject {
        name: "short",
        versions: SHORT,
        budgets: &[
            Budget { rules: &["o_gift"], most: 90, per_day: true, clamps: false, alone: true },
            Budget { rules: &["o_few"], most: 80, per_day: false, clamps: false, alone: true },
        ],
        told: false,
        amends: false,
    },
    Subject { name: "status", versions: STATUS, budgets: &[], told: false, amends: true },
    Subject {
        name: "parcels",
        versions: PARCELS,
        budgets: &[Budget { rules: &["o_tiny", "o_gift"], most: 130, per_day: false, clamps: true, alone: true }],
        told: false,
        amends: true,
    },
    Subject {
        name: "bounds",
        versions: BOUNDS,
        budgets: &[
            Budget { rules: &["o_gift"], most: 300, per_day: false, clamps: true, alone: false },
            Budget { rules: &["o_more"], most: 400, per_day: false, clamps: true, alone: false },
        ],
        told: true,
        amends: true,
    },
];

/// The file with the head that all have.
pub(crate) fn file(version: &str) -> String {
    let zone = if version.contains("\ntime_zone:") { "" } else { "time_zone: UTC\n" };
    format!("guerdon: 1\nprogram: p\ntitle: P\n{zone}currencies: [GBP]\n{version}")
}
