//! How an order lies in storage. Orders are most of what is stored, so what follows from something else in the record is
//! told by a flag: the price of a line that nothing was taken off, the name of a grant after its rule, and above all what
//! was decided, which is what was granted once more.

use super::super::answer::{Decided, Effect, Granted, Share};
use super::super::compact::{Parts, Reader};
use super::super::id::{GrantId, LineId, OrderId, RuleId};
use super::super::ledger::{Dates, DecodeError, ENCODED_LEN_USUAL, Stored, write};
use super::super::order::Order;
use super::super::program::Kind;
use super::super::sent_order::SentOrder;
use super::super::time::Instant;
use super::{GrantRecord, LineRecord, OrderRecord, Returned, format_1};

/// The first byte of a stored order.
const FORMAT: u8 = 2;

impl OrderRecord {
    /// Encodes for storage.
    pub fn to_stored(&self) -> Vec<u8> {
        // Taken apart whole, so that a field added to orders cannot be forgotten here.
        let OrderRecord {
            order_id,
            member,
            content,
            currency,
            committed_at,
            state,
            lines,
            grants,
            uses,
            tenders,
            money_minor,
            money_refunded_minor,
            returns,
            decided,
            counts,
            sent,
            codes,
            touches,
            claimed_at,
            consequences,
            vouchers,
            events,
            sent_grants,
            amendments,
            stock,
            measured,
        } = self;
        let mut to = Vec::with_capacity(ENCODED_LEN_USUAL);
        to.push(FORMAT);
        write(&mut to, &(order_id, member, content, currency, committed_at, state, money_minor));
        write(&mut to, &lines.len());
        lines.iter().for_each(|line| write_line(&mut to, line));
        write(&mut to, &grants.len());
        let basis = Basis { order_id, committed_at: *committed_at, lines };
        let mut before = None;
        for grant in grants {
            basis.write_grant(&mut to, grant, before);
            before = Some(grant);
        }
        basis.write_decided(&mut to, decided, grants);
        let mut parts = Parts::<2>::new(&mut to);
        parts.unless(uses, &Vec::new());
        parts.unless(tenders, &Vec::new());
        parts.unless(money_refunded_minor, &0);
        parts.unless(returns, &Vec::new());
        parts.unless(counts, &Vec::new());
        parts.unless(codes, &Vec::new());
        parts.unless(touches, &Vec::new());
        parts.some(claimed_at.as_ref());
        parts.unless(consequences, &Vec::new());
        parts.unless(vouchers, &Vec::new());
        parts.unless(events, &Vec::new());
        parts.unless(sent_grants, &Vec::new());
        parts.unless(amendments, &Vec::new());
        parts.unless(stock, &Vec::new());
        parts.some(measured.as_ref());
        sent.write(&mut to);
        to
    }

    /// Whether these bytes, of which this record was read, are those that were written for it.
    pub fn is_as_written(&self, stored: &[u8]) -> bool {
        match stored.first() {
            Some(&FORMAT) => self.to_stored() == stored,
            _ => format_1::again(self.clone()) == stored,
        }
    }
}

impl Stored for OrderRecord {
    /// The inverse of [`OrderRecord::to_stored`]; reads what format 1 has, too. Refuses what a newer version wrote, and trailing
    /// bytes.
    fn from_stored(bytes: &[u8]) -> Result<OrderRecord, DecodeError> {
        match bytes.split_first() {
            Some((&FORMAT, body)) => read(&mut Reader(body)),
            Some((&found, _)) if FORMAT < found => Err(DecodeError::TooNew { found, known: FORMAT }),
            _ => format_1::read(bytes),
        }
    }
}

impl Stored for Box<OrderRecord> {
    fn from_stored(bytes: &[u8]) -> Result<Box<OrderRecord>, DecodeError> {
        OrderRecord::from_stored(bytes).map(Box::new)
    }
}

