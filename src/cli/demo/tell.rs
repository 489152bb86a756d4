//! Decisions in words.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::cli::replay::summary::grouped;
use crate::domain::order::Currency;
use crate::domain::time::Instant;
use crate::grpc::wire;
use wire::effect::Effect;

/// `Thu 12 Nov 08:10`, by the clock of the bakery.
pub fn when(at: Instant, zone: &TimeZone) -> String {
    at.zoned(zone).strftime("%a %e %b %H:%M").to_string()
}

fn date(at: Option<&prost_types::Timestamp>, zone: &TimeZone) -> Option<String> {
    let at = at?;
    let at = Instant(at.seconds.saturating_mul(1_000).saturating_add(i64::from(at.nanos) / 1_000_000));
    Some(at.zoned(zone).strftime("%-d %b %Y").to_string())
}

/// `12.40 GBP`.
pub fn money(minor: i64, currency: &str) -> String {
    let places = Currency::parse(currency).map_or(2, Currency::exponent);
    let sign = if minor < 0 { "-" } else { "" };
    let scale = 10u64.saturating_pow(places);
    let (whole, rest) = (minor.unsigned_abs() / scale, minor.unsigned_abs() % scale);
    match places {
        0 => format!("{sign}{} {currency}", grouped(whole.into())),
        places => format!("{sign}{}.{rest:0width$} {currency}", grouped(whole.into()), width = places as usize),
    }
}

/// What a decision does, one phrase an effect.
pub fn effects(decision: &wire::Decision, currency: &str, zone: &TimeZone) -> Vec<String> {
    decision.effects.iter().filter_map(|effect| effect.effect.as_ref()).map(|e| one(e, currency, zone)).collect()
}

fn one(effect: &Effect, currency: &str, zone: &TimeZone) -> String {
    match effect {
        Effect::UnitsGranted(granted) => {
            let mut text = format!("+{} {} ({})", granted.granted, granted.unit, granted.rule_id);
            if let Some(date) = date(granted.activates_at.as_ref(), zone) {
                let _ = write!(text, ", spendable from {date}"); // writing to a string cannot fail
            }
            if let Some(date) = date(granted.expires_at.as_ref(), zone) {
                let _ = write!(text, " until {date}");
            }
            text
        }
        Effect::UnitsRedeemed(used) => {
            format!("-{} {}, which pay {}", used.amount, used.unit, money(used.value_minor, currency))
        }
        Effect::Discount(off) => format!("{} off ({})", money(off.amount_minor, currency), off.reward_id),
        Effect::UnitsReversed(taken) => {
            let mut text = format!("-{} {} taken back", taken.amount, taken.unit);
            if 0 < taken.debt {
                let _ = write!(text, ", {} of them owed", taken.debt);
            }
            text
        }
        Effect::UnitsRestored(given) => format!("+{} {} given back", given.amount, given.unit),
        Effect::ReferralChanged(changed) => {
            let state = match changed.state() {
                wire::ReferralState::Unspecified => "unknown",
                wire::ReferralState::Attributed => "attributed",
                wire::ReferralState::Qualified => "qualified",
                wire::ReferralState::Expired => "expired",
                wire::ReferralState::Rejected => "rejected",
                wire::ReferralState::Superseded => "superseded",
            };
            format!("referral {} is {state}", changed.referral_id)
        }
        Effect::UnitsReleased(released) => format!("{} {} no longer wait", released.amount, released.unit),
        Effect::UnitsExtended(longer) => format!("{} {} live longer", longer.amount, longer.unit),
        Effect::UnitsReinstated(back) => format!("+{} {} that had expired", back.amount, back.unit),
        Effect::UnitsClaimable(would) => {
            let would = would.would_grant.clone().unwrap_or_default();
            format!("would be +{} {} ({}) for a member", would.granted, would.unit, would.rule_id)
        }
        Effect::UnitsMoved(moved) => format!("{} {} move to {}", moved.available, moved.unit, moved.account_id),
        Effect::UnitsForfeited(lost) => format!("-{} {} forfeited", lost.amount, lost.unit),
        Effect::UnitsTransferred(given) => format!("-{} {} to {}", given.amount, given.unit, given.account_id),
        Effect::UnitsGrantedTo(given) => format!("{:+} {} for {}", given.amount, given.unit, given.account_id),
        Effect::UnitsAdjusted(by) => format!("{:+} {} by hand", by.amount, by.unit),
        Effect::StampsGiven(given) => {
            format!("+{} stamps on {}: {} of {}", given.stamps, given.card_id, given.stands, given.goal)
        }
        Effect::StampsTaken(taken) => format!("-{} stamps on {} taken back", taken.stamps, taken.card_id),
        Effect::VoucherChanged(changed) => {
            let state = match changed.state() {
                wire::VoucherState::Unspecified => "unknown",
                wire::VoucherState::Issued => "issued",
                wire::VoucherState::Held => "held",
                wire::VoucherState::Used => "used",
                wire::VoucherState::Expired => "expired",
                wire::VoucherState::Cancelled => "taken back",
            };
            format!("voucher for {} is {state}", changed.reward_id)
        }
        Effect::MemberPriceApplied(price) => {
            let off = price.ordinary_minor.saturating_sub(price.member_minor);
            format!("{} costs {off} less by {}", price.line_id, price.price_id)
        }
        Effect::TicketDrawn(drawn) => match drawn.prize_id.as_str() {
            "" => format!("a ticket in {}", drawn.draw_id),
            prize => format!("a ticket in {} wins {prize}", drawn.draw_id),
        },
        Effect::TagsChanged(changed) => {
            format!("tags added: {}, removed: {}", changed.added.join(" "), changed.removed.join(" "))
        }
        Effect::TierChanged(tier) => match (tier.from.as_str(), tier.to.as_str()) {
            ("", to) => format!("reaches {to} ({})", tier.ladder),
            (from, "") => format!("is no longer {from} ({})", tier.ladder),
            (from, to) => format!("goes from {from} to {to} ({})", tier.ladder),
        },
        Effect::GoalReached(goal) => format!("reaches the goal {}", goal.goal_id),
        Effect::GoalUndone(goal) => format!("no longer has the goal {}", goal.goal_id),
    }
}

