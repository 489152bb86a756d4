//! What follows when something other than an order fires rules: joining, an event, a date, a tier, a goal.

use super::super::answer::Decided;
use super::super::awards::Award;
use super::super::conditions::{SeenEvent, holds, is_on};
use super::super::desk::Desk;
use super::super::id::GrantId;
use super::super::program::Rule;
use super::super::time::Instant;
use super::awards::{self, Given};
use super::{Halt, Scene};

/// Fires the rules that `acts` picks and whose conditions hold, in the order of the file. `cause` spells out what
/// fired them and names the grants: the same cause never grants twice under another name.
pub(super) fn fire(
    scene: &Scene<'_>,
    desk: &mut Desk,
    acts: impl Fn(&Rule) -> bool,
    cause: &[&str],
    at: Instant,
    decided: &mut Decided,
) -> Result<Given, Halt> {
    fire_by(scene, desk, acts, cause, at, None, decided)
}

/// The same for rules that an event fires.
pub(super) fn fire_by(
    scene: &Scene<'_>,
    desk: &mut Desk,
    acts: impl Fn(&Rule) -> bool,
    cause: &[&str],
    at: Instant,
    event: Option<SeenEvent<'_>>,
    decided: &mut Decided,
) -> Result<Given, Halt> {
    let mut made = Given::default();
    for rule in scene.program.rules.iter().filter(|rule| acts(rule)) {
        let view = super::View { at, event, ..scene.view(&desk.state, None) };
        let is_on = is_on(&view, scene.program.campaign_of(rule), &mut None);
        if !is_on || !holds(&view, &rule.conditions, None, &mut None) {
            continue;
        }
        let Some(rule) = scene.worth(rule, event) else { continue };
        let Some(award) = Award::of_rule(&rule) else { continue };
        let name: Vec<&str> = cause.iter().copied().chain([rule.id.as_str()]).collect();
        made.extend(awards::give(scene, desk, &award, GrantId::of(&name), at, decided)?);
    }
    Ok(made)
}