fn read(from: &mut Reader<'_>) -> Result<OrderRecord, DecodeError> {
    let (order_id, member, content, currency, committed_at, state, money_minor) = from.take()?;
    let count = from.count()?;
    if Order::LINES_MAX < count {
        return Err(DecodeError::Damaged);
    }
    let lines: Vec<LineRecord> = (0..count).map(|_| read_line(from)).collect::<Result<_, _>>()?;
    let basis = Basis { order_id: &order_id, committed_at, lines: &lines };
    let mut grants: Vec<GrantRecord> = Vec::new();
    for _ in 0..from.count()? {
        let grant = basis.read_grant(from, grants.last())?;
        grants.push(grant);
    }
    let decided = basis.read_decided(from, &grants)?;
    let mut flags = from.flags::<2>()?;
    let record = OrderRecord {
        uses: flags.or(from, Vec::new())?,
        tenders: flags.or(from, Vec::new())?,
        money_refunded_minor: flags.or(from, 0)?,
        returns: flags.or(from, Vec::new())?,
        counts: flags.or(from, Vec::new())?,
        codes: flags.or(from, Vec::new())?,
        touches: flags.or(from, Vec::new())?,
        claimed_at: flags.some(from)?,
        consequences: flags.or(from, Vec::new())?,
        vouchers: flags.or(from, Vec::new())?,
        events: flags.or(from, Vec::new())?,
        sent_grants: flags.or(from, Vec::new())?,
        amendments: flags.or(from, Vec::new())?,
        stock: flags.or(from, Vec::new())?,
        measured: flags.some(from)?,
        sent: SentOrder::read(from)?,
        order_id,
        member,
        content,
        currency,
        committed_at,
        state,
        lines,
        grants,
        money_minor,
        decided,
    };
    if from.0.is_empty() { Ok(record) } else { Err(DecodeError::Damaged) }
}

fn write_line(to: &mut Vec<u8>, line: &LineRecord) {
    let LineRecord { line_id, quantity, amount_minor, reduced_minor, money_minor, earning_minor, returned } = line;
    write(to, &(line_id, amount_minor));
    let left = amount_minor.wrapping_sub(*reduced_minor);
    let mut parts = Parts::<1>::new(to);
    parts.unless(quantity, &1);
    parts.unless(reduced_minor, &0);
    parts.unless(money_minor, &left);
    parts.unless(earning_minor, &left);
    parts.unless(returned, &Returned::None);
}

fn read_line(from: &mut Reader<'_>) -> Result<LineRecord, DecodeError> {
    let (line_id, amount_minor) = from.take::<(_, i64)>()?;
    let mut flags = from.flags::<1>()?;
    let (quantity, reduced_minor) = (flags.or(from, 1)?, flags.or(from, 0)?);
    let left = amount_minor.wrapping_sub(reduced_minor);
    let (money_minor, earning_minor) = (flags.or(from, left)?, flags.or(from, left)?);
    let returned = flags.or(from, Returned::None)?;
    Ok(LineRecord { line_id, quantity, amount_minor, reduced_minor, money_minor, earning_minor, returned })
}

/// What grants and what was decided are told by.
struct Basis<'a> {
    order_id: &'a OrderId,
    committed_at: Instant,
    lines: &'a [LineRecord],
}

