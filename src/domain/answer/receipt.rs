//! How an answer is kept for whoever asks again. Those to Commits are the most, so of them what follows from something else
//! is told by a flag, and the lines that grants fall on are named once.

use super::super::compact::{Parts, Reader};
use super::super::id::{GrantId, LineId, RuleId};
use super::super::ledger::{Dates, DecodeError, ENCODED_LEN_USUAL, decode, encode, write};
use super::super::program::Kind;
use super::super::time::Instant;
use super::{Answer, Balance, CommitAnswer, Decided, Effect, Granted, Share};

/// The first byte of a kept answer to a Commit; others are as [`encode`] has them.
const FORMAT: u8 = 2;

impl Answer {
    /// Encodes for storage.
    pub fn to_receipt(&self) -> Vec<u8> {
        let Answer::Commit(CommitAnswer { status, decided, balances }) = self else { return encode(self) };
        let mut to = Vec::with_capacity(ENCODED_LEN_USUAL);
        to.push(FORMAT);
        write(&mut to, status);
        write_decided(&mut to, decided);
        write(&mut to, &balances.len());
        balances.iter().for_each(|balance| write_balance(&mut to, balance));
        to
    }

    /// The inverse; reads what format 1 has of Commits, too.
    ///
    /// # Errors
    /// A newer version wrote it, or nobody did.
    pub fn from_receipt(bytes: &[u8]) -> Result<Answer, DecodeError> {
        match bytes.split_first() {
            Some((&FORMAT, body)) => read(&mut Reader(body)).map(Answer::Commit),
            Some((&found, _)) if FORMAT < found => Err(DecodeError::TooNew { found, known: FORMAT }),
            _ => decode(bytes),
        }
    }
}

fn read(from: &mut Reader<'_>) -> Result<CommitAnswer, DecodeError> {
    let status = from.take()?;
    let decided = read_decided(from)?;
    let balances = (0..from.count()?).map(|_| read_balance(from)).collect::<Result<_, _>>()?;
    if from.0.is_empty() { Ok(CommitAnswer { status, decided, balances }) } else { Err(DecodeError::Damaged) }
}

/// What all grants of an answer share.
#[derive(Default)]
struct Common<'a> {
    /// What the name of the first begins with, before its rule: the order.
    order: Option<&'a str>,
    /// Lines that they fall on, in the order in which they are met.
    lines: Vec<&'a LineId>,
}

