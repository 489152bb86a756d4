//! Whose an account is: its people, their roles, and what conditions may read of them.
//!
//! A profile is personal. It lies in the record of the account but beside what entries fold to: the ledger knows only
//! its digest, over a salt that goes with it, so that erasing the profile leaves nothing to guess it by.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{AccountState, ApplyError};
use crate::domain::answer::{Reason, Refusal, Subject};
use crate::domain::command::ProfileChange;
use crate::domain::id::{Label, MemberId, UnitId};
use crate::domain::ledger::{Hash, digest, encode};
use crate::domain::program::{AttributeType, Program};
use crate::domain::referral::signal::SignalHash;
use crate::domain::time::{Day, Instant};

/// What kind of owner an account has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum AccountKind {
    /// One person; the account id is the member id.
    #[default]
    Person,
    Household,
    Company,
    /// Who brings friends for money; people may join it.
    Partner,
    /// Somebody who is not enrolled.
    Guest,
}

/// What a person may do in an account; the program says what exactly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Role {
    /// Sets roles. An account that people join has at least one as long as it has anybody.
    Owner,
    Admin,
    Member,
    /// Earns for the account.
    Earner,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Owner, Role::Admin, Role::Member, Role::Earner];

    pub fn name(self) -> &'static str {
        match self {
            Role::Owner => "owner",
            Role::Admin => "admin",
            Role::Member => "member",
            Role::Earner => "earner",
        }
    }
}

/// Somebody who belongs to an account.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Person {
    pub member: MemberId,
    pub role: Role,
    pub joined_at: Instant,
    /// Of the profile as it was last changed; `None`: it is blank.
    pub profile_digest: Option<Hash>,
    /// Beside what entries fold to.
    pub profile: Profile,
    /// Of the day on which they last redeemed, where the program limits that: unit, day, units.
    pub redeemed: Vec<(UnitId, Day, i64)>,
}

/// The random bytes that a profile's digest is made with.
pub type Salt = [u8; 16];

/// What conditions may read of a person.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Profile {
    /// Sorted, each once; at most [`Profile::LABELS_MAX`].
    pub tags: Vec<Label>,
    /// Sorted by name, each once, of the type that the program declared; at most [`Profile::ATTRIBUTES_MAX`].
    pub attributes: Vec<(Label, AttributeValue)>,
    /// Sorted, each once; at most [`Profile::LABELS_MAX`].
    pub segments: Vec<Label>,
    pub birthday: Option<Birthday>,
    /// The IANA name of the zone that the person lives in.
    pub zone: Option<String>,
    /// Not to be shown on leaderboards.
    pub leaderboard_opt_out: bool,
    /// By which people are told to be one, as keyed hashes; at most [`Profile::SIGNALS_MAX`] of each kind, the latest last.
    pub signals: Vec<SignalHash>,
    /// Of the last change.
    pub salt: Salt,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AttributeValue {
    Int(i64),
    Bool(bool),
    /// At most [`Profile::TEXT_BYTES_MAX`].
    Text(String),
}

impl AttributeValue {
    pub fn is_of(&self, kind: AttributeType) -> bool {
        matches!(
            (self, kind),
            (AttributeValue::Int(_), AttributeType::Int)
                | (AttributeValue::Bool(_), AttributeType::Bool)
                | (AttributeValue::Text(_), AttributeType::Text)
        )
    }
}

/// A day of the year, and the year where it is told. 29 February is a day of every year until a year is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Birthday {
    /// 1 to 12.
    pub month: i8,
    pub day: i8,
    /// [`Birthday::YEAR_MIN`] to [`Birthday::YEAR_MAX`].
    pub year: Option<i16>,
}

impl Birthday {
    pub const YEAR_MIN: i16 = 1900;
    pub const YEAR_MAX: i16 = 2100;

    /// `None`: there is no such day.
    pub fn new(month: i64, day: i64, year: Option<i64>) -> Option<Birthday> {
        /// Has a 29 February.
        const LEAP: i16 = 2000;
        let year = match year {
            Some(year) => Some(i16::try_from(year).ok().filter(|y| (Self::YEAR_MIN..=Self::YEAR_MAX).contains(y))?),
            None => None,
        };
        let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        jiff::civil::Date::new(year.unwrap_or(LEAP), month, day).ok()?;
        Some(Birthday { month, day, year })
    }
}

impl Profile {
    /// Of tags, and of segments.
    pub const LABELS_MAX: usize = 64;
    pub const ATTRIBUTES_MAX: usize = 64;
    pub const TEXT_BYTES_MAX: usize = 256;
    /// Of one kind.
    pub const SIGNALS_MAX: usize = 5;

    /// The profile with these signals the latest of their kinds.
    #[must_use]
    pub fn knowing(&self, signals: &[SignalHash], salt: Salt) -> Profile {
        let mut to = self.clone();
        for signal in signals {
            let latest = to.signals.iter().rfind(|known| known.kind == signal.kind);
            if latest == Some(signal) {
                continue;
            }
            to.signals.retain(|known| known != signal);
            to.signals.push(*signal);
            let of_kind = to.signals.iter().filter(|known| known.kind == signal.kind).count();
            let oldest = to.signals.iter().position(|known| known.kind == signal.kind);
            if let (true, Some(oldest)) = (Profile::SIGNALS_MAX < of_kind, oldest) {
                to.signals.remove(oldest);
            }
        }
        if to != *self {
            to.salt = salt;
        }
        to
    }

    /// Whether it says nothing.
    pub fn is_blank(&self) -> bool {
        *self == Profile { salt: self.salt, ..Profile::default() }
    }

    /// What the ledger knows of it; `None` where it is blank.
    pub fn digest(&self) -> Option<Hash> {
        (!self.is_blank()).then(|| digest(&encode(self)))
    }

