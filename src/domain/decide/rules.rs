//! What follows when something other than an order fires rules: joining, an event, a date, a tier, a goal.

use super::super::answer::{Decided, Effect};
use super::super::conditions::holds;
use super::super::desk::Desk;
use super::super::earn::Plan;
use super::super::id::GrantId;
use super::super::order_record::GrantRecord;
use super::super::program::{Rule, Then};
use super::super::time::Instant;
use super::checkout::grant_units;
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
) -> Result<Vec<GrantRecord>, Halt> {
    let mut made = Vec::new();
    for rule in scene.program.rules.iter().filter(|rule| acts(rule)) {
        let view = super::View { at, ..scene.view(&desk.state, None) };
        if !holds(&view, &rule.conditions, None, &mut None) {
            continue;
        }
        let Then::Bonus(bonus) = &rule.then else { continue };
        let plan = Plan {
            rule: rule.id.clone(),
            kind: rule.kind,
            unit: bonus.unit.clone(),
            amount: bonus.units,
            shares: Vec::new(),
            life: bonus.life,
        };
        let name: Vec<&str> = cause.iter().copied().chain([rule.id.as_str()]).collect();
        let granted = grant_units(scene, desk, GrantId::of(&name), &plan)?;
        made.push(GrantRecord {
            grant: granted.grant.clone(),
            unit: plan.unit,
            amount: plan.amount,
            dates: super::super::ledger::Dates { activates_at: granted.activates_at, expires_at: granted.expires_at },
            shares: Vec::new(),
            reversed: 0,
        });
        decided.effects.push(Effect::Granted(granted));
    }
    Ok(made)
}
