//! Operators and functions: which types they take, and what they become.

use cel::common::ast::{IdedExpr, operators};

use super::super::fault::quoted;
use super::names;
use super::places::Place;
use super::{Found, Lowering, What};
use crate::domain::predicate::{Arithmetic, Field, Predicate, Relation, Text, TextRelation, Whole};

const FUNCTIONS: &str = "known are size, has, startsWith, endsWith and contains";

impl Lowering<'_, '_> {
    pub(super) fn compare(&mut self, left: Found, how: Relation, right: Found) -> Option<What> {
        let place = right.place;
        let predicate = match (left.what, right.what) {
            (What::Whole(Whole::Constant(left)), What::Whole(Whole::Constant(right))) => {
                Predicate::Constant(how.holds(left, right))
            }
            (What::Whole(left), What::Whole(right)) => Predicate::Compare { left, how, right },
            (What::Text(a), What::Text(b)) => {
                if !matches!(how, Relation::Equal | Relation::Different) {
                    let message = format!("texts have no order: `{how}` cannot compare them");
                    self.fault(left.place.start, message, Some("write ==, != or in"));
                    return None;
                }
                let wanted = how == Relation::Equal;
                match (&a, &b) {
                    (Text::Field(field), Text::Constant(word)) => self.check_word(field, word, place.start)?,
                    (Text::Constant(word), Text::Field(field)) => self.check_word(field, word, left.place.start)?,
                    (Text::Constant(a), Text::Constant(b)) => {
                        return Some(What::Truth(Predicate::Constant((a == b) == wanted)));
                    }
                    (Text::Field(_), Text::Field(_)) => {}
                }
                Predicate::Text { left: a, how: TextRelation::Equals, right: b, wanted }
            }
            (What::Truth(truth), What::Truth(Predicate::Constant(flag)))
            | (What::Truth(Predicate::Constant(flag)), What::Truth(truth))
                if matches!(how, Relation::Equal | Relation::Different) =>
            {
                if flag == (how == Relation::Equal) {
                    truth
                } else {
                    truth.negated()
                }
            }
            (left, right) => {
                let message = format!("`{how}` compares {} with {}", left.phrase(), right.phrase());
                let hint = match (&left, &right) {
                    (What::List(_), _) | (_, What::List(_)) => Some("write 'x' in list, or compare size(list)"),
                    (What::Truth(_), What::Truth(_)) => Some("write a && b || !a && !b"),
                    (What::Text(Text::Field(Field::TimeWeekday)), _) => Some("days are 'mon' to 'sun'"),
                    (_, What::Text(Text::Constant(text))) if text.parse::<i64>().is_ok() => Some("remove the quotes"),
                    (What::Text(_), What::Whole(Whole::Constant(_))) => Some("put it in quotes"),
                    _ => None,
                };
                self.fault(place.start, message, hint);
                return None;
            }
        };
        Some(What::Truth(predicate))
    }