impl Basis<'_> {
    /// Its name after the order and the rule is the usual one; unit and dates are often those of the grant before.
    fn write_grant(&self, to: &mut Vec<u8>, grant: &GrantRecord, before: Option<&GrantRecord>) {
        let GrantRecord { grant: id, unit, amount, dates, shares, reversed, awaits, rule } = grant;
        write(to, &(rule, amount));
        let rest = id.as_str().strip_prefix(self.order_id.as_str()).and_then(|rest| rest.strip_prefix(':'));
        let mut parts = Parts::<1>::new(to);
        parts.some((rest != Some(rule.as_str())).then_some(id));
        parts.some((before.map(|before| &before.unit) != Some(unit)).then_some(unit));
        let since = (dates.activates_at.0.wrapping_sub(self.committed_at.0), dates.expires_at);
        parts.some((before.map(|before| before.dates) != Some(*dates)).then_some(&since));
        parts.unless(reversed, &0);
        parts.some(awaits.as_ref());
        let given = shares.iter().enumerate().filter(|(_, share)| **share != 0);
        // A place and a share take two bytes where a share takes one.
        let few = shares.len() == self.lines.len() && 2 * given.clone().count() < shares.len();
        parts.some(few.then(|| given.collect::<Vec<_>>()).as_ref());
        parts.some((!few).then_some(shares));
    }

    fn read_grant(&self, from: &mut Reader<'_>, before: Option<&GrantRecord>) -> Result<GrantRecord, DecodeError> {
        let (rule, amount) = from.take::<(RuleId, i64)>()?;
        let mut flags = from.flags::<1>()?;
        let grant = flags.some(from)?.unwrap_or_else(|| GrantId::of(&[self.order_id.as_str(), rule.as_str()]));
        let unit = flags.some(from)?.or_else(|| Some(before?.unit.clone())).ok_or(DecodeError::Damaged)?;
        let dates = flags.some(from)?.map(|(after_ms, expires_at)| {
            let activates_at = Instant(self.committed_at.0.wrapping_add(after_ms));
            Dates { activates_at, expires_at }
        });
        let dates = dates.or_else(|| Some(before?.dates)).ok_or(DecodeError::Damaged)?;
        let (reversed, awaits) = (flags.or(from, 0)?, flags.some(from)?);
        let shares = match (flags.some(from)?, flags.some(from)?) {
            (None, Some(shares)) => shares,
            (Some(given), None) => self.shares(given)?,
            _ => return Err(DecodeError::Damaged),
        };
        Ok(GrantRecord { grant, unit, amount, dates, shares, reversed, awaits, rule })
    }

    fn shares(&self, given: Vec<(usize, i64)>) -> Result<Vec<i64>, DecodeError> {
        let mut shares = vec![0; self.lines.len()];
        for (place, share) in given {
            *shares.get_mut(place).ok_or(DecodeError::Damaged)? = share;
        }
        Ok(shares)
    }

    /// Each effect behind the place of the grant, counted from one, that tells it; what no grant tells, behind a zero.
    fn write_decided(&self, to: &mut Vec<u8>, decided: &Decided, grants: &[GrantRecord]) {
        let Decided { version, effective_at, effects, refusals, explain, changes } = decided;
        write(to, &(version, effects.len()));
        for effect in effects {
            let told = match effect {
                Effect::Granted(granted) => grants.iter().position(|g| self.is_told(g, granted)).zip(Some(granted)),
                _ => None,
            };
            match told {
                Some((place, Granted { kind, desired, granted, repaid, .. })) => {
                    write(to, &(place + 1, kind, desired.wrapping_sub(*granted), repaid));
                }
                None => write(to, &(0usize, effect)),
            }
        }
        let mut parts = Parts::<1>::new(to);
        parts.unless(effective_at, &self.committed_at);
        parts.unless(refusals, &Vec::new());
        parts.some(explain.as_ref());
        parts.unless(changes, &Vec::new());
    }

    fn read_decided(&self, from: &mut Reader<'_>, grants: &[GrantRecord]) -> Result<Decided, DecodeError> {
        let version = from.take()?;
        let mut effects = Vec::new();
        for _ in 0..from.count()? {
            effects.push(match from.take::<usize>()?.checked_sub(1) {
                None => from.take()?,
                Some(place) => {
                    let grant = grants.get(place).ok_or(DecodeError::Damaged)?;
                    let (kind, limited, repaid) = from.take::<(Kind, i64, i64)>()?;
                    let desired = grant.amount.wrapping_add(limited);
                    Effect::Granted(Granted { kind, desired, repaid, ..self.told(grant) })
                }
            });
        }
        let mut flags = from.flags::<1>()?;
        Ok(Decided {
            version,
            effective_at: flags.or(from, self.committed_at)?,
            effects,
            refusals: flags.or(from, Vec::new())?,
            explain: flags.some(from)?,
            changes: flags.or(from, Vec::new())?,
        })
    }

    /// What the record of a grant says of the effect that told of it.
    fn told(&self, grant: &GrantRecord) -> Granted {
        Granted {
            grant: grant.grant.clone(),
            rule: grant.rule.clone(),
            kind: Kind::Transactional,
            unit: grant.unit.clone(),
            desired: grant.amount,
            granted: grant.amount,
            repaid: 0,
            activates_at: grant.dates.activates_at,
            expires_at: grant.dates.expires_at,
            shares: self.by_line(grant).map(|(line, amount)| Share { line_id: line.clone(), amount }).collect(),
            awaits: None,
        }
    }

    /// Whether [`Basis::told`] says all of the effect but its kind, its limit and what it repaid.
    fn is_told(&self, grant: &GrantRecord, granted: &Granted) -> bool {
        // Taken apart whole, so that a field added to grants cannot be forgotten here.
        let Granted {
            grant: id,
            rule,
            kind: _,
            unit,
            desired: _,
            granted: amount,
            repaid: _,
            activates_at,
            expires_at,
            shares,
            awaits,
        } = granted;
        let same = (id, rule, unit, amount) == (&grant.grant, &grant.rule, &grant.unit, &grant.amount);
        let dates = Dates { activates_at: *activates_at, expires_at: *expires_at };
        let shares = shares.iter().map(|share| (&share.line_id, share.amount));
        same && dates == grant.dates && awaits.is_none() && self.by_line(grant).eq(shares)
    }

    /// What of a grant falls on lines.
    fn by_line<'s>(&'s self, grant: &'s GrantRecord) -> impl Iterator<Item = (&'s LineId, i64)> {
        let lines = self.lines.iter().zip(&grant.shares).filter(|(_, share)| **share != 0);
        lines.map(|(line, share)| (&line.line_id, *share))
    }
}