    pub fn attribute(&self, name: &Label) -> Option<&AttributeValue> {
        self.attributes.iter().find(|(of, _)| of == name).map(|(_, value)| value)
    }

    pub fn time_zone(&self) -> Option<TimeZone> {
        TimeZone::get(self.zone.as_deref()?).ok()
    }

    /// The profile after a change, without the fields that cannot be as asked; those are answered one by one.
    pub fn changed(&self, change: &ProfileChange, program: &Program, salt: Salt) -> (Profile, Vec<Refusal>) {
        let mut to = self.clone();
        let mut refusals = Vec::new();
        for name in &change.clear_attributes {
            to.attributes.retain(|(of, _)| of != name);
        }
        for (name, value) in &change.set_attributes {
            let reason = match program.attributes.get(name) {
                None => Some(Reason::AttributeUnknown),
                Some(kind) if !value.is_of(*kind) => Some(Reason::AttributeType),
                Some(_) => None,
            };
            match (reason, to.attributes.binary_search_by(|(of, _)| of.cmp(name))) {
                (Some(reason), _) => refusals.push(Refusal::new(Subject::Attribute(name.clone()), reason)),
                (None, Ok(at)) => {
                    if let Some((_, stands)) = to.attributes.get_mut(at) {
                        *stands = value.clone();
                    }
                }
                // As many as a program can declare; what an earlier version declared may still be there.
                (None, Err(_)) if Profile::ATTRIBUTES_MAX <= to.attributes.len() => {
                    refusals.push(too_many(Subject::Attribute(name.clone()), Profile::ATTRIBUTES_MAX));
                }
                (None, Err(at)) => to.attributes.insert(at, (name.clone(), value.clone())),
            }
        }
        change_labels(&mut to.tags, &change.add_tags, &change.remove_tags, "tags", &mut refusals);
        change_labels(&mut to.segments, &change.add_segments, &change.remove_segments, "segments", &mut refusals);
        if let Some(birthday) = change.birthday {
            to.birthday = birthday;
        }
        if let Some(zone) = &change.zone {
            to.zone.clone_from(zone);
        }
        if let Some(opt_out) = change.leaderboard_opt_out {
            to.leaderboard_opt_out = opt_out;
        }
        if to != *self {
            to.salt = salt;
        }
        (to, refusals)
    }

    /// What two profiles of one person say together: where both say something, this one counts.
    #[must_use]
    pub fn joined_with(&self, other: &Profile, salt: Salt) -> Profile {
        let mut to = self.clone();
        let labels = |own: &mut Vec<Label>, more: &[Label]| {
            for label in more {
                if let (Err(at), true) = (own.binary_search(label), own.len() < Profile::LABELS_MAX) {
                    own.insert(at, label.clone());
                }
            }
        };
        labels(&mut to.tags, &other.tags);
        labels(&mut to.segments, &other.segments);
        for (name, value) in &other.attributes {
            let place = to.attributes.binary_search_by(|(of, _)| of.cmp(name));
            if let (Err(at), true) = (place, to.attributes.len() < Profile::ATTRIBUTES_MAX) {
                to.attributes.insert(at, (name.clone(), value.clone()));
            }
        }
        // The other's first: this one's stay the latest.
        let (own, none) = (std::mem::take(&mut to.signals), Salt::default());
        to.signals = Profile::default().knowing(&other.signals, none).knowing(&own, none).signals;
        to.birthday = to.birthday.or(other.birthday);
        to.zone = to.zone.or_else(|| other.zone.clone());
        // Who has once asked not to be shown is not shown.
        to.leaderboard_opt_out |= other.leaderboard_opt_out;
        if to != *self {
            to.salt = salt;
        }
        to
    }
}

fn too_many(subject: Subject, max: usize) -> Refusal {
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    Refusal::short(subject, Reason::TooLarge, max.saturating_add(1), max)
}

fn change_labels(own: &mut Vec<Label>, add: &[Label], remove: &[Label], field: &str, refusals: &mut Vec<Refusal>) {
    own.retain(|label| !remove.contains(label));
    let before = own.clone();
    for label in add {
        if let Err(at) = own.binary_search(label) {
            own.insert(at, label.clone());
        }
    }
    if Profile::LABELS_MAX < own.len() {
        refusals.push(too_many(Subject::Profile(field.to_owned()), Profile::LABELS_MAX));
        *own = before;
    }
}

impl AccountState {
    pub fn person(&self, member: &MemberId) -> Option<&Person> {
        self.people.iter().find(|person| person.member == *member)
    }

    pub(super) fn person_mut(&mut self, member: &MemberId) -> Result<&mut Person, ApplyError> {
        let person = self.people.iter_mut().find(|person| person.member == *member);
        person.ok_or(ApplyError::Inconsistent("nobody of that id belongs to the account"))
    }

    /// Puts a profile beside the digest that an entry has just recorded.
    pub(crate) fn put_profile(&mut self, member: &MemberId, profile: Profile) -> Result<(), ApplyError> {
        self.person_mut(member)?.profile = profile;
        Ok(())
    }

    /// Whether entries that fold to `folded` tell of this state: everything but the profiles, whose digests they hold.
    pub fn is_told_by(&self, folded: &AccountState) -> bool {
        let mut bare = self.clone();
        bare.people.iter_mut().for_each(|person| person.profile = Profile::default());
        bare == *folded
    }

    /// Profiles that are not what the ledger says.
    pub(super) fn profile_faults(&self, faults: &mut Vec<String>) {
        for (index, person) in self.people.iter().enumerate() {
            if person.profile.digest() != person.profile_digest {
                // Without the name: what is found may be shown to anybody.
                faults.push(format!("the profile of person {index} is not what the ledger says"));
            }
        }
    }
}