impl<'a> Common<'a> {
    fn of(effects: &'a [Effect]) -> Common<'a> {
        let mut common = Common::default();
        let grants = effects
            .iter()
            .filter_map(|effect| if let Effect::Granted(granted) = effect { Some(granted) } else { None });
        for granted in grants {
            let Granted { grant, rule, shares, .. } = granted;
            common.order = common.order.or_else(|| grant.as_str().strip_suffix(rule.as_str())?.strip_suffix(':'));
            let mut next = 0;
            for share in shares {
                next = 1 + common.place(&share.line_id, next).unwrap_or_else(|| {
                    common.lines.push(&share.line_id);
                    common.lines.len() - 1
                });
            }
        }
        common
    }

    /// Where a line stands: most often where the one before it leads.
    fn place(&self, line: &LineId, next: usize) -> Option<usize> {
        if self.lines.get(next) == Some(&line) {
            Some(next)
        } else {
            self.lines.iter().position(|known| *known == line)
        }
    }
}

/// Each effect behind a flag: whether it is a grant in few bytes.
fn write_decided(to: &mut Vec<u8>, decided: &Decided) {
    let Decided { version, effective_at, effects, refusals, explain, changes } = decided;
    let common = Common::of(effects);
    write(to, &(version, effective_at, common.order.unwrap_or_default(), &common.lines, effects.len()));
    let mut before = None;
    for effect in effects {
        if let Effect::Granted(granted) = effect {
            write(to, &true);
            write_granted(to, &common, granted, before);
            before = Some(granted);
        } else {
            write(to, &(false, effect));
        }
    }
    let mut parts = Parts::<1>::new(to);
    parts.unless(refusals, &Vec::new());
    parts.some(explain.as_ref());
    parts.unless(changes, &Vec::new());
}

fn read_decided(from: &mut Reader<'_>) -> Result<Decided, DecodeError> {
    let (version, effective_at, order) = from.take::<(_, _, &str)>()?;
    if GrantId::LEN_MAX < order.len() {
        return Err(DecodeError::Damaged);
    }
    let lines = (0..from.count()?).map(|_| from.take()).collect::<Result<Vec<LineId>, _>>()?;
    let mut effects = Vec::new();
    let mut before: Option<usize> = None;
    for _ in 0..from.count()? {
        if from.take()? {
            let last = before.and_then(|at| effects.get(at));
            let last = last.and_then(|effect| if let Effect::Granted(granted) = effect { Some(granted) } else { None });
            let granted = read_granted(from, order, &lines, last)?;
            before = Some(effects.len());
            effects.push(Effect::Granted(granted));
        } else {
            effects.push(from.take()?);
        }
    }
    let mut flags = from.flags::<1>()?;
    Ok(Decided {
        version,
        effective_at,
        effects,
        refusals: flags.or(from, Vec::new())?,
        explain: flags.some(from)?,
        changes: flags.or(from, Vec::new())?,
    })
}

/// Its name after the order and the rule is the usual one; unit and dates are often those of the grant before.
fn write_granted(to: &mut Vec<u8>, common: &Common<'_>, granted: &Granted, before: Option<&Granted>) {
    // Taken apart whole, so that a field added to grants cannot be forgotten here.
    let Granted {
        grant,
        rule,
        kind,
        unit,
        desired,
        granted: amount,
        repaid,
        activates_at: _,
        expires_at: _,
        shares,
        awaits,
    } = granted;
    write(to, &(rule, kind, amount));
    let name = common.order.and_then(|order| grant.as_str().strip_prefix(order)?.strip_prefix(':'));
    let dates = |granted: &Granted| Dates { activates_at: granted.activates_at, expires_at: granted.expires_at };
    let mut parts = Parts::<1>::new(to);
    parts.some((name != Some(rule.as_str())).then_some(grant));
    parts.some((before.map(|before| &before.unit) != Some(unit)).then_some(unit));
    parts.some((before.map(dates) != Some(dates(granted))).then(|| dates(granted)).as_ref());
    parts.unless(desired, amount);
    parts.unless(repaid, &0);
    parts.some(awaits.as_ref());
    let all = shares.iter().map(|share| &share.line_id).eq(common.lines.iter().copied());
    parts.flag(all);
    if !all {
        write(to, &shares.len());
    }
    let mut next = 0;
    for Share { line_id, amount } in shares {
        if !all {
            let place = common.place(line_id, next).unwrap_or_default();
            write(to, &place);
            next = place + 1;
        }
        write(to, amount);
    }
}

fn read_granted(
    from: &mut Reader<'_>,
    order: &str,
    lines: &[LineId],
    before: Option<&Granted>,
) -> Result<Granted, DecodeError> {
    let (rule, kind, granted) = from.take::<(RuleId, Kind, i64)>()?;
    let mut flags = from.flags::<1>()?;
    let grant = flags.some(from)?.unwrap_or_else(|| GrantId::of(&[order, rule.as_str()]));
    let unit = flags.some(from)?.or_else(|| Some(before?.unit.clone())).ok_or(DecodeError::Damaged)?;
    let before = before.map(|before| Dates { activates_at: before.activates_at, expires_at: before.expires_at });
    let Dates { activates_at, expires_at } = flags.some(from)?.or(before).ok_or(DecodeError::Damaged)?;
    let (desired, repaid, awaits) = (flags.or(from, granted)?, flags.or(from, 0)?, flags.some(from)?);
    let mut shares = Vec::new();
    if flags.flag() {
        for line_id in lines {
            shares.push(Share { line_id: line_id.clone(), amount: from.take()? });
        }
    } else {
        for _ in 0..from.count()? {
            let (place, amount) = from.take::<(usize, i64)>()?;
            let line_id = lines.get(place).ok_or(DecodeError::Damaged)?.clone();
            shares.push(Share { line_id, amount });
        }
    }
    Ok(Granted { grant, rule, kind, unit, desired, granted, repaid, activates_at, expires_at, shares, awaits })
}

fn write_balance(to: &mut Vec<u8>, balance: &Balance) {
    // Taken apart whole, so that a field added to balances cannot be forgotten here.
    let Balance {
        unit,
        available,
        pending,
        held,
        debt,
        lifetime_granted,
        lifetime_redeemed,
        lifetime_expired,
        lifetime_reversed,
        lifetime_adjusted,
        lifetime_forgiven,
        lifetime_forfeited,
        lifetime_fees,
        in_payout,
        lifetime_paid_out,
        activations,
        expiries,
        awaiting,
        awaited,
        idle_at,
    } = balance;
    write(to, &(unit, available, lifetime_granted));
    let mut parts = Parts::<3>::new(to);
    let lifetime = [
        pending,
        held,
        debt,
        lifetime_redeemed,
        lifetime_expired,
        lifetime_reversed,
        lifetime_adjusted,
        lifetime_forgiven,
        lifetime_forfeited,
        lifetime_fees,
        in_payout,
        lifetime_paid_out,
        awaiting,
    ];
    lifetime.into_iter().for_each(|amount| parts.unless(amount, &0));
    [activations, expiries, awaited].into_iter().for_each(|dated| parts.unless(dated, &Vec::new()));
    parts.unless(idle_at, &Instant::MAX);
}

fn read_balance(from: &mut Reader<'_>) -> Result<Balance, DecodeError> {
    let (unit, available, lifetime_granted) = from.take()?;
    let mut flags = from.flags::<3>()?;
    let mut amount = || flags.or(from, 0);
    let (pending, held, debt) = (amount()?, amount()?, amount()?);
    let (lifetime_redeemed, lifetime_expired, lifetime_reversed) = (amount()?, amount()?, amount()?);
    let (lifetime_adjusted, lifetime_forgiven, lifetime_forfeited) = (amount()?, amount()?, amount()?);
    let (lifetime_fees, in_payout, lifetime_paid_out, awaiting) = (amount()?, amount()?, amount()?, amount()?);
    let mut dated = || flags.or(from, Vec::new());
    let (activations, expiries, awaited) = (dated()?, dated()?, dated()?);
    Ok(Balance {
        unit,
        available,
        pending,
        held,
        debt,
        lifetime_granted,
        lifetime_redeemed,
        lifetime_expired,
        lifetime_reversed,
        lifetime_adjusted,
        lifetime_forgiven,
        lifetime_forfeited,
        lifetime_fees,
        in_payout,
        lifetime_paid_out,
        activations,
        expiries,
        awaiting,
        awaited,
        idle_at: flags.or(from, Instant::MAX)?,
    })
}
