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
use crate::domain::predicate::{Arithmetic, Field, Predicate, Relation, Text, TextRelation, Whole};
use names::{Type, Unknown};
use scan::{Kind, Problem, Token};

pub(super) use describe::reference;

mod describe;
mod names;
mod scan;

/// The longest expression, in bytes. The parser's recursion is bounded by it.
pub(super) const LEN_MAX: usize = 1_000;

/// As orders state their kind.
pub(super) const ORDER_KINDS: &[&str] = &["first", "renewal", "trial", "replacement"];

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

/// Where an expression begins, and where its own name or value stands; in bytes.
#[derive(Clone, Copy, Default)]
struct Place {
    start: usize,
    own: usize,
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
    /// A whole number or a text.
    Open(Field),
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
            What::Open(_) => Type::Open.phrase(),
        }
    }
}

const JOIN_HINT: &str = "join conditions with && or ||";
const FUNCTIONS: &str = "known are size, has, startsWith, endsWith and contains";

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
            Some(token) if message.contains("expecting <EOF>") || message.contains("mismatched input") => {
                let hint = if token.kind == Kind::Symbol { None } else { Some(JOIN_HINT) };
                self.fault(token.at, format!("{} does not belong here", quoted(token.text)), hint);
            }
            Some(token) => self.fault(token.at, format!("{} is not understood here", quoted(token.text)), None),
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
            What::Open(field) => Some(Predicate::Flag { field, wanted: true }),
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
            What::Open(field) => Some(Whole::Field(field)),
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
            Type::Open => What::Open(field),
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

    fn compare(&mut self, left: Found, how: Relation, right: Found) -> Option<What> {
        let place = right.place;
        let predicate = match (left.what, right.what) {
            (What::Whole(Whole::Constant(left)), What::Whole(Whole::Constant(right))) => {
                Predicate::Constant(how.holds(left, right))
            }
            (What::Whole(left), What::Whole(right)) => Predicate::Compare { left, how, right },
            (What::Whole(left), What::Open(field)) => Predicate::Compare { left, how, right: Whole::Field(field) },
            (What::Open(field), What::Whole(right)) => Predicate::Compare { left: Whole::Field(field), how, right },
            (a @ (What::Text(_) | What::Open(_)), b @ (What::Text(_) | What::Open(_))) => {
                if !matches!(how, Relation::Equal | Relation::Different) {
                    let hint = "write ==, != or in";
                    self.fault(
                        left.place.start,
                        format!("texts have no order: `{how}` cannot compare them"),
                        Some(hint),
                    );
                    return None;
                }
                if let (What::Open(_), What::Open(_)) = (&a, &b) {
                    self.fault(place.start, "what the two are is known for neither", Some("compare with a constant"));
                    return None;
                }
                let text = |what| match what {
                    What::Text(text) => Some(text),
                    What::Open(field) => Some(Text::Field(field)),
                    _ => None,
                };
                let (a, b, wanted) = (text(a)?, text(b)?, how == Relation::Equal);
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
            (What::Open(field), What::Truth(Predicate::Constant(flag)))
                if matches!(how, Relation::Equal | Relation::Different) =>
            {
                Predicate::Flag { field, wanted: flag == (how == Relation::Equal) }
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

    fn compute(&mut self, left: Found, how: Arithmetic, right: Found, place: Place) -> Option<What> {
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

    fn member_of(&mut self, value: Found, list: Found) -> Option<What> {
        let (value_at, list_at) = (value.place.own, list.place.own);
        let predicate = match (value.what, list.what) {
            (What::Whole(value), What::Numbers(of)) => match value {
                Whole::Constant(value) => Predicate::Constant(of.contains(&value)),
                value => Predicate::OneOf { value, of: of.into(), wanted: true },
            },
            (What::Open(field), What::Numbers(of)) => {
                Predicate::OneOf { value: Whole::Field(field), of: of.into(), wanted: true }
            }
            (What::Open(field), What::Words(of, _)) => {
                Predicate::TextOneOf { value: Text::Field(field), of: of.into(), wanted: true }
            }
            (What::Text(Text::Constant(word)), What::Words(of, _)) => Predicate::Constant(of.contains(&word)),
            (What::Text(Text::Field(field)), What::Words(of, at)) => {
                let known = of.iter().zip(&at).map(|(word, at)| self.check_word(&field, word, *at));
                known.collect::<Vec<_>>().into_iter().collect::<Option<Vec<()>>>()?;
                Predicate::TextOneOf { value: Text::Field(field), of: of.into(), wanted: true }
            }
            (What::Text(value), What::List(list)) => Predicate::Lists { list, value, wanted: true },
            (What::Open(field), What::List(list)) => Predicate::Lists { list, value: Text::Field(field), wanted: true },
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
    fn call(&mut self, name: &str, target: Option<&IdedExpr>, args: &[IdedExpr], place: Place) -> Option<What> {
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
            What::Open(field) => Text::Field(field),
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
            What::Open(field) => Predicate::Text { left: Text::Field(field), how, right, wanted: true },
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

/// The words of `a.b.c` and `a.b['c']` with the ids of their nodes. False: it is something else.
fn path<'e>(expr: &'e IdedExpr, into: &mut Vec<(&'e str, u64)>) -> bool {
    match &expr.expr {
        Expr::Ident(name) => {
            into.push((name, expr.id));
            true
        }
        Expr::Select(select) => {
            let whole = path(&select.operand, into);
            into.push((&select.field, expr.id));
            whole
        }
        Expr::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [target, IdedExpr { id, expr: Expr::Literal(LiteralValue::String(key)) }] => {
                let whole = path(target, into);
                into.push((key.inner(), *id));
                whole
            }
            _ => false,
        },
        _ => false,
    }
}

/// Notes where each part stands. The tree's leaves come in the order of the text's words, numbers and texts, for what
/// would bring them out of order (macros over lists, maps) was refused before.
fn note<'t>(
    expr: &IdedExpr,
    leaves: &mut impl Iterator<Item = &'t Token<'t>>,
    places: &mut HashMap<u64, Place>,
    before: usize,
) -> usize {
    let next = |leaves: &mut dyn Iterator<Item = &'t Token<'t>>| leaves.next().map_or(before, |token| token.at);
    let place = match &expr.expr {
        Expr::Ident(_) | Expr::Literal(_) => {
            let at = next(leaves);
            Place { start: at, own: at }
        }
        Expr::Select(select) => {
            let test = select.test.then(|| next(leaves));
            let start = note(&select.operand, leaves, places, before);
            let own = next(leaves);
            Place { start: test.unwrap_or(start), own }
        }
        Expr::Call(call) => {
            let target = call.target.as_ref().map(|target| note(target, leaves, places, before));
            let operator = !call.func_name.starts_with(|c: char| c.is_ascii_alphabetic());
            let own = (!operator).then(|| next(leaves));
            let args: Vec<usize> = call.args.iter().map(|arg| note(arg, leaves, places, before)).collect();
            let start = target.or(own).or(args.first().copied()).unwrap_or(before);
            let own = match call.func_name.as_str() {
                operators::INDEX => args.last().copied(),
                _ => own,
            };
            Place { start, own: own.unwrap_or(start) }
        }
        Expr::List(list) => {
            let elements: Vec<usize> =
                list.elements.iter().map(|element| note(element, leaves, places, before)).collect();
            let at = elements.first().copied().unwrap_or(before);
            Place { start: at, own: at }
        }
        Expr::Comprehension(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Place::default(),
    };
    places.insert(expr.id, place);
    place.start
}

/// Line and column from 1, as the parser counts them: columns in bytes.
fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let at = before + usize::try_from(column).unwrap_or(1).saturating_sub(1);
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn relation(name: &str) -> Option<Relation> {
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

fn arithmetic(name: &str) -> Option<Arithmetic> {
    Some(match name {
        operators::ADD => Arithmetic::Plus,
        operators::SUBSTRACT => Arithmetic::Minus,
        operators::MULTIPLY => Arithmetic::Times,
        operators::DIVIDE => Arithmetic::Over,
        operators::MODULO => Arithmetic::Modulo,
        _ => return None,
    })
}
