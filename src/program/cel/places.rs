//! Where the parts of an expression stand. The parser tells no places of what it understands, but its leaves come in
//! the order of the text's words.

use std::collections::HashMap;

use cel::common::ast::{Expr, IdedExpr, LiteralValue, operators};

use super::scan::Token;

/// Where an expression begins, and where its own name or value stands; in bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    pub(super) start: usize,
    pub(super) own: usize,
}

/// The words of `a.b.c` and `a.b['c']` with the ids of their nodes. False: it is something else.
pub(super) fn path<'e>(expr: &'e IdedExpr, into: &mut Vec<(&'e str, u64)>) -> bool {
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
pub(super) fn note<'t>(
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
pub(super) fn offset(text: &str, (line, column): (isize, isize)) -> usize {
    let line = usize::try_from(line).unwrap_or(1).saturating_sub(1);
    let before: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let at = before + usize::try_from(column).unwrap_or(1).saturating_sub(1);
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
