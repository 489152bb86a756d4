//! Expressions: a subset of the Common Expression Language, checked and lowered when the program is.
//!
//! The `cel` crate parses; everything else is ours: names must exist, types must fit, and what has no bounded cost
//! (macros over lists, functions of its library) is refused. What is left is a [`Predicate`], which decides without
//! the crate.

use std::collections::HashMap;

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};
use cel::parser::PrattParser;
use serde_json::{Value as Json, json};

use super::fault::{Pos, quoted};
use super::read::{Reader, Value};
use super::tree::Node;
use crate::domain::predicate::{Field, Predicate, Text, Whole};
use names::{Type, Unknown};
use operate::{arithmetic, relation};
use places::{Place, note, offset, path};
pub use scan::DEPTH_MAX;
use scan::{Kind, Problem, Token};

pub(super) use describe::reference;

mod describe;
mod names;
mod operate;
mod places;
mod scan;

/// The longest expression, in bytes. The parser's recursion is bounded by it.
pub const LEN_MAX: usize = 1_000;

/// What an expression became.
pub(super) struct Lowered {
    pub(super) predicate: Predicate,
    /// What it looks at, and where its name stands.
    pub(super) uses: Vec<(Field, Pos)>,
}

/// A condition as an expression.
pub(super) struct Expression;

impl Value for Expression {
    type Out = Lowered;

    fn read(node: &Node, r: &mut Reader) -> Option<Lowered> {
        let text = r.scalar(node, "an expression such as order.quantity >= 3")?;
        if LEN_MAX < text.len() {
            let message = format!("the expression is {} bytes long, at most {LEN_MAX} are allowed", text.len());
            r.fault(node.pos, message, Some("use lists, typed selectors, or several rules"));
            return None;
        }
        if text.trim().is_empty() {
            r.fault(node.pos, "the expression is empty", None);
            return None;
        }
        let mut lowering =
            Lowering { node, text, r, places: HashMap::new(), nodes: 0, faulty: false, uses: Vec::new() };
        let expr = lowering.parse()?;
        let found = lowering.lower(&expr);
        let predicate = found.and_then(|found| lowering.truth(found));
        let predicate = predicate.filter(|_| !lowering.faulty)?;
        let uses = lowering.uses;
        Some(Lowered { predicate, uses })
    }

    fn phrase() -> String {
        "an [expression](#expressions) such as `\"order.quantity >= 3 && time.hour < 12\"`".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "string", "minLength": 1, "maxLength": LEN_MAX })
    }
}

struct Lowering<'n, 'r> {
    node: &'n Node,
    text: &'n str,
    r: &'r mut Reader,
    places: HashMap<u64, Place>,
    nodes: usize,
    faulty: bool,
    uses: Vec<(Field, Pos)>,
}

/// An expression of known type.
struct Found {
    what: What,
    place: Place,
}

enum What {
    Truth(Predicate),
    Whole(Whole),
    Text(Text),
    List(Field),
    Numbers(Vec<i64>),
    Words(Vec<Box<str>>, Vec<usize>),
}

impl What {
    fn phrase(&self) -> &'static str {
        match self {
            What::Truth(_) => Type::Flag.phrase(),
            What::Whole(_) => Type::Whole.phrase(),
            What::Text(_) => Type::Text.phrase(),
            What::List(_) | What::Words(..) => Type::Texts.phrase(),
            What::Numbers(_) => "a list of whole numbers",
        }
    }
}

const JOIN_HINT: &str = "join conditions with && or ||";

impl Lowering<'_, '_> {
    fn fault(&mut self, at: usize, message: impl Into<String>, hint: Option<&str>) {
        self.faulty = true;
        let pos = self.pos(at);
        self.r.fault(pos, message, hint);
    }

    fn pos(&self, at: usize) -> Pos {
        self.r.source.place(self.node.pos, self.text, at)
    }

    /// The tree, with the places of its parts noted.
    fn parse(&mut self) -> Option<IdedExpr> {
        let tokens = match scan::scan(self.text) {
            Ok(tokens) => tokens,
            Err(problems) => {
                for Problem { at, message, hint } in problems {
                    self.fault(at, message, hint);
                }
                return None;
            }
        };
        match PrattParser::new().max_recursion_depth(64).parse(self.text) {
            Ok(expr) => {
                let mut leaves = tokens.iter().filter(|token| token.is_leaf());
                note(&expr, &mut leaves, &mut self.places, 0);
                Some(expr)
            }
            Err(errors) => {
                let first = errors.errors.iter().find(|error| 0 < error.pos.0).or(errors.errors.first());
                let (at, message) = first.map_or((0, ""), |error| (offset(self.text, error.pos), error.msg.as_str()));
                self.syntax(at, message, &tokens);
                None
            }
        }
    }

