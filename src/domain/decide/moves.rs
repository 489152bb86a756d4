//! Accounts that become part of each other, and of their own again.
//!
//! A move takes three steps, each a commit on one account: the account that stays is asked and notes that it was
//! (`announce`); the one that moves hands all it owns over and becomes an alias (`relocate`); the one that stays takes
//! it in (`take`). The one that moves is read before the other is asked, and its step counts only if it has stood still
//! since. Whoever is asked thereby moves: of several accounts that are to become part of each other in a circle, one
//! is always asked after it was read, so no circle closes. From the second step on the effect on the feed brings
//! the move to its end, whatever stops in between.

use super::super::account::{AccountKind, AccountState, Belongings, Home, HomeWhy, Inbound, Profile, Role};
use super::super::answer::{AnnouncedAnswer, Answer, Effect, MoveAnswer, MoveKind, Reason, Refusal, Subject};
use super::super::command::{Announce, Command, Contents, Depart, Outgoing, Parcel, Relocate, Relocation, Target};
use super::super::desk::Desk;
use super::super::id::{AccountId, CardId, GrantId, MemberId, UnitId};
use super::super::ledger::{Dates, Fact, MoveWhy};
use super::super::time::Instant;
use super::{Decision, Halt, OVERFLOW, Scene, awards, gifts, no};

pub(super) fn kind_of(command: &Command) -> MoveKind {
    match command {
        Command::Relocate(Relocate { why: Relocation::Join { .. }, .. }) => MoveKind::Join,
        Command::Depart(Depart::Undo) => MoveKind::Unmerge,
        Command::Depart(Depart::Leave) => MoveKind::Leave,
        _ => MoveKind::Merge,
    }
}

/// Whether another account may become part of this one.
pub(super) fn announce(scene: &Scene<'_>, command: &Announce) -> Result<Decision, Halt> {
    let known = scene.snapshot.account.is_some();
    let mut desk =
        scene.desk().map_err(|halt| if known { halt } else { no(Subject::Account, Reason::MemberUnknown) })?;
    let at = scene.times.effective_at;
    if desk.state.account == command.from || desk.state.is_home_of(&command.from) {
        return Err(no(Subject::Account, Reason::SameAccount));
    }
    let why = match &command.why {
        Relocation::Merge { into } => {
            let person = desk.state.acting(into).ok_or_else(|| no(Subject::Account, Reason::NotMovable))?;
            MoveWhy::Merge { into: person.member.clone() }
        }
        Relocation::Join { role, invited_by, .. } => {
            let role = may_join(scene, &desk.state, command, *role, invited_by.as_ref())?;
            MoveWhy::Join { member: command.member.clone(), role }
        }
    };
    let came = desk.state.homes.iter().filter(|home| home.why != HomeWhy::Left).count();
    let lots = desk.state.units.iter().map(|book| book.lots.len()).max().unwrap_or(0);
    for (there, more, max) in
        [(came, command.homes + 1, AccountState::HOMES_MAX), (lots, command.lots, AccountState::LOTS_GRANTED_MAX)]
    {
        if max < there + more {
            let (required, max) = ((there + more) as i64, max as i64);
            return Err(Refusal::short(Subject::Account, Reason::TooLarge, required, max).into());
        }
    }
    desk.post(at, Fact::Announced { from: command.from.clone(), why: why.clone() })?;
    let found = Some((desk.state.account.clone(), why));
    Ok(scene.done(desk, Answer::Announced(AnnouncedAnswer { refusals: Vec::new(), found })))
}

/// In which role: the first is the owner, others are brought in by somebody who may, in no higher a role than theirs.
fn may_join(
    scene: &Scene<'_>,
    state: &AccountState,
    command: &Announce,
    role: Role,
    invited_by: Option<&MemberId>,
) -> Result<Role, Halt> {
    if !state.is_shared() {
        return Err(no(Subject::Account, Reason::NotMovable));
    }
    let seats = state.seats.iter().filter(|(member, ..)| *member != command.member).count();
    let (required, max) = ((state.people.len() + seats + 1) as i64, scene.program.accounts.members_max);
    if max < required {
        return Err(Refusal::short(Subject::Account, Reason::AccountFull, required, max).into());
    }
    if state.people.is_empty() && seats == 0 {
        return Ok(Role::Owner);
    }
    let inviter = invited_by.and_then(|member| state.acting(member));
    let inviter = inviter.ok_or_else(|| no(Subject::Account, Reason::NotInAccount))?;
    if !scene.program.accounts.role(inviter.role).invite || role < inviter.role {
        return Err(no(Subject::Account, Reason::RoleMayNot));
    }
    Ok(role)
}

