//! What rules may ask of who acts.

use serde_json::json;

use super::*;
use crate::domain::predicate::{Field, Predicate, Text, Whole as Number};
use crate::domain::program::AttributeType;
use crate::domain::time::Period;

const ASKED_MAX: usize = Predicate::LISTED_MAX;

section! {
    /// What is asked of who acts: everything stated must hold. A guest has no tags, segments and attributes, and has not
    /// joined.
    MemberSection = "member" {
        /// With at least one of these tags.
        tags: Distinct<LabelText, 1, ASKED_MAX>, Without("with any tags or none");
        /// With none of these tags.
        without_tags: Distinct<LabelText, 1, ASKED_MAX>, Without("with any tags or none");
        /// In at least one of these segments.
        segments: Distinct<LabelText, 1, ASKED_MAX>, Without("in any segment or none");
        /// Of each of these attributes, one of the values.
        attributes: AskedAttributes, Without("with any");
        /// Joined at least so long ago, by the calendar of the program's zone; equal is enough.
        joined_at_least: Length, Without("however lately");
        /// Joined at most so long ago, inclusive.
        joined_at_most: Length, Without("however long ago");
        /// With such a value profile.
        value: ValueAskedSection, Without("any");
    }
}

/// What must hold of who acts.
#[derive(Default)]
pub(in crate::program) struct Asked {
    pub(super) all: Vec<Predicate>,
    pub(super) joined_at_least: Option<Period>,
    pub(super) joined_at_most: Option<Period>,
}

impl Build for MemberSection {
    type Out = Asked;

    fn build(self, pos: Pos, r: &mut Reader) -> Option<Asked> {
        if let (Some(with), Some(without)) = (&self.tags, &self.without_tags)
            && with.value.iter().all(|tag| without.value.contains(tag))
        {
            r.fault_at(without, "takes out every tag that `tags` asks for", Some("remove one of the two"));
        }
        let lists = |list: Field, asked: Option<At<Vec<Label>>>, wanted: bool| {
            asked.map(|at| Predicate::ListsOneOf { list, of: texts(&at.value), wanted })
        };
        let (joined_at_least, joined_at_most) = (self.joined_at_least, self.joined_at_most);
        if let (Some(least), Some(most)) = (&joined_at_least, &joined_at_most)
            && days(most.value).1 < days(least.value).0
        {
            r.fault_at(most, "nobody joined at once that long and that short ago", Some("exchange the two"));
        }
        let labels = [
            lists(Field::MemberTags, self.tags, true),
            lists(Field::MemberTags, self.without_tags, false),
            lists(Field::MemberSegments, self.segments, true),
        ];
        let mut all: Vec<Predicate> = labels.into_iter().flatten().collect();
        all.extend(self.attributes.map(|at| at.value).unwrap_or_default());
        all.extend(self.value.map(|at| at.value).unwrap_or_default());
        let joined_at_least = joined_at_least.map(|at| at.value);
        let joined_at_most = joined_at_most.map(|at| at.value);
        let nothing = all.is_empty() && joined_at_least.is_none() && joined_at_most.is_none();
        if nothing {
            r.lacks(pos, "asks nothing of the member", Some("leave it out"));
            return None;
        }
        Some(Asked { all, joined_at_least, joined_at_most })
    }
}

/// The least and the most days that a period can have.
fn days(period: Period) -> (u64, u64) {
    match period {
        Period::Seconds(_) | Period::Minutes(_) | Period::Hours(_) => (0, u64::MAX), // told apart by nobody
        Period::Days(n) => (n.into(), n.into()),
        Period::Weeks(n) => (7 * u64::from(n), 7 * u64::from(n)),
        Period::Months(n) => (28 * u64::from(n), 31 * u64::from(n)),
        Period::Years(n) => (365 * u64::from(n), 366 * u64::from(n)),
    }
}

pub(super) fn texts<T: std::fmt::Display>(labels: &[T]) -> Box<[Box<str>]> {
    labels.iter().map(|label| label.to_string().into()).collect()
}

/// Values by attribute, each of the attribute's type.
pub(in crate::program) struct AskedAttributes;

impl Value for AskedAttributes {
    type Out = Vec<Predicate>;

    fn read(node: &Node, r: &mut Reader) -> Option<Vec<Predicate>> {
        let declared = r.names.attributes.clone();
        asked_attributes(node, &declared, "attributes", Field::MemberAttribute, r)
    }

    fn phrase() -> String {
        format!("a mapping from declared attributes to lists of 1 to {ASKED_MAX} values of their type")
    }

    fn schema() -> Json {
        json!({
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "array",
                "items": { "type": ["string", "integer", "boolean"] },
                "minItems": 1,
                "maxItems": ASKED_MAX,
                "uniqueItems": true,
            },
        })
    }
}

/// Of each attribute that is named, one of the values. `place`: where they are declared.
pub(super) fn asked_attributes(
    node: &Node,
    declared: &BTreeMap<Label, AttributeType>,
    place: &str,
    field: fn(Label) -> Field,
    r: &mut Reader,
) -> Option<Vec<Predicate>> {
    let Content::Map(entries) = &node.content else {
        r.wrong(node, "a mapping from attributes to lists of values", Some("write {name: [value]}"));
        return None;
    };
    if entries.is_empty() {
        r.fault(node.pos, "names no attribute", Some("leave it out"));
        return None;
    }
    let asked = entries.iter().map(|entry| {
        r.within(Step::Key(Cow::Owned(entry.key.clone())), |r| {
            let kind = declared.iter().find(|(name, _)| name.as_str() == entry.key);
            let Some((name, kind)) = kind.map(|(name, kind)| (name.clone(), *kind)) else {
                let known: Vec<&str> = declared.keys().map(Label::as_str).collect();
                let hint = r.suggestion(&entry.key, &known);
                let hint = hint.unwrap_or_else(|| format!("declare it under `{place}`"));
                let message = format!("`{place}` declares no {}", quoted(&entry.key));
                r.fault(entry.key_pos, message, Some(&hint));
                return None;
            };
            values(field(name), kind, &entry.value, r)
        })
    });
    asked.collect::<Vec<_>>().into_iter().collect()
}

fn values(field: Field, kind: AttributeType, node: &Node, r: &mut Reader) -> Option<Predicate> {
    Some(match kind {
        AttributeType::Int => {
            let of = Distinct::<Whole<{ i64::MIN }, { i64::MAX }>, 1, ASKED_MAX>::read(node, r)?;
            Predicate::OneOf { value: Number::Field(field), of: of.into(), wanted: true }
        }
        AttributeType::Bool => {
            let of = Distinct::<Flag, 1, 2>::read(node, r)?;
            Predicate::any(of.into_iter().map(|wanted| Predicate::Flag { field: field.clone(), wanted }))
        }
        AttributeType::Text => {
            let of = Distinct::<LabelText, 1, ASKED_MAX>::read(node, r)?;
            Predicate::TextOneOf { value: Text::Field(field), of: texts(&of), wanted: true }
        }
    })
}
