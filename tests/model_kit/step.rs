//! What is done, drawn from a seed. A step says all about itself and nothing of those before it, so any of them can be left
//! out and the others mean the same.

use guerdon::domain::command::{Measure, PayAmount};

use crate::support::chance::Chance;

pub(crate) const MEMBERS: usize = 5;

#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Names its request, and stays its own when others are left out.
    pub(crate) id: usize,
    /// Which of two instances is called.
    pub(crate) server: usize,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Pass {
        minutes: i64,
    },
    /// The relay and the sweeper look around once.
    Jobs,
    /// Both instances end and others begin on the same data, with this version of the program.
    Restart {
        version: usize,
    },
    /// The so-manieth last write is sent again.
    Resend {
        back: usize,
    },
    /// Two writes at the same time, one to each instance.
    Race {
        one: Act,
        two: Act,
    },
    Act(Act),
}

/// A write. Orders are named by number; the number says whose they are.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Enroll { member: usize, advocate: Option<usize> },
    CreateCode { member: usize },
    Attribute { member: usize, advocate: usize },
    Adjust { member: usize, credit: bool, amount: i64, days: Option<i64> },
    Send { member: usize, to: usize, credit: bool, amount: i64 },
    Commit { order: usize, basket: Basket, uses: Option<Uses>, advocate: Option<usize>, paid: bool, late_h: i64 },
    Reserve { order: usize, basket: Basket, uses: Uses, ttl_s: i64 },
    Release { order: usize },
    Return { order: usize, id: usize, cancel: bool, parts: Vec<(usize, Measure)> },
    Amend { order: usize, id: usize, out: Vec<(usize, Measure)>, add: Vec<Item>, uses: Option<Uses> },
    Parcel { order: usize, id: usize, lines: Vec<usize> },
}

#[derive(Clone, Debug)]
pub(crate) struct Basket {
    pub(crate) tax_included: bool,
    pub(crate) items: Vec<Item>,
    pub(crate) recipient: Option<usize>,
}

/// One line; its name is its place.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) name: usize,
    pub(crate) kind: Goods,
    pub(crate) quantity: i64,
    pub(crate) amount: i64,
    pub(crate) tax: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Goods {
    Cup,
    Tea,
    Shipping,
    GiftCard,
}

#[derive(Clone, Debug)]
pub(crate) struct Uses {
    pub(crate) as_possible: bool,
    pub(crate) pay: Option<PayAmount>,
    pub(crate) credit: bool,
    pub(crate) rewards: Vec<&'static str>,
    /// The first voucher that the member has when it comes to this.
    pub(crate) voucher: bool,
}

/// A history for a program with so many versions. `races`: some of it at the same time.
pub(crate) fn history(seed: u64, length: usize, versions: usize, amends: bool, races: bool) -> Vec<Step> {
    let mut chance = Chance::new(seed);
    let mut steps = Vec::with_capacity(length);
    for member in 0..MEMBERS {
        let advocate = (0 < member && chance.one_in(2)).then(|| chance.below(member));
        // One joins later, or never.
        if member + 1 < MEMBERS || chance.one_in(2) {
            steps.push(What::Act(Act::Enroll { member, advocate }));
            steps.push(What::Act(Act::CreateCode { member }));
        }
    }
    while steps.len() < length {
        let near = steps.len() / 6;
        let roll = chance.below(100);
        steps.push(match roll {
            0..10 => What::Pass {
                minutes: match chance.below(4) {
                    0 => chance.within(1, 30),
                    1 => chance.within(30, 600),
                    2 => chance.within(600, 4_000),
                    _ => chance.within(1, 12) * 24 * 60,
                },
            },
            10..13 => What::Jobs,
            13..15 => What::Restart { version: chance.below(versions) },
            15..21 => What::Resend { back: chance.below(12) },
            21..27 if races => {
                What::Race { one: act(&mut chance, near, amends, seed), two: act(&mut chance, near, amends, seed) }
            }
            _ => What::Act(act(&mut chance, near, amends, seed)),
        });
    }
    let named = steps.into_iter().enumerate();
    named.map(|(id, what)| Step { id, server: chance.below(2), what }).collect()
}