/// The reasons for what was refused.
pub fn refusals(refusals: &[wire::Refusal]) -> Vec<String> {
    refusals.iter().map(|refusal| format!("refused: {}", refusal.message)).collect()
}

/// Why each rule applied or did not, in the order of the program.
pub fn explain(explain: &wire::Explain) -> Vec<String> {
    let mut lines = Vec::new();
    for rule in &explain.rules {
        let kind = match rule.kind() {
            wire::LoyaltyKind::Unspecified => "",
            wire::LoyaltyKind::Transactional => "transactional",
            wire::LoyaltyKind::Social => "social",
            wire::LoyaltyKind::Emotional => "emotional",
            wire::LoyaltyKind::Behavioural => "behavioural",
            wire::LoyaltyKind::Advocacy => "advocacy",
        };
        if rule.applied {
            let steps = rule.steps.join("; ");
            lines.push(format!("{:<16}{kind:<14}yes: {steps}", rule.rule_id));
            continue;
        }
        let unmet = rule.conditions.iter().filter(|condition| !condition.met);
        let reasons: Vec<String> = unmet
            .map(|condition| {
                let wire::ExplainCondition { condition, actual, required, .. } = condition;
                // An hour of the week is enough to see why.
                let hour = actual.parse::<jiff::Zoned>().map(|zoned| zoned.strftime("%a %H:%M").to_string());
                let actual = hour.as_ref().unwrap_or(actual);
                // An expression reads as a question of its own.
                let is = if condition.contains(' ') { ": there is" } else { " is" };
                format!("{condition}{is} {actual}, needed {required}")
            })
            .collect();
        let left_out = Some(rule.left_out.clone()).filter(|why| !why.is_empty());
        let mut reasons = reasons.into_iter().chain(left_out);
        lines.push(format!("{:<16}{kind:<14}no:  {}", rule.rule_id, reasons.next().unwrap_or_default()));
        lines.extend(reasons.map(|reason| format!("{:<16}{:<14}     {reason}", "", "")));
    }
    if 0 < explain.rules_left_out {
        lines.push(format!("{} more cannot match any line of it", explain.rules_left_out));
    }
    lines.extend(explain.nearest_misses.iter().map(|miss| format!("nearly: {} ({})", miss.text, miss.rule_id)));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effects_read_as_phrases() {
        let zone = TimeZone::UTC;
        let stamp = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
        let granted = wire::UnitsGranted {
            rule_id: "base".to_owned(),
            unit: "points".to_owned(),
            granted: 12,
            activates_at: stamp(1_794_787_200),
            expires_at: stamp(1_827_532_800),
            ..Default::default()
        };
        let redeemed =
            wire::UnitsRedeemed { unit: "points".to_owned(), amount: 400, value_minor: 205, ..Default::default() };
        for (effect, expected) in [
            (Effect::UnitsGranted(granted), "+12 points (base), spendable from 16 Nov 2026 until 30 Nov 2027"),
            (Effect::UnitsRedeemed(redeemed), "-400 points, which pay 2.05 GBP"),
        ] {
            assert_eq!(one(&effect, "GBP", &zone), expected);
        }
        assert_eq!(money(-123_456, "EUR"), "-1,234.56 EUR");
        assert_eq!(money(1_234, "JPY"), "1,234 JPY");
        assert_eq!(when(Instant(1_794_471_000_000), &zone), "Thu 12 Nov 08:10");
    }

    #[test]
    fn a_rule_that_does_not_apply_says_all_that_is_missing() {
        let condition = |name: &str, met| wire::ExplainCondition {
            condition: name.to_owned(),
            met,
            actual: "a".to_owned(),
            required: "b".to_owned(),
            missing: None,
        };
        let expression = "'VIP' in member.tags";
        let rule = wire::ExplainRule {
            rule_id: "early-bird".to_owned(),
            conditions: vec![condition("hours", false), condition("lines", true), condition("spend", false)],
            ..Default::default()
        };
        // Bugs: what another rule leaves no room for was told as nothing at all, and near misses not at all.
        let outdone = wire::ExplainRule {
            rule_id: "g1".to_owned(),
            left_out: "rule g2 gives most in group promo: 25".to_owned(),
            ..Default::default()
        };
        let asked = wire::ExplainRule { conditions: vec![condition(expression, false)], ..Default::default() };
        let miss = wire::NearestMiss {
            rule_id: "late".to_owned(),
            text: "1 order more would".to_owned(),
            ..Default::default()
        };
        let rules = vec![rule, outdone, asked];
        let lines = explain(&wire::Explain { rules, rules_left_out: 2, nearest_misses: vec![miss] });
        assert_eq!(lines.len(), 6);
        assert!(lines[0].contains("no:  hours is a, needed b"), "{}", lines[0]);
        assert!(lines[1].ends_with("spend is a, needed b"), "{}", lines[1]);
        assert!(lines[2].ends_with("no:  rule g2 gives most in group promo: 25"), "{}", lines[2]);
        assert!(lines[3].ends_with("'VIP' in member.tags: there is a, needed b"), "{}", lines[3]);
        assert_eq!(lines[4], "2 more cannot match any line of it");
        assert_eq!(lines[5], "nearly: 1 order more would (late)");
    }
}