    /// A constant that a field can be, where that is known.
    fn check_word(&mut self, field: &Field, word: &str, at: usize) -> Option<()> {
        let Some((known, complaint)) = names::words(field, &self.r.names) else { return Some(()) };
        if known.iter().any(|known| known == word) {
            return Some(());
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let hint = self.r.suggestion(word, &known);
        self.fault(at, format!("{} {complaint}", quoted(word)), hint.as_deref());
        None
    }

    pub(super) fn compute(&mut self, left: Found, how: Arithmetic, right: Found, place: Place) -> Option<What> {
        let right_at = right.place.start;
        let joins = format!("`{how}` takes");
        let (left, right) = (self.whole(left, &joins), self.whole(right, &joins));
        let (left, right) = (left?, right?);
        if matches!(how, Arithmetic::Over | Arithmetic::Modulo) && right == Whole::Constant(0) {
            self.fault(right_at, "nothing can be divided by zero", None);
            return None;
        }
        if let (Whole::Constant(left), Whole::Constant(right)) = (&left, &right) {
            let Some(result) = how.apply(*left, *right) else {
                self.fault(place.start, "the result has more than 64 bits", None);
                return None;
            };
            return Some(What::Whole(Whole::Constant(result)));
        }
        Some(What::Whole(Whole::Of(Box::new((left, how, right)))))
    }

    pub(super) fn member_of(&mut self, value: Found, list: Found) -> Option<What> {
        let (value_at, list_at) = (value.place.own, list.place.own);
        let predicate = match (value.what, list.what) {
            (What::Whole(value), What::Numbers(of)) => match value {
                Whole::Constant(value) => Predicate::Constant(of.contains(&value)),
                value => Predicate::OneOf { value, of: of.into(), wanted: true },
            },
            (What::Text(Text::Constant(word)), What::Words(of, _)) => Predicate::Constant(of.contains(&word)),
            (What::Text(Text::Field(field)), What::Words(of, at)) => {
                let known = of.iter().zip(&at).map(|(word, at)| self.check_word(&field, word, *at));
                known.collect::<Vec<_>>().into_iter().collect::<Option<Vec<()>>>()?;
                Predicate::TextOneOf { value: Text::Field(field), of: of.into(), wanted: true }
            }
            (What::Text(value), What::List(list)) => Predicate::Lists { list, value, wanted: true },
            (value, list @ (What::List(_) | What::Words(..) | What::Numbers(_))) => {
                let message = format!("{} cannot be in {}", value.phrase(), list.phrase());
                self.fault(value_at, message, None);
                return None;
            }
            (_, other) => {
                let message = format!("`in` takes a list on its right, found {}", other.phrase());
                self.fault(list_at, message, Some("write x in ['a', 'b']"));
                return None;
            }
        };
        Some(What::Truth(predicate))
    }

    /// `f(x)` and `x.f(y)`.
    pub(super) fn call(
        &mut self,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
        place: Place,
    ) -> Option<What> {
        match (name, target, args) {
            ("size", None, [list]) | ("size", Some(list), []) => {
                let list = self.lower(list)?;
                match list.what {
                    What::List(field) => Some(What::Whole(Whole::Size(field))),
                    other => {
                        let message = format!("`size` counts a list of the order or member, found {}", other.phrase());
                        self.fault(list.place.own, message, None);
                        None
                    }
                }
            }
            ("startsWith" | "endsWith" | "contains", Some(target), [arg]) => {
                let (target, arg) = (self.lower(target), self.lower(arg));
                self.part_of(target?, name, arg?)
            }
            ("has", ..) => {
                self.fault(place.own, "`has` takes a name with a dot, such as has(order.store)", None);
                None
            }
            ("size" | "startsWith" | "endsWith" | "contains", ..) => {
                let hint = match name {
                    "size" => "write size(list)",
                    _ => "write text.startsWith('x'), text.endsWith('x'), text.contains('x') or list.contains('x')",
                };
                self.fault(place.own, format!("`{name}` is not called so"), Some(hint));
                None
            }
            _ => {
                let known = ["size", "has", "startsWith", "endsWith", "contains"];
                let nearest = self.r.nearest(name, known);
                let hint = nearest.as_deref().unwrap_or(FUNCTIONS);
                self.fault(place.own, format!("{} is no function that conditions know", quoted(name)), Some(hint));
                None
            }
        }
    }

    fn part_of(&mut self, target: Found, name: &str, arg: Found) -> Option<What> {
        let arg_at = arg.place.own;
        let right = match arg.what {
            What::Text(text) => text,
            other => {
                self.fault(arg_at, format!("`{name}` takes a text, found {}", other.phrase()), None);
                return None;
            }
        };
        let how = match name {
            "startsWith" => TextRelation::StartsWith,
            "endsWith" => TextRelation::EndsWith,
            _ => TextRelation::Contains,
        };
        let predicate = match target.what {
            What::Text(left) => Predicate::Text { left, how, right, wanted: true },
            What::List(list) if how == TextRelation::Contains => Predicate::Lists { list, value: right, wanted: true },
            other => {
                let message = format!("{} has no `{name}`", other.phrase());
                self.fault(target.place.own, message, None);
                return None;
            }
        };
        Some(What::Truth(predicate))
    }
}

pub(super) fn relation(name: &str) -> Option<Relation> {
    Some(match name {
        operators::EQUALS => Relation::Equal,
        operators::NOT_EQUALS => Relation::Different,
        operators::LESS => Relation::Less,
        operators::LESS_EQUALS => Relation::AtMost,
        operators::GREATER => Relation::More,
        operators::GREATER_EQUALS => Relation::AtLeast,
        _ => return None,
    })
}

pub(super) fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        operators::ADD => Arithmetic::Plus,
        operators::SUBSTRACT => Arithmetic::Minus,
        operators::MULTIPLY => Arithmetic::Times,
        operators::DIVIDE => Arithmetic::Over,
        operators::MODULO => Arithmetic::Modulo,
        _ => return None,
    })
}