fn act(chance: &mut Chance, near: usize, amends: bool, seed: u64) -> Act {
    let member = chance.below(MEMBERS);
    let new = near + chance.below(3);
    let recent = (near + 2).saturating_sub(chance.below(7));
    match chance.below(100) {
        0..3 => Act::Enroll { member, advocate: chance.one_in(2).then(|| chance.below(MEMBERS)) },
        3..5 => Act::CreateCode { member },
        5..8 => Act::Attribute { member, advocate: chance.below(MEMBERS) },
        8..18 => Act::Adjust {
            member,
            credit: chance.one_in(4),
            amount: chance.within(-100, 700),
            days: chance.one_in(3).then(|| chance.within(1, 9)),
        },
        18..21 => {
            Act::Send { member, to: chance.below(MEMBERS), credit: chance.one_in(2), amount: chance.within(1, 90) }
        }
        21..50 => Act::Commit {
            order: new,
            basket: basket(chance, new, seed),
            uses: if chance.one_in(2) { Some(uses(chance)) } else { None },
            advocate: chance.one_in(5).then(|| chance.below(MEMBERS)),
            paid: chance.one_in(3),
            late_h: if chance.one_in(5) { chance.within(1, 80) } else { 0 },
        },
        50..64 => Act::Reserve {
            order: new,
            basket: basket(chance, new, seed),
            uses: uses(chance),
            ttl_s: chance.within(30, 9_000),
        },
        64..68 => Act::Release { order: new },
        68..84 => Act::Return { order: recent, id: chance.below(5), cancel: chance.one_in(12), parts: parts(chance) },
        84..94 if amends => {
            let id = chance.below(3);
            let count = 1 + chance.below(2);
            let add = (0..count).map(|at| item(chance, 10 + 4 * id + at)).collect();
            let out = if chance.one_in(3) { parts(chance) } else { Vec::new() };
            Act::Amend { order: recent, id, out, add, uses: chance.one_in(3).then(|| uses(chance)) }
        }
        _ => {
            let count = chance.below(3);
            Act::Parcel { order: recent, id: chance.below(3), lines: (0..count).map(|_| chance.below(4)).collect() }
        }
    }
}

/// Nothing: everything that is left.
fn parts(chance: &mut Chance) -> Vec<(usize, Measure)> {
    let count = chance.below(3);
    let mut parts: Vec<(usize, Measure)> = (0..count)
        .map(|_| {
            // Those of the basket, the first most often there; seldom what an amendment brought.
            let line = if chance.one_in(8) { 10 + chance.below(9) } else { chance.below(3).min(chance.below(3)) };
            let measure = if chance.one_in(3) {
                Measure::Amount(chance.within(1, 1_500))
            } else {
                Measure::Quantity(chance.within(1, 2))
            };
            (line, measure)
        })
        .collect();
    parts.sort_by_key(|(line, _)| *line);
    parts.dedup_by_key(|(line, _)| *line);
    parts
}

fn item(chance: &mut Chance, name: usize) -> Item {
    Item {
        name,
        kind: match chance.below(10) {
            0 => Goods::Shipping,
            1 => Goods::GiftCard,
            2..5 => Goods::Tea,
            _ => Goods::Cup,
        },
        quantity: if chance.one_in(9) { 0 } else { chance.within(1, 3) },
        amount: if chance.one_in(12) { 0 } else { chance.within(1, 4_000) },
        tax: chance.within(0, 50),
    }
}

/// What is in the basket of an order: mostly the same whenever it is asked for, so that what was reserved is committed.
fn basket(chance: &mut Chance, order: usize, seed: u64) -> Basket {
    let own = seed ^ (order as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let mut own = Chance::new(if chance.one_in(5) { chance.next() } else { own });
    let count = 1 + own.below(4);
    let items = (0..count).map(|at| item(&mut own, at)).collect();
    Basket { tax_included: own.one_in(2), items, recipient: own.one_in(4).then(|| own.below(MEMBERS)) }
}

fn uses(chance: &mut Chance) -> Uses {
    let amount = match chance.below(4) {
        0 | 1 => Some(PayAmount::Exactly(30 * chance.within(0, 5))),
        2 => Some(PayAmount::AtMost(chance.within(0, 400))),
        _ => chance.one_in(2).then_some(PayAmount::AllPossible),
    };
    let mut rewards = Vec::new();
    if chance.one_in(3) {
        rewards.push("off");
    }
    if chance.one_in(5) {
        rewards.push("part");
    }
    Uses { as_possible: chance.one_in(2), pay: amount, credit: chance.one_in(4), rewards, voucher: chance.one_in(6) }
}