/// The account hands all it owns over and becomes a part of the other.
pub(super) fn relocate(scene: &Scene<'_>, command: &Relocate) -> Result<Decision, Halt> {
    scene.check_times(Subject::Account)?;
    let mut desk = scene.desk()?;
    let at = scene.times.effective_at;
    check_movable(&desk.state)?;
    let (to, why) = match &command.target {
        Target::Unknown => return Err(no(Subject::Account, Reason::MemberUnknown)),
        Target::Refused(refusal) => return Err(refusal.clone().into()),
        Target::Found { account, why } => (account.clone(), why.clone()),
    };
    let belongings = desk.state.belongings();
    let profile = desk.state.people.first().map(|person| person.profile.clone()).unwrap_or_default();
    desk.post(at, Fact::Departed { to: to.clone(), why: why.clone(), belongings: Box::new(belongings.clone()) })?;
    desk.state_mut().people.iter_mut().for_each(|person| person.profile = Profile::default());
    let mut decided = scene.decided();
    decided.effects.extend(moved(&to, &belongings, &Belongings::default(), desk.now));
    let revision = desk.state.departures;
    let (belongings, profile) = (Box::new(belongings), Box::new(profile));
    let what = Contents::Belongings { why, revision, belongings, profile };
    let parcel = Parcel { target: to.clone(), from: desk.state.account.clone(), what, effective_at: at };
    let kind = kind_of(&Command::Relocate(command.clone()));
    let answer = MoveAnswer { kind, moved: true, decided, account: Some(to), balances: Vec::new() };
    Ok(Decision { outgoing: vec![Outgoing::Parcel(parcel)], ..scene.done(desk, Answer::Move(answer)) })
}

/// An account of one person, with nothing held.
fn check_movable(state: &AccountState) -> Result<(), Halt> {
    if state.kind != AccountKind::Person {
        return Err(no(Subject::Account, Reason::NotMovable));
    }
    let open = state.holds.iter().filter(|hold| hold.is_open()).count();
    if 0 < open {
        return Err(Refusal::short(Subject::Reservation, Reason::ReservationsOpen, 0, open as i64).into());
    }
    Ok(())
}

fn moved<'a>(
    to: &'a AccountId,
    what: &'a Belongings,
    brought: &'a Belongings,
    at: Instant,
) -> impl Iterator<Item = Effect> + 'a {
    let mut units: Vec<UnitId> = what.units.iter().map(|owned| owned.unit.clone()).collect();
    for owned in &brought.units {
        if !units.contains(&owned.unit) {
            units.push(owned.unit.clone());
        }
    }
    let (now, then) = (what.totals(at), brought.totals(at));
    let of = |totals: &[(UnitId, i64, i64, i64)], unit: &UnitId| {
        let found = totals.iter().find(|(of, ..)| of == unit);
        found.map_or((0, 0, 0), |(_, available, pending, debt)| (*available, *pending, *debt))
    };
    units.into_iter().filter_map(move |unit| {
        let (available, pending, debt) = of(&now, &unit);
        let (had, awaited, _) = of(&then, &unit);
        let short = had.saturating_add(awaited).saturating_sub(available).saturating_sub(pending).max(0);
        let nothing = (available, pending, debt, short) == (0, 0, 0, 0);
        (!nothing).then(|| Effect::Moved { to: to.clone(), unit, available, pending, debt, short })
    })
}

/// A part of this account becomes an account of its own again.
pub(super) fn depart(scene: &Scene<'_>, depart: Depart) -> Result<Decision, Halt> {
    scene.check_times(Subject::Account)?;
    let mut desk = scene.desk()?;
    let at = scene.times.effective_at;
    let who = scene.member().clone().ok_or_else(|| no(Subject::Member, Reason::MemberUnknown))?;
    let own = AccountId::from(&who);
    let home = desk.state.homes.iter().find(|home| home.account == own).cloned();
    let (home, back, brought, why, profile) = match depart {
        Depart::Undo => undo(scene, &desk, home)?,
        Depart::Leave => leave(&desk, &who, home)?,
    };
    desk.post(at, Fact::GaveBack { to: own.clone(), why, belongings: Box::new(back.clone()) })?;
    let mut decided = scene.decided();
    decided.effects.extend(moved(&own, &back, &brought, desk.now));
    let (belongings, profile) = (Box::new(back), Box::new(profile));
    let what = Contents::Homecoming { revision: home.revision, belongings, profile };
    let parcel = Parcel { target: own.clone(), from: desk.state.account.clone(), what, effective_at: at };
    let kind = kind_of(&Command::Depart(depart));
    let answer = MoveAnswer { kind, moved: true, decided, account: Some(own), balances: Vec::new() };
    Ok(Decision { outgoing: vec![Outgoing::Parcel(parcel)], ..scene.done(desk, Answer::Move(answer)) })
}

type Departure = (Home, Belongings, Belongings, MoveWhy, Profile);

/// What is left of what a merge brought goes back.
fn undo(scene: &Scene<'_>, desk: &Desk, home: Option<Home>) -> Result<Departure, Halt> {
    let merged = home.and_then(|home| match &home.why {
        HomeWhy::Merged { into } => Some((into.clone(), home)),
        HomeWhy::Joined | HomeWhy::Left => None,
    });
    let (into, home) = merged.ok_or_else(|| no(Subject::Account, Reason::NotMerged))?;
    let until = scene.program.accounts.merge_undo_within.after(home.since, &scene.program.zone);
    if until <= scene.times.effective_at {
        return Err(no(Subject::Account, Reason::UndoOver));
    }
    let brought = home.brought.as_deref().cloned().unwrap_or_default();
    let back = desk.state.left_of(&brought, &home.account, desk.now);
    Ok((home, back, brought, MoveWhy::Merge { into }, Profile::default()))
}

