//! What is known of members, from the wire and to it.

use super::fingerprints;
use super::request::{self, Envelope, Unique};
use super::violations::{Path, Violations};
use super::wire;
use crate::domain::account::{AccountKind, AttributeValue, Birthday, Profile, Role};
use crate::domain::command::{Command, ProfileChange, UpdateMember};
use crate::domain::id::Label;
use crate::service::{Calls, Write};

pub(super) fn update_member(bad: &mut Violations, calls: &dyn Calls, raw: &wire::UpdateMemberRequest) -> Option<Write> {
    let wire::UpdateMemberRequest { program_id, member_id, request_id, change: asked, occurred_at, signals } = raw;
    let envelope = Envelope::read(bad, calls, program_id, member_id, request_id, occurred_at.as_ref());
    let at = &Path::Of("change");
    let asked = match asked {
        Some(raw) => change(bad, at, raw),
        None if signals.is_some() => Some(ProfileChange::default()),
        None => {
            bad.add(at, "is required");
            None
        }
    };
    let signals = request::signals(bad, signals.as_ref());
    let update = UpdateMember { change: asked?, signals: signals? };
    Some(envelope?.write(fingerprints::update_member(raw), Command::UpdateMember(update)))
}

pub(super) fn change(bad: &mut Violations, at: &Path<'_>, raw: &wire::ProfileChange) -> Option<ProfileChange> {
    let set_at = &at.field("set_attributes");
    let set_attributes = request::each(bad, set_at, &raw.set_attributes, Profile::ATTRIBUTES_MAX, attribute);
    let clear_attributes = labels(bad, &at.field("clear_attributes"), &raw.clear_attributes, Profile::ATTRIBUTES_MAX);
    let add_tags = labels(bad, &at.field("add_tags"), &raw.add_tags, Profile::LABELS_MAX);
    let remove_tags = labels(bad, &at.field("remove_tags"), &raw.remove_tags, Profile::LABELS_MAX);
    let add_segments = labels(bad, &at.field("add_segments"), &raw.add_segments, Profile::LABELS_MAX);
    let remove_segments = labels(bad, &at.field("remove_segments"), &raw.remove_segments, Profile::LABELS_MAX);
    let birthday = match (&raw.birthday, raw.clear_birthday) {
        (Some(_), true) => {
            bad.add(&at.field("clear_birthday"), "must not be set together with `birthday`");
            None
        }
        (Some(raw), false) => birthday(bad, &at.field("birthday"), raw).map(|birthday| Some(Some(birthday))),
        (None, true) => Some(Some(None)),
        (None, false) => Some(None),
    };
    let zone = match (raw.time_zone.as_str(), raw.clear_time_zone) {
        ("", true) => Some(Some(None)),
        (_, true) => {
            bad.add(&at.field("clear_time_zone"), "must not be set together with `time_zone`");
            None
        }
        (name, false) => {
            let zone = request::zone(bad, &at.field("time_zone"), name);
            zone.map(|zone| zone.map(|_| Some(name.to_owned())))
        }
    };
    Some(ProfileChange {
        set_attributes: set_attributes?,
        clear_attributes: clear_attributes?,
        add_tags: add_tags?,
        remove_tags: remove_tags?,
        add_segments: add_segments?,
        remove_segments: remove_segments?,
        birthday: birthday?,
        zone: zone?,
        leaderboard_opt_out: raw.leaderboard_opt_out,
    })
}

fn labels(bad: &mut Violations, at: &Path<'_>, raw: &[String], max: usize) -> Option<Vec<Label>> {
    request::each(bad, at, raw, max, |bad, at, _, raw| bad.take(at, Label::parse(raw)))
}

pub(super) fn attribute<'a>(
    bad: &mut Violations,
    at: &Path<'_>,
    unique: &mut Unique<'a>,
    raw: &'a wire::Attribute,
) -> Option<(Label, AttributeValue)> {
    use wire::attribute::Value;

    let name_at = &at.field("name");
    let is_unique = unique.check(bad, name_at, &raw.name);
    let name = bad.take(name_at, Label::parse(&raw.name));
    let value = match &raw.value {
        Some(Value::IntValue(n)) => Some(AttributeValue::Int(*n)),
        Some(Value::BoolValue(is)) => Some(AttributeValue::Bool(*is)),
        Some(Value::TextValue(text)) if Profile::TEXT_BYTES_MAX < text.len() => {
            let (len, max) = (text.len(), Profile::TEXT_BYTES_MAX);
            bad.add(&at.field("text_value"), format!("is {len} bytes long, at most {max} are allowed"));
            None
        }
        Some(Value::TextValue(text)) => Some(AttributeValue::Text(text.clone())),
        None => {
            bad.add(&at.field("value"), "is required: one of `int_value`, `bool_value` and `text_value`");
            None
        }
    };
    is_unique?;
    Some((name?, value?))
}

fn birthday(bad: &mut Violations, at: &Path<'_>, raw: &wire::Birthday) -> Option<Birthday> {
    let year = (raw.year != 0).then_some(i64::from(raw.year));
    let birthday = Birthday::new(i64::from(raw.month), i64::from(raw.day), year);
    let problem = || {
        let wire::Birthday { month, day, year } = raw;
        let (min, max) = (Birthday::YEAR_MIN, Birthday::YEAR_MAX);
        format!("is day {day} of month {month} in year {year}: no such day, or no year from {min} to {max}")
    };
    bad.take(at, birthday.ok_or_else(problem))
}

/// Absent where nothing is known.
pub(super) fn shown(profile: Profile) -> Option<wire::Profile> {
    if profile.is_blank() {
        return None;
    }
    let Profile { tags, attributes, segments, birthday, zone, leaderboard_opt_out, signals: _, salt: _ } = profile;
    let texts = |labels: Vec<Label>| labels.iter().map(ToString::to_string).collect();
    let attributes = attributes.into_iter().map(|(name, value)| {
        use wire::attribute::Value;
        let value = match value {
            AttributeValue::Int(n) => Value::IntValue(n),
            AttributeValue::Bool(is) => Value::BoolValue(is),
            AttributeValue::Text(text) => Value::TextValue(text),
        };
        wire::Attribute { name: name.to_string(), value: Some(value) }
    });
    let birthday = birthday.map(|Birthday { month, day, year }| wire::Birthday {
        month: month.into(),
        day: day.into(),
        year: year.unwrap_or(0).into(),
    });
    Some(wire::Profile {
        tags: texts(tags),
        attributes: attributes.collect(),
        segments: texts(segments),
        birthday,
        time_zone: zone.unwrap_or_default(),
        leaderboard_opt_out,
    })
}

pub(super) fn role(role: Role) -> wire::Role {
    match role {
        Role::Owner => wire::Role::Owner,
        Role::Admin => wire::Role::Admin,
        Role::Member => wire::Role::Member,
        Role::Earner => wire::Role::Earner,
    }
}

pub(super) fn account_kind(kind: AccountKind) -> wire::AccountKind {
    match kind {
        AccountKind::Person => wire::AccountKind::Person,
        AccountKind::Household => wire::AccountKind::Household,
        AccountKind::Company => wire::AccountKind::Company,
        AccountKind::Partner => wire::AccountKind::Partner,
        AccountKind::Guest => wire::AccountKind::Guest,
    }
}