    /// The parser's own words speak of its grammar; what stands at the place says more.
    fn syntax(&mut self, at: usize, message: &str, tokens: &[Token<'_>]) {
        let here = tokens.iter().find(|token| at <= token.at);
        match here {
            _ if message.contains("invalid argument to has()") => {
                self.fault(at, "`has` takes a name with a dot, such as has(order.store)", None);
            }
            None => self.fault(self.text.trim_end().len(), "the expression ends where a value must follow", None),
            Some(token) => {
                let hint = if token.kind == Kind::Symbol { None } else { Some(JOIN_HINT) };
                self.fault(token.at, format!("{} does not belong here", quoted(token.text)), hint);
            }
        }
    }

    fn place(&self, expr: &IdedExpr) -> Place {
        self.places.get(&expr.id).copied().unwrap_or_default()
    }

    fn lower(&mut self, expr: &IdedExpr) -> Option<Found> {
        let place = self.place(expr);
        self.nodes += 1;
        if Predicate::NODES_MAX < self.nodes {
            if self.nodes == Predicate::NODES_MAX + 1 {
                let message = format!("the expression has more than {} parts", Predicate::NODES_MAX);
                self.fault(place.start, message, Some("use lists, typed selectors, or several rules"));
            }
            return None;
        }
        let what = match &expr.expr {
            Expr::Literal(literal) => self.literal(literal, place)?,
            Expr::List(list) => self.list(&list.elements, place)?,
            Expr::Ident(_) => self.named(expr)?,
            Expr::Select(select) if select.test => {
                let field = self.name_of_test(expr)?;
                What::Truth(Predicate::Has { field, wanted: true })
            }
            Expr::Select(_) => self.named(expr)?,
            Expr::Call(call) => match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
                (operators::INDEX, ..) => self.named(expr)?,
                (operators::LOGICAL_AND, None, [left, right]) => {
                    let (left, right) = (self.lower_truth(left), self.lower_truth(right));
                    What::Truth(Predicate::all([left?, right?]))
                }
                (operators::LOGICAL_OR, None, [left, right]) => {
                    let (left, right) = (self.lower_truth(left), self.lower_truth(right));
                    What::Truth(Predicate::any([left?, right?]))
                }
                (operators::LOGICAL_NOT, None, [inner]) => What::Truth(self.lower_truth(inner)?.negated()),
                (operators::NEGATE, None, [inner]) => {
                    let inner = self.lower(inner)?;
                    match self.whole(inner, "a sign stands before")? {
                        Whole::Constant(constant) => What::Whole(Whole::Constant(constant.checked_neg()?)),
                        inner => What::Whole(Whole::Negative(Box::new(inner))),
                    }
                }
                (operators::IN, None, [value, list]) => {
                    let (value, list) = (self.lower(value), self.lower(list));
                    self.member_of(value?, list?)?
                }
                (name, None, [left, right]) if relation(name).is_some() => {
                    let (left, right) = (self.lower(left), self.lower(right));
                    self.compare(left?, relation(name)?, right?)?
                }
                (name, None, [left, right]) if arithmetic(name).is_some() => {
                    let (left, right) = (self.lower(left), self.lower(right));
                    self.compute(left?, arithmetic(name)?, right?, place)?
                }
                (name, target, args) => self.call(name, target, args, place)?,
            },
            Expr::Comprehension(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
                self.fault(place.start, "this is not part of conditions", None);
                return None;
            }
        };
        Some(Found { what, place })
    }

    fn lower_truth(&mut self, expr: &IdedExpr) -> Option<Predicate> {
        let found = self.lower(expr)?;
        self.truth(found)
    }

    /// What must be true or false.
    fn truth(&mut self, found: Found) -> Option<Predicate> {
        match found.what {
            What::Truth(predicate) => Some(predicate),
            other => {
                let hint = match other {
                    What::List(_) | What::Words(..) => Some("write size(list) > 0, or 'x' in list"),
                    What::Text(_) => Some("compare it: == 'text'"),
                    _ => Some("compare it: >= 1"),
                };
                let message = format!("expected true or false, found {}", other.phrase());
                self.fault(found.place.own, message, hint);
                None
            }
        }
    }

    fn whole(&mut self, found: Found, whose: &str) -> Option<Whole> {
        match found.what {
            What::Whole(whole) => Some(whole),
            other => {
                let message = format!("{whose} a whole number, found {}", other.phrase());
                self.fault(found.place.own, message, None);
                None
            }
        }
    }