/// What was pooled stays; the person goes, with what is known of them.
fn leave(desk: &Desk, who: &MemberId, home: Option<Home>) -> Result<Departure, Halt> {
    let person = desk.state.person(who).filter(|_| desk.state.is_shared());
    let (person, home) = person.zip(home).ok_or_else(|| no(Subject::Account, Reason::NotInAccount))?;
    let owners = desk.state.people.iter().filter(|person| person.role == Role::Owner).count();
    if person.role == Role::Owner && owners == 1 && 1 < desk.state.people.len() {
        return Err(no(Subject::Account, Reason::RoleMayNot));
    }
    let why = MoveWhy::Join { member: who.clone(), role: person.role };
    Ok((home, desk.state.remembered_of(who), Belongings::default(), why, person.profile.clone()))
}

/// Takes in what another account sends; twice is once.
pub(super) fn take(scene: &Scene<'_>, parcel: &Parcel) -> Result<Decision, Halt> {
    match &parcel.what {
        Contents::Belongings { why, revision, belongings, profile } => {
            take_belongings(scene, parcel, why, *revision, belongings, profile)
        }
        Contents::Homecoming { revision, belongings, profile } => {
            come_home(scene, parcel, *revision, belongings, profile)
        }
        Contents::Gift { .. } | Contents::GiftBack { .. } => gifts::take(scene, parcel),
    }
}

/// What remains of an effect that was taken in: that it was.
pub(super) fn mark(revision: u32) -> Inbound {
    let dates = Dates { activates_at: Instant(0), expires_at: Instant::MAX };
    Inbound { revision, net: 0, dates, brought: None }
}

fn take_belongings(
    scene: &Scene<'_>,
    parcel: &Parcel,
    why: &MoveWhy,
    revision: u32,
    belongings: &Belongings,
    profile: &Profile,
) -> Result<Decision, Halt> {
    let mut desk = scene.desk_of_any()?;
    let grant = parcel.grant().ok_or(OVERFLOW)?;
    if scene.snapshot.inbound.as_ref().is_some_and(|known| revision <= known.revision) {
        return Ok(Decision { received: true, ..scene.unchanged(Answer::Done, true) });
    }
    let erased = desk.state.erased_at.is_some();
    let (why, person, profile) = match why {
        MoveWhy::Merge { into } => match desk.state.acting(into).filter(|_| !erased) {
            Some(person) => {
                let joined = person.profile.joined_with(profile, scene.snapshot.salt);
                (MoveWhy::Merge { into: person.member.clone() }, Some(person.member.clone()), joined)
            }
            None => (why.clone(), None, Profile::default()),
        },
        MoveWhy::Join { .. } if erased => (why.clone(), None, Profile::default()),
        MoveWhy::Join { member, .. } => (why.clone(), Some(member.clone()), profile.clone()),
    };
    let from = parcel.from.clone();
    let surplus: Vec<(CardId, i64)> = belongings
        .cards
        .iter()
        .filter_map(|theirs| Some((theirs.card.clone(), desk.state.card(&theirs.card)?.surplus(theirs))))
        .filter(|(_, stamps)| 0 < *stamps)
        .collect();
    let (digest, belongings) = (profile.digest(), Box::new(belongings.clone()));
    desk.post(parcel.effective_at, Fact::Arrived { from, revision, why, belongings, digest })?;
    // Two cards together may be more than full: what fills one is handed out, and the rest begins the next.
    for (card, stamps) in surplus {
        let cause = GrantId::of(&["merge", parcel.from.as_str(), &revision.to_string()]);
        awards::stamps_of_merge(scene, &mut desk, &card, stamps, &cause, parcel.effective_at)?;
    }
    if let Some(person) = person {
        desk.state_mut().put_profile(&person, profile)?;
    }
    desk.advance(scene.timeline)?;
    let inbound = Some((grant, mark(revision)));
    Ok(Decision { inbound, received: true, ..scene.done(desk, Answer::Done) })
}

fn come_home(
    scene: &Scene<'_>,
    parcel: &Parcel,
    revision: u32,
    belongings: &Belongings,
    profile: &Profile,
) -> Result<Decision, Halt> {
    let mut desk = scene.desk_of_any()?;
    if desk.state.away.as_ref().is_none_or(|away| away.revision != revision) {
        return Ok(Decision { received: true, ..scene.unchanged(Answer::Done, true) });
    }
    let (from, belongings) = (parcel.from.clone(), Box::new(belongings.clone()));
    let digest = profile.digest();
    desk.post(parcel.effective_at, Fact::CameBack { from, revision, belongings, digest })?;
    desk.state_mut().people.iter_mut().for_each(|person| person.profile = profile.clone());
    desk.advance(scene.timeline)?;
    Ok(Decision { received: true, ..scene.done(desk, Answer::Done) })
}