    fn literal(&mut self, literal: &LiteralValue, place: Place) -> Option<What> {
        match literal {
            LiteralValue::Boolean(flag) => Some(What::Truth(Predicate::Constant(*flag.inner()))),
            LiteralValue::Int(number) => Some(What::Whole(Whole::Constant(*number.inner()))),
            LiteralValue::String(text) if text.inner().len() <= Predicate::TEXT_LEN_MAX => {
                Some(What::Text(Text::Constant(text.inner().into())))
            }
            LiteralValue::String(_) => {
                let message = format!("the text is longer than {} bytes", Predicate::TEXT_LEN_MAX);
                self.fault(place.start, message, None);
                None
            }
            LiteralValue::Null => {
                let hint = Some("write has(name), or !has(name)");
                self.fault(place.start, "nothing is ever null: what is missing is not there", hint);
                None
            }
            LiteralValue::Bytes(_) | LiteralValue::Double(_) | LiteralValue::UInt(_) => {
                self.fault(place.start, "there are only whole numbers, texts, true and false", None);
                None
            }
        }
    }

    /// Constants of one type.
    fn list(&mut self, elements: &[IdedExpr], place: Place) -> Option<What> {
        if elements.is_empty() || Predicate::LISTED_MAX < elements.len() {
            let message = format!("a list has 1 to {} constants, this has {}", Predicate::LISTED_MAX, elements.len());
            self.fault(place.start, message, None);
            return None;
        }
        let (mut numbers, mut words, mut at) = (Vec::new(), Vec::new(), Vec::new());
        for element in elements {
            let place = self.place(element);
            let Expr::Literal(literal) = &element.expr else {
                self.fault(place.start, "a list has constants only", Some("write a == x || a == y"));
                return None;
            };
            match self.literal(literal, place)? {
                What::Whole(Whole::Constant(number)) => numbers.push(number),
                What::Text(Text::Constant(text)) => {
                    words.push(text);
                    at.push(place.start);
                }
                _ => {
                    self.fault(place.start, "a list has whole numbers or texts", None);
                    return None;
                }
            }
            if !numbers.is_empty() && !words.is_empty() {
                self.fault(place.start, "a list has whole numbers or texts, not both", None);
                return None;
            }
        }
        Some(if words.is_empty() { What::Numbers(numbers) } else { What::Words(words, at) })
    }

    /// A dotted name, of a value.
    fn named(&mut self, expr: &IdedExpr) -> Option<What> {
        let (field, kind) = self.name(expr)?;
        Some(match kind {
            Type::Whole => What::Whole(Whole::Field(field)),
            Type::Flag => What::Truth(Predicate::Flag { field, wanted: true }),
            Type::Text => What::Text(Text::Field(field)),
            Type::Texts => What::List(field),
        })
    }

    /// `has(a.b)` is a selection that only tests.
    fn name_of_test(&mut self, expr: &IdedExpr) -> Option<Field> {
        self.name(expr).map(|(field, _)| field)
    }

    fn name(&mut self, expr: &IdedExpr) -> Option<(Field, Type)> {
        let mut segments = Vec::new();
        if !path(expr, &mut segments) {
            let place = self.place(expr);
            self.fault(place.start, "only names can be looked into, such as order.total", None);
            return None;
        }
        let words: Vec<&str> = segments.iter().map(|(word, _)| *word).collect();
        match names::resolve(&words, &self.r.names) {
            Ok((field, kind)) => {
                let at = self.place(expr).start;
                let at = if matches!(&expr.expr, Expr::Select(select) if select.test) { at + "has(".len() } else { at };
                let pos = self.pos(at);
                self.uses.push((field.clone(), pos));
                Some((field, kind))
            }
            Err(unknown) => {
                let at = segments.get(unknown.segment).and_then(|(_, id)| self.places.get(id)).map(|place| place.own);
                let at = at.unwrap_or_else(|| self.place(expr).own);
                self.unknown(&words, unknown, at);
                None
            }
        }
    }

    fn unknown(&mut self, path: &[&str], unknown: Unknown, at: usize) {
        let Unknown { segment, known, message } = unknown;
        let found = path.get(segment).copied();
        let before = path.get(..segment).unwrap_or_default().join(".");
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        // `channel` alone: somebody left out the group.
        let whole = (segment == 0).then(|| names::known().into_iter().map(|known| known.path)).into_iter().flatten();
        let whole = whole.filter(|name| name.rsplit('.').next() == found).collect::<Vec<_>>();
        let hint = match (whole.first(), found) {
            (Some(name), _) => Some(format!("did you mean `{name}`?")),
            (None, Some(found)) => self.r.suggestion(found, &known),
            (None, None) => self.r.suggestion("", &known),
        };
        let message = message.unwrap_or_else(|| match (found, before.as_str()) {
            (None, before) => format!("`{before}` is a group of names, not a value"),
            (Some(found), "") => format!("{} is no name that conditions know", quoted(found)),
            (Some(found), before) => format!("`{before}` has no {}", quoted(found)),
        });
        self.fault(at, message, hint.as_deref());
    }
}
